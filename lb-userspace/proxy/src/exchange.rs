//! One request on its way: what filters and the sender know beside the request itself.

use crate::{account::Record, connection::Connection, http::Informational};
use std::rc::Rc;

/// One request on its way.
pub struct Exchange {
    /// The client's connection.
    pub connection: Rc<Connection>,
    /// What will be accounted for.
    pub record: Box<Record>,
    /// Bytes of the path that the rule's prefix matched, for rewrites of the prefix.
    pub prefix_bytes: usize,
    /// Takes informational responses to the client.
    pub early: Informational,
}
