//! TCP, UDP and TLS passed through: sessions that are not HTTP.
