//! Container images: what is in them, what they are made of, and the archive that holds them.

mod components;
mod layer;
mod notices;
pub mod oci;
mod origin;
pub mod sbom;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use goblin::elf::Elf;
pub use layer::SBOM_IN_IMAGE;
pub use origin::Origin;

use crate::{arch::Arch, layout::Layout};

/// Where the image is published.
pub const REPOSITORY: &str = "ghcr.io/timejump/timejump";

/// One image: for machines of one family.
#[derive(Debug)]
pub struct Image {
    /// Which.
    pub arch: Arch,
    /// Its only layer, a tar archive.
    pub layer: Vec<u8>,
    /// What the program is made of, as CycloneDX has it.
    pub sbom: String,
}

impl Image {
    /// Makes it of a program that was built.
    pub fn make(layout: &Layout, origin: &Origin, arch: Arch, program: &Path) -> Result<Self> {
        let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        fits(&bytes, arch).with_context(|| format!("{} cannot be shipped", program.display()))?;
        let components = components::find(layout, arch, &bytes)?;
        let sbom = sbom::text(origin, arch, &components, &bytes)?;
        let notices = notices::text(&components)?;
        let layer = layer::make(layout, origin, &bytes, &sbom, &notices)?;
        Ok(Self { arch, layer, sbom })
    }
}

/// Whether a program can be all that an image has.
fn fits(program: &[u8], arch: Arch) -> Result<()> {
    let elf = Elf::parse(program).context("it is no ELF file")?;
    ensure!(elf.header.e_machine == arch.elf, "it is not for {}", arch.debian);
    if let Some(loader) = elf.interpreter {
        bail!("it is not linked statically, but wants {loader}");
    }
    ensure!(elf.libraries.is_empty(), "it is not linked statically, but wants {}", elf.libraries.join(", "));
    Ok(())
}
