//! Debian packages of any release, downloaded and unpacked beside the system: apt does it, with
//! settings, lists and a cache of their own, and the system stays as it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command;

/// The file of apt's settings, in the directory of a run.
const CONFIGURATION: &str = "apt.conf";

/// apt's view of some suites, apart from the system's own; its directory goes when dropped.
pub(crate) struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// Fetches the lists of the suites into a directory of its own below `cache`.
    pub(crate) fn open(cache: &Path, suites: &[&str]) -> Result<Self> {
        // One directory a process: runs side by side do not meet.
        let directory = cache.join(format!("apt-{}", std::process::id()));
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("could not make {}", part.display()))?;
        }
        let archive = Self { directory };
        let source = Source::of_this_machine()?;
        let sources: String = suites.iter().map(|suite| source.lines(suite)).collect();
        let files = [("sources.list", sources), (CONFIGURATION, configuration(&archive.directory))];
        for (name, content) in files {
            let file = archive.directory.join(name);
            fs::write(&file, content)
                .with_context(|| format!("could not write {}", file.display()))?;
        }
        command::run(archive.apt("apt-get").arg("update"))?;
        Ok(archive)
    }

    /// Where everything is that goes when this is dropped.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A program of apt's, which sees these suites and no others.
    pub(crate) fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.directory.join(CONFIGURATION));
        command
    }

    /// Downloads binary packages and unpacks them into a folder of this name, which is returned.
    pub(crate) fn unpack(&self, packages: &[&str], name: &str) -> Result<PathBuf> {
        let folder = self.folder(name)?;
        let downloads = self.folder(&format!("{name}-packages"))?;
        let mut apt_get = self.apt("apt-get");
        command::run(apt_get.current_dir(&downloads).arg("download").args(packages))?;
        for package in with_extension(&downloads, "deb")? {
            command::run(Command::new("dpkg").arg("-x").arg(&package).arg(&folder))?;
        }
        Ok(folder)
    }

    /// Downloads a source package and unpacks it, with Debian's patches, into a folder of its
    /// name, which is returned.
    pub(crate) fn unpack_source(&self, package: &str) -> Result<PathBuf> {
        let downloads = self.folder(&format!("{package}-source"))?;
        let mut apt_get = self.apt("apt-get");
        apt_get.current_dir(&downloads).args(["source", "--download-only", package]);
        command::run(&mut apt_get)?;
        let descriptions = with_extension(&downloads, "dsc")?;
        let description =
            descriptions.first().with_context(|| format!("no source of {package}"))?;
        let folder = self.directory.join(package);
        let mut unpack = Command::new("dpkg-source");
        command::run(unpack.args(["--no-check", "--extract"]).arg(description).arg(&folder))?;
        Ok(folder)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.directory.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        Ok(folder)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("could not remove {}: {error}", self.directory.display());
        }
    }
}

/// What is downloaded or built once and kept outside of the tree.
pub(crate) fn cache_directory() -> Result<PathBuf> {
    let chosen = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let base = chosen
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("lb"))
}

fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("could not list {}", folder.display());
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.extension().is_some_and(|other| other == extension) {
            files.push(path);
        }
    }
    Ok(files)
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
            .context("this is not a Debian release")?;
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

    /// Of its binary packages and of their sources.
    fn lines(&self, suite: &str) -> String {
        let options = self.signed_by.as_ref().map(|path| format!("[signed-by={path}] "));
        let rest = format!("{}{} {suite} main\n", options.unwrap_or_default(), self.uri);
        format!("deb {rest}deb-src {rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_is_found_among_the_sources() {
        let stanzas = "Types: deb\nURIs: http://example.invalid/other\nSuites: nodistro\n\
                       Components: main\n\nTypes: deb\n# comment\n\
                       URIs: http://example.invalid/debian\nSuites: bookworm bookworm-updates\n\
                       Components: main\nSigned-By: /keys/debian.gpg\n";
        let source = Source::from_stanzas(stanzas, "bookworm").unwrap();
        let expected = "deb [signed-by=/keys/debian.gpg] http://example.invalid/debian sid main\n\
                        deb-src [signed-by=/keys/debian.gpg] http://example.invalid/debian sid main\n";
        assert_eq!(source.lines("sid"), expected);
        assert_eq!(Source::from_stanzas(stanzas, "trixie"), None);
    }

    #[test]
    fn the_older_format_of_sources_is_read_too() {
        let lines = "# deb http://example.invalid/old bookworm main\n\
                     deb http://example.invalid/security bookworm-security main\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://example.invalid/debian bookworm main\n";
        let source = Source::from_lines(lines, "bookworm").unwrap();
        let expected = "deb [signed-by=/k.gpg] http://example.invalid/debian trixie main\n\
                        deb-src [signed-by=/k.gpg] http://example.invalid/debian trixie main\n";
        assert_eq!(source.lines("trixie"), expected);
        let plain = Source::from_lines("deb http://example.invalid/d sid main", "sid").unwrap();
        assert_eq!(
            plain.lines("sid"),
            "deb http://example.invalid/d sid main\ndeb-src http://example.invalid/d sid main\n"
        );
    }
}
