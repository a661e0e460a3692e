//! HTTP as all versions share it (RFC 9110), and the versions.

mod body;
mod date;
mod fields;
pub mod guard;
pub mod h1;
pub mod h2;
mod method;
mod name;
mod reason;
mod request;
mod response;
mod serve;
mod service;
mod websocket;
mod wire;
mod words;

pub use body::{Body, BodyError, BodyStream, Frame};
pub use fields::Fields;
pub use method::Method;
pub use name::{FieldName, Known};
pub use reason::Reason;
pub use request::{Request, Scheme, Version};
pub use response::Response;
pub use serve::serve;
pub use service::{Informational, Sent, Service};
