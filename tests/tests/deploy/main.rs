//! What is there for operators in `deploy/`.
//!
//! Programs that are not ours are named by variables, which `cargo xtask test` sets. Without one the tests that need it say so
//! and pass, but fail where `CI` is set.

mod cluster;
mod manifests;
mod prometheus;
mod rights;
mod seccomp;
mod units;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The program that a variable names, or nothing where it is not set.
fn provided(variable: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    assert!(env::var_os("CI").is_none_or(|value| value.is_empty()), "{variable} is not set");
    println!("skipped: {variable} is not set; `cargo xtask test` sets it");
    None
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
