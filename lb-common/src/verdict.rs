//! What becomes of a packet: one vocabulary for the kernel, the metrics and the tools.

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the host's own stack.
    Pass(Outcome),
    /// Nowhere, for a named reason.
    Drop(Outcome),
    /// Back out of the interface it came in on, answered by the program itself.
    Answer(Outcome),
    /// To a backend (or, for a translated reply, to the client) out of an interface.
    Forward {
        /// Backend array index that is charged for the packet.
        backend: u32,
        /// Egress interface; equal to the ingress interface means transmit in place.
        ifindex: u32,
        /// Whether it travels from a backend back to a client.
        reply: bool,
    },
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why a packet was not forwarded. Every packet that is not forwarded to a backend counts
        /// under exactly one of these, so that outcomes and backend counters add up to the packets
        /// seen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Outcome {
            $($(#[$doc])* $name,)+
        }

        impl Outcome {
            /// All outcomes, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable name used by counters, metrics and tools.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

outcomes! {
    /// Neither IPv4 nor IPv6 (ARP, LLDP, more VLAN tags than understood): the host's business.
    PassNotIp = "pass_not_ip",
    /// Not for a configured VIP.
    PassNotVip = "pass_not_vip",
    /// Unreadable and not known to be for a VIP address: the host's stack judges it.
    PassMalformed = "pass_malformed",
    /// ICMP to a VIP address that is neither an echo request nor an error about a flow.
    PassIcmp = "pass_icmp",
    /// A translated reply whose next hop the host must resolve first; the host forwards it.
    PassNoNeighbour = "pass_no_neighbour",
    /// An echo request to a VIP address, answered by the program.
    EchoAnswered = "echo_answered",
    /// An ICMP "too big" sent back: the packet exceeds the path to its backend.
    TooBigAnswered = "too_big_answered",
    /// To a VIP address, but the IP header is inconsistent.
    DropBadHeader = "drop_bad_header",
    /// To a VIP address, but the transport header is cut short.
    DropTruncated = "drop_truncated",
    /// To a VIP address, with more IPv6 extension headers than are followed.
    DropTooManyExtensions = "drop_too_many_extensions",
    /// A later fragment to a VIP address whose first fragment was never seen.
    DropFragmentUnknown = "drop_fragment_unknown",
    /// The service has no usable backend.
    DropNoBackend = "drop_no_backend",
    /// The ring or a table names a backend that is gone: a bug or a torn update.
    DropBackendStale = "drop_backend_stale",
    /// No route to the backend.
    DropNoRoute = "drop_no_route",
    /// The backend's next hop has no known link address yet.
    DropNoNeighbour = "drop_no_neighbour",
    /// Larger than the path to the backend carries and no answer could be built.
    DropTooBig = "drop_too_big",
    /// No free source port towards the backend.
    DropNatPortsExhausted = "drop_nat_ports_exhausted",
    /// An ICMP error whose quoted packet is unreadable or not of a VIP's flow.
    DropIcmpUnmatched = "drop_icmp_unmatched",
    /// The frame could not be resized (no headroom).
    DropNoHeadroom = "drop_no_headroom",
    /// Hop limit used up: forwarding again would be a loop.
    DropTtlExpired = "drop_ttl_expired",
}

/// Number of outcomes; the length of the outcome counter array.
pub const OUTCOMES: u32 = Outcome::ALL.len() as u32;

/// How the backend of a packet was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Decision {
    /// Nothing was chosen.
    None = 0,
    /// The slot has not moved: the ring alone decided.
    Ring = 1,
    /// A tracked flow of a moved slot was found.
    Tracked = 2,
    /// New flow in a moved slot: the current backend, now tracked.
    New = 3,
    /// Untracked flow in a moved slot: the previous backend, now tracked.
    Previous = 4,
    /// Untracked flow in a moved slot without a living previous backend: the current one. For
    /// an established connection this is the packet that is about to break it.
    Current = 5,
    /// The client of an affinity service was known in a moved slot.
    Affinity = 6,
    /// A translated flow was found.
    NatFlow = 7,
    /// A new translated flow was opened.
    NatNew = 8,
    /// A later fragment followed its first.
    Fragment = 9,
    /// A reply was translated back.
    Reply = 10,
}

impl Decision {
    /// The stable name used by tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ring => "ring",
            Self::Tracked => "tracked",
            Self::New => "new",
            Self::Previous => "previous",
            Self::Current => "current",
            Self::Affinity => "affinity",
            Self::NatFlow => "nat_flow",
            Self::NatNew => "nat_new",
            Self::Fragment => "fragment",
            Self::Reply => "reply",
        }
    }

    /// The decision with this wire value.
    pub const fn from_wire(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::None,
            1 => Self::Ring,
            2 => Self::Tracked,
            3 => Self::New,
            4 => Self::Previous,
            5 => Self::Current,
            6 => Self::Affinity,
            7 => Self::NatFlow,
            8 => Self::NatNew,
            9 => Self::Fragment,
            10 => Self::Reply,
            _ => return None,
        })
    }
}

/// Per-VIP events counted beside the packet's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// A tracked flow was found in a moved slot (or a translated flow in NAT).
    TrackedHit,
    /// A miss in a moved slot, decided by the previous backend.
    MissPrevious,
    /// A miss in a moved slot, decided by the current backend: a connection about to break.
    MissCurrent,
    /// A flow was stored by its opening packet.
    FlowOpened,
    /// An ICMP error was routed to the flow's backend.
    IcmpRouted,
    /// A fragmented datagram was learnt from its first fragment.
    FragmentLearnt,
}
