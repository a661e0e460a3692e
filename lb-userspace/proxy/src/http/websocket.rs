//! The handshake by key (RFC 6455, section 4), which HTTP/1.1 has and HTTP/2 has not (RFC 8441,
//! section 5): between the two the proxy makes the half that is missing.

use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::STANDARD};

/// What is appended to a key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A fresh value of `Sec-WebSocket-Key`.
pub(super) fn key() -> String {
    let mut nonce = [0; 16];
    // It keeps caches from answering and is no secret: zeros would do as well.
    rand::fill(&mut nonce).ok();
    STANDARD.encode(nonce)
}

/// The value of `Sec-WebSocket-Accept` that goes with a key.
pub(super) fn accept(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_rfc_6455_goes_with_its_key() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key().len(), 24);
        assert_ne!(key(), key());
    }
}
