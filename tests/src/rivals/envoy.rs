//! Envoy: one worker thread.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::{ROUTES, Site, Speaks, certificate, package::Programs};

pub(super) fn configure(site: &Site<'_>, programs: &Programs) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let mut hosts: Vec<Value> = site.hosts().map(|host| virtual_host(&host)).collect();
    hosts.push(json!({
        "name": "all", "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "origin" } }]
    }));
    let tls = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": { "filename": cert }, "private_key": { "filename": key }
                }]
            }
        }
    });
    let mut cluster = json!({
        "name": "origin", "type": "STATIC", "connect_timeout": "5s",
        "load_assignment": { "cluster_name": "origin", "endpoints": [{ "lb_endpoints": [{
            "endpoint": { "address": address(site.origin) }
        }] }] }
    });
    if let (Speaks::Grpc, Some(cluster)) = (site.speaks, cluster.as_object_mut()) {
        cluster.insert("typed_extension_protocol_options".to_owned(), http2());
    }
    let text = json!({ "static_resources": {
        "listeners": [
            listener("http", site.ports.http, &hosts, &Value::Null),
            listener("https", site.ports.https, &hosts, &tls),
        ],
        "clusters": [cluster]
    } });
    let file = site.write("envoy.json", &text.to_string())?;
    let mut command = Command::new(programs.path("envoy"));
    command.args(["--concurrency", "1", "--use-dynamic-base-id", "-l", "warn", "-c"]).arg(file);
    Ok(command)
}

fn http2() -> Value {
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": {} }
    } })
}

fn virtual_host(host: &str) -> Value {
    let route = |route| {
        let prefix = format!("/route{route}");
        json!({ "match": { "path_separated_prefix": prefix }, "route": { "cluster": "origin" } })
    };
    json!({ "name": host, "domains": [host], "routes": (0..ROUTES).map(route).collect::<Vec<_>>() })
}

fn listener(name: &str, port: u16, hosts: &[Value], tls: &Value) -> Value {
    let mut chain = json!({ "filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "route_config": { "virtual_hosts": hosts },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                }
            }]
        }
    }] });
    if let (Some(chain), false) = (chain.as_object_mut(), tls.is_null()) {
        chain.insert("transport_socket".to_owned(), tls.clone());
    }
    json!({ "name": name, "address": address(port), "filter_chains": [chain] })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
