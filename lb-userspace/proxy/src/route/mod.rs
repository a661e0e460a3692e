//! Which rule a request takes: host, then path, by hash look-ups whose cost does not depend on the
//! number of routes; then whatever else the few rules of that path ask for.
//!
//! The order is the Gateway API's (`HTTPRoute`): the most specific host, then path, method, number
//! of headers, number of query parameters, age, name, place. A rule that does not match makes way
//! for the next, even one of a less specific host.

mod condition;
mod pattern;
mod place;
mod query;
mod table;

pub use condition::Mismatch;
pub(crate) use pattern::regex;
pub use pattern::{Pattern, PatternError};
pub use table::{Considered, Found, RouteError, Source, Table, TableBuilder};
