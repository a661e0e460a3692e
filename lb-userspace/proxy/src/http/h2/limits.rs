//! Limits of HTTP/2 connections that no listener sets for itself.

use std::time::Duration;

/// Bytes that a peer may send on a stream before the receiver has taken some.
pub(super) const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
/// Bytes that a peer may send on a connection before receivers have taken some: the most that one
/// connection's unread bodies hold.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// Bytes of a body that wait in a stream for the socket.
pub(super) const SEND_BUFFER_BYTES_MAX: usize = 32 * 1_024;
/// Streams that the library had to reset because the peer broke the rules (MadeYouReset,
/// CVE-2025-8671); one more ends the connection.
pub(super) const RESETS_MADE_MAX: usize = 100;
/// Streams reset here whose late frames are still ignored instead of answered.
pub(super) const RESETS_REMEMBERED_MAX: usize = 50;
/// For how long they are.
pub(super) const RESET_REMEMBERED: Duration = Duration::from_secs(1);
/// How long a closing connection may take to say so, or to answer the last PING.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
