//! Programs at the host's sockets.

mod steer;
