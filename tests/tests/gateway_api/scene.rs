//! What many cases begin with.

use lb_tests::conformance::{Ask, Space, Suite};
use std::net::IpAddr;

/// Listeners of the most modest Gateway.
pub(crate) const HTTP: &str = "[{name: http, port: 80, protocol: HTTP}]";

/// The parent of a route under the only Gateway of its space.
pub(crate) const PARENT: &str = "{name: gateway}";

/// A space with echoing backends.
pub(crate) fn space(name: &str, backends: &[&str]) -> Space {
    let mut space = Suite::shared().space(name);
    for backend in backends {
        space.backend(backend);
    }
    space
}

/// A space with backends, a Gateway and an HTTPRoute with these rules (YAML, items of a list with
/// two spaces of indentation).
pub(crate) fn routed(name: &str, backends: &[&str], rules: &str) -> (Space, IpAddr) {
    let space = space(name, backends);
    space.gateway("gateway", HTTP);
    let spec = format!("  parentRefs: [{PARENT}]\n  rules:\n{rules}");
    space.route("HTTPRoute", "route", &spec);
    let address = space.address("gateway");
    (space, address)
}

/// A rule: a path's prefix, what else the rule says (YAML, in flow style) and its only backend.
pub(crate) fn rule(path: &str, rest: &str, backend: &str) -> String {
    let rest = if rest.is_empty() { String::new() } else { format!("{rest}, ") };
    format!(
        "  - {{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], {rest}backendRefs: [{{name: \
         {backend}, port: 8080}}]}}\n"
    )
}

/// `GET path` at port 80.
pub(crate) fn get(address: IpAddr, host: &str, path: &str) -> Ask {
    Ask::get(address, 80, host, path)
}
