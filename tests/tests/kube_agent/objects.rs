//! What lbctl tells about objects of clusters.

use super::stage::{Daemon, LIMIT, await_answer, backend, free_port, gateway, service};
use lb_tests::{kube::ApiServer, wait::eventually};
use serde_json::{Value, json};

/// Waits for an item of a list of this name.
fn await_item(daemon: &Daemon, list: &str, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(LIMIT, name, || {
        let items = daemon.items(&["get", list])?;
        items.into_iter().find(|it| it["name"] == name && is_it(it))
    })
    .unwrap()
}

fn server(port: u16) -> ApiServer {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    server.apply(&gateway(port)).unwrap();
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    server
}

#[test]
fn gateways_services_and_routes_tell_what_became_of_them() {
    let port = free_port();
    let server = server(port);
    let load_balancer = |name: &str, addresses: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "default",
                "annotations": { "lb.internal/addresses": addresses } },
            "spec": { "type": "LoadBalancer", "ports": [{ "port": free_port(), "protocol": "TCP" }] },
        })
    };
    server.create(load_balancer("good", "127.0.0.5")).unwrap();
    server.create(load_balancer("odd", "192.0.2.77")).unwrap();
    let lost = service("lost", backend("two"), "lost.example");
    server.apply(&lost.replace("name: web }", "name: web, sectionName: none }")).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));

    let web = await_item(&daemon, "gateways", "web", |it| it["programmed"] == true);
    assert_eq!((&web["cluster"], &web["namespace"]), (&json!("blue"), &json!("default")));
    assert_eq!((&web["addresses"], &web["reason"]), (&json!(["127.0.0.1"]), &Value::Null));
    assert_eq!(web["listeners"][0]["routes"], 1);
    assert_eq!(daemon.lbctl(&["get", "gateways"]).1, Some(0));

    let good = await_item(&daemon, "services", "good", |it| it["programmed"] == true);
    assert_eq!(good["addresses"], json!(["127.0.0.5"]));
    assert_eq!(good["endpoints"], json!({ "ready": 0, "total": 0 }));
    let odd = await_item(&daemon, "services", "odd", |_| true);
    assert_eq!((&odd["programmed"], &odd["addresses"]), (&json!(false), &json!([])));
    assert!(odd["reason"].as_str().unwrap().starts_with("AddressNotUsable: "), "{odd}");
    let (table, code) = daemon.lbctl(&["get", "services"]);
    assert!(code == Some(3) && table.contains("default/odd"), "{table}");

    let routes = daemon.items(&["get", "routes"]).unwrap();
    let of = |name: &str| routes.iter().find(|it| it["object"]["name"] == name).unwrap();
    assert_eq!(
        (&of("shop")["object"]["kind"], &of("shop")["problems"]),
        (&json!("HTTPRoute"), &json!([]))
    );
    assert_eq!(of("shop")["object"]["clusters"], json!(["blue"]));
    let problem = of("lost")["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("NoMatchingParent: "), "{problem}");
    let (table, code) = daemon.lbctl(&["get", "routes"]);
    assert!(code == Some(3) && table.contains("NoMatchingParent"), "{table}");
}

#[test]
fn why_names_every_object_on_the_way_and_hosts_where_names_should_lead() {
    let port = free_port();
    let server = server(port);
    let lost = service("lost", backend("two"), "lost.example");
    server.apply(&lost.replace("name: web }", "name: web, sectionName: none }")).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    let why = |host: &str| {
        eventually(LIMIT, "an explanation", || {
            let url = format!("http://{host}:{port}/");
            let (text, _) = daemon.lbctl(&["why", &url, "-o", "json"]);
            let why: Value = serde_json::from_str(&text).ok()?;
            (why["objects"].as_array().is_some_and(|it| !it.is_empty())).then_some(why)
        })
        .unwrap()
    };
    let shop = why("shop.example");
    assert_eq!(shop["dns"], "shop.example -> 127.0.0.1");
    let names: Vec<_> =
        shop["objects"].as_array().unwrap().iter().map(|it| &it["object"]).collect();
    assert_eq!(names, ["Gateway default/web", "HTTPRoute default/shop", "Service default/shop"]);
    assert_eq!(shop["objects"][2]["endpoints"], json!({ "ready": 1, "total": 1 }));
    assert_eq!(shop["objects"][2]["clusters"], json!(["blue"]));
    // One that no rule takes: the route that wants it says why it is not served.
    let lost = why("lost.example");
    let objects = lost["objects"].as_array().unwrap();
    let route = objects.iter().find(|it| it["object"] == "HTTPRoute default/lost").unwrap();
    assert!(route["reason"].as_str().unwrap().starts_with("NoMatchingParent: "), "{route}");

    let (text, code) = daemon.lbctl(&["hosts"]);
    assert_eq!((text.as_str(), code), ("127.0.0.1 shop.example\n", Some(0)));
}
