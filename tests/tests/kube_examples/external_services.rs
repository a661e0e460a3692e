//! Services outside of the cluster behind one Gateway.

use std::{collections::BTreeMap, net::IpAddr};

use lb_tests::{
    authority::{Authority, Issued},
    curl::Curl,
    kube::{ApiServer, router_lab},
    lab::Lab,
    lbd::Daemon,
    origin::{Origin, echo},
    wait::eventually,
};
use serde_json::json;

use super::bed::{self, LIMIT};

const HYPERVISORS: &str = "https://pve.local/nodes";
const API: &str = "http://api.local/api/users";
const WEBHOOKS: &str = "http://api.local/webhooks/push";
/// Requests for the canary; of so many, 200 are expected to go to the next version.
const REQUESTS: u64 = 2_000;
/// Almost seven standard deviations of a binomial distribution of 2,000 with 0.1, the square root of
/// 180: one run of 10^10 is beyond.
const SPREAD: u64 = 90;

/// What is outside, and the router in front of it.
struct Outside {
    daemon: Daemon,
    curl: Curl,
    server: ApiServer,
    hypervisors: Vec<Origin>,
    theirs: Authority,
    _others: Vec<Origin>,
    lab: Lab,
}

impl Outside {
    fn start() -> Self {
        let lab = router_lab(6).unwrap();
        let (server, kubeconfig) = ApiServer::stand_in_at(lab.backend(6).unwrap(), None).unwrap();
        let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
        server
            .set_certificate("default/gateway-cert", &ours.issue(&["pve.local"]).unwrap())
            .unwrap();
        server.set_authority("default/hypervisors-ca", &theirs).unwrap();
        server.apply(&bed::example("external-services/manifests.yaml")).unwrap();

        let issued = theirs.issue(&["pve.internal"]).unwrap();
        let hypervisors = (1..=4).map(|it| hypervisor(&lab, it, &issued)).collect();
        let origin = |number, port, name: &'static str| {
            let host = lab.backend(number).unwrap();
            Origin::answering(host, port, None, move |request| echo(name, request)).unwrap()
        };
        let others = [(5, 8080, "api"), (6, 8080, "next"), (5, 8081, "in"), (6, 8082, "also")];
        let others = others.map(|(number, port, name)| origin(number, port, name)).into();

        let file = bed::example("external-services/lb.yaml");
        let mut daemon = Daemon::prepare_on(lab.router(), &lab.instance(), &file).unwrap();
        daemon.write_beside("kubeconfig", &kubeconfig).unwrap();
        let names = [("in.hooks.test", 5), ("also.hooks.test", 6)];
        let line = |(name, number): (&str, usize)| {
            format!("{} {name}\n", lab.backend(number).unwrap().address_v4())
        };
        daemon.set_hosts(&names.map(line).concat()).unwrap();
        daemon.run().unwrap();
        for route in ["pve-route", "api-route"] {
            bed::await_route(&server, "HTTPRoute", route);
        }
        let vip = bed::address_of_gateway(&server, "external-gateway");
        assert_eq!(vip, IpAddr::from([192, 0, 2, 10]));
        let curl = bed::trusting(&daemon, Curl::new(lab.client(), vip), &ours);
        Self { daemon, curl, server, hypervisors, theirs, _others: others, lab }
    }

    /// Waits until so many hypervisors are asked in turn: of a busy machine's, probes may fail for a
    /// while.
    fn await_turns(&self, number: u64) {
        let mut last = BTreeMap::new();
        let are_in_turn = || {
            last = self.spread(100 * number);
            let is_even = last.values().all(|it| (98..=102).contains(it));
            (is_even && last.len() as u64 == number).then_some(())
        };
        let seen = eventually(LIMIT, "hypervisors that are asked in turn", are_in_turn);
        assert!(seen.is_ok(), "{last:?}");
    }

    /// How often each of the hypervisors was asked, over so many requests that all went well.
    fn spread(&self, count: u64) -> BTreeMap<String, u64> {
        let counts = self.curl.count(HYPERVISORS, count, &[]).unwrap();
        assert!(counts.keys().all(|it| it.starts_with("200 ")), "{counts:?}");
        counts
    }
}

fn hypervisor(lab: &Lab, number: usize, issued: &Issued) -> Origin {
    let tls = issued.server(None).unwrap();
    Origin::start(lab.backend(number).unwrap(), 8006, Some(tls)).unwrap()
}

#[test]
fn hypervisors_are_asked_in_turn_over_tls_that_is_verified() {
    let mut outside = Outside::start();
    let is_up = |it: &lb_tests::curl::Answer| it.status == 200;
    let told = bed::asked(&outside.daemon, &outside.curl, HYPERVISORS, is_up).json();
    assert_eq!(told["headers"]["host"], "pve.local");
    let asked = outside.hypervisors.iter().flat_map(Origin::requests);
    for request in asked {
        assert_eq!(request.server_name.as_deref(), Some("pve.internal"), "{request:?}");
    }
    outside.await_turns(4);

    // One is down: nobody who asks is told.
    outside.hypervisors[2].stop();
    let counts = outside.spread(300);
    assert!(!counts.contains_key("200 b3"), "{counts:?}");
    outside.await_turns(3);
    // Back, it is found by its probes.
    let issued = outside.theirs.issue(&["pve.internal"]).unwrap();
    outside.hypervisors[2] = hypervisor(&outside.lab, 3, &issued);
    let is_back = || outside.spread(8).contains_key("200 b3").then_some(());
    eventually(LIMIT, "the hypervisor is asked again", is_back).unwrap();

    // Certificates of another authority are not taken.
    outside.server.set_authority("default/hypervisors-ca", &Authority::new().unwrap()).unwrap();
    bed::asked(&outside.daemon, &outside.curl, HYPERVISORS, |it| it.status >= 500);
    outside.server.set_authority("default/hypervisors-ca", &outside.theirs).unwrap();
    bed::asked(&outside.daemon, &outside.curl, HYPERVISORS, is_up);
}

#[test]
fn a_canary_gets_its_share_and_names_outside_are_those_that_are_allowed() {
    let outside = Outside::start();
    let curl = &outside.curl;
    bed::asked(&outside.daemon, curl, API, |it| it.status == 200);
    let counts = curl.count(API, REQUESTS, &[]).unwrap();
    let next = counts.get("200 next").copied().unwrap_or(0);
    assert_eq!(counts.get("200 api").copied().unwrap_or(0) + next, REQUESTS, "{counts:?}");
    assert!(next.abs_diff(REQUESTS / 10) <= SPREAD, "{counts:?}");
    let counts = curl.count(API, 50, &["-H", "X-API-Version: next"]).unwrap();
    assert_eq!(counts, BTreeMap::from([("200 next".to_owned(), 50)]));
    assert_eq!(curl.get("http://api.local/apis", &[]).unwrap().status, 404);

    // Each name at its own port.
    bed::asked(&outside.daemon, curl, WEBHOOKS, |it| it.status == 200);
    let mut counts = BTreeMap::new();
    let are_both = || {
        counts = curl.count(WEBHOOKS, 40, &[]).unwrap();
        counts.keys().map(String::as_str).eq(["200 also", "200 in"]).then_some(())
    };
    let seen = eventually(LIMIT, "both names", are_both);
    assert!(seen.is_ok(), "{counts:?}");
    let counts = curl.count(WEBHOOKS, 40, &[]).unwrap();
    assert!(counts.len() == 2 && counts.values().all(|it| (18..=22).contains(it)), "{counts:?}");

    // A name that the operator did not allow, whoever says so.
    let other = json!({ "metadata": { "annotations": { "lb.internal/endpoints": null } },
        "spec": { "externalName": "metadata.internal" } });
    outside.server.patch("v1/Service", "default/webhooks", &other).unwrap();
    bed::asked(&outside.daemon, curl, WEBHOOKS, |it| it.status == 500);
    let refused = |it: &serde_json::Value| {
        let conditions = it["status"]["parents"][0]["conditions"].as_array();
        conditions.into_iter().flatten().any(|it| {
            let told = (&it["type"], &it["status"], &it["reason"]);
            told == (&"ResolvedRefs".into(), &"False".into(), &"UnsupportedValue".into())
        })
    };
    outside.server.eventually("HTTPRoute", "api-route", "a name that is refused", refused).unwrap();
    assert_eq!(curl.get(API, &[]).unwrap().status, 200, "its other rules are served");
}
