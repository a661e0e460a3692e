//! `cargo xtask lab up|down|status`: the laboratory, to be used by hand.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::product::{self, Profile};

/// Options of `cargo xtask lab`
#[derive(Args)]
pub(crate) struct Options {
    action: Action,
    /// Passed on to lb-lab
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Raise it
    Up,
    /// Take it down
    Down,
    /// Show what is there
    Status,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Status => "status",
        }
    }
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    let mut arguments = vec![OsString::from(options.action.as_str())];
    arguments.extend_from_slice(&options.arguments);
    product::run(root, Profile::Dev, "lb-lab", &arguments)
}
