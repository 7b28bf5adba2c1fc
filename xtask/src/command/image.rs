//! `cargo xtask image`: the container image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    arch::{Arch, KNOWN},
    build,
    image::{Image, Origin, REPOSITORY, oci},
    layout::Layout,
    setup::{self, Choice},
};

/// Builds timejump as it is shipped and packs it into an OCI archive, with a list of what it is made of.
///
/// The same commit gives the same bytes, wherever the checkout is, as long as the compilers are the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which machines.
    #[arg(long, value_enum, default_value_t)]
    arch: Families,
    /// Where to leave the archive and the lists [default: image in the target directory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pack this program, which was built before and is linked statically, instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// What compiles the eBPF half.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
}

/// Families of machines, by the names that images have for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Families {
    /// That of this machine.
    #[default]
    Host,
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
    /// All of them, in one archive.
    All,
}

impl Families {
    fn archs(self) -> Result<Vec<Arch>> {
        let named = |name: &str| KNOWN.into_iter().filter(|arch| arch.debian == name).collect();
        Ok(match self {
            Self::Host => vec![Arch::host()?],
            Self::Amd64 => named("amd64"),
            Self::Arm64 => named("arm64"),
            Self::All => KNOWN.to_vec(),
        })
    }
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        let archs = self.arch.archs()?;
        ensure!(self.binary.is_none() || archs.len() == 1, "--binary is one program for one family");
        setup::for_images()?;
        let out = self.out.clone().unwrap_or_else(|| layout.target.join("image"));
        let programs = match &self.binary {
            Some(binary) => vec![binary.clone()],
            None => self.build(&layout, &archs)?,
        };
        let programs: Vec<_> = archs.into_iter().zip(programs).collect();
        make(&layout, &programs, &out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn build(&self, layout: &Layout, archs: &[Arch]) -> Result<Vec<PathBuf>> {
        let tools = setup::for_building(layout, self.toolchain)?;
        archs
            .iter()
            .map(|arch| {
                let shipping = setup::for_shipping(layout, *arch)?;
                build::ebpf(layout, &tools, *arch)?;
                build::shipped(layout, &shipping, *arch)?;
                Ok(layout.shipped(*arch))
            })
            .collect()
    }
}

/// Packs a program that was built before, and tells where the archive is.
pub(super) fn pack(layout: &Layout, arch: Arch, program: &Path, out: &Path) -> Result<PathBuf> {
    make(layout, &[(arch, program.to_owned())], out)
}

fn make(layout: &Layout, programs: &[(Arch, PathBuf)], out: &Path) -> Result<PathBuf> {
    let origin = Origin::of(layout)?;
    let images = programs
        .iter()
        .map(|(arch, program)| Image::make(layout, &origin, *arch, program))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let name = match programs {
        [(arch, _)] => format!("timejump-{}-{}.oci.tar", origin.version, arch.debian),
        _ => format!("timejump-{}.oci.tar", origin.version),
    };
    let archive = out.join(name);
    let written = oci::write(&archive, &origin, &images)?;
    let mut files = vec![archive.clone()];
    for image in &images {
        let list = out.join(format!("timejump-{}-{}.cdx.json", origin.version, image.arch.debian));
        fs::write(&list, &image.sbom).with_context(|| format!("cannot write {}", list.display()))?;
        files.push(list);
    }
    told(&origin, &written, programs, &files)?;
    Ok(archive)
}

fn told(
    origin: &Origin,
    written: &oci::Written,
    programs: &[(Arch, PathBuf)],
    files: &[PathBuf],
) -> Result<()> {
    eprintln!("\n  {REPOSITORY}:{}", origin.version);
    eprintln!("  {}", written.digest);
    eprintln!("  from {}, stamped {}\n", origin.revision, origin.created);
    eprintln!("  {:<8} {:>10} {:>10}  manifest", "for", "program", "to fetch");
    for ((arch, digest, fetched), (_, program)) in written.images.iter().zip(programs) {
        let (program, fetched) = (mebibytes(size(program)?), mebibytes(*fetched));
        eprintln!("  {:<8} {program:>10} {fetched:>10}  {digest}", arch.debian);
    }
    eprintln!();
    for file in files {
        eprintln!("  {:>10}  {}", mebibytes(size(file)?), file.display());
    }
    Ok(())
}

fn size(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?.len())
}

/// With two digits after the point.
fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes * 100 / (1 << 20);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_mebibytes() {
        assert_eq!(mebibytes(15 << 20), "15.00 MiB");
        assert_eq!(mebibytes(1_100_000), "1.04 MiB");
        assert_eq!(mebibytes(0), "0.00 MiB");
    }

    #[test]
    fn all_families_are_known_by_the_names_that_images_have() {
        assert_eq!(Families::All.archs().unwrap().len(), 2);
        for (families, name) in [(Families::Amd64, "amd64"), (Families::Arm64, "arm64")] {
            assert_eq!(families.archs().unwrap()[0].debian, name);
        }
    }
}
