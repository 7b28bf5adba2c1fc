//! `cargo xtask manifests`: the Helm chart, made from the Kustomize tree.

use std::process::ExitCode;

use anyhow::Result;

use crate::{layout::Layout, manifests};

/// Makes the Helm chart, and the alerts as an object of Prometheus's operator, from what is written by hand in `deploy/`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing; fail if anything would change.
    #[arg(long)]
    check: bool,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        if self.check {
            manifests::check(&layout.root)?;
        } else {
            for path in manifests::write(&layout.root)? {
                eprintln!("xtask: {}", path.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
