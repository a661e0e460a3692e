//! Whatever the proxy can be desired to do can be written as a file, and is read back as it was.
//! Certificates and authorities are in files: they are in the corpus.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod desired;
mod written;

use lb_userspace::{config, model::Desired};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_desired_can_be_written_and_read(proxy in desired::proxy()) {
        let text = serde_json::to_string_pretty(&written::file(&proxy)).unwrap();
        let desired = Desired { proxy: Box::new(proxy), ..Desired::default() };
        match config::parse("generated", &text) {
            Ok(read) => prop_assert_eq!(read, desired),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}
