//! Programs of unpacked packages, put into a guest with the loader and the libraries that they need and no others.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use goblin::elf::Elf;

use crate::{arch::Arch, vm::Tree};

/// Copies programs, and whatever they are linked with, from the folder `root` to the same places in the guest.
pub(crate) fn install(
    root: &Path,
    programs: impl IntoIterator<Item = PathBuf>,
    tree: &mut Tree,
) -> Result<()> {
    let libraries = Path::new("usr/lib").join(Arch::host()?.multiarch);
    let mut todo: Vec<PathBuf> = programs.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = on_disk(root, &path)?;
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let elf = Elf::parse(&bytes).with_context(|| format!("{} is no ELF file", file.display()))?;
        todo.extend(elf.interpreter.map(|loader| PathBuf::from(loader.trim_start_matches('/'))));
        for library in &elf.libraries {
            todo.push(libraries.join(library));
        }
        tree.copy(&path.to_string_lossy(), file);
    }
    Ok(())
}

/// Where a file of the guest is in the unpacked packages, links followed: some are spelled without `usr`, and absolute
/// links mean the guest's root.
fn on_disk(root: &Path, path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    // More links than this are a loop.
    for _ in 0..8 {
        let unmerged = path.strip_prefix("usr").unwrap_or(&path).to_owned();
        let merged = Path::new("usr").join(&unmerged);
        let Some(file) = [&merged, &unmerged]
            .map(|place| root.join(place))
            .into_iter()
            .find(|place| place.symlink_metadata().is_ok())
        else {
            bail!("{} is in none of the packages fetched for guests", path.display());
        };
        let Ok(target) = fs::read_link(&file) else { return Ok(file) };
        path = match target.strip_prefix("/") {
            Ok(absolute) => absolute.to_owned(),
            Err(_) => path.parent().unwrap_or(Path::new("")).join(target),
        };
    }
    bail!("{} is a link to itself", path.display())
}
