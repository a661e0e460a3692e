//! A client stays with its endpoint by a cookie.

use crate::http::{Known, Request, Response};
use lb_model::CookiePersistence;
use sha2::{Digest, Sha256};
use std::{fmt::Write, net::SocketAddr};

/// What a cookie knows an endpoint by. Equal on all routers with the same seed; tells nothing about
/// the endpoint to those who do not have it.
pub(super) fn id_of(seed: u64, name: &str, address: SocketAddr) -> u128 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    // Lengths of what varies are told apart: the address has no NUL.
    hash.update(address.to_string());
    hash.update([0]);
    hash.update(name);
    let digest = hash.finalize();
    digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
}

/// The endpoint that a request's cookie names.
pub(super) fn pinned(request: &Request, persistence: &CookiePersistence) -> Option<u128> {
    let value = request.cookie(&persistence.cookie)?;
    let is_id = value.len() == 32 && value.iter().all(u8::is_ascii_hexdigit);
    if !is_id {
        return None;
    }
    u128::from_str_radix(str::from_utf8(value).ok()?, 16).ok()
}

/// Has the client keep the endpoint `id`.
pub(super) fn pin(response: &mut Response, persistence: &CookiePersistence, id: u128) {
    let mut cookie = format!("{}={id:032x}; Path=/; HttpOnly; SameSite=Lax", persistence.cookie);
    if let Some(lifetime) = persistence.lifetime {
        // Writing to a string does not fail.
        write!(cookie, "; Max-Age={}", lifetime.as_secs()).unwrap_or_default();
    }
    response.fields.append(Known::SetCookie, cookie.as_bytes());
}
