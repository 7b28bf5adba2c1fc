//! What timejump has set itself, beside what was measured.

use serde::Serialize;

/// One goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Goal {
    /// What is measured.
    pub what: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub measured: String,
    /// Whether it is as it should be.
    pub met: bool,
}

impl Goal {
    /// A goal and how it went.
    pub fn new(what: impl Into<String>, wanted: impl Into<String>, measured: String, met: bool) -> Self {
        Self { what: what.into(), wanted: wanted.into(), measured, met }
    }
}
