//! The stock kernels that guests boot.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};

use crate::{
    arch::Arch,
    debian::{Archive, Release},
    keep,
    layout::Layout,
};

/// A kernel, by the name that `--kernel` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Debian 11's.
    V5_10,
    /// Debian 12's.
    V6_1,
    /// Debian 13's.
    V6_12,
    /// Debian 13's for any hardware: the others are for clouds and drive no device with a PTP clock that can be set.
    V6_12Generic,
    /// Debian unstable's, whatever its minor version is.
    V7,
}

impl Kernel {
    /// All, the oldest first.
    pub const ALL: [Self; 5] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V6_12Generic, Self::V7];

    /// What `--kernel` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V6_12Generic => "6.12-generic",
            Self::V7 => "7",
        }
    }

    fn release(self) -> Release {
        match self {
            Self::V5_10 => Release::Bullseye,
            Self::V6_1 => Release::Bookworm,
            Self::V6_12 | Self::V6_12Generic => Release::Trixie,
            Self::V7 => Release::Sid,
        }
    }

    /// Its unpacked files, fetched if they are not here yet.
    pub fn fetch(self, layout: &Layout) -> Result<Unpacked> {
        let folder = self.folder(layout);
        keep::once(&folder, &format!("kernel {self}"), |partial| self.unpack(layout, partial))?;
        Unpacked::open(folder)
    }

    fn folder(self, layout: &Layout) -> PathBuf {
        layout.vm().join("kernels").join(self.name())
    }

    fn unpack(self, layout: &Layout, into: &Path) -> Result<()> {
        let arch = Arch::host()?.debian;
        let meta = match self {
            Self::V6_12Generic => format!("linux-image-{arch}"),
            _ => format!("linux-image-cloud-{arch}"),
        };
        // From 7.x on the image is an empty package that depends on those with the kernel and the modules.
        let parts = ["linux-image-", "linux-binary-", "linux-modules-"];
        let tree = into.join("tree");
        Archive::with(layout, self.release(), |archive| {
            let mut packages =
                archive.closure(&[&meta], |name| parts.iter().any(|part| name.starts_with(part)))?;
            packages.retain(|package| *package != meta);
            archive.unpack(&packages, &tree)
        })?;
        Unpacked::arrange(&tree, into)?;
        fs::remove_dir_all(tree).context("cannot clean up")
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let Some(kernel) = Self::ALL.into_iter().find(|kernel| kernel.name() == name) else {
            bail!("no such kernel: there are {}", Self::ALL.map(Self::name).join(", "));
        };
        Ok(kernel)
    }
}

/// A kernel on disk.
#[derive(Debug)]
pub struct Unpacked {
    folder: PathBuf,
    /// What `uname -r` prints in the guest.
    pub version: String,
}

impl Unpacked {
    /// Puts the files where all kernels have them, wherever their packages did.
    fn arrange(tree: &Path, into: &Path) -> Result<()> {
        let modules = ["usr/lib/modules", "lib/modules"]
            .iter()
            .map(|place| tree.join(place))
            .find(|place| place.is_dir())
            .context("the packages hold no modules")?;
        let modules = fs::read_dir(modules)?.next().context("the packages' folder of modules is empty")??;
        let version = modules.file_name().into_string().ok().context("the kernel's version is no UTF-8")?;
        let image = [tree.join(format!("boot/vmlinuz-{version}")), modules.path().join("vmlinuz")]
            .into_iter()
            .find(|place| place.is_file())
            .context("the packages hold no vmlinuz")?;
        let config = [tree.join(format!("boot/config-{version}")), modules.path().join("config")]
            .into_iter()
            .find(|place| place.is_file());
        fs::rename(image, into.join("vmlinuz"))?;
        if let Some(config) = config {
            fs::rename(config, into.join("config"))?;
        }
        fs::rename(modules.path().join("kernel"), into.join("modules"))?;
        fs::write(into.join("version"), version)?;
        Ok(())
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let version = fs::read_to_string(folder.join("version"))
            .with_context(|| format!("{} is damaged: remove it", folder.display()))?;
        Ok(Self { folder, version })
    }

    /// The bootable image.
    pub fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The folder that holds the modules, in a tree as in the kernel's source.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }
}
