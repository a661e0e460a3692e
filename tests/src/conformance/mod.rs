//! The features of the Gateway API as tests of our own: objects in, requests through, conditions out.
//!
//! One [`Suite`] serves all tests of a binary: an API server, a running `lbd` whose addresses are
//! those of the loopback interface, and echoing backends. Every test works in a namespace of its
//! own ([`Space`]).

mod answer;
mod ask;
mod case;
mod echo;
mod feature;
mod manifest;
mod space;
mod stream;
mod suite;

pub use answer::{Answer, Echoed};
pub use ask::{Ask, Trust};
pub use case::Case;
pub use echo::{Echo, Speaks};
pub use feature::{Feature, PROFILES, Profile};
pub use space::Space;
pub use suite::{LIMIT, Suite};
