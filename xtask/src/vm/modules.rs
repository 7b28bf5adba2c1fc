//! Kernel modules for a guest, with those that they need, in the order in which they must be loaded.

use std::{
    collections::BTreeMap,
    fs,
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::tree::Tree;

/// Where the guest finds them.
const FOLDER: &str = "timejump/modules";

/// The modules of one kernel by name, as files.
#[derive(Debug)]
pub(super) struct Modules {
    files: BTreeMap<String, PathBuf>,
}

impl Modules {
    /// Looks through a folder.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut todo = vec![folder.to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    todo.push(entry.path());
                } else if let Some((stem, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
                    files.insert(stem.replace('-', "_"), entry.path());
                }
            }
        }
        Ok(Self { files })
    }

    /// Puts modules into the guest and gives their paths there. A kernel that has none by a name has it built in or
    /// does without: whoever needs it finds out by what is missing.
    pub(super) fn install(&self, names: &[String], tree: &mut Tree) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for name in names {
            self.add(&name.replace('-', "_"), tree, &mut paths)?;
        }
        Ok(paths)
    }

    fn add(&self, name: &str, tree: &mut Tree, paths: &mut Vec<String>) -> Result<()> {
        let path = format!("/{FOLDER}/{name}.ko");
        let Some(file) = self.files.get(name) else { return Ok(()) };
        if tree.contains(&path) {
            return Ok(());
        }
        let module = read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for needed in needs(&module) {
            self.add(&needed.replace('-', "_"), tree, paths)?;
        }
        tree.bytes(&path, module);
        paths.push(path);
        Ok(())
    }
}

/// A module's ELF file: packages of newer kernels have it compressed.
fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        let mut module = Vec::new();
        lzma_rs::xz_decompress(&mut BufReader::new(fs::File::open(file)?), &mut module)
            .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        return Ok(module);
    }
    Ok(fs::read(file)?)
}

/// What a module says it needs, in its section of `key=value` strings.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_module_needs() {
        assert_eq!(needs(b"\x7fELF\0license=GPL\0depends=ptp,pps-core\0name=x\0"), ["ptp", "pps-core"]);
        assert!(needs(b"license=GPL\0depends=\0name=x\0").is_empty());
        assert!(needs(b"license=GPL\0name=x\0").is_empty());
    }
}
