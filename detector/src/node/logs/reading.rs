//! What a log betrays.

use std::path::PathBuf;

use super::Said;
use crate::{clock::WallNs, node::kubelet_log::StuckLine};

/// What was read of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReading {
    /// Its path, as the node names it.
    pub path: PathBuf,
    /// Lines read.
    pub lines: u64,
    /// Lines with a stamp.
    pub stamped: u64,
    /// The stamps of the first line that has one and of the last.
    pub span: Option<(WallNs, WallNs)>,
    /// Whether any stamp was in local time.
    pub local: bool,
    /// Whether any stamp named no year.
    pub yearless: bool,
    /// Whether only its end was read.
    pub cut: bool,
    /// Where stamps go back or leap ahead, in their order.
    pub turnings: Vec<Turning>,
    /// What lines say of the clock, in their order.
    pub claims: Vec<Claim>,
    /// What lines say of kubelet's cache, in their order: of each stamp that it is stuck at the first and the last.
    pub stuck: Vec<StuckSeen>,
    /// Starts of kubelet and of the container runtime.
    pub starts: Vec<Start>,
    /// What was left out of these because there was too much of it.
    pub left_out: u64,
    /// What could not be read.
    pub trouble: Option<String>,
}

/// Two lines that follow each other, and whose stamps do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turning {
    /// The number of the second line.
    pub line: u64,
    /// The first line's stamp.
    pub from: WallNs,
    /// The second line's stamp.
    pub to: WallNs,
    /// So much time may have gone by between the two, as far as the lines before tell, ns.
    pub slack_ns: i128,
    /// Whether it is the stamp of a single line that is out of place.
    pub lone: bool,
}

/// A line that speaks of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number.
    pub line: u64,
    /// Its stamp, or the last one before it.
    pub wall: Option<WallNs>,
    /// What it says.
    pub said: Said,
    /// The program and its pid, as the line has it: `chronyd[917]`.
    pub by: Option<String>,
    /// The line, cut.
    pub text: String,
}

/// What lines say of one stamp that kubelet's cache is stuck at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckSeen {
    /// The number of the first line.
    pub line: u64,
    /// What it says.
    pub first: StuckLine,
    /// The number of the last.
    pub last_line: u64,
    /// What it says.
    pub last: StuckLine,
    /// Lines.
    pub count: u64,
}

/// A program's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The line's number.
    pub line: u64,
    /// Its stamp, or the last one before it.
    pub wall: Option<WallNs>,
    /// `kubelet` or `containerd`.
    pub program: &'static str,
    /// Its process, if the line has it.
    pub pid: Option<u32>,
    /// Its version, if the line has it.
    pub version: Option<String>,
}
