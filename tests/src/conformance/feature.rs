//! Features and profiles of the Gateway API v1.6.1, by the names that it gives them
//! (`pkg/features` and `conformance/utils/suite/profiles.go` there). Those of meshes are left out:
//! nothing here is a mesh.

macro_rules! features {
    ($($name:ident,)+) => {
        /// A feature of the Gateway API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the API documents them")]
        pub enum Feature {
            $($name,)+
        }

        impl Feature {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What the API calls it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

features! {
    Gateway,
    GatewayAddressEmpty,
    GatewayBackendClientCertificate,
    GatewayFrontendClientCertificateValidation,
    GatewayFrontendClientCertificateValidationInsecureFallback,
    GatewayHTTPListenerIsolation,
    GatewayHTTPSListenerDetectMisdirectedRequests,
    GatewayInfrastructurePropagation,
    GatewayPort8080,
    GatewayStaticAddresses,
    ListenerSet,
    ReferenceGrant,
    HTTPRoute,
    HTTPRoute303RedirectStatusCode,
    HTTPRoute307RedirectStatusCode,
    HTTPRoute308RedirectStatusCode,
    HTTPRouteBackendProtocolH2C,
    HTTPRouteBackendProtocolWebSocket,
    HTTPRouteBackendRequestHeaderModification,
    HTTPRouteBackendTimeout,
    HTTPRouteCORS,
    HTTPRouteDestinationPortMatching,
    HTTPRouteHostRewrite,
    HTTPRouteMethodMatching,
    HTTPRouteNamedRouteRule,
    HTTPRouteParentRefPort,
    HTTPRoutePathRedirect,
    HTTPRoutePathRewrite,
    HTTPRoutePortRedirect,
    HTTPRouteQueryParamMatching,
    HTTPRouteRequestMirror,
    HTTPRouteRequestMultipleMirrors,
    HTTPRouteRequestPercentageMirror,
    HTTPRouteRequestTimeout,
    HTTPRouteResponseHeaderModification,
    HTTPRouteRetry,
    HTTPRouteRetryBackendTimeout,
    HTTPRouteRetryConnectionError,
    HTTPRouteSchemeRedirect,
    BackendTLSPolicy,
    BackendTLSPolicySANValidation,
    GRPCRoute,
    GRPCRouteNamedRouteRule,
    TLSRoute,
    TLSRouteModeMixed,
    TLSRouteModeTerminate,
    TCPRoute,
    UDPRoute,
}

/// What an implementation may claim as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What the API calls it.
    pub name: &'static str,
    /// The route it is about; Gateway and ReferenceGrant are core features beside it.
    pub route: Feature,
    /// Features that it has beside those of its Gateways.
    own_extended: &'static [Feature],
}

/// The five profiles of gateways.
pub const PROFILES: [Profile; 5] = [
    Profile {
        name: "GATEWAY-HTTP",
        route: Feature::HTTPRoute,
        own_extended: &[
            Feature::BackendTLSPolicy,
            Feature::BackendTLSPolicySANValidation,
            Feature::HTTPRoute303RedirectStatusCode,
            Feature::HTTPRoute307RedirectStatusCode,
            Feature::HTTPRoute308RedirectStatusCode,
            Feature::HTTPRouteBackendProtocolH2C,
            Feature::HTTPRouteBackendProtocolWebSocket,
            Feature::HTTPRouteBackendRequestHeaderModification,
            Feature::HTTPRouteBackendTimeout,
            Feature::HTTPRouteCORS,
            Feature::HTTPRouteDestinationPortMatching,
            Feature::HTTPRouteHostRewrite,
            Feature::HTTPRouteMethodMatching,
            Feature::HTTPRouteNamedRouteRule,
            Feature::HTTPRouteParentRefPort,
            Feature::HTTPRoutePathRedirect,
            Feature::HTTPRoutePathRewrite,
            Feature::HTTPRoutePortRedirect,
            Feature::HTTPRouteQueryParamMatching,
            Feature::HTTPRouteRequestMirror,
            Feature::HTTPRouteRequestMultipleMirrors,
            Feature::HTTPRouteRequestPercentageMirror,
            Feature::HTTPRouteRequestTimeout,
            Feature::HTTPRouteResponseHeaderModification,
            Feature::HTTPRouteRetry,
            Feature::HTTPRouteRetryBackendTimeout,
            Feature::HTTPRouteRetryConnectionError,
            Feature::HTTPRouteSchemeRedirect,
        ],
    },
    Profile { name: "GATEWAY-GRPC", route: Feature::GRPCRoute, own_extended: &[] },
    Profile {
        name: "GATEWAY-TLS",
        route: Feature::TLSRoute,
        own_extended: &[Feature::TLSRouteModeMixed, Feature::TLSRouteModeTerminate],
    },
    Profile {
        name: "GATEWAY-TCP",
        route: Feature::TCPRoute,
        // So it is upstream, where a core feature is an extended one of its profile too.
        own_extended: &[Feature::TCPRoute],
    },
    Profile { name: "GATEWAY-UDP", route: Feature::UDPRoute, own_extended: &[Feature::UDPRoute] },
];

/// Extended features of Gateways, which each profile has.
const OF_GATEWAYS: [Feature; 10] = [
    Feature::GatewayAddressEmpty,
    Feature::GatewayBackendClientCertificate,
    Feature::GatewayFrontendClientCertificateValidation,
    Feature::GatewayFrontendClientCertificateValidationInsecureFallback,
    Feature::GatewayHTTPListenerIsolation,
    Feature::GatewayHTTPSListenerDetectMisdirectedRequests,
    Feature::GatewayInfrastructurePropagation,
    Feature::GatewayPort8080,
    Feature::GatewayStaticAddresses,
    Feature::ListenerSet,
];

impl Profile {
    /// What an implementation must have.
    pub const fn core(&self) -> [Feature; 3] {
        [Feature::Gateway, Feature::ReferenceGrant, self.route]
    }

    /// What it may have, sorted by name.
    pub fn extended(&self) -> Vec<Feature> {
        let mut features: Vec<_> = OF_GATEWAYS.iter().chain(self.own_extended).copied().collect();
        features.sort_by_key(|it| it.name());
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_as_large_as_upstream() {
        let extended: Vec<_> = PROFILES.iter().map(|it| it.extended().len()).collect();
        assert_eq!(extended, [38, 10, 12, 11, 11]);
    }

    #[test]
    fn every_feature_but_one_is_in_a_profile() {
        let all = PROFILES.iter().flat_map(|it| it.core().into_iter().chain(it.extended()));
        let all: std::collections::BTreeSet<_> = all.collect();
        let without: Vec<_> = Feature::ALL.iter().filter(|it| !all.contains(it)).collect();
        assert_eq!(without, [&Feature::GRPCRouteNamedRouteRule]);
    }
}
