//! A million steps at full speed: what is lost is counted, and the sum is exact.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::subject::{Keep, Subject};
use super::{say, steps};
use crate::referee;
use crate::report::Expect;
use crate::stage::Stage;

const STEPS: u64 = 1_000_000;

/// What came of them.
#[derive(Debug, Serialize)]
pub struct Million {
    /// Steps made.
    pub steps: u64,
    /// Told one by one.
    pub told: u64,
    /// Told as a number and a sum.
    pub lost: u64,
    /// Neither told nor counted.
    pub uncounted: i64,
    /// The sum of all deltas less how far the clock has come, ns.
    pub residual_ns: i64,
    /// How long the steps took, ns.
    pub took_ns: i64,
}

/// Measures it, with the default ring.
pub fn measure(stage: &Stage) -> Result<Million> {
    say("a million steps");
    let subject = Subject::start(stage, Keep::OnDisk, &[])?;
    let before = referee::wall_offset()?;
    subject.board.await_more(STEPS);
    let (took_ns, _) = steps::burst(&stage.guest, STEPS)?;
    subject.board.wait()?;
    // Whatever would come too often.
    sleep(Duration::from_secs(1));
    let after = referee::wall_offset()?;
    let report = subject.stop(&Expect { may_lag: true, ..Expect::default() })?;
    let told: u64 = report.jumps.iter().map(|jump| u64::from(jump.path != "unattributed")).sum();
    let (lost, residual_ns) = (report.lagged, report.summary.sum_of_deltas_ns - (after - before));
    let uncounted = i64::try_from(STEPS)? - i64::try_from(told)? - i64::try_from(lost)?;
    Ok(Million { steps: STEPS, told, lost, uncounted, residual_ns, took_ns })
}
