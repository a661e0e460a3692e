//! Backends outside of the clusters, by name: `ExternalName` Services.
//!
//! Whoever may make a Service could have the load balancer speak to anything that it reaches
//! (CVE-2021-25740), so names must be allowed by the operator.

use super::{
    BackendProblem,
    endpoints::{Health, Place, place_name},
    port::PortOf,
    topology::Distance,
};
use crate::{Options, lower::draft::Draft};
use k8s_openapi::api::core::v1::Service;
use lb_model::EndpointAddress;

/// Annotation of an `ExternalName` Service: more places than one, `HOST:PORT` or `HOST`, separated
/// by commas. Each must be allowed as the name itself must.
const ENDPOINTS: &str = "lb.internal/endpoints";

/// A name in lower case, if the operator allows it.
pub(super) fn allowed(name: &str, options: &Options) -> Result<String, BackendProblem> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if options.external_names.iter().any(|it| it.matches(&name)) {
        return Ok(name);
    }
    let hint = "names outside of the cluster are used only if `external_names` allows them";
    Err(BackendProblem::Refused(format!("{name:?} is not allowed: {hint}")))
}

/// The name of an `ExternalName` Service.
pub(super) fn name_of(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() != Some("ExternalName") {
        return None;
    }
    Some(spec.external_name.as_deref().unwrap_or_default())
}

impl Draft<'_> {
    /// Places of an `ExternalName` Service: at `number`, unless its port says another.
    pub(super) fn external_places(
        &self,
        port: &PortOf<'_>,
        number: u16,
    ) -> Result<Vec<Place<'static>>, BackendProblem> {
        let annotations = port.service.metadata.annotations.as_ref();
        let listed = annotations.and_then(|it| it.get(ENDPOINTS));
        let number = port.target().unwrap_or(number);
        let texts = match listed {
            Some(listed) => listed.split(',').map(str::trim).filter(|it| !it.is_empty()).collect(),
            None => vec![name_of(port.service).unwrap_or_default()],
        };
        let place = |text: &str| self.external_place(port.cluster, text, number);
        texts.into_iter().map(place).collect()
    }

    /// A place by its name, with a port unless that is `port`.
    pub(super) fn external_place(
        &self,
        cluster: usize,
        text: &str,
        port: u16,
    ) -> Result<Place<'static>, BackendProblem> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, number)) => {
                let number = number.parse().ok().filter(|it| *it > 0);
                let wrong = || BackendProblem::Refused(format!("{text:?} has no usable port"));
                (host, number.ok_or_else(wrong)?)
            }
            None => (text, port),
        };
        let name = allowed(host, &self.world.options)?;
        let address = match name.parse() {
            Ok(address) => EndpointAddress::Ip(address),
            Err(_) => EndpointAddress::Name(name),
        };
        let cluster = self.cluster(cluster);
        Ok(Place {
            name: place_name(cluster.map_or("", |it| it.name.as_str()), &address, port),
            address,
            port,
            weight: cluster.map_or(0, |it| it.weight),
            health: Health::Ready,
            distance: Distance::default(),
            is_draining: false,
            endpoint: None,
        })
    }
}
