//! The file system a kernel is booted with: the loader as process 1, and its shared libraries.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path},
};

use anyhow::{Context as _, Result};

/// Mount points the loader uses, and the directory that holds it.
const DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];

const DIRECTORY_MODE: u32 = 0o040_755;
const PROGRAM_MODE: u32 = 0o100_755;

/// A cpio archive, in the `newc` format that the kernel unpacks.
pub(super) fn pack(loader: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for directory in DIRECTORIES {
        archive.add_directory(directory);
    }
    archive.add_file("init", &read(loader)?);
    for library in super::shared_libraries(loader)? {
        // Where the dynamic linker looks is the path it told, though that may be a link.
        let name = library.to_string_lossy();
        archive.add_file(name.trim_start_matches('/'), &read(&library)?);
    }
    Ok(archive.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

/// Described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
}

impl Archive {
    /// Adds the file and the directories above it.
    fn add_file(&mut self, name: &str, content: &[u8]) {
        if let Some(parent) = Path::new(name).parent() {
            let mut path = String::new();
            for component in parent.components() {
                if let Component::Normal(part) = component {
                    path.push_str(&part.to_string_lossy());
                    self.add_directory(&path);
                    path.push('/');
                }
            }
        }
        self.add(name, PROGRAM_MODE, content);
    }

    fn add_directory(&mut self, name: &str) {
        if self.directories.insert(name.to_owned()) {
            self.add(name, DIRECTORY_MODE, &[]);
        }
    }

    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        let content_bytes = content.len() as u32;
        let name_bytes = name.len() as u32 + 1;
        // inode, mode, uid, gid, links, mtime, size, four device numbers, name, no checksum; each
        // inode 0 with one link, so that no two entries are taken for the same file.
        let fields = [0, mode, 0, 0, 1, 0, content_bytes, 0, 0, 0, 0, name_bytes, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_padded_content() {
        let mut archive = Archive::default();
        archive.add_file("a/b", b"12345");
        let bytes = archive.finish();
        let header = |mode: &str, size: &str, name: &str| {
            let zero = "00000000";
            format!(
                "070701{zero}{mode}{zero}{zero}00000001{zero}{size}{zero}{zero}{zero}{zero}{name}{zero}"
            )
        };
        let mut expected = header("000041ed", "00000000", "00000002");
        expected += "a\0";
        expected += &header("000081ed", "00000005", "00000004");
        expected += "b/a\0".replace("b/a", "a/b").as_str();
        while expected.len() % 4 != 0 {
            expected.push('\0');
        }
        expected += "12345\0\0\0";
        expected += &header("00000000", "00000000", "0000000b");
        expected += "TRAILER!!!\0";
        while expected.len() % 4 != 0 {
            expected.push('\0');
        }
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn a_directory_is_added_once() {
        let mut archive = Archive::default();
        archive.add_file("lib/one", b"");
        let before = archive.bytes.len();
        archive.add_file("lib/two", b"");
        let header_and_name = (6_usize + 13 * 8 + "lib/two".len() + 1).next_multiple_of(4);
        assert_eq!(archive.bytes.len() - before, header_and_name);
    }
}
