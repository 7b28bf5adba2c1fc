//! The files of an image: the program, what it was made of, and the folders that pods mount something on.

use std::{fs, io};

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use super::Origin;
use crate::layout::Layout;

/// Where the list of components is.
pub const SBOM_IN_IMAGE: &str = "usr/share/sbom/timejump.cdx.json";
const DOCUMENTS: &str = "usr/share/doc/timejump";

/// Folders, parents first. Runtimes make those that are missing, but not all can on a root that is read-only.
const FOLDERS: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("host", 0o755),
    ("host/proc", 0o755),
    ("host/sys", 0o755),
    ("host/sys/fs", 0o755),
    ("host/sys/fs/cgroup", 0o755),
    ("proc", 0o755),
    ("run", 0o755),
    ("run/log", 0o755),
    ("run/log/journal", 0o755),
    ("run/timejump", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/share", 0o755),
    ("usr/share/doc", 0o755),
    (DOCUMENTS, 0o755),
    ("usr/share/sbom", 0o755),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/lib/kubelet", 0o755),
    ("var/lib/timejump", 0o700),
    ("var/log", 0o755),
    ("var/log/journal", 0o755),
];

/// The tar archive: the same bytes for the same contents.
pub(super) fn make(
    layout: &Layout,
    origin: &Origin,
    program: &[u8],
    sbom: &str,
    notices: &str,
) -> Result<Vec<u8>> {
    let mut layer = Layer { tar: Builder::new(Vec::new()), epoch_s: origin.epoch_s };
    for (path, mode) in FOLDERS {
        layer.folder(path, *mode)?;
    }
    layer.file("timejump", program, 0o755)?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let path = layout.root.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        layer.file(&format!("{DOCUMENTS}/{name}"), &text, 0o644)?;
    }
    layer.file(&format!("{DOCUMENTS}/NOTICES"), notices.as_bytes(), 0o644)?;
    layer.file(SBOM_IN_IMAGE, sbom.as_bytes(), 0o644)?;
    Ok(layer.tar.into_inner()?)
}

struct Layer {
    tar: Builder<Vec<u8>>,
    epoch_s: u64,
}

impl Layer {
    fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let mut header = self.header(0, mode);
        header.set_entry_type(EntryType::Directory);
        self.tar.append_data(&mut header, format!("{path}/"), io::empty())
    }

    fn file(&mut self, path: &str, contents: &[u8], mode: u32) -> io::Result<()> {
        let mut header = self.header(contents.len() as u64, mode);
        self.tar.append_data(&mut header, path, contents)
    }

    fn header(&self, size: u64, mode: u32) -> Header {
        let mut header = Header::new_ustar();
        header.set_size(size);
        header.set_mode(mode);
        header.set_mtime(self.epoch_s);
        header.set_uid(0);
        header.set_gid(0);
        header
    }
}
