//! Every capacity of the data plane, with what happens when it is reached.

/// VIPs (address, port, protocol) of one data plane. Beyond it a configuration is refused.
pub const VIPS_MAX: u32 = 4_096;

/// Entries of each VIP hash map: every VIP plus one marker per VIP address (see
/// [`crate::abi::VIP_FLAG_ADDRESS`]), at the usual hash-map load factor of one half.
pub const VIP_ENTRIES_MAX: u32 = 4 * VIPS_MAX;

/// Backends over all VIPs: a backend that serves three VIPs counts three times. Beyond it a
/// configuration is refused.
pub const BACKENDS_MAX: u32 = 65_536;

/// Source ranges over all VIPs: a range of a service with three VIPs of its family counts three
/// times. Beyond it a configuration is refused.
pub const SOURCES_MAX: u32 = 65_536;

/// Entries of the trie of source ranges: while a change is made, the old ranges are beside the new.
pub const SOURCE_ENTRIES_MAX: u32 = 2 * SOURCES_MAX;

/// Length of the backend array: index 0 means "none" and is never a backend.
pub const BACKEND_ENTRIES: u32 = BACKENDS_MAX + 1;

/// Slots of a Maglev ring, at most and by default. A prime; 65,537 keeps max/mean load within
/// 1.01 up to 1,000 backends (Maglev, NSDI 2016, section 5.3).
pub const RING_SLOTS_MAX: u32 = 65_537;

/// Tracked flows per flow table, by default. When full the least recently used flow is forgotten:
/// its next packet is decided by the previous backend of its slot.
pub const FLOWS_DEFAULT: u32 = 262_144;

/// Tracked flows per flow table, at most (configurable up to here).
pub const FLOWS_MAX: u32 = 8_388_608;

/// Fragmented datagrams remembered at once. When full the least recently used is forgotten: its
/// remaining fragments are dropped as `fragment_unknown`.
pub const FRAGMENTS_MAX: u32 = 16_384;

/// How long a fragmented datagram is remembered: Linux reassembly time, `ipfrag_time` = 30 s.
pub const FRAGMENT_LIFETIME_NS: u64 = 30_000_000_000;

/// 802.1Q tags understood: one, or two for QinQ (802.1ad). A frame with more passes to the host.
pub const VLAN_TAGS_MAX: usize = 2;

/// IPv6 extension headers followed before giving up (`too_many_extensions`).
pub const IPV6_EXTENSIONS_MAX: usize = 4;

/// Source ports tried before a new translated flow is refused (`nat_ports_exhausted`).
pub const NAT_PORT_TRIES: u32 = 32;

/// First source port that full NAT takes by default; the range ends below Linux's own ephemeral
/// ports (`ip_local_port_range`, 32768), so that the router's own connections never collide.
pub const NAT_PORT_FIRST: u16 = 1_024;

/// Last source port that full NAT takes by default.
pub const NAT_PORT_LAST: u16 = 32_767;

/// Addresses at which one backend ends tunnels. Beyond it `lbd decap` says so and serves the first.
pub const DECAP_LOCALS_MAX: u32 = 1_024;

/// Bytes of a service or backend name, at most (RFC 1123 label length).
pub const NAME_BYTES_MAX: usize = 63;

/// Listeners of the L7 proxy. Beyond it, as beyond all limits of the proxy's configuration below,
/// a configuration is refused.
pub const LISTENERS_MAX: usize = 4_096;

/// Routes of the L7 proxy, of HTTP and of streams together.
pub const ROUTES_MAX: usize = 40_000;

/// Rules over all HTTP routes.
pub const RULES_MAX: usize = 262_144;

/// Alternatives that one rule matches.
pub const RULE_MATCHES_MAX: usize = 128;

/// Header fields, and query parameters, that one alternative asks for.
pub const MATCH_FIELDS_MAX: usize = 16;

/// Upstreams that share the traffic of one rule or stream route.
pub const RULE_BACKENDS_MAX: usize = 64;

/// Rate limits, mirrors and error pages (of each) of one rule.
pub const RULE_FILTERS_MAX: usize = 16;

/// Header fields that one edit sets, adds or removes (of each).
pub const HEADER_EDITS_MAX: usize = 64;

/// Upstreams of the L7 proxy.
pub const UPSTREAMS_MAX: usize = 40_000;

/// Endpoints over all upstreams, as configured: a name counts once, however many addresses it has.
pub const ENDPOINTS_MAX: usize = 131_072;

/// Certificates of the L7 proxy.
pub const CERTIFICATES_MAX: usize = 16_384;

/// Regular expressions over all routes. Each may take [`REGEX_PROGRAM_BYTES_MAX`].
pub const REGEXES_MAX: usize = 4_096;

/// Bytes of a regular expression.
pub const REGEX_PATTERN_BYTES_MAX: usize = 1_024;

/// Bytes of a compiled regular expression (`nfa_size_limit` of regex-automata).
pub const REGEX_PROGRAM_BYTES_MAX: usize = 1 << 20;

/// Bytes of one file that a configuration refers to: a chain, a key, a page.
pub const REFERRED_FILE_BYTES_MAX: usize = 1 << 20;

/// Bytes of all files that a configuration refers to, each counted as often as it is referred to.
pub const REFERRED_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(RING_SLOTS_MAX == 65_537, "the ring size is the Maglev paper's prime");
const _: () = assert!(BACKEND_ENTRIES <= 1 << crate::abi::BACKEND_INDEX_BITS);
