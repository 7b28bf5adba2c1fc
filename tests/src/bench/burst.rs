//! Steps as fast as they can be made, and how far behind the last line comes.

use anyhow::Result;
use serde::Serialize;

use super::figures::Ratio;
use super::subject::{Keep, Subject};
use super::{say, steps};
use crate::report::Expect;
use crate::stage::Stage;
use crate::sys::SECOND;

const STEPS: u64 = 5000;
/// The default ring holds a tenth of the burst, the other one all of it.
const RINGS: [u32; 2] = [1 << 18, 1 << 22];

/// One burst at a daemon.
#[derive(Debug, Serialize)]
pub struct Burst {
    /// The kernel's ring, bytes.
    pub ring_bytes: u32,
    /// Steps made.
    pub steps: u64,
    /// Of which so many were told one by one; the others are told as a number and a sum.
    pub told: u64,
    /// How long as many steps take with no daemon, ns.
    pub alone_ns: i64,
    /// How long they took with it, ns.
    pub steps_ns: i64,
    /// From the first step to the last line, ns.
    pub told_ns: i64,
    /// Steps with a daemon in terms of those without.
    pub steps_ratio: Ratio,
    /// From the first step to the last line, in terms of the steps themselves.
    pub told_ratio: Ratio,
    /// Steps captured, stored and told, in a second.
    pub told_per_second: i64,
}

/// Measures each ring.
pub fn measure(stage: &Stage) -> Result<Vec<Burst>> {
    RINGS.into_iter().map(|ring| one(stage, ring)).collect()
}

fn one(stage: &Stage, ring_bytes: u32) -> Result<Burst> {
    say(&format!("burst: {STEPS} steps, ring of {ring_bytes} bytes"));
    let (alone_ns, _) = steps::burst(&stage.guest, STEPS)?;
    let subject = Subject::start(stage, Keep::OnDisk, &["--ring-bytes", &ring_bytes.to_string()])?;
    subject.board.await_more(STEPS);
    let (steps_ns, began) = steps::burst(&stage.guest, STEPS)?;
    subject.board.wait()?;
    let told_ns = subject.board.latest() - began;
    let told = STEPS - subject.board.losses();
    subject.stop(&Expect { may_lag: true, ..Expect::default() })?;
    Ok(Burst {
        ring_bytes,
        steps: STEPS,
        told,
        alone_ns,
        steps_ns,
        told_ns,
        steps_ratio: Ratio::of(steps_ns, alone_ns),
        told_ratio: Ratio::of(told_ns, steps_ns),
        told_per_second: i64::try_from(told)?.saturating_mul(SECOND) / told_ns.max(1),
    })
}
