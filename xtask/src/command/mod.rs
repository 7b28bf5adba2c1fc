//! The subcommands, one a file.

pub mod bench;
pub mod build;
pub mod build_ebpf;
pub mod demo;
pub mod fuzz;
pub mod image;
pub mod kubernetes;
pub mod manifests;
pub mod run;
pub mod setup;
pub mod test;
pub mod vm;
