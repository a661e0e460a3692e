//! lbd is replaced by another one, with another number of workers, while it is asked.

use std::collections::VecDeque;

use super::{
    WAYS,
    load::Load,
    origin, rounds, routes,
    site::{FILE, LIMIT, Site, assert_ended, terminate},
};

const HAND_OVERS: (usize, usize) = (50, 10);
const WORKERS_MAX: usize = 3;
/// Daemons that still finish what they had, beside the one that serves.
const ENDING_MAX: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hand_overs_lose_nothing() {
    let mut site = Site::new();
    let upstreams = [origin::start().await, origin::start().await];
    site.configure("0", &routes(0, upstreams));
    let mut serving = site.start(FILE, "0").await;
    let load = Load::start(site.web.address(), &WAYS);
    let mut ending = VecDeque::new();
    for number in 1..=rounds(HAND_OVERS) {
        // The successor is the only one that has this configuration from the start.
        let mark = number.to_string();
        let file = format!("{number}.yaml");
        site.workers = 1 + number % WORKERS_MAX;
        site.configure_in(&file, &mark, &routes(number, upstreams));
        let successor = site.start(&file, &mark).await;
        ending.push_back(std::mem::replace(&mut serving, successor));
        if ending.len() > ENDING_MAX {
            assert_ended(ending.pop_front().unwrap());
        }
    }
    ending.into_iter().for_each(assert_ended);
    load.assert_nothing_failed().await;

    // The instance has one daemon, and its lock.
    assert!(serving.is_running());
    let mut other = site.run(FILE, &[]);
    let refused = other.wait(LIMIT).unwrap();
    assert_eq!(refused.code(), Some(1));
    let told = format!("pid {}", serving.pid());
    assert!(other.lines().join("\n").contains(&told), "{:?} {told}", other.lines());
    terminate(&serving);
    assert_ended(serving);
}
