//! Packages of the system itself.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::process;

/// A Debian package, and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

/// Installs packages, if this system and this user can; if not, says what to install.
pub(super) fn install(packages: &[Package]) -> Result<()> {
    for Package { name, why } in packages {
        eprintln!("xtask: {name} is missing: {why}");
    }
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    let names = names.join(" ");
    if !Path::new("/etc/debian_version").exists() || process::find("apt-get").is_none() {
        bail!("this is no Debian system: please install what Debian calls {names}");
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "only root can install packages: please run\n  apt-get install --no-install-recommends {names}"
        );
    }
    // Without an index, or with one that is out of date, the installation fails; with a good one it need not be fetched.
    if apt(&names).is_ok() {
        return Ok(());
    }
    process::quiet(Command::new("apt-get").args(["-q", "update"])).context("is there a network?")?;
    apt(&names).with_context(|| format!("cannot install {names}"))
}

fn apt(names: &str) -> Result<()> {
    process::quiet(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y", "--no-install-recommends", "install"])
            .args(names.split(' ')),
    )
}
