//! Loads a program past the kernel's verifier, and tells what the verifier said when it refuses.

use super::error::{DataplaneError, Result};
use aya::programs::ProgramError;
use std::io;

/// How often an interrupted check is begun: as `PROG_LOAD_ATTEMPTS` of libbpf (tools/lib/bpf).
const ATTEMPTS_MAX: usize = 5;

/// Lines of a verifier's log that an error shows: the refused instruction and the statistics.
const LINES_MAX: usize = 16;

/// Loads a program. A signal that arrives while the verifier works makes it give up with `EAGAIN`
/// (`do_check` in kernel/bpf/verifier.c), which says nothing about the program: it is asked again.
pub fn load(
    program: &str,
    mut load: impl FnMut() -> std::result::Result<(), ProgramError>,
) -> Result<()> {
    let mut attempts = 1;
    loop {
        match load() {
            Err(error) if is_interrupted(&error) && attempts < ATTEMPTS_MAX => attempts += 1,
            result => return result.map_err(|error| refused(program, error)),
        }
    }
}

fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. }
        if io_error.kind() == io::ErrorKind::WouldBlock)
}

fn refused(program: &str, error: ProgramError) -> DataplaneError {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return DataplaneError::program(program, "loading")(error);
    };
    let log = verifier_log.to_string();
    tracing::debug!(log, "the verifier's log");
    let lines: Vec<_> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default();
    DataplaneError::Refused {
        program: program.to_owned(),
        reason: io_error,
        verifier_log: last.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a load whose attempts fail in turn with these errors of the system and then
    /// succeed, and how many attempts it made.
    fn loaded(errors: &[i32]) -> (Result<()>, usize) {
        let mut attempts = 0;
        let result = load("program", || {
            attempts += 1;
            errors.get(attempts - 1).map_or(Ok(()), |error| {
                let io_error = io::Error::from_raw_os_error(*error);
                let verifier_log = aya_obj::VerifierLog::new("a line".to_owned());
                Err(ProgramError::LoadError { io_error, verifier_log })
            })
        });
        (result, attempts)
    }

    const AGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();
    const DENIED: i32 = rustix::io::Errno::ACCESS.raw_os_error();

    #[test]
    fn an_interrupted_check_is_begun_again() {
        let (result, attempts) = loaded(&[AGAIN, AGAIN]);
        result.unwrap();
        assert_eq!(attempts, 3);
    }

    #[test]
    fn a_check_that_is_always_interrupted_ends() {
        let (result, attempts) = loaded(&[AGAIN; 100]);
        assert!(matches!(result, Err(DataplaneError::Refused { .. })));
        assert_eq!(attempts, ATTEMPTS_MAX);
    }

    #[test]
    fn a_refused_program_is_not_tried_again() {
        let (result, attempts) = loaded(&[DENIED]);
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("a line"), "{error}");
        assert_eq!(attempts, 1);
    }
}
