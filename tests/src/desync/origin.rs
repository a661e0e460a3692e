//! Real origins: nginx, node, Python's http.server, and hyper.

mod hyper;
mod scripts;

use std::{fs, net::TcpStream, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use super::echo::Echo;
use crate::{
    bench::command,
    rivals::{free_port, process::Process},
    wait::eventually,
};

const START_LIMIT: Duration = Duration::from_secs(20);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In C.
    Nginx,
    /// In C++ and JavaScript: llhttp.
    Node,
    /// In Python: http.server.
    Python,
    /// In Rust: hyper, of this program.
    Hyper,
}

/// An origin that runs. Ends when dropped.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) kind: Kind,
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    _process: Option<Process>,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Nginx, Self::Node, Self::Python, Self::Hyper];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Node => "node",
            Self::Python => "python",
            Self::Hyper => "hyper",
        }
    }

    /// The program, and Debian's package with it; `None` if it is built in.
    pub(super) const fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Nginx => Some(("nginx", "nginx-light")),
            Self::Node => Some(("node", "nodejs")),
            Self::Python => Some(("python3", "python3-minimal")),
            Self::Hyper => None,
        }
    }

    /// Whether it can be started here.
    pub(super) fn is_there(self) -> bool {
        self.program().is_none_or(|(program, _)| command::exists(program))
    }

    /// How much it tells.
    pub(super) const fn echo(self) -> Echo {
        match self {
            Self::Nginx => Echo::Line,
            Self::Node | Self::Python | Self::Hyper => Echo::Whole,
        }
    }

    /// Starts it; its files are in `folder`.
    pub(super) fn start(self, folder: &Path) -> Result<Origin> {
        let folder = folder.join(self.name());
        fs::create_dir(&folder)?;
        let port = free_port()?;
        let mut command = match self {
            Self::Hyper => {
                let port = hyper::start()?;
                return Ok(Origin { kind: self, port, _process: None });
            }
            Self::Nginx => {
                let file = folder.join("nginx.conf");
                fs::write(&file, scripts::nginx(&folder, port))?;
                let mut command = Command::new("nginx");
                command.arg("-c").arg(file).arg("-p").arg(&folder);
                command
            }
            Self::Node => script("node", &folder, scripts::NODE, port)?,
            Self::Python => script("python3", &folder, scripts::PYTHON, port)?,
        };
        let process = Process::start(&mut command, &folder)?;
        eventually(START_LIMIT, "it listens", || TcpStream::connect(("127.0.0.1", port)).ok())
            .with_context(|| format!("{} printed:\n{}", self.name(), process.output()))?;
        Ok(Origin { kind: self, port, _process: Some(process) })
    }
}

fn script(program: &str, folder: &Path, text: &str, port: u16) -> Result<Command> {
    let file = folder.join("origin");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg(file).arg(port.to_string());
    Ok(command)
}
