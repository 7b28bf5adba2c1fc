//! What the daemon needs while nothing happens, and while half of its consumers stand still.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::consumers::Consumers;
use super::steps::{LOUD, step};
use super::subject::{Keep, STDOUT, Subject};
use super::{COUNTS, baseline, say};
use crate::idle::{self, anonymous_kib, resident_kib};
use crate::report::Expect;
use crate::stage::Stage;

const STUCK: usize = 50;
/// Steps between two looks while some stand still: by the second look, all queues on the way to them are full.
const STEPS: u64 = 3000;
const LOOKS: usize = 4;
/// Steps that may be on their way at once.
const IN_FLIGHT: u64 = 100;
const IDLE: Duration = Duration::from_secs(10);

/// Memory of the daemon, KiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Usage {
    /// `VmRSS`: with its program's own pages, which the kernel may drop.
    pub resident_kib: i64,
    /// `RssAnon`: what it has written to.
    pub anonymous_kib: i64,
}

/// Memory and rest.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// With so many consumers that are told nothing.
    pub idle: Vec<(usize, Usage)>,
    /// Context switches of all its threads in 10 s with the most consumers.
    pub idle_switches: u64,
    /// Of which so many ran.
    pub idle_seconds: u64,
    /// While some stand still.
    pub stuck: Stuck,
}

/// Steps in a storm, told to consumers of which some stand still.
#[derive(Debug, Serialize)]
pub struct Stuck {
    /// Consumers.
    pub consumers: usize,
    /// Those of them that stand still.
    pub standing: usize,
    /// Steps before each look.
    pub steps: u64,
    /// At each look; by the second, all queues are full.
    pub looks: Vec<Usage>,
    /// What those that stand still had missed by each look.
    pub missed: Vec<u64>,
    /// By how much the last look is above the one before.
    pub grown: Usage,
}

impl Usage {
    /// Of a daemon, once it has come to rest.
    pub fn at_rest(subject: &Subject) -> Result<Self> {
        idle::wake_ups(subject.pid(), Duration::ZERO)?;
        Self::of(subject.pid())
    }

    /// Of any process, now.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self {
            resident_kib: resident_kib(pid)?.try_into()?,
            anonymous_kib: anonymous_kib(pid)?.try_into()?,
        })
    }
}

/// Measures all of it.
pub fn measure(stage: &Stage) -> Result<Memory> {
    let subject = Subject::start(stage, Keep::OnDisk, &[])?;
    say("memory: idle");
    let mut idle = vec![(0, Usage::at_rest(&subject)?)];
    let mut idle_switches = 0;
    for count in COUNTS {
        let consumers = Consumers::follow(&subject.address(), count, &subject.board, 1)?;
        idle.push((count, Usage::at_rest(&subject)?));
        if Some(&count) == COUNTS.last() {
            say("context switches");
            idle_switches = idle::wake_ups(subject.pid(), IDLE)?;
        }
        drop(consumers);
    }
    let stuck = half_stuck(stage, &subject)?;
    subject.stop(&Expect::default())?;
    Ok(Memory { idle, idle_switches, idle_seconds: IDLE.as_secs(), stuck })
}

fn half_stuck(stage: &Stage, subject: &Subject) -> Result<Stuck> {
    let most = COUNTS.into_iter().max().unwrap_or(STUCK);
    let alive = most - STUCK;
    // Nobody looks at single arrivals here.
    subject.board.clear(0);
    let _stuck = Consumers::stuck(&subject.address(), STUCK)?;
    let _alive = Consumers::follow(&subject.address(), alive, &subject.board, 1 + STDOUT)?;
    let mut looks = Vec::new();
    let mut missed = Vec::new();
    for _ in 0..LOOKS {
        say(&format!("memory: {STEPS} steps, {alive} consumers and {STUCK} that stand still"));
        for number in 0..STEPS {
            if number % IN_FLIGHT == 0 {
                subject.board.wait()?;
                subject.board.await_more(IN_FLIGHT * (1 + u64::try_from(alive)?));
            }
            step(&stage.guest, number, LOUD)?;
        }
        subject.board.wait()?;
        looks.push(Usage::at_rest(subject)?);
        missed.push(baseline::lagged(&subject.address())?);
    }
    let (full, later) = (looks[LOOKS - 2], looks[LOOKS - 1]);
    let grown = Usage {
        resident_kib: later.resident_kib - full.resident_kib,
        anonymous_kib: later.anonymous_kib - full.anonymous_kib,
    };
    Ok(Stuck { consumers: most, standing: STUCK, steps: STEPS, looks, missed, grown })
}
