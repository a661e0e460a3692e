//! The envelope.

use serde::{Deserialize, Serialize};

/// Version of every answer.
pub const API_VERSION: &str = "lb.internal/v1";

/// Something that comes in lists.
pub trait Kind {
    /// `kind` of the list.
    const LIST: &'static str;
}

/// `{"apiVersion": ..., "kind": ..., "items": [...]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`Kind::LIST`].
    pub kind: String,
    /// The items, in a stable order.
    pub items: Vec<T>,
}

impl<T: Kind> List<T> {
    /// Wraps `items`.
    pub fn new(items: Vec<T>) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: T::LIST.to_owned(), items }
    }
}
