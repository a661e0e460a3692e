//! lbd beside API servers: what clusters ask for is served, and goes on being served while they
//! are away. Needs no root: addresses are the host's own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

mod objects;
mod saved;
mod stage;
mod told;

use lb_tests::{kube::ApiServer, wait::eventually};
use stage::{Daemon, LIMIT, await_answer, backend, free_port, gateway, get, service};

#[test]
fn what_is_applied_is_served_and_what_is_deleted_is_not() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    daemon.await_state("blue", "watching");
    await_answer(port, "shop.example", (404, ""));
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    await_answer(port, "shop.example", (200, "one"));
    let other = backend("two");
    let slice =
        serde_json::json!({ "ports": [{ "name": "http", "port": other, "protocol": "TCP" }] });
    server.patch("EndpointSlice", "shop-1", &slice).unwrap();
    await_answer(port, "shop.example", (200, "two"));
    server.delete("HTTPRoute", "shop").unwrap();
    await_answer(port, "shop.example", (404, ""));
}

#[test]
fn the_last_good_state_is_served_while_the_api_server_is_away() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    server.go_down();
    daemon.await_state("blue", "away");
    assert_eq!(get(port, "shop.example"), (200, "one".to_owned()));
    let blue = daemon.clusters().unwrap().remove(0);
    assert!(blue["lastError"].is_string(), "{blue}");
    // Missed while it was away.
    server.apply(&service("late", backend("two"), "late.example")).unwrap();
    server.come_up();
    daemon.await_state("blue", "watching");
    await_answer(port, "late.example", (200, "two"));
}

/// Something that goes wrong.
type Fault = fn(&lb_tests::kube::Faults);

#[test]
fn watches_that_end_or_expire_lose_nothing() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let faults = server.faults().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    let _daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (404, ""));
    let rounds: [(&str, Fault); 4] = [
        ("ended", |it| it.end_watches()),
        ("broken", |it| it.break_watches()),
        ("forgotten", |it| it.forget_history()),
        ("expired", |it| it.expire_watches()),
    ];
    for (name, fault) in rounds {
        fault(&faults);
        let host = format!("{name}.example");
        server.apply(&service(name, backend("one"), &host)).unwrap();
        await_answer(port, &host, (200, "one"));
    }
    await_answer(port, "ended.example", (200, "one"));
}

#[test]
fn endpoints_of_two_clusters_are_one_service_and_one_may_go_away() {
    let (blue, green) = (ApiServer::stand_in().unwrap(), ApiServer::stand_in().unwrap());
    blue.install_crds().unwrap();
    green.install_crds().unwrap();
    let port = free_port();
    for (server, name) in [(&blue, "blue"), (&green, "green")] {
        server.apply(&gateway(port)).unwrap();
        server.apply(&service("shop", backend(name), "shop.example")).unwrap();
    }
    let daemon = Daemon::start(&[("blue", &blue), ("green", &green)]);
    await_answer(port, "shop.example", (200, "blue"));
    await_answer(port, "shop.example", (200, "green"));
    green.go_down();
    daemon.await_state("green", "away");
    daemon.await_state("blue", "watching");
    await_answer(port, "shop.example", (200, "green"));
    blue.delete("HTTPRoute", "shop").unwrap();
    // What one cluster deletes, another still has.
    eventually(LIMIT, "only green", || {
        let all: Vec<_> = (0..8).map(|_| get(port, "shop.example")).collect();
        all.iter().all(|it| *it == (200, "green".to_owned())).then_some(())
    })
    .unwrap();
}
