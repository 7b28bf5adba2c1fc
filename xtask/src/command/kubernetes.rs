//! `cargo xtask kubernetes`: builds real components for the test that is optional.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    kubernetes::{self, COMPONENTS},
    layout::Layout,
};

/// Builds kube-apiserver, kubelet and etcd, and prints the variables that name them.
///
/// Tests with them run where those variables are set: `eval "$(cargo xtask kubernetes)"`, then `cargo xtask test`. The
/// source and the compiler are Debian's; nothing is installed. It takes minutes and some gigabytes while it works.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    /// Does it.
    #[expect(clippy::print_stdout, reason = "a shell is to evaluate it")]
    pub fn run(&self) -> Result<ExitCode> {
        let folder = kubernetes::build(&Layout::find()?)?;
        for component in &COMPONENTS {
            println!("export {}='{}'", component.variable, folder.join(component.name).display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
