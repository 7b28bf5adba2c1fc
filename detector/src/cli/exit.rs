//! Exit statuses, by sysexits.h.

use std::fmt;

/// Fine.
pub(crate) const OK: u8 = 0;
/// Problems were found.
pub(crate) const PROBLEMS: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// What was asked for cannot be had here: the daemon is not reachable, or the rung does not work.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Input or output failed.
pub(crate) const IO: u8 = 74;
/// Not permitted.
pub(crate) const NOT_PERMITTED: u8 = 77;
/// Configuration.
pub(crate) const CONFIGURATION: u8 = 78;

/// An error and the status to exit with.
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// Nothing where there is nothing to say.
    pub(crate) error: Option<anyhow::Error>,
}

impl Failure {
    pub(crate) fn new(code: u8, error: impl fmt::Display) -> Self {
        Self { code, error: Some(anyhow::anyhow!("{error}")) }
    }

    /// All was said, and it is not well.
    pub(crate) fn problems() -> Self {
        Self { code: PROBLEMS, error: None }
    }

    /// Whoever would have read on has gone.
    pub(crate) fn quiet() -> Self {
        Self { code: OK, error: None }
    }
}
