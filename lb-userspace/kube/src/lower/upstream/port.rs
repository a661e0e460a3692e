//! A port of a Service in each cluster that has it.

use super::BackendProblem;
use crate::{ObjectKey, lower::draft::Draft};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// A port of a Service that several clusters may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) struct PortKey {
    /// Clusters that are looked at, by place in the configuration.
    pub(in crate::lower) clusters: Vec<usize>,
    /// The Service.
    pub(in crate::lower) object: ObjectKey,
    /// Number of the Service's port.
    pub(in crate::lower) port: u16,
    /// The port of UDP with this number, else that of TCP.
    pub(in crate::lower) is_udp: bool,
}

/// A port of a Service in one cluster.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct PortOf<'a> {
    /// Place of the cluster in the configuration.
    pub(in crate::lower) cluster: usize,
    /// The Service.
    pub(in crate::lower) service: &'a Service,
    /// Its port.
    pub(in crate::lower) spec: &'a ServicePort,
}

impl<'a> PortOf<'a> {
    /// Transport protocol; Kubernetes' default is TCP.
    pub(in crate::lower) fn transport(&self) -> &'a str {
        self.spec.protocol.as_deref().unwrap_or("TCP")
    }

    /// The port's number where slices do not say one.
    pub(in crate::lower) fn target(&self) -> Option<u16> {
        match &self.spec.target_port {
            Some(IntOrString::Int(number)) if *number > 0 => u16::try_from(*number).ok(),
            Some(IntOrString::String(_)) => None,
            _ => u16::try_from(self.spec.port).ok(),
        }
    }
}

impl<'a> Draft<'a> {
    /// The port in each cluster that has it; the first's rules. Never empty.
    pub(in crate::lower) fn service_ports(
        &self,
        key: &PortKey,
    ) -> Result<Vec<PortOf<'a>>, BackendProblem> {
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
                .map(|spec| PortOf { cluster: *index, service, spec })
                .find(|it| it.spec.port == i32::from(key.port) && is_meant(it, key));
            ports.extend(found);
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
    match port.transport() {
        "TCP" => !key.is_udp,
        "UDP" => key.is_udp,
        _ => false,
    }
}
