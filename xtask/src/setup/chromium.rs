//! Chromium, in which tests open what `timejump report` writes.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::packages::{self, Package};
use crate::process;

/// What it is called, by one distribution or another.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The one in PATH; installs Debian's if there is none.
pub(super) fn provide() -> Result<PathBuf> {
    if find().is_none() {
        packages::install(&[
            Package { name: "chromium", why: "opens reports in tests" },
            // It comes without any.
            Package { name: "fonts-dejavu-core", why: "letters for Chromium, which has none of its own" },
        ])?;
    }
    find().context("chromium is still not in PATH")
}

fn find() -> Option<PathBuf> {
    NAMES.into_iter().find_map(process::find)
}
