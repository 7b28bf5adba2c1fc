//! Exit statuses, by sysexits.h.

use std::fmt;

/// Fine.
pub(crate) const OK: u8 = 0;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// What was asked for cannot be had here.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Input or output failed.
pub(crate) const IO: u8 = 74;

/// An error and the status to exit with.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(code: u8, error: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{error}") }
    }
}
