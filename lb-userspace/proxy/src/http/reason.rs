//! Why a response was made here instead of by a backend.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal,)*) => {
        /// Why a response was made here. The name is stable: logs, metrics and tools use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The status that goes with it, unless the configuration says otherwise.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }
        }
    };
}

reasons! {
    /// The request breaks the protocol's rules; the connection is closed.
    Malformed "malformed" 400,
    /// `Host` is missing, twice there or no host.
    HostInvalid "host_invalid" 400,
    /// Framing that two readers could understand differently.
    FramingAmbiguous "framing_ambiguous" 400,
    /// `Content-Length` and the body differ.
    BodyMismatch "body_mismatch" 400,
    /// The header did not arrive in time.
    HeaderTimeout "header_timeout" 408,
    /// The body did not arrive in time.
    BodyTimeout "body_timeout" 408,
    /// The request line is too long.
    TargetTooLong "target_too_long" 414,
    /// Too many header bytes or fields.
    HeaderTooLarge "header_too_large" 431,
    /// The body is larger than allowed.
    BodyTooLarge "body_too_large" 413,
    /// An expectation other than `100-continue`.
    ExpectationUnknown "expectation_unknown" 417,
    /// A transfer coding other than `chunked`.
    TransferCodingUnknown "transfer_coding_unknown" 501,
    /// An HTTP version other than those spoken.
    VersionUnknown "version_unknown" 505,
    /// `CONNECT` or `TRACE`, which the rule does not allow.
    MethodRefused "method_refused" 405,
    /// The connection's server name does not go with the host.
    Misdirected "misdirected" 421,
    /// An unsafe method in TLS early data.
    TooEarly "too_early" 425,
    /// No listener serves this host.
    NoListener "no_listener" 404,
    /// No rule matches.
    NoRoute "no_route" 404,
    /// A rule answered.
    FixedAnswer "fixed_answer" 200,
    /// A rule redirected.
    Redirected "redirected" 302,
    /// A preflight was answered.
    Preflight "preflight" 204,
    /// The client's address may not ask.
    AddressDenied "address_denied" 403,
    /// User or password is missing or wrong.
    BasicAuthFailed "basic_auth_failed" 401,
    /// The authorisation service refused.
    AuthRefused "auth_refused" 403,
    /// The authorisation service could not be asked.
    AuthFailed "auth_failed" 503,
    /// A rate limit was reached.
    RateLimited "rate_limited" 429,
    /// The rule has no backend, or one that is not there.
    BackendMissing "backend_missing" 500,
    /// The upstream has no endpoint that lives.
    NoEndpoint "no_endpoint" 503,
    /// An upstream's limit was reached.
    CircuitOpen "circuit_open" 503,
    /// The proxy has more to do than it can.
    Overloaded "overloaded" 503,
    /// No endpoint could be connected to.
    ConnectFailed "connect_failed" 503,
    /// The endpoint's certificate was not accepted, or it does not speak TLS.
    UpstreamTlsFailed "upstream_tls_failed" 502,
    /// The connection broke before the response's header was there.
    UpstreamReset "upstream_reset" 502,
    /// The response breaks the protocol's rules.
    UpstreamMalformed "upstream_malformed" 502,
    /// The backend did not answer in time.
    UpstreamTimeout "upstream_timeout" 504,
    /// The request took longer than the rule allows.
    RequestTimeout "request_timeout" 504,
    /// The client went away.
    ClientGone "client_gone" 499,
    /// A fault of the proxy.
    Internal "internal" 500,
}
