//! How timejump is set up, built and tested: `cargo xtask`.
#![expect(clippy::print_stderr, reason = "a developer's tool says what it does on standard error")]

pub mod arch;
pub mod build;
pub mod command;
pub mod containerd;
mod deadline;
pub mod debian;
#[cfg(test)]
mod dependencies;
pub mod image;
mod keep;
pub mod kernels;
pub mod kubernetes;
pub mod layout;
mod linked;
pub mod manifests;
#[cfg(test)]
mod pages;
pub mod process;
pub mod rivals;
pub mod setup;
pub mod userland;
pub mod vm;
