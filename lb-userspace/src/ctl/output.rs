//! What every verb prints: data on standard output, talk on standard error.

use super::table::{Row, render};
use crate::admin::resource::{Kind, List};
use anyhow::Result;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// How a verb ended; the process's exit code. Wrong usage is 2, by clap itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done, and all is well.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Done, but the data plane is not as it should be.
    Degraded = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// The columns that matter most.
    #[default]
    Table,
    /// All columns.
    Wide,
    /// The API's own JSON, stable.
    Json,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Output {
    /// Output format.
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(super) format: Format,
    /// Leave out the table's headings.
    #[arg(long, global = true)]
    pub(super) no_headers: bool,
}

impl Output {
    /// Prints a list.
    pub(super) fn list<T: Row + Kind + Serialize>(self, list: &List<T>) -> Result<()> {
        match self.format {
            Format::Json => print_json(list),
            Format::Table | Format::Wide => {
                let wide = self.format == Format::Wide;
                print(&render(&list.items, wide, !self.no_headers))
            }
        }
    }

    /// Prints a list whose items are several rows each.
    pub(super) fn list_as<T: Kind + Serialize, R: Row>(
        self,
        list: &List<T>,
        rows: impl FnOnce() -> Vec<R>,
    ) -> Result<()> {
        match self.format {
            Format::Json => print_json(list),
            Format::Table | Format::Wide => {
                let wide = self.format == Format::Wide;
                print(&render(&rows(), wide, !self.no_headers))
            }
        }
    }

    /// Whether JSON is wanted.
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints an object: `text` unless JSON is wanted.
    pub(super) fn object<T: Serialize>(self, object: &T, text: &str) -> Result<()> {
        if self.format == Format::Json { print_json(object) } else { print(text) }
    }
}

/// Prints a text as it is. A reader that went away (`| head`) is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a value as JSON.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Says something on standard error.
pub(super) fn say(program: &str, text: &str) {
    // Nobody is left to be told if standard error is closed.
    writeln!(io::stderr().lock(), "{program}: {text}").ok();
}
