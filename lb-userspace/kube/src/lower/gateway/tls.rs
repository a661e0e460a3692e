//! TLS of Gateways: certificates of listeners, what clients show, and what backends are shown.

use super::{Draft, GROUP, ListenerDraft, Owner, Problem};
use crate::{
    ObjectKey, PREFIX,
    api::{FrontendValidation, Gateway, ListenerSpec, SecretRef},
    lower::{
        certificate::CertificateProblem,
        index::{Referent, Referrer},
        listener,
    },
};
use lb_model::{ClientAuth, ClientAuthMode, ListenerProtocol, ListenerTls, TlsVersion};
use std::collections::BTreeMap;

/// Notes how a listener terminates TLS, and what is wrong with that.
pub(super) fn terminate(
    draft: &mut Draft<'_>,
    owner: &Owner<'_>,
    spec: &ListenerSpec,
    frontend: &Frontend,
    listener: &mut ListenerDraft,
) {
    let is_https = listener.protocol == ListenerProtocol::Https;
    if !is_https && (listener.protocol != ListenerProtocol::Tls || listener.is_passthrough) {
        return;
    }
    let Some(wanted) = &spec.tls else {
        let message = format!("a listener of protocol {} needs `tls`", spec.protocol);
        listener.refuse(Problem::new("Invalid", message));
        return;
    };
    match wanted.mode.as_deref() {
        None | Some("" | "Terminate") => {}
        Some(mode) => {
            let message = format!("{} cannot be of TLS mode {mode}", spec.protocol);
            listener.refuse(Problem::new("UnsupportedValue", message));
            return;
        }
    }
    let mut tls = match options(&wanted.options) {
        Ok(tls) => tls,
        Err(problem) => {
            listener.refuse(problem);
            return;
        }
    };
    let from =
        Referrer { group: GROUP, kind: owner.id.kind.name(), namespace: &owner.id.key.namespace };
    for reference in &wanted.certificate_refs {
        match secret(draft, owner.cluster, from, reference, "InvalidCertificateRef") {
            Ok(name) if tls.certificates.contains(&name) => {}
            Ok(name) => tls.certificates.push(name),
            Err(problem) => listener.unresolve(problem),
        }
    }
    if wanted.certificate_refs.is_empty() {
        let message = "no certificate is named";
        listener.unresolve(Problem::new("InvalidCertificateRef", message));
    }
    if is_https {
        let validation = frontend.of_port(listener.port);
        tls.client.clone_from(&validation.client);
        if let Some(problem) = &validation.unresolved {
            listener.unresolve(problem.clone());
        }
        if let Some(problem) = &validation.refusal {
            listener.refuse(problem.clone());
        }
    }
    listener.tls = Some(tls);
}

impl ListenerDraft {
    /// Notes why it is not accepted; of several reasons the first is told.
    fn refuse(&mut self, problem: Problem) {
        self.refusal.get_or_insert(problem);
    }

    /// Notes what it refers to in vain; of several things the first is told.
    fn unresolve(&mut self, problem: Problem) {
        self.unresolved.get_or_insert(problem);
    }
}

/// The certificate that a Gateway shows to backends, by name in `Desired`.
///
/// # Errors
/// It cannot be used: why its references are not resolved.
pub(super) fn client_certificate(
    draft: &mut Draft<'_>,
    cluster: usize,
    gateway: &Gateway,
) -> Result<Option<String>, Problem> {
    let backend = gateway.spec.tls.as_ref().and_then(|it| it.backend.as_ref());
    let Some(reference) = backend.and_then(|it| it.client_certificate_ref.as_ref()) else {
        return Ok(None);
    };
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let from = Referrer { group: GROUP, kind: "Gateway", namespace };
    secret(draft, cluster, from, reference, "InvalidClientCertificateRef").map(Some)
}

/// What clients of a Gateway have to show, by port.
#[derive(Debug, Default)]
pub(super) struct Frontend {
    default: Validation,
    per_port: BTreeMap<u16, Validation>,
}

/// What clients have to show.
#[derive(Debug, Default)]
struct Validation {
    client: Option<ClientAuth>,
    /// Why HTTPS listeners are not accepted.
    refusal: Option<Problem>,
    /// What is referred to in vain.
    unresolved: Option<Problem>,
    is_insecure: bool,
}

impl Frontend {
    /// Reads the spec of a Gateway.
    pub(super) fn of(draft: &Draft<'_>, cluster: usize, gateway: &Gateway) -> Self {
        let Some(spec) = gateway.spec.tls.as_ref().and_then(|it| it.frontend.as_ref()) else {
            return Self::default();
        };
        let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
        let validation = |it: &Option<FrontendValidation>| {
            it.as_ref().map(|it| validation(draft, cluster, namespace, it)).unwrap_or_default()
        };
        let ports = spec.per_port.iter().map(|it| (it.port, validation(&it.tls.validation)));
        Self { default: validation(&spec.default.validation), per_port: ports.collect() }
    }

    /// Whether clients without a valid certificate pass somewhere.
    pub(super) fn is_insecure(&self) -> bool {
        self.default.is_insecure || self.per_port.values().any(|it| it.is_insecure)
    }

    fn of_port(&self, port: u16) -> &Validation {
        self.per_port.get(&port).unwrap_or(&self.default)
    }
}

fn validation(
    draft: &Draft<'_>,
    cluster: usize,
    namespace: &str,
    spec: &FrontendValidation,
) -> Validation {
    let is_insecure = spec.mode.as_deref() == Some("AllowInsecureFallback");
    let mut authorities = Vec::new();
    let mut unresolved = None;
    for reference in &spec.ca_certificate_refs {
        let (kind, name) = (reference.kind.as_str(), reference.name.as_str());
        let to_namespace = reference.namespace.as_deref().unwrap_or(namespace);
        let from = Referrer { group: GROUP, kind: "Gateway", namespace };
        let to = Referent { group: &reference.group, kind, namespace: to_namespace, name };
        let key = ObjectKey::new(to_namespace, name);
        let found = if !reference.group.is_empty() || !matches!(kind, "ConfigMap" | "Secret") {
            let message = format!("a {kind} holds no authorities, ConfigMaps and Secrets do");
            Err(Problem::new("InvalidCACertificateKind", message))
        } else if !draft.index.is_granted(cluster, from, to) {
            let message = format!("no ReferenceGrant allows to refer to {kind} {key}");
            Err(Problem::new("RefNotPermitted", message))
        } else {
            draft.authorities(cluster, kind, &key).map_err(|error| {
                Problem::new("InvalidCACertificateRef", format!("{kind} {key}: {error}"))
            })
        };
        match found {
            Ok(pem) => authorities.extend(pem.into_iter().chain([b'\n'])),
            Err(problem) => unresolved = unresolved.or(Some(problem)),
        }
    }
    if authorities.is_empty() {
        let message = "none of the authorities for clients' certificates can be used";
        let refusal = Some(Problem::new("NoValidCACertificate", message));
        return Validation { refusal, unresolved, is_insecure, client: None };
    }
    let mode =
        if is_insecure { ClientAuthMode::InsecureFallback } else { ClientAuthMode::Required };
    let client = Some(ClientAuth { authorities, mode });
    Validation { client, unresolved, is_insecure, refusal: None }
}

/// The certificate in a Secret that is referred to, by name in `Desired`.
fn secret(
    draft: &mut Draft<'_>,
    cluster: usize,
    from: Referrer<'_>,
    reference: &SecretRef,
    invalid: &'static str,
) -> Result<String, Problem> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    if (group, kind) != ("", "Secret") {
        let kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        return Err(Problem::new(invalid, format!("a {kind} holds no certificate, Secrets do")));
    }
    let namespace = reference.namespace.as_deref().unwrap_or(from.namespace);
    let key = ObjectKey::new(namespace, &reference.name);
    let to = Referent { group, kind, namespace, name: &reference.name };
    if !draft.index.is_granted(cluster, from, to) {
        let message = format!("no ReferenceGrant allows to refer to Secret {key}");
        return Err(Problem::new("RefNotPermitted", message));
    }
    let told = |error: CertificateProblem| Problem::new(invalid, format!("Secret {key}: {error}"));
    draft.certificate(cluster, &key).map_err(told)
}

/// Options of ours: `lb.internal/tls-min-version` and `tls-max-version` (`1.2` or `1.3`), and
/// `lb.internal/tls-cipher-suites` (IANA names between commas).
fn options(options: &BTreeMap<String, String>) -> Result<ListenerTls, Problem> {
    let mut tls = listener::tls(Vec::new());
    for (name, value) in options {
        let Some(own) = name.strip_prefix(PREFIX).and_then(|it| it.strip_prefix('/')) else {
            continue;
        };
        let refuse =
            |why: &str| Problem::new("UnsupportedValue", format!("option {name}: {value:?} {why}"));
        let version = || match value.as_str() {
            "1.2" => Ok(TlsVersion::V1_2),
            "1.3" => Ok(TlsVersion::V1_3),
            _ => Err(refuse("is neither 1.2 nor 1.3")),
        };
        match own {
            "tls-min-version" => tls.version_min = version()?,
            "tls-max-version" => tls.version_max = version()?,
            "tls-cipher-suites" => {
                tls.cipher_suites = value.split(',').map(|it| it.trim().to_owned()).collect();
                if !tls.cipher_suites.iter().all(|it| is_cipher_suite(it)) {
                    return Err(refuse("has a cipher suite that is not spoken"));
                }
            }
            _ => return Err(refuse("is for an option that does not exist")),
        }
    }
    if tls.version_min > tls.version_max {
        let message = "the lowest TLS version is above the highest";
        return Err(Problem::new("UnsupportedValue", message));
    }
    Ok(tls)
}

/// Whether this is the IANA name of a cipher suite that can be spoken.
fn is_cipher_suite(name: &str) -> bool {
    let known = rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES.iter();
    known.filter_map(|it| it.suite().as_str()).any(|it| it.replace("TLS13_", "TLS_") == name)
}
