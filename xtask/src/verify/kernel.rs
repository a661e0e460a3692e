//! Debian's kernels: downloaded and unpacked beside the system, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    archive::{self, Archive},
    command,
};

/// Which series are tried, and the Debian suite that has each.
const SERIES: [(&str, &str); 3] = [("6.1", "bookworm"), ("6.12", "trixie"), ("7.2", "sid")];

/// The flavour for virtual machines: small, and the console's driver is built in.
const FLAVOUR: &str = "cloud-amd64";

/// The packages that hold the kernel image itself, the newer naming first.
const PACKAGES: [&str; 2] = ["linux-binary-", "linux-image-"];

/// A kernel that can be booted.
pub(super) struct Kernel {
    pub(super) series: &'static str,
    pub(super) image: PathBuf,
}

/// Takes the kernels from the cache, and what is not there (or all of them) from Debian.
pub(super) fn obtain(refresh: bool) -> Result<Vec<Kernel>> {
    let cache = cache_directory()?;
    let kernels =
        SERIES.map(|(series, _)| Kernel { series, image: cache.join(series).join("vmlinuz") });
    let absent: Vec<&Kernel> =
        kernels.iter().filter(|kernel| refresh || !kernel.image.is_file()).collect();
    if !absent.is_empty() {
        if command::find_program("apt-get").is_none() {
            bail!("no apt-get to download Debian's kernels with; `--this-kernel` needs none");
        }
        let suites = SERIES.map(|(_, suite)| suite);
        let archive = Archive::open(&cache, &suites).context("`--this-kernel` needs none")?;
        for kernel in absent {
            fetch(&archive, kernel)?;
        }
    }
    Ok(kernels.into())
}

/// Downloads and unpacks the newest kernel of the series to its place in the cache.
fn fetch(archive: &Archive, kernel: &Kernel) -> Result<()> {
    let names = command::output(archive.apt("apt-cache").args(["pkgnames", "linux-"]))?;
    let package = newest(&names, kernel.series).with_context(|| {
        format!("Debian has no kernel {} for {FLAVOUR} any more", kernel.series)
    })?;
    let unpacked = archive.unpack(&[package], kernel.series)?;
    let is_image = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    };
    let image = find_file(&unpacked, &is_image)?
        .with_context(|| format!("no kernel image in {package}"))?;

    let home = kernel.image.parent().context("the cache has no directory")?;
    fs::create_dir_all(home).with_context(|| format!("could not make {}", home.display()))?;
    // On the same file system: the image is there in full or not at all.
    fs::rename(&image, &kernel.image).with_context(|| format!("could not move {}", image.display()))
}

/// Tens of megabytes that do not change.
fn cache_directory() -> Result<PathBuf> {
    Ok(archive::cache_directory()?.join("kernels"))
}

/// The newest release of a series; of equal ones the newer naming.
fn newest<'a>(names: &'a str, series: &str) -> Option<&'a str> {
    PACKAGES.iter().find_map(|prefix| {
        names
            .lines()
            .filter_map(|name| {
                let release = name.strip_prefix(prefix)?.strip_suffix(FLAVOUR)?;
                release.strip_prefix(series)?.strip_prefix('.')?;
                Some((numbers(release), name))
            })
            .max()
            .map(|(_, name)| name)
    })
}

/// `6.12.107+deb13-` as 6, 12, 107, 13, to be compared as numbers.
fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The first file below that is wanted.
fn find_file(directory: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let unreadable = || format!("could not list {}", directory.display());
    for entry in directory.read_dir().with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let kind = entry.file_type().with_context(unreadable)?;
        if kind.is_dir() {
            if let Some(found) = find_file(&entry.path(), is_wanted)? {
                return Ok(Some(found));
            }
        } else if kind.is_file() && is_wanted(&entry.path()) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_taken() {
        let names = "linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-50-cloud-amd64\n\
                     linux-image-6.1.0-51-amd64\nlinux-image-6.12.94+deb13-cloud-amd64\n\
                     linux-image-7.2.13+deb14-cloud-amd64\nlinux-binary-7.2.13+deb14-cloud-amd64\n\
                     linux-image-6.1.0-52-cloud-amd64-dbg\n";
        assert_eq!(newest(names, "6.1"), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(newest(names, "6.12"), Some("linux-image-6.12.94+deb13-cloud-amd64"));
        assert_eq!(newest(names, "7.2"), Some("linux-binary-7.2.13+deb14-cloud-amd64"));
        assert_eq!(newest(names, "7.3"), None);
    }
}
