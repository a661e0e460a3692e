//! Routers that run what examples say, and what is asked of them.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use lb_tests::{
    authority::Authority,
    curl::{Answer, Curl},
    kube::ApiServer,
    lab::{Host, Lab},
    lbd::Daemon,
    wait::eventually,
};
use serde_json::Value;

/// How long anything may take on a busy machine: an API server that comes back is tried again after
/// up to half a minute.
pub(super) const LIMIT: Duration = Duration::from_mins(2);

/// The text of a file of an example.
pub(super) fn example(file: &str) -> String {
    deployed(&format!("examples/{file}"))
}

/// The text of a file of what is deployed.
pub(super) fn deployed(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// lbd on the router with a configuration of an example, and files beside it.
pub(super) fn run(lab: &Lab, configuration: &str, files: &[(&str, &str)]) -> Daemon {
    run_on(lab.router(), &lab.instance(), configuration, files)
}

/// As [`run`], on any host.
pub(super) fn run_on(
    host: &Host,
    instance: &str,
    configuration: &str,
    files: &[(&str, &str)],
) -> Daemon {
    let mut daemon = Daemon::prepare_on(host, instance, configuration).unwrap();
    for (name, text) in files {
        daemon.write_beside(name, text).unwrap();
    }
    daemon.run().unwrap();
    daemon
}

/// A client that trusts an authority.
pub(super) fn trusting(daemon: &Daemon, curl: Curl, authority: &Authority) -> Curl {
    daemon.write_beside("client/ca.pem", &authority.pem()).unwrap();
    curl.trusting(beside(daemon, "client/ca.pem"))
}

/// A file beside a configuration.
pub(super) fn beside(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.file().with_file_name("").join(name)
}

/// Asks until the answer is as it should be.
pub(super) fn asked(
    daemon: &Daemon,
    curl: &Curl,
    url: &str,
    is_right: impl Fn(&Answer) -> bool,
) -> Answer {
    let mut last = None;
    let seen = eventually(LIMIT, url, || {
        let answer = curl.get(url, &[]);
        let right = answer.as_ref().ok().filter(|it| is_right(it)).cloned();
        last = Some(answer);
        right
    });
    seen.unwrap_or_else(|error| panic!("{error}: {last:?}\n{}", daemon.lines().join("\n")))
}

/// The address in an object's status, once the conditions at `path` are true.
pub(super) fn address_of_gateway(server: &ApiServer, name: &str) -> IpAddr {
    let gateway = server.eventually("Gateway", name, "a Gateway with an address", |it| {
        let listeners = it["status"]["listeners"].as_array();
        let listeners = listeners.map(Vec::as_slice).unwrap_or_default();
        let wanted = it["spec"]["listeners"].as_array().map(Vec::len);
        let kinds = ["Accepted", "Programmed", "ResolvedRefs"];
        are_true(&it["status"]["conditions"], &["Accepted", "Programmed"], it)
            && Some(listeners.len()) == wanted
            && listeners.iter().all(|one| are_true(&one["conditions"], &kinds, it))
    });
    gateway.unwrap()["status"]["addresses"][0]["value"].as_str().unwrap().parse().unwrap()
}

/// Waits until a route is accepted by its parent, and what it refers to is there.
pub(super) fn await_route(server: &ApiServer, kind: &str, name: &str) {
    let is_so = |it: &Value| {
        let parents = it["status"]["parents"].as_array().map(Vec::as_slice).unwrap_or_default();
        let kinds = ["Accepted", "ResolvedRefs"];
        !parents.is_empty() && parents.iter().all(|one| are_true(&one["conditions"], &kinds, it))
    };
    server.eventually(kind, name, "a route that is accepted", is_so).unwrap();
}

/// Whether conditions of these types are true of the object as it is.
pub(super) fn are_true(conditions: &Value, kinds: &[&str], object: &Value) -> bool {
    let all = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
    kinds.iter().all(|kind| {
        all.iter().any(|it| {
            it["type"] == *kind
                && it["status"] == "True"
                && it["observedGeneration"] == object["metadata"]["generation"]
        })
    })
}
