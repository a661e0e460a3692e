//! What can go wrong between the daemon and the kernel.

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use std::{io, path::PathBuf};

/// An operation on maps, programs or links failed.
#[derive(Debug, thiserror::Error)]
pub enum DataplaneError {
    /// Pinned maps do not fit this version or these settings.
    #[error(
        "{what}; run `lbd detach` (forwarding stops, tracked flows are forgotten), then start again"
    )]
    Incompatible {
        /// What differs.
        what: String,
    },
    /// Nothing is pinned under the instance's name.
    #[error("no data plane is pinned at {}", path.display())]
    NotRunning {
        /// Where it would be.
        path: PathBuf,
    },
    /// A map operation failed.
    #[error("map {map}: {operation} failed")]
    Map {
        /// Map name.
        map: &'static str,
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The object file was refused before any program of it was loaded.
    #[error("the eBPF object cannot be prepared")]
    Object(#[source] EbpfError),
    /// A program operation failed; a verifier's log is part of the source.
    #[error("program {program}: {operation} failed")]
    Program {
        /// Program name.
        program: String,
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: ProgramError,
    },
    /// The kernel's verifier refuses the program. The whole log is told at debug level.
    #[error("the kernel refuses program {program}: {reason}\n{verifier_log}")]
    Refused {
        /// Program name.
        program: String,
        /// The kernel's error.
        reason: io::Error,
        /// Last lines of the verifier's log.
        verifier_log: String,
    },
    /// An interface does not exist (yet).
    #[error("interface {name} does not exist")]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// Attaching to an interface failed in every mode.
    #[error("interface {name}: native XDP: {native}; generic XDP: {generic}")]
    Attach {
        /// Interface name.
        name: String,
        /// The driver's answer.
        native: String,
        /// The stack's answer.
        generic: String,
    },
    /// Anything else that the operating system refused.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// Result of a data-plane operation.
pub type Result<T> = std::result::Result<T, DataplaneError>;

impl DataplaneError {
    /// An [`DataplaneError::Io`] for `what`, for use with `map_err`.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// A [`DataplaneError::Map`], for use with `map_err`.
    pub(super) fn map(map: &'static str, operation: &'static str) -> impl FnOnce(MapError) -> Self {
        move |source| Self::Map { map, operation, source }
    }

    /// A [`DataplaneError::Program`], for use with `map_err`.
    pub(super) fn program<E: Into<ProgramError>>(
        program: &str,
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let program = program.to_owned();
        move |source| Self::Program { program, operation, source: source.into() }
    }
}
