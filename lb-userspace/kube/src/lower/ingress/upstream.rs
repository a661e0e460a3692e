//! Who answers: upstreams of Ingress backends, with what annotations say about them.

use super::offer::{Offer, Source};
use crate::{
    ObjectKey,
    api::BackendRef,
    lower::{
        draft::Draft,
        upstream::{BackendProblem, Wanted},
    },
};
use k8s_openapi::api::networking::v1::IngressBackend;
use lb_model::{Balance, HashKey, Upstream, UpstreamProtocol, UpstreamTls, Verify};

/// The upstream of the first offers of a path: one, or the endpoints of several clusters together.
/// `None` = there is none, which the sources are told.
pub(super) fn of(
    draft: &mut Draft<'_>,
    sources: &mut [Source<'_>],
    offers: &[Offer],
) -> Option<String> {
    let mut names = Vec::new();
    for offer in offers {
        let Some(source) = sources.get_mut(offer.source) else { continue };
        match one(draft, source, &offer.backend) {
            Ok(name) => names.push(name),
            Err(problem) => source.problems.push(problem.to_string()),
        }
    }
    together(draft, names)
}

fn one(
    draft: &mut Draft<'_>,
    source: &mut Source<'_>,
    backend: &IngressBackend,
) -> Result<String, BackendProblem> {
    let reference = reference(draft, source, backend)?;
    let protocol = match source.wishes.text("backend-protocol") {
        Some("GRPC" | "GRPCS") => UpstreamProtocol::Http2,
        _ => UpstreamProtocol::Auto,
    };
    let name = draft.upstream(&Wanted {
        clusters: &source.clusters,
        referrer: ("networking.k8s.io", "Ingress"),
        namespace: &source.key.namespace,
        backend: &reference,
        protocol,
        is_stream: false,
        client_certificate: None,
        ancestors: &[],
    })?;
    let Some(plain) = draft.desired.proxy.upstreams.get(&name).cloned() else { return Ok(name) };
    let mut wished = Upstream::clone(&plain);
    apply(draft, source, &mut wished);
    if wished == *plain {
        return Ok(name);
    }
    let name = format!("{name} +Ingress/{}", source.key);
    draft.desired.proxy.upstreams.insert(name.clone(), wished.into());
    Ok(name)
}

/// Ingress ports have names or numbers; references to backends have numbers.
fn reference(
    draft: &Draft<'_>,
    source: &Source<'_>,
    backend: &IngressBackend,
) -> Result<BackendRef, BackendProblem> {
    if let Some(resource) = &backend.resource {
        return Ok(BackendRef {
            group: resource.api_group.clone(),
            kind: Some(resource.kind.clone()),
            name: resource.name.clone(),
            ..BackendRef::default()
        });
    }
    let Some(service) = &backend.service else {
        return Err(BackendProblem::NotFound("its backend".to_owned()));
    };
    let port = service.port.as_ref();
    let number = port.and_then(|it| it.number).and_then(|it| u16::try_from(it).ok());
    let named = port.and_then(|it| it.name.as_deref()).and_then(|name| {
        let key = ObjectKey::new(&source.key.namespace, &service.name);
        draft.uses.see(&key);
        let mut clusters = source.clusters.iter().filter_map(|it| draft.cluster(*it));
        let service = clusters.find_map(|it| it.objects.services.get(&key))?;
        let mut ports = service.spec.iter().flat_map(|it| it.ports.iter().flatten());
        let port = ports.find(|it| it.name.as_deref() == Some(name))?;
        u16::try_from(port.port).ok()
    });
    let port = number.or(named);
    if port.is_none() {
        let text = format!("the port of Service {}/{}", source.key.namespace, service.name);
        return Err(BackendProblem::NotFound(text));
    }
    Ok(BackendRef { name: service.name.clone(), port, ..BackendRef::default() })
}

/// What annotations say about how endpoints are spoken to and chosen.
fn apply(draft: &mut Draft<'_>, source: &mut Source<'_>, upstream: &mut Upstream) {
    match source.wishes.text("backend-protocol").map(str::to_ascii_uppercase).as_deref() {
        None | Some("HTTP" | "AUTO_HTTP" | "GRPC") => {}
        Some("HTTPS" | "GRPCS") => upstream.tls = Some(tls(draft, source)),
        Some(other) => {
            let why = format!("{other} is not spoken here");
            source.wishes.refuse("backend-protocol", why);
        }
    }
    if let Some(timeout) = source.wishes.time("proxy-connect-timeout") {
        upstream.connect_timeout = timeout;
    }
    if let Some(key) = source.wishes.parsed("upstream-hash-by", hash_key) {
        upstream.balance = Balance::Maglev(key);
    } else if let Some(balance) = source.wishes.parsed("load-balance", balance) {
        upstream.balance = balance;
    }
}

/// As ingress-nginx does: backends' certificates are verified only when asked for.
fn tls(draft: &mut Draft<'_>, source: &mut Source<'_>) -> UpstreamTls {
    let secret = source.wishes.text("proxy-ssl-secret");
    let secret = secret.map(|text| ObjectKey::parse(text, &source.key.namespace));
    let own = secret.as_ref().is_none_or(|it| it.namespace == source.key.namespace);
    let secret = secret.filter(|_| own);
    if !own {
        source.wishes.refuse("proxy-ssl-secret", "a Secret of another namespace is not read");
    }
    let cluster = source.clusters.first().copied().unwrap_or_default();
    let mut verify = Verify::Insecure;
    let mut certificate = None;
    if let Some(secret) = &secret {
        certificate = draft.certificate(cluster, secret).ok();
        if source.wishes.is_on("proxy-ssl-verify") {
            match draft.authorities(cluster, "Secret", secret) {
                Ok(authorities) => verify = Verify::Authorities(authorities),
                Err(problem) => {
                    // Refuses every certificate: what was to be verified is not sent in the open.
                    verify = Verify::Authorities(Vec::new());
                    source.problems.push(format!("Secret {secret}: {problem}"));
                }
            }
        }
    } else if source.wishes.is_on("proxy-ssl-verify") {
        verify = Verify::System;
    }
    let server_name = source.wishes.text("proxy-ssl-name").map(ToOwned::to_owned);
    UpstreamTls { server_name, verify, subject_alt_names: Vec::new(), certificate }
}

fn hash_key(text: &str) -> Option<HashKey> {
    let name = text.strip_prefix('$')?;
    match name {
        "remote_addr" | "binary_remote_addr" => Some(HashKey::Source),
        _ => {
            let header = name.strip_prefix("http_").map(|it| it.replace('_', "-"));
            let cookie = name.strip_prefix("cookie_").map(ToOwned::to_owned);
            header.map(HashKey::Header).or_else(|| cookie.map(HashKey::Cookie))
        }
    }
}

fn balance(text: &str) -> Option<Balance> {
    match text {
        "ewma" => Some(Balance::PeakEwma),
        "round_robin" => Some(Balance::RoundRobin),
        _ => None,
    }
}

/// One upstream of the endpoints of several.
fn together(draft: &mut Draft<'_>, mut names: Vec<String>) -> Option<String> {
    names.dedup();
    let first = names.first()?.clone();
    if names.len() == 1 {
        return Some(first);
    }
    let upstreams = &draft.desired.proxy.upstreams;
    let mut union = Upstream::clone(upstreams.get(&first)?);
    for other in names.iter().filter_map(|it| upstreams.get(it)) {
        for (name, endpoint) in &other.endpoints {
            union.endpoints.entry(name.clone()).or_insert_with(|| endpoint.clone());
        }
    }
    let name = names.join(" | ");
    draft.desired.proxy.upstreams.insert(name.clone(), union.into());
    Some(name)
}
