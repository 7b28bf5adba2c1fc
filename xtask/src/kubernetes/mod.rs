//! Real components of Kubernetes, for the one test that is optional: named by variables of the environment, and built by
//! `cargo xtask kubernetes` for those who have none.

mod build;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use goblin::elf::Elf;

pub use build::{VERSION, build};

use crate::vm::Tree;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it is called, in guests as well.
    pub name: &'static str,
    /// The variable that names its binary.
    pub variable: &'static str,
}

/// Those that make a cluster of one node. No scheduler and no controller: tests bind pods themselves.
pub const COMPONENTS: [Component; 3] = [
    Component { name: "kube-apiserver", variable: "KUBE_APISERVER" },
    Component { name: "kubelet", variable: "KUBELET" },
    Component { name: "etcd", variable: "ETCD" },
];

/// The binaries that the environment names, in the order of [`COMPONENTS`].
fn from_environment() -> Result<Vec<PathBuf>> {
    let named = |component: &Component| {
        let value = env::var_os(component.variable).filter(|value| !value.is_empty());
        value.map(PathBuf::from).with_context(|| {
            format!("{} is not set; `cargo xtask kubernetes` builds what it names", component.variable)
        })
    };
    COMPONENTS.iter().map(named).collect()
}

/// Puts them into a guest. They must be linked statically, as those who release Kubernetes link them.
pub fn install(tree: &mut Tree) -> Result<()> {
    for (component, file) in COMPONENTS.iter().zip(from_environment()?) {
        stands_alone(&file).with_context(|| format!("{} names {}", component.variable, file.display()))?;
        tree.copy(&format!("usr/bin/{}", component.name), file);
    }
    Ok(())
}

fn stands_alone(file: &Path) -> Result<()> {
    let bytes = fs::read(file).context("it cannot be read")?;
    let Ok(elf) = Elf::parse(&bytes) else { bail!("it is no program") };
    ensure!(elf.interpreter.is_none(), "it is linked dynamically, but a guest has no libraries for it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_libraries_is_refused() {
        let refused = |file: &Path| format!("{:#}", stands_alone(file).unwrap_err());
        assert!(refused(Path::new("/bin/sh")).contains("linked dynamically"));
        assert!(
            refused(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).contains("no program")
        );
        assert!(refused(Path::new("/nonexistent")).contains("cannot be read"));
    }
}
