//! Certificates that tell which version of their Secret they are of.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Certificates that there are: versions of a Secret have them in turn.
pub(crate) const COUNT: u16 = 8;

/// Chain and key, PEM.
static ALL: LazyLock<Vec<(String, String)>> =
    LazyLock::new(|| (0..COUNT).map(|_| make()).collect());

fn make() -> (String, String) {
    let names = vec!["example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The data of a Secret at this version.
pub(crate) fn data(version: u16) -> Value {
    let (chain, key) = &ALL[usize::from(version % COUNT)];
    json!({ "tls.crt": STANDARD.encode(chain), "tls.key": STANDARD.encode(key) })
}

/// Which of the certificates this chain is.
pub(crate) fn of_chain(chain: &[u8]) -> Option<u16> {
    ALL.iter().position(|it| it.0.as_bytes() == chain).map(|it| it as u16)
}
