//! `lbctl metrics`.

use super::{
    output::{Exit, print},
    source,
};
use crate::runtime::Instance;
use anyhow::Result;

/// Prints the daemon's metrics as they are, whatever the output format.
pub(super) fn run(instance: &Instance) -> Result<Exit> {
    print(&source::ask(instance, async |client| client.text("/metrics").await)?)?;
    Ok(Exit::Done)
}
