//! The daemon's unix-socket API.
