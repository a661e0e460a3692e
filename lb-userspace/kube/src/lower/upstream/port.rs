//! A port of a Service in each cluster that has it.

use super::{BackendProblem, external};
use crate::{ObjectKey, lower::draft::Draft};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use lb_model::Protocol;

/// A port of a Service that several clusters may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) struct PortKey {
    /// The Service.
    pub(in crate::lower) object: ObjectKey,
    /// Clusters that are looked at, by place in the configuration.
    pub(in crate::lower) clusters: Vec<usize>,
    /// Number of the Service's port.
    pub(in crate::lower) port: u16,
    /// Its transport protocol: several may have a port of one number.
    pub(in crate::lower) protocol: Protocol,
}

/// A port of a Service in one cluster.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct PortOf<'a> {
    /// Place of the cluster in the configuration.
    pub(in crate::lower) cluster: usize,
    /// The Service.
    pub(in crate::lower) service: &'a Service,
    /// Its port. `ExternalName` Services may list none.
    pub(in crate::lower) spec: Option<&'a ServicePort>,
}

impl<'a> PortOf<'a> {
    /// Name; may be empty.
    pub(in crate::lower) fn name(&self) -> &'a str {
        self.spec.and_then(|it| it.name.as_deref()).unwrap_or_default()
    }

    /// Transport protocol; Kubernetes' default is TCP.
    pub(in crate::lower) fn transport(&self) -> &'a str {
        self.spec.and_then(|it| it.protocol.as_deref()).unwrap_or("TCP")
    }

    /// The number that it leads to, as far as the Service says it: names are for slices to say.
    pub(in crate::lower) fn target(&self) -> Option<u16> {
        let spec = self.spec?;
        match &spec.target_port {
            Some(IntOrString::Int(number)) if *number > 0 => u16::try_from(*number).ok(),
            Some(IntOrString::String(_)) => None,
            _ => u16::try_from(spec.port).ok(),
        }
    }
}

impl<'a> Draft<'a> {
    /// The port in each cluster that has it; the first's rules. Never empty.
    pub(in crate::lower) fn service_ports(
        &self,
        key: &PortKey,
    ) -> Result<Vec<PortOf<'a>>, BackendProblem> {
        self.uses.see(&key.object);
        let mut is_service_there = false;
        let mut ports = Vec::new();
        for index in &key.clusters {
            let objects = self.cluster(*index).map(|it| &it.objects);
            let Some(service) = objects.and_then(|it| it.services.get(&key.object)) else {
                continue;
            };
            is_service_there = true;
            let specs = service.spec.iter().flat_map(|it| it.ports.iter().flatten());
            let found = specs
                .map(|spec| PortOf { cluster: *index, service, spec: Some(spec) })
                .find(|it| is_meant(it, key));
            let unlisted = PortOf { cluster: *index, service, spec: None };
            ports.extend(found.or_else(|| external::name_of(service).map(|_| unlisted)));
        }
        match (ports.is_empty(), is_service_there) {
            (false, _) => Ok(ports),
            (true, true) => {
                let what = format!("port {} of Service {}", key.port, key.object);
                Err(BackendProblem::NotFound(what))
            }
            (true, false) => Err(BackendProblem::NotFound(format!("Service {}", key.object))),
        }
    }
}

fn is_meant(port: &PortOf<'_>, key: &PortKey) -> bool {
    let is_numbered = port.spec.is_some_and(|it| it.port == i32::from(key.port));
    is_numbered
        && match port.transport() {
            "TCP" => key.protocol == Protocol::Tcp,
            "UDP" => key.protocol == Protocol::Udp,
            "SCTP" => key.protocol == Protocol::Sctp,
            _ => false,
        }
}
