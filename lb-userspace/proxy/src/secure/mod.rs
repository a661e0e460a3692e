//! TLS on either side: certificates, what a listener agrees to, and how endpoints are verified.

mod accept;
mod authorities;
mod certificate;
mod client_auth;
mod endpoint;
mod error;
mod hello;
mod names;
mod policy;
mod resolve;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod verify;

pub use accept::Secured;
pub(crate) use accept::refuse;
pub use certificate::{CertificateReport, Certificates};
pub use endpoint::{ClientTls, ClientTlsError};
pub use error::SecureError;
pub use hello::{Hello, client_hello, parse_hello};
pub use policy::{Alpn, is_cipher_suite};
pub use server::{ServerTls, TlsListener, TlsListenerReport};
