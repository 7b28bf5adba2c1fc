//! What is to be fetched and kept on each node.

use std::fs;

use anyhow::{Context, Result};

use crate::{arch::Arch, layout::Layout, rivals};

/// What the program may have, MB: each node fetches it.
pub const MOST_MB: u64 = 12;

/// Sizes in bytes.
#[derive(Debug)]
pub struct Sizes {
    /// The program.
    pub program: u64,
    /// The archive of the image, compressed as it is fetched.
    pub image: Option<u64>,
    /// What one would run instead: name, and program with its libraries.
    pub rivals: [(&'static str, u64); 2],
}

impl Sizes {
    /// Of what was built last.
    pub fn of(layout: &Layout) -> Result<Self> {
        let arch = Arch::host()?;
        let shipped = layout.shipped(arch);
        let program =
            fs::metadata(&shipped).with_context(|| format!("cannot look at {}", shipped.display()))?.len();
        let archive = layout.target.join(format!(
            "image/timejump-{}-{}.oci.tar",
            env!("CARGO_PKG_VERSION"),
            arch.debian
        ));
        let image = fs::metadata(archive).ok().map(|archive| archive.len());
        Ok(Self { program, image, rivals: rivals::sizes(layout)? })
    }
}
