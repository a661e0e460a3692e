//! What HTTP/2 servers are asked frame by frame, as data: the same tables run against ours in
//! memory and against any other over TCP. The cases are those of h2spec, told anew: its generic,
//! http2 and hpack lists.

pub mod cases;
pub mod frames;
pub mod hpack;
pub mod probe;
