//! Harness and cases. See the modules and `tests/`.

#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "fixtures and assertions of tests: a panic is how a row fails"
)]
pub mod packet;
