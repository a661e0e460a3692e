//! The format: a line that says what it is, one that says of which cluster, a line for each owner of
//! addresses and each object, and a last one with a checksum of all before.

use super::{Assigned, Saved, Unusable};
use crate::{ClusterOptions, ObjectId, Objects, watch::KINDS};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
};

/// Bytes of a saved state. What is larger is not saved.
pub(super) const BYTES_MAX: u64 = 1 << 30;

/// The first line. The number is raised when what follows is written otherwise.
const MAGIC: &str = "lb saved cluster 1";

/// What begins a line with addresses instead of an object.
const ASSIGNED: &str = "assigned";

/// What begins the last line.
const END: &str = "end";

/// Whose state it is. Of another way to an API server it says nothing.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    cluster: String,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    namespaces: Vec<String>,
}

impl Identity {
    fn of(options: &ClusterOptions) -> Self {
        Self {
            cluster: options.name.clone(),
            kubeconfig: options.kubeconfig.clone(),
            context: options.context.clone(),
            namespaces: options.namespaces.clone(),
        }
    }
}

/// Writes a state.
///
/// # Errors
/// It cannot be written, or is larger than [`BYTES_MAX`].
pub(super) fn write(
    out: impl Write,
    options: &ClusterOptions,
    objects: &Objects,
    assigned: &Assigned,
) -> io::Result<()> {
    let mut out = Hashed { out, hash: Sha256::new(), bytes: 0 };
    writeln!(out, "{MAGIC}")?;
    serde_json::to_writer(&mut out, &Identity::of(options))?;
    out.write_all(b"\n")?;
    for owner in assigned {
        write!(out, "{ASSIGNED} ")?;
        serde_json::to_writer(&mut out, &owner)?;
        out.write_all(b"\n")?;
    }
    for kind in &KINDS {
        (kind.save)(objects, &mut out)?;
    }
    let sum = hex(&out.hash.finalize());
    writeln!(out.out, "{END} {sum}")?;
    out.out.flush()
}

/// Reads a state; `at_ms` is left to the caller.
pub(super) fn read(bytes: &[u8], options: &ClusterOptions) -> Result<Saved, Unusable> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).and_then(|it| it.strip_prefix(b"\n"));
    let rest = rest.ok_or(Unusable::Version)?;
    let body = checked(bytes, rest)?;
    let mut lines = body.split(|it| *it == b'\n').filter(|it| !it.is_empty());
    let identity: Option<Identity> =
        lines.next().and_then(|line| serde_json::from_slice(line).ok());
    if identity.ok_or(Unusable::Version)? != Identity::of(options) {
        return Err(Unusable::Other);
    }
    let mut saved = Saved::default();
    for line in lines {
        let space = line.iter().position(|it| *it == b' ').unwrap_or(line.len());
        let (name, value) = line.split_at(space);
        if name == ASSIGNED.as_bytes() {
            if let Ok((owner, addresses)) = serde_json::from_slice::<(ObjectId, Vec<IpAddr>)>(value)
            {
                saved.assigned.insert(owner, addresses);
            }
            continue;
        }
        // One that is no longer watched is of no use.
        let Some(kind) = KINDS.iter().find(|it| it.name.as_bytes() == name) else { continue };
        let object: Result<Value, _> = serde_json::from_slice(value);
        let is_read = object.is_ok_and(|it| (kind.restore)(&mut saved.objects, it));
        saved.unreadable_count += usize::from(!is_read);
    }
    Ok(saved)
}

/// What is between the first line and the last, if that has the checksum of everything before it.
fn checked<'a>(bytes: &[u8], rest: &'a [u8]) -> Result<&'a [u8], Unusable> {
    let whole = rest.strip_suffix(b"\n").ok_or(Unusable::Damaged("its end is missing"))?;
    let start = whole.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
    let (body, last) = whole.split_at(start);
    let sum = last.strip_prefix(END.as_bytes()).and_then(|it| it.strip_prefix(b" "));
    let sum = sum.ok_or(Unusable::Damaged("its end is missing"))?;
    let end = bytes.len().saturating_sub(rest.len()).saturating_add(body.len());
    let is_right = bytes.get(..end).is_some_and(|it| hex(&Sha256::digest(it)).as_bytes() == sum);
    if is_right { Ok(body) } else { Err(Unusable::Damaged("its checksum is wrong")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Counts and hashes what is written.
struct Hashed<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.out.write(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes > BYTES_MAX {
            return Err(io::Error::other(Unusable::TooLarge));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
