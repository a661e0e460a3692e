//! An operator drains an endpoint, under load, and it stays drained.

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

use super::{
    WAYS,
    load::{Load, Tally},
    origin,
    site::{FILE, LIMIT, Site, assert_ended, hang_up},
};

const RELOADS: usize = 5;
/// Answers that show that all clients were at it.
const ANSWERS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_endpoint_gets_nothing_over_reloads_and_hand_overs_and_loses_nothing() {
    let site = Site::new();
    let (kept, kept_asked) = origin::start_held().await;
    let (drained, drained_asked) = origin::start_held().await;
    site.configure("0", &configuration(0, [kept, drained]));
    let mut lbd = site.start(FILE, "0").await;
    let load = Load::start(site.web.address(), &WAYS);
    more(&load.tally).await;
    assert!(drained_asked.asked() > 0 && kept_asked.asked() > 0);

    let endpoint = format!("all/{drained}");
    site.lbctl(&["drain", &endpoint]);
    // What was begun before comes to its end, however slowly the machine goes.
    let settled = async {
        loop {
            let before = drained_asked.asked();
            more(&load.tally).await;
            if drained_asked.asked() == before {
                break before;
            }
        }
    };
    let before = tokio::time::timeout(LIMIT, settled).await.unwrap();
    for number in 1..=RELOADS {
        let mark = number.to_string();
        site.configure(&mark, &configuration(number, [kept, drained]));
        hang_up(&lbd);
        site.in_force(&mark).await;
        more(&load.tally).await;
    }
    site.configure_in("next.yaml", "next", &configuration(0, [kept, drained]));
    let successor = site.start("next.yaml", "next").await;
    assert_ended(std::mem::replace(&mut lbd, successor));
    more(&load.tally).await;
    assert_eq!(drained_asked.asked(), before);

    site.lbctl(&["undrain", &endpoint]);
    until_more(|| drained_asked.asked(), 1).await;
    load.assert_nothing_failed().await;
    assert!(lbd.is_running(), "{}", lbd.lines().join("\n"));
}

/// Two endpoints, in another form for each number.
fn configuration(number: usize, [one, other]: [SocketAddr; 2]) -> String {
    format!(
        "upstreams:
  - {{ name: all, endpoints: [\"{one}\", \"{other}\"], balance: round_robin }}
routes:
  - name: all
    listeners: [web]
    hosts: [swap.example]
    rules: [{{ filters: {{ response_headers: {{ set: {{ X-Number: \"{number}\" }} }} }}, backends: [all] }}]"
    )
}

/// Waits until the clients have got many more answers.
async fn more(tally: &Tally) {
    until_more(|| tally.answers.load(Relaxed), ANSWERS).await;
}

async fn until_more(counter: impl Fn() -> u64, count: u64) {
    let enough = counter() + count;
    let counted = async {
        while counter() < enough {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.unwrap();
}
