//! What lbd may do where it is installed: the unit of systemd, the pods and the image give it the
//! same capabilities, and they are enough.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
};

use lb_tests::{
    client::{TcpRun, tcp_connections},
    curl::Curl,
    kube::router_lab,
    lab::Lab,
    lbd::Daemon,
    origin::Origin,
    server::{Ports, Server},
};
use serde_json::Value;

use super::bed;

const UNIT: &str = "systemd/lbd.service";

/// The numbers of linux/capability.h.
const NUMBERS: [(&str, u32); 5] =
    [("net_bind_service", 10), ("net_admin", 12), ("sys_admin", 21), ("perfmon", 38), ("bpf", 39)];

/// What the unit leaves lbd, in the order of names.
fn of_the_unit() -> Vec<String> {
    let unit = bed::deployed(UNIT);
    let set = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let names = set.split(' ').map(|name| name.strip_prefix("CAP_").unwrap().to_lowercase());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn the_unit_the_pods_and_the_image_have_the_same_capabilities() {
    let daemon_set = bed::deployed("kustomize/base/daemonset.yaml");
    let daemon_set: Value = serde_saphyr::from_str(&daemon_set).unwrap();
    let context = &daemon_set["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(context["privileged"], Value::Null);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    let capabilities = &context["capabilities"];
    assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]));
    let added = capabilities["add"].as_array().unwrap();
    let mut added: Vec<_> = added.iter().map(|it| it.as_str().unwrap().to_lowercase()).collect();
    added.sort();
    assert_eq!(added, of_the_unit());

    let assemble = bed::deployed("image/assemble");
    let set = assemble.lines().find_map(|line| line.strip_prefix("setcap ")).unwrap();
    let (names, _) = set.split_once("=ep ").unwrap();
    let mut names: Vec<_> =
        names.split(',').map(|it| it.strip_prefix("cap_").unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, of_the_unit());
}

/// A forwarded VIP, a proxied one, and an address of the router itself at a port below 1024.
fn configuration(lab: &Lab) -> String {
    let backend = lab.backends()[0].address_v4();
    let router = lab.router().address_v4();
    format!(
        "interfaces: [wan, lan]
services:
  - name: lines
    vips: ['192.0.2.1:7/tcp']
    mode: nat
    backends: [{{name: b1, address: {backend}, port: 7}}]
listeners:
  - {{name: steered, vips: ['192.0.2.2:80/tcp'], protocol: http}}
  - {{name: bound, binds: ['{router}:81'], protocol: http}}
routes:
  - {{name: web, listeners: [steered, bound], rules: [{{backends: [web]}}]}}
upstreams:
  - {{name: web, endpoints: ['{backend}:8080']}}
"
    )
}

#[test]
fn lbd_serves_and_restarts_with_these_capabilities_alone() {
    let lab = router_lab(1).unwrap();
    let pod = &lab.backends()[0];
    let _origin = Origin::start(pod, 8080, None).unwrap();
    let _lines = Server::start(pod, &Ports { tcp: vec![7], ..Ports::default() }).unwrap();
    let mut daemon =
        Daemon::prepare_on(lab.router(), &lab.instance(), &configuration(&lab)).unwrap();
    daemon.set_capabilities(&of_the_unit());
    daemon.run().unwrap();
    assert_eq!(effective(&daemon), NUMBERS.iter().map(|it| 1 << it.1).sum::<u64>());
    assert_serves(&lab, &daemon);
    // What runs is read back, and taken over as it is.
    daemon.kill().unwrap();
    daemon.run().unwrap();
    assert_serves(&lab, &daemon);
    daemon.stop().unwrap();
    daemon.run().unwrap();
    assert_serves(&lab, &daemon);
    daemon.remove().unwrap();
}

fn assert_serves(lab: &Lab, daemon: &Daemon) {
    let to = SocketAddr::from(([192, 0, 2, 1], 7));
    let tally = tcp_connections(lab.client(), &TcpRun::new(to, 20)).unwrap();
    assert_eq!(tally.failures, [], "{}", daemon.lines().join("\n"));
    let curl = Curl::new(lab.client(), IpAddr::from([192, 0, 2, 2]));
    bed::asked(daemon, &curl, "http://web.test/", |it| it.status == 200);
    let curl = curl.at(lab.router().address_v4().into());
    bed::asked(daemon, &curl, "http://web.test:81/", |it| it.status == 200);
}

/// The effective capabilities of lbd, a bit for each.
fn effective(daemon: &Daemon) -> u64 {
    let lock = Path::new("/run/lb").join(daemon.instance()).join("lbd.lock");
    let pid = fs::read_to_string(lock).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("lbd.service");
    let program = lb_tests::wait::binary("lbd").unwrap();
    // It is not installed here.
    let text = bed::deployed(UNIT).replace("/usr/bin/lbd", program.to_str().unwrap());
    fs::write(&unit, text).unwrap();
    let mut command = Command::new("systemd-analyze");
    let verified = command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(unit).output();
    let Ok(verified) = verified else {
        eprintln!("no systemd-analyze: the unit of systemd is not looked at");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    let about_it = said.lines().filter(|line| line.contains("lbd.service"));
    assert_eq!(about_it.collect::<Vec<_>>(), [""; 0]);
}
