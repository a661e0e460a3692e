//! Classes of Gateways.

use super::{Draft, Problem};
use crate::{
    Condition, GATEWAY_CONTROLLER, ObjectKey, ObjectKind, Status,
    api::{Gateway, GatewayClass},
};

/// Features of Gateway API v1.6 that are served (`pkg/features` there), sorted: what the
/// conformance suite tests beside each profile's core.
pub const FEATURES: &[&str] = &[
    "BackendTLSPolicy",
    "BackendTLSPolicySANValidation",
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayBackendClientCertificate",
    "GatewayFrontendClientCertificateValidation",
    "GatewayFrontendClientCertificateValidationInsecureFallback",
    "GatewayHTTPListenerIsolation",
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayInfrastructurePropagation",
    "GatewayPort8080",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetry",
    "HTTPRouteRetryBackendTimeout",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
    "UDPRoute",
];

/// Whether Gateways of a class are ours.
pub(in crate::lower) fn is_ours(draft: &Draft<'_>, cluster: usize, class: &str) -> bool {
    find(draft, cluster, class).is_some()
}

/// Why a Gateway is not accepted, for its class's parameters or its own: none are known.
pub(super) fn refusal(draft: &Draft<'_>, cluster: usize, gateway: &Gateway) -> Option<Problem> {
    let spec = &gateway.spec;
    let class = find(draft, cluster, &spec.gateway_class_name);
    let of_class = class.and_then(parameters);
    let own = spec.infrastructure.as_ref().and_then(|it| it.parameters_ref.as_ref());
    let own = || own.map(|it| unknown(&it.kind, &it.name));
    of_class.or_else(own)
}

/// Says what came of each class of ours.
pub(super) fn report(draft: &mut Draft<'_>) {
    let features: Vec<_> = FEATURES.iter().map(|it| (*it).to_owned()).collect();
    for (index, cluster) in draft.world.clusters.iter().enumerate() {
        let classes = cluster.objects.gateway_classes.iter();
        for (key, class) in classes.filter(|(_, it)| it.spec.controller_name == GATEWAY_CONTROLLER)
        {
            let generation = class.metadata.generation.unwrap_or_default();
            let problem = parameters(class);
            let accepted = "Gateways of this class are served";
            let version = "objects are read as of Gateway API v1.6";
            let conditions = vec![
                Condition::unless(problem.as_ref(), "Accepted", "Accepted", accepted, generation),
                Condition::unless(
                    None,
                    "SupportedVersion",
                    "SupportedVersion",
                    version,
                    generation,
                ),
            ];
            let status = Status::GatewayClass { conditions, features: features.clone() };
            let id = draft.id(index, ObjectKind::GatewayClass, key);
            draft.tell(id, status);
        }
    }
}

fn find<'a>(draft: &Draft<'a>, cluster: usize, class: &str) -> Option<&'a GatewayClass> {
    let classes = &draft.cluster(cluster)?.objects.gateway_classes;
    let class = classes.get(&ObjectKey::new("", class))?;
    (class.spec.controller_name == GATEWAY_CONTROLLER).then_some(class)
}

fn parameters(class: &GatewayClass) -> Option<Problem> {
    class.spec.parameters_ref.as_ref().map(|it| unknown(&it.kind, &it.name))
}

fn unknown(kind: &str, name: &str) -> Problem {
    let message = format!("parametersRef names {kind} {name}, but there are no parameters here");
    Problem::new("InvalidParameters", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_sorted_as_the_api_wants_them() {
        assert!(FEATURES.is_sorted());
    }
}
