//! What an image is made from: which version, which commit, and the time that all in it is stamped with.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{layout::Layout, process};

/// Overrides the commit's time, as everywhere.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where a build comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The version of the workspace.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The time of the commit, in seconds since 1970: what was made from the same is the same.
    pub epoch_s: u64,
    /// The same as RFC 3339 has it.
    pub created: String,
}

impl Origin {
    /// That of the checkout.
    pub fn of(layout: &Layout) -> Result<Self> {
        let given = std::env::var(EPOCH).ok();
        let seconds = match given {
            Some(seconds) => seconds,
            // An archive of the source has no commit.
            None => git(layout, &["log", "-1", "--format=%ct"]).unwrap_or_else(|_| "0".to_owned()),
        };
        let epoch_s: u64 =
            seconds.trim().parse().with_context(|| format!("{EPOCH}: {seconds:?} is no number"))?;
        let created = i64::try_from(epoch_s)
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .with_context(|| format!("{EPOCH}: {epoch_s} is beyond the years that can be written"))?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: revision(layout),
            epoch_s,
            created: created.to_string(),
        })
    }
}

fn revision(layout: &Layout) -> String {
    let Ok(commit) = git(layout, &["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(layout, &["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_ok_and(|changed| changed.trim().is_empty()) { "" } else { "-modified" };
    format!("{}{mark}", commit.trim())
}

fn git(layout: &Layout, words: &[&str]) -> Result<String> {
    process::stdout(Command::new("git").args(words).current_dir(&layout.root))
}
