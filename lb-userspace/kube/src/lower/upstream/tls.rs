//! How TLS is spoken to a Service's endpoints: as a policy says, or as `appProtocol` asks for.

use super::{annotation::Annotations, external, port::PortOf};
use crate::{ObjectKey, api::BackendTlsValidation, lower::draft::Draft};
use lb_model::{SubjectAltName, UpstreamTls, Verify};

/// TLS that `appProtocol` asks for and no policy describes: verified against the system's
/// authorities for the name of the origin, or of the Service within its cluster, unless
/// annotations say otherwise.
pub(super) fn origin(port: &PortOf<'_>, annotations: &mut Annotations<'_>) -> UpstreamTls {
    let (verify, name) = annotations.tls();
    let meta = &port.service.metadata;
    let inner = || {
        let name = meta.name.as_deref().unwrap_or_default();
        format!("{name}.{}.svc", meta.namespace.as_deref().unwrap_or_default())
    };
    let is_external = external::name_of(port.service).is_some();
    UpstreamTls {
        server_name: name.or_else(|| (!is_external).then(inner)),
        verify,
        subject_alt_names: Vec::new(),
        certificate: None,
    }
}

impl Draft<'_> {
    /// How a backend's certificate is verified (Gateway API, `BackendTLSPolicyValidation`).
    /// Authorities that cannot be used are left out unless none is left.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(super) fn validation(
        &self,
        cluster: usize,
        namespace: &str,
        validation: &BackendTlsValidation,
    ) -> Result<UpstreamTls, String> {
        let mut bundle = Vec::new();
        let mut problems = Vec::new();
        for reference in &validation.ca_certificate_refs {
            let key = ObjectKey::new(namespace, &reference.name);
            let is_known = matches!(reference.kind.as_str(), "ConfigMap" | "Secret");
            let found = match is_known && reference.group.is_empty() {
                true => {
                    self.authorities(cluster, &reference.kind, &key).map_err(|it| it.to_string())
                }
                false => Err("only ConfigMaps and Secrets are known".to_owned()),
            };
            match found {
                Ok(pem) => bundle.extend(pem.into_iter().chain([b'\n'])),
                Err(problem) => problems.push(format!("{} {key}: {problem}", reference.kind)),
            }
        }
        let verify = match validation.well_known_ca_certificates.as_deref() {
            _ if !bundle.is_empty() => Verify::Authorities(bundle),
            _ if !problems.is_empty() => return Err(problems.join("; ")),
            Some("System") => Verify::System,
            Some(other) => return Err(format!("authorities {other:?} are not known")),
            None => return Err("no authorities are named".to_owned()),
        };
        let names = validation.subject_alt_names.iter().filter_map(|it| match it.r#type.as_str() {
            "Hostname" => it.hostname.clone().map(SubjectAltName::Dns),
            "URI" => it.uri.clone().map(SubjectAltName::Uri),
            _ => None,
        });
        Ok(UpstreamTls {
            server_name: Some(validation.hostname.clone()),
            verify,
            subject_alt_names: names.collect(),
            certificate: None,
        })
    }
}
