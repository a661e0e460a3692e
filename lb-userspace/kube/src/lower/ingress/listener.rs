//! Listeners of an Ingress class: one for HTTP, one for HTTPS with every certificate.

use super::offer::Source;
use crate::{
    ObjectKey,
    lower::{
        address::{Assigned, Unassigned},
        draft::Draft,
    },
};
use lb_model::{
    Bind, CONNECTIONS_DEFAULT, HostPattern, HttpOptions, Listener, ListenerProtocol, ListenerTls,
    Protocol, SESSION_IDLE_DEFAULT, TlsVersion, Vip,
};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

/// Names of the listeners of a class.
pub(super) struct Listeners {
    pub(super) http: String,
    pub(super) https: Option<String>,
}

impl Listeners {
    /// Adds the listeners of `class`, unless it has no address.
    pub(super) fn add(
        draft: &mut Draft<'_>,
        class: &str,
        assigned: Result<&[Assigned], &Unassigned>,
        sources: &mut [Source<'_>],
    ) -> Self {
        let addresses = assigned.unwrap_or_default();
        let http = format!("ingress/{class}/http");
        let plain = listener(addresses, 80, ListenerProtocol::Http, None);
        draft.desired.proxy.listeners.insert(http.clone(), plain);
        let certificates = certificates(draft, sources);
        let https = (!certificates.is_empty()).then(|| format!("ingress/{class}/https"));
        if let Some(name) = &https {
            let tls = Some(tls(certificates));
            let secure = listener(addresses, 443, ListenerProtocol::Https, tls);
            draft.desired.proxy.listeners.insert(name.clone(), secure);
        }
        Self { http, https }
    }
}

/// Certificates of all Ingresses, in order of age, then those that the operator gave.
fn certificates(draft: &mut Draft<'_>, sources: &mut [Source<'_>]) -> Vec<String> {
    let mut names = Vec::new();
    for source in sources {
        for tls in source.tls() {
            let Some(secret) = tls.secret_name.as_deref().filter(|it| !it.is_empty()) else {
                continue;
            };
            let key = ObjectKey::new(&source.key.namespace, secret);
            let mut failure = None;
            for cluster in &source.clusters {
                match draft.certificate(*cluster, &key) {
                    Ok(name) if names.contains(&name) => {}
                    Ok(name) => names.push(name),
                    Err(problem) => failure = Some(problem),
                }
            }
            if let Some(problem) = failure {
                source.problems.push(format!("Secret {key}: {problem}"));
            }
        }
    }
    names.extend(draft.world.file.proxy.certificates.keys().cloned());
    names
}

fn listener(
    addresses: &[Assigned],
    port: u16,
    protocol: ListenerProtocol,
    tls: Option<ListenerTls>,
) -> Listener {
    let (bound, vips): (Vec<_>, Vec<_>) = addresses.iter().partition(|it| it.bind);
    let vip = |it: &Assigned| Vip { address: it.address, port, protocol: Protocol::Tcp };
    let bind = |it: &Assigned| Bind { address: SocketAddr::new(it.address, port) };
    Listener {
        vips: vips.into_iter().map(vip).collect(),
        binds: bound.into_iter().map(bind).collect::<BTreeSet<_>>(),
        protocol,
        host: HostPattern::Any,
        tls,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: CONNECTIONS_DEFAULT,
        http: HttpOptions::default(),
        idle_timeout: SESSION_IDLE_DEFAULT,
    }
}

/// Sessions can be resumed for this long (the longest that RFC 8446, section 4.6.1, allows is 7
/// days; a day is what browsers keep).
const RESUMPTION: Duration = Duration::from_hours(24);

fn tls(certificates: Vec<String>) -> ListenerTls {
    ListenerTls {
        certificates,
        version_min: TlsVersion::V1_2,
        version_max: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        client: None,
        resumption: RESUMPTION,
        early_data: false,
    }
}
