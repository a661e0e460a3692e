//! How TLS is spoken to a Service's endpoints: as a policy says, or as `appProtocol` asks for.

use super::{annotation::Annotations, external, port::PortOf};
use lb_model::UpstreamTls;

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
