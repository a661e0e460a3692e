//! Listeners of an Ingress class: one for HTTP, one for HTTPS with every certificate.

use super::offer::Source;
use crate::{
    ObjectKey,
    lower::{
        address::{Assigned, Unassigned},
        draft::Draft,
        listener,
    },
};
use lb_model::{Listener, ListenerProtocol};

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
        let plain = listener::listener(addresses, 80, ListenerProtocol::Http);
        draft.desired.proxy.listeners.insert(http.clone(), plain);
        let certificates = certificates(draft, sources);
        let https = (!certificates.is_empty()).then(|| format!("ingress/{class}/https"));
        if let Some(name) = &https {
            let secure = Listener {
                tls: Some(listener::tls(certificates)),
                ..listener::listener(addresses, 443, ListenerProtocol::Https)
            };
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
