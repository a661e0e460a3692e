//! Packet tables: one row is a description, the state of the maps, a packet in, the verdict, the
//! packet out and the **whole** change of the counters and flow tables.
//!
//! A row runs through the loaded program (`BPF_PROG_TEST_RUN`) in a network namespace of the test
//! process. It runs once as a trace, which must decide alike and change nothing, and then in
//! earnest. Frames are built and checksummed here, independently of the code under test.

mod build;
mod bytes;
mod check;
mod checksum;
mod decode;
mod delta;
mod kernel;
mod machine;
mod memory;
mod row;
mod stage;
mod state;
mod stored;

pub use build::{Frame, Outer, Transport, ip};
pub use check::differences;
pub use checksum::{ICMP, ICMPV6, SCTP, TCP, UDP, checksum, checksums_valid};
pub use decode::describe;
pub use delta::{Counters, Delta, moved, packets_counted};
pub use kernel::{Kernel, Ran, Shape, TABLE_ENTRIES, Verdict, ip as ip_command};
pub use machine::Machine;
pub use memory::{Memory, MemoryFrame, MemoryTables, event_name};
pub use row::{Output, Row, Step, on_each_machine, run};
pub use stage::*;
pub use state::{Flow, State, Vip, words};
pub use stored::{
    Stored, address, fragment_forward, fragment_proxied, fragment_reply, miss_flow, nat_flow,
    nat_reply, syn_flow,
};
