//! What HTTP servers and proxies are asked, as data: the same tables run against ours in memory and
//! against any other over TCP. And strict ends of connections, which know nothing of the product.

pub mod client;
#[expect(clippy::indexing_slicing, reason = "every index was found in the same bytes just before")]
pub mod message;
pub mod origin;
pub mod probes;
