//! What becomes of a packet: one vocabulary for the kernel, the metrics and the tools.

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the host's own stack.
    Pass(Outcome),
    /// To the host's own stack, for the proxy's listening socket.
    Proxy {
        /// VIP index that is charged for the packet.
        vip: u32,
    },
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

/// A [`Verdict`] in one register: BPF functions return 64 bits at most, and what a Rust enum leaves
/// undefined in its shorter variants the verifier refuses to see moved.
///
/// From the top: interface, argument or proxied VIP (32 bits), backend index, outcome or detour (24), pending (1),
/// reply (1), kind (2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed(u64);

/// Bit of [`Packed::pending`].
const PENDING: u64 = 1 << 3;

impl Packed {
    /// [`Verdict::Pass`].
    #[inline(always)]
    pub const fn passed(outcome: Outcome) -> Self {
        Self((outcome as u64) << 8)
    }

    /// [`Verdict::Proxy`].
    #[inline(always)]
    pub const fn proxied(vip: u32) -> Self {
        Self((vip as u64) << 32 | (Outcome::PassToProxy as u64) << 8)
    }

    /// [`Verdict::Drop`].
    #[inline(always)]
    pub const fn dropped(outcome: Outcome) -> Self {
        Self((outcome as u64) << 8 | 1)
    }

    /// [`Verdict::Answer`].
    #[inline(always)]
    pub const fn answered(outcome: Outcome) -> Self {
        Self((outcome as u64) << 8 | 2)
    }

    /// [`Verdict::Forward`].
    #[inline(always)]
    pub const fn forwarded(backend: u32, ifindex: u32, reply: bool) -> Self {
        Self((ifindex as u64) << 32 | (backend as u64) << 8 | (reply as u64) << 2 | 3)
    }

    /// Not a verdict yet: the packet needs a detour of this number, with this argument.
    #[inline(always)]
    pub const fn pending(detour: u8, is_ipv4: bool, argument: u16) -> Self {
        let family = (is_ipv4 as u64) << 16;
        Self((argument as u64) << 32 | family | (detour as u64) << 8 | PENDING)
    }

    /// Whether the packet needs a detour.
    #[inline(always)]
    pub const fn is_pending(self) -> bool {
        self.0 & PENDING != 0
    }

    /// Number of the detour.
    #[inline(always)]
    pub const fn detour(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Whether the packet that needs a detour is IPv4.
    #[inline(always)]
    pub const fn is_ipv4(self) -> bool {
        self.0 & 1 << 16 != 0
    }

    /// Argument of the detour.
    #[inline(always)]
    pub const fn argument(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The register.
    #[inline(always)]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// A verdict from its register.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether the packet is forwarded (then [`Self::backend`], [`Self::ifindex`] and
    /// [`Self::is_reply`] hold) or not (then [`Self::outcome_index`] does).
    #[inline(always)]
    pub const fn is_forwarded(self) -> bool {
        self.0 & 3 == 3
    }

    /// Whether the packet is passed for the proxy (then [`Self::vip`] holds).
    #[inline(always)]
    pub const fn is_proxied(self) -> bool {
        self.0 as u32 == (Outcome::PassToProxy as u32) << 8
    }

    /// Index of the proxied VIP.
    #[inline(always)]
    pub const fn vip(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the packet is dropped.
    #[inline(always)]
    pub const fn is_dropped(self) -> bool {
        self.0 & 3 == 1
    }

    /// Whether the packet is answered.
    #[inline(always)]
    pub const fn is_answered(self) -> bool {
        self.0 & 3 == 2
    }

    /// Counter index of the outcome.
    #[inline(always)]
    pub const fn outcome_index(self) -> u32 {
        (self.0 >> 8) as u32 & 0xff
    }

    /// Backend array index.
    #[inline(always)]
    pub const fn backend(self) -> u32 {
        (self.0 >> 8) as u32 & 0xff_ffff
    }

    /// Egress interface.
    #[inline(always)]
    pub const fn ifindex(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the packet travels from a backend back to a client.
    #[inline(always)]
    pub const fn is_reply(self) -> bool {
        self.0 & 4 != 0
    }

    /// The verdict as an enum.
    pub const fn unpack(self) -> Verdict {
        let outcome = Outcome::from_wire(self.outcome_index() as u8);
        match self.0 & 3 {
            0 if self.is_proxied() => Verdict::Proxy { vip: self.vip() },
            0 => Verdict::Pass(outcome),
            1 => Verdict::Drop(outcome),
            2 => Verdict::Answer(outcome),
            _ => Verdict::Forward {
                backend: self.backend(),
                ifindex: self.ifindex(),
                reply: self.is_reply(),
            },
        }
    }
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

            /// The outcome with this counter index; an unknown one is a malformed packet.
            pub const fn from_wire(value: u8) -> Self {
                $(if value == Self::$name as u8 {
                    return Self::$name;
                })+
                Self::PassMalformed
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
    /// A translated reply that the host must forward: its next hop is not resolved yet, or it has
    /// to be fragmented.
    PassNoNeighbour = "pass_no_neighbour",
    /// To a proxied VIP, or an ICMP error about a packet of one: the host's stack hands it to the
    /// proxy.
    PassToProxy = "pass_to_proxy",
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
    /// From a client outside the source ranges of the service, or an ICMP error about its flow.
    DropSourceRefused = "drop_source_refused",
    /// The first fragment of an SCTP packet whose ports would have to change: its checksum is of
    /// the whole.
    DropChecksumPartial = "drop_checksum_partial",
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
    /// The VIP is the proxy's.
    Proxy = 11,
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
            Self::Proxy => "proxy",
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
            11 => Self::Proxy,
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
    /// A client outside the VIP's source ranges was refused.
    SourceRefused,
}
