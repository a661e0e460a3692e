//! Reading a file and taking it through syntax and lowering.

use super::{
    diagnostic::{Diagnostics, Position, Report},
    files::{Files, Referred},
    located::Located,
    lower, schema, syntax,
};
use crate::{kube::Options, model::Desired};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Bytes of a configuration file. A larger one is refused before it is parsed. 65,536 backends
/// with two addresses each take about 6 MiB.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// A file that was looked at: what it asks for, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the file asks for; `None` if it has errors.
    pub desired: Option<Desired>,
    /// What it says about clusters; `None` if nothing, or if it has errors.
    pub kubernetes: Option<Options>,
    /// Errors, and warnings even if the file is good.
    pub diagnostics: Diagnostics,
    /// The file itself and those that it refers to, whose change may change what it asks for.
    pub referred: Referred,
}

/// Reads and checks a file. Diagnostics name it as `path` does. Warnings are dropped.
///
/// # Errors
/// The file cannot be read, is too large, or says something wrong.
pub fn load(path: &Path) -> Result<Desired, Diagnostics> {
    check_file(path).into_result()
}

/// Checks a text that diagnostics call `name` and that refers to no files. Warnings are dropped.
///
/// # Errors
/// The text says something wrong.
pub fn parse(name: &str, text: &str) -> Result<Desired, Diagnostics> {
    check(name, text).into_result()
}

/// Reads and checks a file, and keeps the warnings.
pub fn check_file(path: &Path) -> Checked {
    let name = path.display().to_string();
    // `parent` of a bare name is the empty path: the current directory, as it should be.
    let mut files = Files::new(Some(path.parent().unwrap_or(path)));
    files.look(path);
    match read(path) {
        Ok(text) => checked(&name, &text, files),
        Err(refusal) => refused(&name, refusal),
    }
}

/// Checks a text that diagnostics call `name`, and keeps the warnings. Files that the text refers
/// to are not read: they count as missing.
pub fn check(name: &str, text: &str) -> Checked {
    checked(name, text, Files::new(None))
}

/// Checks a text as if it stood in a file in `folder`, and keeps the warnings.
pub fn check_in(folder: &Path, name: &str, text: &str) -> Checked {
    checked(name, text, Files::new(Some(folder)))
}

fn checked(name: &str, text: &str, mut files: Files) -> Checked {
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return refused(name, too_large());
    }
    let mut report = Report::default();
    let lowered = syntax::parse::<Located<schema::File>>(text, &mut report)
        .map(|file| lower::lower(&file, &mut files, &mut report));
    let diagnostics = report.finish(name, text);
    let lowered = lowered.filter(|_| !diagnostics.has_errors());
    let (desired, kubernetes) = lowered.map_or((None, None), |(it, options)| (Some(it), options));
    Checked { desired, kubernetes, diagnostics, referred: files.into_referred() }
}

fn refused(name: &str, (message, hint): Refusal) -> Checked {
    let mut report = Report::default();
    report.error(Position::default(), message, hint);
    let diagnostics = report.finish(name, "");
    Checked { desired: None, kubernetes: None, diagnostics, referred: Referred::default() }
}

impl Checked {
    fn into_result(self) -> Result<Desired, Diagnostics> {
        self.desired.ok_or(self.diagnostics)
    }
}

type Refusal = (String, String);

fn read(path: &Path) -> Result<String, Refusal> {
    let cannot = |error: io::Error| (format!("cannot read the file: {error}"), String::new());
    // A directory opens, and a FIFO would block for ever: look before opening.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err((
            "this is not a regular file".to_owned(),
            "give the path of a YAML file".to_owned(),
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        (format!("line {line} is not UTF-8"), "save the file as UTF-8".to_owned())
    })
}

fn too_large() -> Refusal {
    (
        format!("the file is larger than {} MiB", CONFIG_BYTES_MAX >> 20),
        "a configuration of that size is outside the limits of the data plane".to_owned(),
    )
}
