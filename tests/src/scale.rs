//! How much of a long test is run.

use std::env;

/// Set, tests that repeat something run at their full length: `cargo xtask test --full`.
pub const FULL: &str = "LB_TEST_FULL";

/// How often something is repeated: `full` times if [`FULL`] is set, else `usual` ones.
pub fn rounds(full: usize, usual: usize) -> usize {
    if env::var_os(FULL).is_some() { full } else { usual }
}
