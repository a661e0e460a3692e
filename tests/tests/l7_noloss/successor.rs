//! Successors that come to nothing: the daemon that runs goes on as if nobody had asked.

use std::fs;

use lb_tests::wait::eventually;
use rustix::{
    fd::OwnedFd,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
        recv, send, socket_with,
    },
};

use super::{
    WAYS,
    load::Load,
    origin, routes,
    site::{FILE, LIMIT, Site, assert_ended, hang_up, terminate},
};

/// What a successor does before it dies.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// It connects and says nothing.
    Nowhere,
    /// It asks.
    Asked,
    /// It gets part of what it is given.
    Some,
    /// It gets everything, and does not say that it serves.
    All,
    /// It says what nobody understands.
    Wrong,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn successors_that_die_halfway_lose_nothing() {
    let site = Site::new();
    let upstreams = [origin::start().await, origin::start().await];
    site.configure("0", &routes(0, upstreams));
    let mut lbd = site.start(FILE, "0").await;
    let load = Load::start(site.web.address(), &WAYS);
    for (number, gets) in
        [Gets::Nowhere, Gets::Asked, Gets::Some, Gets::All, Gets::Wrong].into_iter().enumerate()
    {
        let connection = successor(&site, gets);
        drop(connection);
        // It obeys again.
        let mark = format!("after-{number}");
        site.configure(&mark, &routes(number, upstreams));
        hang_up(&lbd);
        site.in_force(&mark).await;
        assert!(lbd.is_running(), "{gets:?}: {}", lbd.lines().join("\n"));
    }

    // One that has everything, and then cannot go on: what was drained is not to be read. The one
    // that runs may be writing it.
    let drains = site.run_file("drains.json");
    let replace = || {
        fs::remove_file(&drains).ok();
        fs::create_dir(&drains).ok()
    };
    eventually(LIMIT, "a folder in the place of the drains", replace).unwrap();
    site.configure_in("bad.yaml", "bad", &routes(0, upstreams));
    let mut bad = site.run("bad.yaml", &["--take-over"]);
    let status = bad.wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(1), "{}", bad.lines().join("\n"));
    assert!(lbd.is_running(), "{}", lbd.lines().join("\n"));
    fs::remove_dir(&drains).unwrap();

    // A good one still gets everything.
    site.configure_in("good.yaml", "good", &routes(1, upstreams));
    let successor = site.start("good.yaml", "good").await;
    assert_ended(lbd);
    load.assert_nothing_failed().await;
    terminate(&successor);
    assert_ended(successor);
}

/// Gets as far as that.
fn successor(site: &Site, gets: Gets) -> OwnedFd {
    let kind = SocketType::SEQPACKET;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let address = SocketAddrUnix::new(site.run_file("handoff.sock")).unwrap();
    // The daemon serves a moment before it can be asked.
    let connected = || connect(&socket, &address).ok();
    eventually(LIMIT, "somebody to ask", connected).unwrap();
    let say = |text: &[u8]| assert_eq!(send(&socket, text, SendFlags::NOSIGNAL), Ok(text.len()));
    // Descriptors that come with a message are dropped with it.
    let hear = || {
        let mut message = [0; 512];
        let (_, count) = recv(&socket, &mut message, RecvFlags::empty()).unwrap();
        assert_ne!(count, 0, "the daemon says nothing");
        message[..count].to_vec()
    };
    match gets {
        Gets::Nowhere => {}
        Gets::Asked => say(b"\"take_over\""),
        Gets::Some => {
            say(b"\"take_over\"");
            hear();
        }
        Gets::All => {
            say(b"\"take_over\"");
            while hear() != b"\"end\"" {}
        }
        Gets::Wrong => {
            say(b"\"take_over\"");
            while hear() != b"\"end\"" {}
            say(b"what?");
        }
    }
    socket
}
