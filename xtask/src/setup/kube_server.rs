//! `cargo xtask setup --kube-server`: a real kube-apiserver and its etcd, for the tests of the
//! Kubernetes agent.
//!
//! No registry has the server as a binary. Debian 12 has its source with everything it is built
//! from, so it is built once, into a cache outside of the tree.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{install_packages, is_debian};
use crate::{
    archive::{Archive, cache_directory},
    command,
};

/// Names the folder of binaries that the user has, as controller-runtime's envtest has it.
const FOLDER: &str = "KUBEBUILDER_ASSETS";
/// What the tests need.
const BINARIES: [&str; 2] = ["kube-apiserver", "etcd"];
/// The release of Debian that has the source of a server.
const SUITE: &str = "bookworm";
/// The version of that source.
const VERSION: (&str, &str, &str) = ("1", "20", "v1.20.2");
/// Programs that its makefiles and its unpacking call, and the package of each.
const PROGRAMS: [(&str, &str); 4] =
    [("dpkg-source", "dpkg-dev"), ("jq", "jq"), ("make", "make"), ("rsync", "rsync")];
/// What is unpacked beside the source: its compiler, a library that works with it, etcd, and the
/// command-line client, with which one may look into a server by hand.
const PACKAGES: [&str; 5] = [
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-modern-go-reflect2-dev",
    "etcd-server",
    "kubernetes-client",
];
/// The library, in the source and where Debian's package has it. The source's own crashes when
/// it is built by a newer compiler than it knew, as soon as there is a custom resource.
const LIBRARY: &str = "github.com/modern-go/reflect2";

/// A test of the source's for null, and what it has to be: to the compiler's library, a value that
/// is empty, zero or false is the same as none, which its own time's did not yet say.
const NULL_TEST: (&str, &str, &str) = (
    "vendor/k8s.io/kube-openapi/pkg/validation/validate/type.go",
    "data == nil || reflect.DeepEqual(reflect.Zero(reflect.TypeOf(data)), reflect.ValueOf(data))",
    "data == nil",
);

/// Where the binaries are; nothing if there are none.
pub(crate) fn find() -> Option<PathBuf> {
    let folder = match env::var_os(FOLDER).filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => cache().ok()?,
    };
    BINARIES.iter().all(|name| folder.join(name).is_file()).then_some(folder)
}

/// Builds what is missing and says where it is.
pub(super) fn ensure() -> Result<()> {
    if find().is_none() {
        if env::var_os(FOLDER).is_some_and(|folder| !folder.is_empty()) {
            bail!("{FOLDER} names a folder without {}", BINARIES.join(" and "));
        }
        build(&cache()?)?;
    }
    let folder = find().context("the binaries were built and are not there")?;
    eprintln!("kube-apiserver: {}", folder.display());
    Ok(())
}

fn build(folder: &Path) -> Result<()> {
    if !is_debian() {
        bail!(
            "this is not Debian, whose packages a kube-apiserver is built from: name a folder with \
             {} by {FOLDER}",
            BINARIES.join(" and ")
        );
    }
    let absent = PROGRAMS.iter().filter(|(program, _)| command::find_program(program).is_none());
    install_packages(&absent.map(|(_, package)| *package).collect::<Vec<_>>())?;
    eprintln!("kube-apiserver: about 8 minutes of CPU and 2.5 GB in {}", folder.display());
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let archive = Archive::open(folder, &[SUITE])?;
    let root = archive.unpack(&PACKAGES, "root")?;
    let source = archive.unpack_source("kubernetes")?;
    let library = source.join("vendor").join(LIBRARY);
    fs::remove_dir_all(&library).with_context(|| format!("could not remove {LIBRARY}"))?;
    let other = root.join("usr/share/gocode/src").join(LIBRARY);
    command::run(Command::new("cp").arg("--recursive").arg(&other).arg(&library))?;
    let (file, wrong, right) = NULL_TEST;
    let text = fs::read_to_string(source.join(file)).with_context(|| format!("read {file}"))?;
    ensure!(text.contains(wrong), "{file} is not as it was in Kubernetes {}", VERSION.2);
    fs::write(source.join(file), text.replace(wrong, right))?;
    make(&source, &root, archive.directory())?;
    keep(&root.join("usr/bin/kubectl"), folder)?;
    keep(&root.join("usr/bin/etcd"), folder)?;
    keep(&source.join("_output/bin/kube-apiserver"), folder)
}

fn make(source: &Path, root: &Path, work: &Path) -> Result<()> {
    // The makefiles want the tree where GOPATH has it.
    let go_path = source.join(".go");
    let parent = go_path.join("src/k8s.io");
    fs::create_dir_all(&parent)?;
    let tree = parent.join("kubernetes");
    std::os::unix::fs::symlink("../../..", &tree).context("link the source")?;
    let go_root = root.join("usr/lib/go-1.19");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([go_root.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    let (major, minor, version) = VERSION;
    let mut make = Command::new("make");
    make.arg("WHAT=cmd/kube-apiserver").current_dir(&tree);
    make.env("PATH", path)
        // The shell's idea of where it is: the makefiles would resolve the link otherwise.
        .env("PWD", &tree)
        .env("HOME", work)
        .env("GOROOT", &go_root)
        .env("GOPATH", &go_path)
        .env("GOCACHE", work.join("go-cache"))
        .env("GOFLAGS", "-mod=vendor")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .env("KUBE_GIT_VERSION", version)
        .env("KUBE_GIT_MAJOR", major)
        .env("KUBE_GIT_MINOR", minor)
        .env("KUBE_GIT_COMMIT", "debian")
        .env("KUBE_GIT_TREE_STATE", "archive");
    command::run(&mut make)
}

/// Puts a binary in place in one step, so that whoever finds it may run it.
fn keep(binary: &Path, folder: &Path) -> Result<()> {
    let name = binary.file_name().context("a binary without a name")?;
    let place = folder.join(name);
    fs::rename(binary, &place).with_context(|| format!("keep {}", place.display()))
}

fn cache() -> Result<PathBuf> {
    Ok(cache_directory()?.join("kube"))
}
