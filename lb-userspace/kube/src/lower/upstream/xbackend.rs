//! `XBackend`: a backend by its own name (GEP-4894), and what is said of it.

use super::{
    BACKEND_GROUP, BackendProblem, Found, annotation::Annotations, port::PortKey, protocol::Spoken,
};
use crate::{
    Condition, ObjectKey, ObjectKind, Status,
    api::{BackendTls, ParentRef, XBackend},
    lower::{
        draft::Draft,
        index::{Referent, Referrer},
    },
    lowered::ParentReport,
};
use lb_model::{UpstreamProtocol, UpstreamTls, Verify};
use std::collections::BTreeMap;

/// XBackends in use: under which Gateways, and what is wrong.
#[derive(Debug, Default)]
pub(super) struct Used {
    of: BTreeMap<ObjectKey, Vec<(ParentRef, Option<String>)>>,
}

impl Used {
    /// Notes that Gateways use a backend.
    pub(super) fn note(
        &mut self,
        key: &ObjectKey,
        ancestors: &[ParentRef],
        problem: Option<&BackendProblem>,
    ) {
        let known = self.of.entry(key.clone()).or_default();
        for ancestor in ancestors {
            if !known.iter().any(|(it, _)| it == ancestor) {
                known.push((ancestor.clone(), problem.map(ToString::to_string)));
            }
        }
    }
}

impl<'a> Draft<'a> {
    /// What an XBackend leads to, over all clusters that have it; the first's spec rules.
    pub(super) fn found_backend(
        &mut self,
        key: &PortKey,
        wanted: UpstreamProtocol,
        is_stream: bool,
    ) -> Result<Found<'a>, BackendProblem> {
        let backends: Vec<(usize, &'a XBackend)> = key
            .clusters
            .iter()
            .filter_map(|index| {
                let backend = self.cluster(*index)?.objects.backends.get(&key.object)?;
                Some((*index, &**backend))
            })
            .collect();
        let Some((cluster, first)) = backends.first().copied() else {
            return Err(BackendProblem::NotFound(format!("XBackend {}", key.object)));
        };
        let mut places = Vec::new();
        for (cluster, backend) in &backends {
            let Some(hostname) = hostname(backend) else {
                let text = format!("XBackend {} is of an unknown type", key.object);
                return Err(BackendProblem::Refused(text));
            };
            places.push(self.external_place(*cluster, hostname, backend.spec.port.port)?);
        }
        let protocol = protocol(first.spec.protocol.as_deref(), wanted, is_stream)?;
        let tls = match &first.spec.tls {
            Some(tls) => self.backend_tls_of(cluster, first, tls)?,
            None => None,
        };
        Ok(Found {
            places,
            spoken: Spoken { protocol, is_tls: tls.is_some() },
            tls_name: tls.as_ref().map(|_| String::new()),
            tls,
            annotations: Annotations::of(first),
            object: self.id(cluster, ObjectKind::XBackend, &key.object),
            is_broken: false,
            retries_percent: None,
        })
    }

    /// How TLS is spoken to an XBackend.
    fn backend_tls_of(
        &mut self,
        cluster: usize,
        backend: &XBackend,
        tls: &BackendTls,
    ) -> Result<Option<UpstreamTls>, BackendProblem> {
        let key = ObjectKey::of(backend);
        if !matches!(tls.mode.as_str(), "ServerOnly" | "ClientAndServer") {
            return match tls.mode.as_str() {
                "None" => Ok(None),
                mode => Err(refused(&key, &format!("the TLS mode {mode:?} is not known"))),
            };
        }
        let mut made = match &tls.validation {
            Some(validation) => self
                .check_validation(cluster, &key.namespace, validation)
                .tls
                .map_err(|problem| refused(&key, &problem.message))?,
            None => UpstreamTls {
                server_name: None,
                verify: Verify::System,
                subject_alt_names: Vec::new(),
                certificate: None,
            },
        };
        if tls.mode == "ClientAndServer" {
            let wrong = |problem: &str| refused(&key, &format!("clientCertificateRef: {problem}"));
            let secret =
                tls.client_certificate_ref.as_ref().ok_or_else(|| wrong("it is missing"))?;
            let group = secret.group.as_deref().unwrap_or_default();
            let kind = secret.kind.as_deref().unwrap_or("Secret");
            if (group, kind) != ("", "Secret") {
                return Err(wrong("only Secrets are known"));
            }
            let namespace = secret.namespace.as_deref().unwrap_or(&key.namespace);
            let from =
                Referrer { group: BACKEND_GROUP, kind: "XBackend", namespace: &key.namespace };
            let to = Referent { group, kind, namespace, name: &secret.name };
            if !self.index.is_granted(cluster, from, to) {
                return Err(wrong("no ReferenceGrant allows it"));
            }
            let secret = ObjectKey::new(namespace, &secret.name);
            let certificate = self.certificate(cluster, &secret);
            made.certificate = Some(certificate.map_err(|it| wrong(&it.to_string()))?);
        }
        Ok(Some(made))
    }
}

/// Says of each XBackend under which Gateways it is in use.
pub(in crate::lower) fn report(draft: &mut Draft<'_>) {
    let used = std::mem::take(&mut draft.resolved.backends);
    for (key, mut ancestors) in used.of {
        ancestors.sort_by(|(one, _), (other, _)| {
            (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name))
        });
        let clusters: Vec<(usize, i64)> = draft
            .world
            .clusters
            .iter()
            .enumerate()
            .filter_map(|(index, cluster)| {
                let backend = cluster.objects.backends.get(&key)?;
                Some((index, backend.metadata.generation.unwrap_or_default()))
            })
            .collect();
        for (cluster, generation) in clusters {
            let reports = ancestors.iter().map(|(parent, problem)| ParentReport {
                parent: parent.clone(),
                conditions: vec![accepted(problem.as_deref(), generation)],
            });
            let status = Status::Parents(reports.collect());
            let id = draft.id(cluster, ObjectKind::XBackend, &key);
            draft.tell(id, status);
        }
    }
}

fn accepted(problem: Option<&str>, generation: i64) -> Condition {
    Condition {
        kind: "Accepted",
        holds: Some(problem.is_none()),
        reason: if problem.is_none() { "Accepted" } else { "Invalid" },
        message: problem.unwrap_or("the backend is in use").to_owned(),
        generation,
    }
}

fn refused(key: &ObjectKey, problem: &str) -> BackendProblem {
    BackendProblem::Refused(format!("XBackend {key}: {problem}"))
}

fn hostname(backend: &XBackend) -> Option<&str> {
    let spec = &backend.spec;
    let hostname = spec.external_hostname.as_ref().map(|it| it.hostname.as_str());
    hostname.filter(|it| spec.r#type == "ExternalHostname" && !it.contains(':'))
}

fn protocol(
    text: Option<&str>,
    wanted: UpstreamProtocol,
    is_stream: bool,
) -> Result<UpstreamProtocol, BackendProblem> {
    match text {
        _ if is_stream => Ok(UpstreamProtocol::Auto),
        None | Some("HTTP" | "MCP") => Ok(wanted),
        Some("HTTP2" | "H2C" | "GRPC") => Ok(UpstreamProtocol::Http2),
        Some("HTTP11") if wanted != UpstreamProtocol::Http2 => Ok(UpstreamProtocol::Http1),
        Some(other) => Err(BackendProblem::Protocol(other.to_owned())),
    }
}
