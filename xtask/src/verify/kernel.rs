//! Debian's kernels: downloaded and unpacked beside the system, never installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// Which series are tried, and the Debian suite that has each.
const SERIES: [(&str, &str); 3] = [("6.1", "bookworm"), ("6.12", "trixie"), ("7.2", "sid")];

/// The flavour for virtual machines: small, and the console's driver is built in.
const FLAVOUR: &str = "cloud-amd64";

/// The packages that hold the kernel image itself, the newer naming first.
const PACKAGES: [&str; 2] = ["linux-binary-", "linux-image-"];

/// The file of apt's settings, in the directory of a run.
const CONFIGURATION: &str = "apt.conf";

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
        fs::create_dir_all(&cache)
            .with_context(|| format!("could not make {}", cache.display()))?;
        let archive = Archive::open(&cache)?;
        for kernel in absent {
            archive.fetch(kernel)?;
        }
    }
    Ok(kernels.into())
}

/// apt's view of the three suites, apart from the system's own.
struct Archive {
    directory: PathBuf,
}

impl Archive {
    fn open(cache: &Path) -> Result<Self> {
        if command::find_program("apt-get").is_none() {
            bail!("no apt-get to download Debian's kernels with; `--this-kernel` needs none");
        }
        // One directory a process: runs side by side do not meet.
        let directory = cache.join(format!("apt-{}", std::process::id()));
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("could not make {}", part.display()))?;
        }
        let source = Source::of_this_machine()?;
        let sources = SERIES.map(|(_, suite)| source.line(suite)).concat();
        let files = [("sources.list", sources), (CONFIGURATION, configuration(&directory))];
        for (name, content) in files {
            let file = directory.join(name);
            fs::write(&file, content)
                .with_context(|| format!("could not write {}", file.display()))?;
        }
        let archive = Self { directory };
        command::run(archive.apt("apt-get").arg("update"))?;
        Ok(archive)
    }

    /// Downloads and unpacks the newest kernel of the series to its place in the cache.
    fn fetch(&self, kernel: &Kernel) -> Result<()> {
        let names = command::output(self.apt("apt-cache").args(["pkgnames", "linux-"]))?;
        let package = newest(&names, kernel.series).with_context(|| {
            format!("Debian has no kernel {} for {FLAVOUR} any more", kernel.series)
        })?;
        let unpacked = self.directory.join(kernel.series);
        fs::create_dir_all(&unpacked)
            .with_context(|| format!("could not make {}", unpacked.display()))?;
        command::run(self.apt("apt-get").current_dir(&unpacked).args(["download", package]))?;
        let is_deb = |path: &Path| path.extension().is_some_and(|extension| extension == "deb");
        let deb = find_file(&unpacked, &is_deb)?.context("apt-get download left no package")?;
        command::run(Command::new("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
        let is_image = |path: &Path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
        };
        let image = find_file(&unpacked, &is_image)?
            .with_context(|| format!("no kernel image in {package}"))?;

        let home = kernel.image.parent().context("the cache has no directory")?;
        fs::create_dir_all(home).with_context(|| format!("could not make {}", home.display()))?;
        // On the same file system: the image is there in full or not at all.
        fs::rename(&image, &kernel.image)
            .with_context(|| format!("could not move {}", image.display()))
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.directory.join(CONFIGURATION));
        command
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("verify: could not remove {}: {error}", self.directory.display());
        }
    }
}

/// apt's settings, which leave everything of the system's own untouched.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"Dir::Etc::sourcelist "{directory}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::Lists "{directory}/lists";
Dir::Cache "{directory}/cache";
APT::Architecture "amd64";
// The directory may be one that apt's own download user cannot enter.
APT::Sandbox::User "root";
// Only the lists of packages, not what describes or translates them.
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"#
    )
}

/// Where this machine gets Debian from: the address and the key are taken over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    uri: String,
    signed_by: Option<String>,
}

impl Source {
    /// Of all sources the one that has this Debian release itself.
    fn of_this_machine() -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").context("could not read os-release")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .map(|codename| codename.trim_matches('"').to_owned())
            .filter(|_| release.lines().any(|line| line == "ID=debian"))
            .context("this is not a Debian release; `--this-kernel` needs none")?;
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        files.sort();
        files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .find_map(|text| {
                Self::from_stanzas(&text, &codename).or_else(|| Self::from_lines(&text, &codename))
            })
            .with_context(|| format!("no source of apt's has {codename} main"))
    }

    /// The format of `.sources` files: stanzas of `Name: value`.
    fn from_stanzas(text: &str, codename: &str) -> Option<Self> {
        let mut stanzas = vec![Vec::new()];
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.trim().is_empty() {
                stanzas.push(Vec::new());
            } else if let Some(stanza) = stanzas.last_mut() {
                stanza.extend(line.split_once(':').map(|(name, value)| (name, value.trim())));
            }
        }
        stanzas.iter().find_map(|stanza| {
            let value = |name| stanza.iter().find(|field| field.0 == name).map(|field| field.1);
            let has = |name, word| value(name).unwrap_or_default().split(' ').any(|w| w == word);
            if !has("Suites", codename) || !has("Components", "main") || !has("Types", "deb") {
                return None;
            }
            let uri = value("URIs")?.split(' ').next()?.to_owned();
            // A key written into the stanza itself does not fit on a line.
            let signed_by = value("Signed-By").filter(|path| path.starts_with('/'));
            Some(Self { uri, signed_by: signed_by.map(str::to_owned) })
        })
    }

    /// The older format: `deb [options] uri suite components`.
    fn from_lines(text: &str, codename: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            let uri = words.next()?.to_owned();
            if words.next() != Some(codename) || !words.any(|component| component == "main") {
                return None;
            }
            let signed_by = options.split(' ').find_map(|o| o.strip_prefix("signed-by="));
            Some(Self { uri, signed_by: signed_by.map(str::to_owned) })
        })
    }

    fn line(&self, suite: &str) -> String {
        let options = self.signed_by.as_ref().map(|path| format!("[signed-by={path}] "));
        format!("deb {}{} {suite} main\n", options.unwrap_or_default(), self.uri)
    }
}

/// Kept outside the tree: tens of megabytes that do not change.
fn cache_directory() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("lb/kernels"))
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

    #[test]
    fn debian_is_found_among_the_sources() {
        let stanzas = "Types: deb\nURIs: http://example.invalid/other\nSuites: nodistro\n\
                       Components: main\n\nTypes: deb\n# comment\n\
                       URIs: http://example.invalid/debian\nSuites: bookworm bookworm-updates\n\
                       Components: main\nSigned-By: /keys/debian.gpg\n";
        let source = Source::from_stanzas(stanzas, "bookworm").unwrap();
        let expected = "deb [signed-by=/keys/debian.gpg] http://example.invalid/debian sid main\n";
        assert_eq!(source.line("sid"), expected);
        assert_eq!(Source::from_stanzas(stanzas, "trixie"), None);
    }

    #[test]
    fn the_older_format_of_sources_is_read_too() {
        let lines = "# deb http://example.invalid/old bookworm main\n\
                     deb http://example.invalid/security bookworm-security main\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://example.invalid/debian bookworm main\n";
        let source = Source::from_lines(lines, "bookworm").unwrap();
        let expected = "deb [signed-by=/k.gpg] http://example.invalid/debian trixie main\n";
        assert_eq!(source.line("trixie"), expected);
        let plain = Source::from_lines("deb http://example.invalid/d sid main", "sid").unwrap();
        assert_eq!(plain.line("sid"), "deb http://example.invalid/d sid main\n");
    }
}
