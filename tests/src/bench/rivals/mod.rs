//! timejump beside what an operator would run instead, in the same guest: bpftrace's one-liners, and auditd with the rules that
//! hardening guides give for changes of time. One runs at a time.

mod auditd;
mod bpftrace;
pub mod cost;
mod follower;
pub mod latency;
pub mod rest;
pub mod start;
pub mod stepper;
pub mod table;

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use self::auditd::relay;
use self::{auditd::Auditd, bpftrace::Bpftrace, follower::Follower, stepper::Stepper};
use super::board::Board;
use super::steps::SETTLED;
use super::subject::{Keep, STDOUT, Subject};
use crate::report::Expect;
use crate::stage::Stage;
use crate::sys::clock::{Deadline, boot_ns};

/// How long anything may take to tell of its first step: bpftrace compiles first.
const START: Duration = Duration::from_mins(2);
/// Between two steps that ask whether somebody watches yet.
const ASK: Duration = Duration::from_millis(5);

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// timejump on the rung of this name.
    Timejump(&'static str),
    /// bpftrace on the system calls that set the clock.
    BpftraceCalls,
    /// bpftrace on the kernel's functions behind them, as one who knows them would have it.
    BpftraceFunctions,
    /// auditd with rules for the system calls, and a plugin that is told of them.
    Auditd,
}

/// Those that are timed, the first being timejump as it is.
pub const TIMED: [Who; 4] =
    [Who::Timejump("fentry"), Who::BpftraceCalls, Who::BpftraceFunctions, Who::Auditd];

impl Who {
    /// As tables have it.
    pub fn name(self) -> String {
        match self {
            Self::Timejump("fentry") => "timejump".to_owned(),
            Self::Timejump(rung) => format!("timejump, {rung}"),
            Self::BpftraceCalls => "bpftrace, system calls".to_owned(),
            Self::BpftraceFunctions => "bpftrace, functions".to_owned(),
            Self::Auditd => "auditd".to_owned(),
        }
    }
}

/// Somebody who watches.
pub struct Watch {
    /// Where what is told is noted: a column for what comes on standard output, and one for timejump's consumer.
    pub board: Arc<Board>,
    kind: Kind,
}

enum Kind {
    Timejump(Box<Subject>, Option<Follower>),
    Bpftrace(Bpftrace),
    Auditd(Auditd),
}

impl Watch {
    /// Starts it. It may not watch yet.
    pub fn start(stage: &Stage, who: Who) -> Result<Self> {
        let (kind, board) = match who {
            Who::Timejump(rung) => {
                let subject = Subject::on_rung(stage, rung, Keep::OnDisk, &[])?;
                let board = Arc::clone(&subject.board);
                (Kind::Timejump(Box::new(subject), None), board)
            }
            Who::BpftraceCalls | Who::BpftraceFunctions => {
                let board = Arc::new(Board::new(1));
                (Kind::Bpftrace(Bpftrace::start(who == Who::BpftraceCalls, &board)?), board)
            }
            Who::Auditd => {
                let board = Arc::new(Board::new(1));
                (Kind::Auditd(Auditd::start(stage, &board)?), board)
            }
        };
        Ok(Self { board, kind })
    }

    /// Waits until it watches; when that was known, ns since boot. timejump has said so by its status line; for others, the clock is
    /// stepped to and fro until they tell of it.
    pub fn watches(&self, stage: &Stage) -> Result<i64> {
        if matches!(self.kind, Kind::Timejump(..)) {
            return Ok(boot_ns());
        }
        let deadline = Deadline::after(START);
        let mut stepper = Stepper::start(stage)?;
        let mut number = 0;
        while self.board.latest() == 0 {
            ensure!(!deadline.passed(), "nothing was told in {START:?}");
            stepper.step(number)?;
            number += 1;
            sleep(ASK);
        }
        if !number.is_multiple_of(2) {
            stepper.step(number)?;
        }
        Ok(self.board.latest())
    }

    /// Lets what is on its way come, and begins to note anew, for one consumer.
    pub fn begin(&mut self, stage: &Stage) -> Result<()> {
        sleep(SETTLED);
        let columns = self.columns();
        self.board.clear(columns);
        if let Kind::Timejump(subject, follower) = &mut self.kind {
            *follower = Some(Follower::start(&subject.cli(stage), &self.board, columns - 1)?);
            sleep(SETTLED);
        }
        Ok(())
    }

    /// Makes a step and waits until it is told; how long that took to the consumer, and to standard output where that is another way,
    /// ns.
    pub fn timed(&self, stepper: &mut Stepper, number: u64) -> Result<(i64, Option<i64>)> {
        let columns = self.columns();
        self.board.await_more(u64::try_from(columns)?);
        let began = stepper.step(number)?;
        self.board.wait()?;
        let to = |column| anyhow::Ok(self.board.last_of(column).context("it was told")? - began);
        Ok((to(columns - 1)?, (columns > 1).then(|| to(STDOUT)).transpose()?))
    }

    /// Standard output, and behind it timejump's consumer.
    fn columns(&self) -> usize {
        if matches!(self.kind, Kind::Timejump(..)) { 2 } else { 1 }
    }

    /// Whose memory and processor time is its.
    pub fn pid(&self) -> u32 {
        match &self.kind {
            Kind::Timejump(subject, _) => subject.pid(),
            Kind::Bpftrace(bpftrace) => bpftrace.pid(),
            Kind::Auditd(auditd) => auditd.pid(),
        }
    }

    /// Ends it.
    pub fn stop(self) -> Result<()> {
        match self.kind {
            Kind::Timejump(subject, follower) => {
                drop(follower);
                subject.stop(&Expect { may_lag: true, ..Expect::default() }).map(drop)
            }
            Kind::Bpftrace(bpftrace) => bpftrace.stop(),
            Kind::Auditd(auditd) => auditd.stop(),
        }
    }
}
