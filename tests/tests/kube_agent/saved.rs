//! What is saved of clusters, and served when lbd starts while they are away.

use super::stage::{
    Daemon, LIMIT, await_answer, backend, free_port, gateway, get, get_at, service,
};
use lb_tests::{authority::Authority, kube::ApiServer, wait::eventually};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

fn saved(directory: &Path, cluster: &str) -> PathBuf {
    directory.join("default/clusters").join(format!("{cluster}.saved"))
}

/// A server with a Gateway, and two routes to it.
fn server(port: u16) -> ApiServer {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    server.apply(&gateway(port)).unwrap();
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    server.apply(&service("news", backend("two"), "news.example")).unwrap();
    server
}

#[test]
fn what_was_saved_is_served_until_the_api_server_answers() {
    let port = free_port();
    let server = server(port);
    let certificate = Authority::new().unwrap().issue(&["shop.example"]).unwrap();
    server
        .create(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": "tls", "namespace": "default" },
            "stringData": { "tls.crt": certificate.chain, "tls.key": certificate.key },
        }))
        .unwrap();
    let secure = serde_json::json!({ "spec": { "listeners": [
        { "name": "http", "port": port, "protocol": "HTTP" },
        { "name": "https", "port": free_port(), "protocol": "HTTPS",
          "tls": { "certificateRefs": [{ "name": "tls" }] } },
    ] } });
    server.patch("Gateway", "web", &secure).unwrap();
    let mut daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    await_answer(port, "news.example", (200, "two"));
    let is_secure = |daemon: &Daemon| {
        let certificates = daemon.items(&["get", "certificates"])?;
        certificates.iter().any(|it| it["certificate"] == "blue/default/tls").then_some(())
    };
    eventually(LIMIT, "the certificate", || is_secure(&daemon)).unwrap();

    daemon.restart(|directory| {
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let path = saved(directory, "blue");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        server.go_down();
    });
    await_answer(port, "shop.example", (200, "one"));
    await_answer(port, "news.example", (200, "two"));
    eventually(LIMIT, "the certificate", || is_secure(&daemon)).unwrap();
    daemon.await_state("blue", "saved");
    let blue = daemon.clusters().unwrap().remove(0);
    assert!(blue["savedAtMs"].is_u64() && blue["lastError"].is_string(), "{blue}");
    assert_eq!(daemon.lbctl(&["get", "clusters"]).1, Some(3));
    let (status, code) = daemon.lbctl(&["status"]);
    assert!(code == Some(3) && status.contains("served as it was saved"), "{status}");
    assert!(daemon.lbctl(&["metrics"]).0.contains("lb_cluster_saved{cluster=\"blue\"} 1"));
    assert_eq!(daemon.lines_with("what was saved of it is served").len(), 1);

    // It comes back without one of the two, and the other never fails.
    server.delete("HTTPRoute", "news").unwrap();
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !ends.load(Ordering::Relaxed) {
                assert_eq!(get(port, "shop.example"), (200, "one".to_owned()));
                count += 1;
            }
            count
        });
        server.come_up();
        daemon.await_state("blue", "watching");
        await_answer(port, "news.example", (404, ""));
        eventually(LIMIT, "the certificate", || is_secure(&daemon)).unwrap();
        ends.store(true, Ordering::Relaxed);
        assert!(client.join().unwrap() > 0);
    });
    assert!(daemon.lbctl(&["metrics"]).0.contains("lb_cluster_saved{cluster=\"blue\"} 0"));
}

#[test]
fn a_damaged_state_is_ignored_and_hurts_no_other() {
    let (blue_port, green_port) = (free_port(), free_port());
    let (blue, green) = (server(blue_port), ApiServer::stand_in().unwrap());
    green.install_crds().unwrap();
    green.apply(&gateway(green_port).replace("name: web,", "name: green,")).unwrap();
    let route =
        service("late", backend("green"), "late.example").replace("name: web", "name: green");
    green.apply(&route).unwrap();
    let await_served = |port: u16, host: &str| {
        eventually(LIMIT, host, || {
            let answers = (1..10).map(|it| get_at(&format!("127.0.0.{it}"), port, host));
            answers.into_iter().any(|it| it.0 == 200).then_some(())
        })
        .unwrap();
    };
    let mut daemon = Daemon::start(&[("blue", &blue), ("green", &green)]);
    await_served(blue_port, "shop.example");
    await_served(green_port, "late.example");
    daemon.restart(|directory| {
        let path = saved(directory, "blue");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        blue.go_down();
        green.go_down();
    });
    await_served(green_port, "late.example");
    daemon.await_state("green", "saved");
    daemon.await_state("blue", "away");
    assert_eq!(get(blue_port, "shop.example").0, 0, "nothing of blue is known");
    let lines = daemon.lines_with("a saved state is ignored");
    assert!(lines.len() == 1 && lines[0].contains("blue.saved"), "{lines:?}");
    blue.come_up();
    daemon.await_state("blue", "watching");
    await_served(blue_port, "shop.example");
}

#[test]
fn addresses_stay_over_a_start_without_an_api_server() {
    let port = free_port();
    let server = server(port);
    let mut daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    // The second Gateway has the second address, and nothing but lbd knows: status is off.
    let second = gateway(port).replace("name: web,", "name: zz-second,");
    server.apply(&second).unwrap();
    let route =
        service("late", backend("late"), "late.example").replace("name: web", "name: zz-second");
    server.apply(&route).unwrap();
    let is_there = |address: &'static str| {
        let get = move || (get_at(address, port, "late.example").0 == 200).then_some(());
        eventually(LIMIT, "the second Gateway", get).unwrap();
    };
    is_there("127.0.0.2");
    server.delete("Gateway", "web").unwrap();
    eventually(LIMIT, "the first is gone", || (get(port, "shop.example").0 == 0).then_some(()))
        .unwrap();
    daemon.restart(|_| server.go_down());
    is_there("127.0.0.2");
    assert_eq!(get(port, "late.example").0, 0, "the address has changed");
    server.come_up();
    daemon.await_state("blue", "watching");
    is_there("127.0.0.2");
    assert_eq!(get(port, "late.example").0, 0, "the address has changed");
}
