//! What there is: name, type, labels, meaning. `docs/METRICS.md` is compared with it.

/// A metric with all its labels' values.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! families {
    ($($constant:ident $name:literal $kind:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    GENERATION "lb_generation" "gauge" ["kind"]
        "Generation of the configuration: desired and applied.";
    DEGRADED "lb_degraded_reasons" "gauge" []
        "Things that are not as they should be; lbctl status says which.";
    LOG_DROPPED "lb_access_log_dropped_lines_total" "counter" []
        "Lines that the access log lost since its file was last changed, because it was too slow.";
    CLUSTER_WATCHED "lb_cluster_watched" "gauge" ["cluster"]
        "1 if changes in the cluster come as they happen, else 0.";
    CLUSTER_SINCE "lb_cluster_since_timestamp_seconds" "gauge" ["cluster"]
        "Since when that is so, seconds since the Unix epoch.";
    CLUSTER_SAVED "lb_cluster_saved" "gauge" ["cluster"]
        "1 while what was saved before the start is served, since the API server is away, else 0.";
    CLUSTER_PROBLEMS "lb_cluster_problems" "gauge" ["cluster", "reason"]
        "What the operator has to put right in the cluster; lbctl get clusters says what.";
    CLUSTER_OBJECTS "lb_cluster_objects" "gauge" ["cluster", "kind"]
        "Objects of the cluster that are known.";
    CLUSTER_MALFORMED "lb_cluster_malformed_objects" "gauge" ["cluster"]
        "Objects that cannot be read; their last good selves are served.";
    L4_PACKETS "lb_l4_packets_total" "counter" ["vip", "service", "direction"]
        "Frames forwarded to backends, replied to clients, or given to the proxy.";
    L4_BYTES "lb_l4_bytes_total" "counter" ["vip", "service", "direction"]
        "Bytes of these frames.";
    L4_BACKENDS "lb_l4_backends" "gauge" ["vip", "service"]
        "Backends that take new flows.";
    L4_REFUSED "lb_l4_refused_packets_total" "counter" ["vip", "service"]
        "Frames of clients outside the VIP's source ranges, which were dropped.";
    L4_DROPS "lb_l4_drops_total" "counter" ["reason"]
        "Frames dropped, by outcome.";
    L4_OUTCOMES "lb_l4_outcomes_total" "counter" ["outcome"]
        "Frames neither forwarded nor dropped, by outcome.";
    L4_STEERED "lb_l4_steered_total" "counter" ["outcome"]
        "Look-ups of a socket of the proxy, by outcome.";
    CONNECTIONS_OPEN "lb_listener_connections" "gauge" ["listener"]
        "Connections that are open.";
    CONNECTIONS "lb_listener_connections_total" "counter" ["listener"]
        "Connections served.";
    CONNECTIONS_REFUSED "lb_listener_connections_refused_total" "counter" ["listener"]
        "Connections refused because too many were open.";
    HANDSHAKES "lb_tls_handshakes_total" "counter" ["listener", "result"]
        "TLS handshakes: succeeded or failed.";
    REFUSALS "lb_http_refusals_total" "counter" ["listener", "reason"]
        "Responses made by the proxy, and sessions refused.";
    EXPIRY "lb_tls_certificate_expiry_timestamp_seconds" "gauge" ["certificate"]
        "When the certificate expires, seconds since the Unix epoch.";
    USABLE "lb_tls_certificate_usable" "gauge" ["certificate"]
        "1 if clients that verify the certificate can use it now, else 0.";
    REQUESTS "lb_http_requests_total" "counter" ["route", "code_class"]
        "Requests; code_class none: the client went before there was a status.";
    DURATION "lb_http_request_duration_seconds" "histogram" ["route"]
        "From a request's header to the end of its response.";
    REQUEST_BYTES "lb_http_request_body_bytes_total" "counter" ["route"]
        "Bytes of request bodies.";
    RESPONSE_BYTES "lb_http_response_body_bytes_total" "counter" ["route"]
        "Bytes of response bodies.";
    UPSTREAM_REQUESTS "lb_upstream_requests_total" "counter" ["upstream", "endpoint"]
        "Requests sent, or tried to.";
    UPSTREAM_FAILURES "lb_upstream_failures_total" "counter" ["upstream", "endpoint"]
        "Requests that failed: 5xx, connection errors, timeouts.";
    UPSTREAM_RETRIES "lb_upstream_retries_total" "counter" ["upstream", "endpoint"]
        "Requests that were sent here again.";
    UPSTREAM_EJECTIONS "lb_upstream_ejections_total" "counter" ["upstream", "endpoint"]
        "Times that the endpoint was left out for its failures.";
    UPSTREAM_UNDER_WAY "lb_upstream_requests_under_way" "gauge" ["upstream", "endpoint"]
        "Requests under way.";
    UPSTREAM_UP "lb_upstream_up" "gauge" ["upstream", "endpoint"]
        "1 if some address of the endpoint is neither down nor ejected, else 0.";
    UPSTREAM_REFUSED "lb_upstream_refused_total" "counter" ["upstream"]
        "Requests that a limit of the upstream stopped.";
    UPSTREAM_WITHOUT "lb_upstream_without_endpoint_total" "counter" ["upstream"]
        "Requests for which there was no endpoint.";
}
