//! What the other figures are held against, and what the hook adds to a step.

use anyhow::{Result, bail};
use rustix::process::Signal;
use serde::Serialize;
use timejump::deliver::grpc::{Address, Client};

use super::figures::{Ratio, Spread};
use super::subject::{Keep, Subject};
use super::{say, steps};
use crate::report::Expect;
use crate::stage::Stage;
use crate::sys::clock::boot_ns;

/// Samples of each kind.
const SAMPLES: u64 = 300;

/// What the machine itself takes.
#[derive(Debug, Serialize)]
pub struct Baseline {
    /// Looking at the clock.
    pub clock_ns: Spread,
    /// A byte through a pipe to a thread that waits for it.
    pub hand_over_ns: Spread,
    /// `GetStatus`, there and back, of an idle daemon.
    pub get_status_ns: Spread,
    /// The same in terms of hand-overs: medians.
    pub get_status_ratio: Ratio,
    /// A step's system call, with no daemon and with one.
    pub step: Step,
}

/// How long the system call takes that steps the clock.
#[derive(Debug, Serialize)]
pub struct Step {
    /// With no daemon: before it was started and after it ended.
    pub without_daemon_ns: Spread,
    /// With it.
    pub with_daemon_ns: Spread,
    /// With one that is stopped, so that the hook alone runs.
    pub hook_alone_ns: Spread,
    /// The hook alone, in terms of none: medians.
    pub hook_alone_ratio: Ratio,
    /// With, in terms of without: medians.
    pub ratio: Ratio,
    /// After, in terms of before, both without: how much of the ratio above may be chance.
    pub drift: Ratio,
}

/// Measures all of it.
pub fn measure(stage: &Stage) -> Result<Baseline> {
    say("baselines");
    let clock_ns = Spread::of(steps::looks(1000))?;
    let hand_over_ns = Spread::of(steps::hand_overs(SAMPLES)?)?;
    let before = steps::costs(&stage.guest, SAMPLES)?;
    let subject = Subject::start(stage, Keep::OnDisk, &[])?;
    let with = steps::costs(&stage.guest, 2 * SAMPLES)?;
    subject.signal(Signal::STOP)?;
    // Fewer than the ring holds.
    let hook_alone = steps::costs(&stage.guest, SAMPLES)?;
    subject.signal(Signal::CONT)?;
    let get_status_ns = Spread::of(round_trips(&subject.address())?)?;
    subject.stop(&Expect::default())?;
    let after = steps::costs(&stage.guest, SAMPLES)?;

    let drift = Ratio::of(Spread::of(after.clone())?.median, Spread::of(before.clone())?.median);
    let without_daemon_ns = Spread::of([before, after].concat())?;
    let with_daemon_ns = Spread::of(with)?;
    let hook_alone_ns = Spread::of(hook_alone)?;
    let hook_alone_ratio = Ratio::of(hook_alone_ns.median, without_daemon_ns.median);
    let ratio = Ratio::of(with_daemon_ns.median, without_daemon_ns.median);
    Ok(Baseline {
        clock_ns,
        hand_over_ns,
        get_status_ns,
        get_status_ratio: Ratio::of(get_status_ns.median, hand_over_ns.median),
        step: Step { without_daemon_ns, with_daemon_ns, hook_alone_ns, hook_alone_ratio, ratio, drift },
    })
}

/// `GetStatus`, again and again.
fn round_trips(address: &Address) -> Result<Vec<i64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::connect(address, None).await?;
        let mut taken = Vec::new();
        for number in 0..10 + SAMPLES {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let began = boot_ns();
            client.status().await?;
            // The first ones warm up.
            if number >= 10 {
                taken.push(boot_ns() - began);
            }
        }
        Ok(taken)
    })
}

/// Entries that consumers were too slow for, as the daemon counts them.
pub fn lagged(address: &Address) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async { Client::connect(address, None).await?.status().await })?;
    let Some(daemon) = status.daemon else { bail!("a daemon's status tells of the daemon") };
    Ok(daemon.consumers.lagged)
}
