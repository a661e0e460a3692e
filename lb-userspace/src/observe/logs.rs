//! Where log lines go and how they look.

use std::{
    env,
    io::{self, IsTerminal},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, filter::Directive, fmt};

/// Environment variable with filter directives (`lb_userspace::health=debug`) that go beyond
/// `-v` and `-q`.
const FILTER_VARIABLE: &str = "LB_LOG";

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Steps up (`-v`) and down (`-q`) from the level `info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Verbosity {
    /// Log more; twice for even more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log less: warnings and errors; twice for errors only.
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
}

impl Verbosity {
    fn level(self) -> LevelFilter {
        match (self.verbose, self.quiet) {
            (0, 0) => LevelFilter::INFO,
            (0, 1) => LevelFilter::WARN,
            (0, _) => LevelFilter::ERROR,
            (1, _) => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    /// The level for our own code; libraries tell of their troubles only. The client of
    /// Kubernetes tells of every try, where the agent tells once.
    fn directives(self) -> [Directive; 3] {
        let level = self.level();
        let client = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
        [("lb_userspace", level), ("lb_kube", level), ("kube_client", client)].map(
            |(target, level)| format!("{target}={level}").parse().unwrap_or_else(|_| level.into()),
        )
    }
}

/// Starts logging to standard error. Called once, first.
pub fn start(format: LogFormat, verbosity: Verbosity) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var(FILTER_VARIABLE)
        .from_env_lossy();
    let filter = verbosity.directives().into_iter().fold(filter, EnvFilter::add_directive);
    let is_colourful =
        io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(is_colourful);
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_step_from_info() {
        let level = |verbose, quiet| Verbosity { verbose, quiet }.level();
        assert_eq!(level(0, 0), LevelFilter::INFO);
        assert_eq!(level(0, 1), LevelFilter::WARN);
        assert_eq!(level(0, 9), LevelFilter::ERROR);
        assert_eq!(level(1, 0), LevelFilter::DEBUG);
        assert_eq!(level(9, 0), LevelFilter::TRACE);
    }
}
