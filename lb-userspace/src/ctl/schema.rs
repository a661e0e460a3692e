//! `lbd schema`.

use super::output::{Exit, print_json};
use crate::config;
use anyhow::Result;

/// Prints the schema.
pub(super) fn run() -> Result<Exit> {
    print_json(&config::json_schema())?;
    Ok(Exit::Done)
}
