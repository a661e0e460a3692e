//! Custom resources as the API server gives them, one family a file: the Gateway API at v1.6, and
//! the pools of ours.
//!
//! Types of our own instead of generated ones (docs/adr/0008): what several kinds share is one type
//! here, and a value that a newer API allows is a text that lowering may refuse, not an error that
//! stops the watch. Fields are those of the API's reference; what says `String` for a choice there
//! is looked at where it is lowered.

mod backend;
mod filter;
mod gateway;
mod policy;
mod pool;
mod reference;
mod route;
mod status;

pub use backend::{BackendExternalHostname, BackendPort, BackendTls, XBackend, XBackendSpec};
pub use filter::{
    CorsFilter, ExternalAuthFilter, Fraction, HeaderModifier, HttpHeader, PathModifier,
    RequestMirrorFilter, RequestRedirectFilter, RouteFilter, UrlRewriteFilter,
};
pub use gateway::{
    AllowedListeners, AllowedRoutes, FrontendTls, FrontendTlsPort, FrontendValidation, Gateway,
    GatewayAddress, GatewayBackendTls, GatewayClass, GatewayClassSpec, GatewayFrontendTls,
    GatewayInfrastructure, GatewaySpec, GatewayTls, ListenerSet, ListenerSetSpec, ListenerSpec,
    ListenerTlsSpec, RouteGroupKind, RouteNamespaces,
};
pub use policy::{
    BackendTLSPolicy, BackendTLSPolicySpec, BackendTlsValidation, GrantFrom, GrantTo, PolicyTarget,
    ReferenceGrant, ReferenceGrantSpec, SubjectAltNameSpec, XBackendTrafficPolicy,
    XBackendTrafficPolicySpec,
};
pub use pool::{ADDRESS_POOL_RANGES_MAX, AddressPool, AddressPoolSpec, AddressPoolStatus};
pub use reference::{BackendRef, ObjectRef, ParentRef, SecretRef};
pub use route::{
    FieldMatchSpec, GRPCRoute, GRPCRouteSpec, GrpcMatch, GrpcMethodMatch, GrpcRule, HTTPRoute,
    HTTPRouteSpec, HttpMatch, HttpPathMatch, HttpRetry, HttpRule, HttpTimeouts, SessionPersistence,
    StreamRule, TCPRoute, TCPRouteSpec, TLSRoute, TLSRouteSpec, UDPRoute, UDPRouteSpec,
};
pub use status::{
    AncestorStatus, GatewayAddressStatus, GatewayClassStatus, GatewayStatus, ListenerSetStatus,
    ListenerStatus, PolicyStatus, RouteParentStatus, RouteStatus, SupportedFeature,
};
