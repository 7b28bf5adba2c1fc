//! What jumps do to the CPU statistics of a node, on the runtimes that real nodes have.

use anyhow::{Context, Result, ensure};

use crate::node::containerd::Containerd;
use crate::node::eviction::{Eviction, Seen};
use crate::node::pod::{BURN, IDLE, Pod};
use crate::node::sample::Sample;
use crate::node::version::Version;
use crate::stage::{Stage, seconds};
use crate::sys::SECOND;

/// No multiple of the period of polls: at the end the wall clock then shows half a period more than it did last before
/// the step, not a moment more or less.
const BACK_NS: i64 = seconds(55);
/// A step that nobody waits out.
const FAR_BACK_NS: i64 = seconds(3600);
/// From here on rates do not come of who asks when. What Debian's unstable release has is to get there.
const COLLECTS: Version = Version::new(2, 3);
/// What is asked before the step: the first answer has no rate yet.
const POLLS_BEFORE: usize = 3;

/// A step back, waited out.
pub(super) fn stats_cache(stage: &Stage) -> Result<()> {
    Rig::recorded(stage, |rig| {
        let before = rig.before()?;
        rig.eviction.step(&stage.guest, -BACK_NS)?;
        let passed = rig.stuck_until_passed(&before)?;
        rig.spikes(&before, &passed)?;
        rig.is_as_before(&before)
    })
}

/// A step back, cured: what containerd reckons rates from does not outlive it.
pub(super) fn stats_cache_restart(stage: &Stage) -> Result<()> {
    Rig::recorded(stage, |rig| {
        let before = rig.before()?;
        rig.eviction.step(&stage.guest, -FAR_BACK_NS)?;
        let seen = rig.poll()?;
        rig.is_stuck(&before, &seen)?;
        rig.containerd.restart()?;
        let first = rig.poll()?;
        rig.is_first(&first)?;
        rig.is_as_before(&before)
    })
}

/// A node with a pod that burns CPU time and one that does not.
struct Rig {
    containerd: Containerd,
    pods: [Pod; 2],
    eviction: Eviction,
}

/// How things were before a step.
struct Before {
    /// The rate of the burning pod, in billionths of a processor.
    nano_cores: u64,
    /// Its last answer.
    last: Sample,
}

impl Rig {
    /// Makes the node, does something with it, and writes down what was seen, however that ended.
    fn recorded(stage: &Stage, trial: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut containerd = Containerd::start(stage)?;
        let version = containerd.version;
        ensure!(
            version < COLLECTS,
            "containerd {version} collects rates by itself, which nothing here expects"
        );
        let pods = [BURN.run(&mut containerd.cri)?, IDLE.run(&mut containerd.cri)?];
        let eviction = Eviction::begin(&containerd, &pods);
        let mut rig = Self { containerd, pods, eviction };
        let outcome = trial(&mut rig);
        for entry in rig.eviction.record() {
            println!("{}", entry.line()?);
        }
        outcome?;
        rig.stop()
    }

    fn stop(mut self) -> Result<()> {
        for pod in &self.pods {
            self.containerd.cri.remove_pod_sandbox(&pod.sandbox)?;
        }
        self.containerd.stop()
    }

    /// The next answer of the burning pod.
    fn poll(&mut self) -> Result<Seen> {
        let seen = self.eviction.poll(&mut self.containerd)?;
        seen.into_iter().next().context("there is a pod that burns")
    }

    /// Asks until there is a rate to compare with.
    fn before(&mut self) -> Result<Before> {
        let mut last = self.poll()?;
        self.is_first(&last)?;
        for _ in 1..POLLS_BEFORE {
            last = self.poll()?;
        }
        let nano_cores = self.rate(&last)?;
        ensure!((50_000_000..1_000_000_000).contains(&nano_cores), "it burns 0.3 of a processor: {last:?}");
        Ok(Before { nano_cores, last: last.sample })
    }

    /// An answer that containerd has nothing to reckon a rate from for.
    fn is_first(&self, seen: &Seen) -> Result<()> {
        let unknown = if self.version().tells_rates() { Some(0) } else { None };
        ensure!(seen.sample.usage_nano_cores == unknown, "a first answer has no rate: {seen:?}");
        Ok(())
    }

    /// An answer whose stamp is not past the last one from before the step.
    fn is_stuck(&self, before: &Before, seen: &Seen) -> Result<()> {
        if self.version().tells_rates() {
            ensure!(seen.sample.usage_nano_cores == Some(0), "containerd has no rate: {seen:?}");
            return Ok(());
        }
        ensure!(seen.sample.usage_nano_cores.is_none(), "containerd never has a rate: {seen:?}");
        let refused = seen.kubelet.err().with_context(|| format!("kubelet has no rate: {seen:?}"))?;
        ensure!(refused.cached_ns == before.last.timestamp_ns, "its cache stands still: {refused}");
        let read = self.eviction.read(&seen.sample.container);
        ensure!(read == Some(before.nano_cores), "its readers are told what was: {read:?}");
        Ok(())
    }

    /// Asks until the wall clock has passed the last answer from before the step, and gives the first one after that.
    fn stuck_until_passed(&mut self, before: &Before) -> Result<Seen> {
        let mut stuck = 0;
        loop {
            let seen = self.poll()?;
            if seen.sample.timestamp_ns > before.last.timestamp_ns {
                ensure!(stuck > 0, "the step was to be longer than a period: {seen:?}");
                return Ok(seen);
            }
            self.is_stuck(before, &seen)?;
            stuck += 1;
        }
    }

    /// All that was used since the last answer from before, as if it was used since its stamp.
    fn spikes(&self, before: &Before, seen: &Seen) -> Result<()> {
        let spike = i128::from(self.rate(seen)?);
        let counter = |sample: &Sample| sample.usage_core_ns.context("there is a counter");
        let used = i128::from(counter(&seen.sample)? - counter(&before.last)?);
        let interval = i128::from(seen.sample.timestamp_ns - before.last.timestamp_ns);
        let expected = used * i128::from(SECOND) / interval;
        // containerd and kubelet reckon in floating point.
        ensure!((spike - expected).abs() <= 1000, "a spike of {expected}: {seen:?}");
        // Whatever the steps between: the time that went by, over the time that the stamps say did.
        let elapsed = i128::from(seen.sample.boot_ns - before.last.boot_ns);
        let foretold = i128::from(before.nano_cores) * elapsed / interval;
        // An emulated machine burns less at times.
        ensure!((foretold / 2..=foretold * 2).contains(&spike), "a spike of about {foretold}: {seen:?}");
        Ok(())
    }

    /// One answer more, as if nothing had been.
    fn is_as_before(&mut self, before: &Before) -> Result<()> {
        let seen = self.poll()?;
        let nano_cores = self.rate(&seen)?;
        let usual = before.nano_cores;
        ensure!((usual / 2..=usual * 2).contains(&nano_cores), "about {usual} as before: {seen:?}");
        Ok(())
    }

    /// What kubelet has for a rate, which is the runtime's own if it has any.
    fn rate(&self, seen: &Seen) -> Result<u64> {
        let version = self.version();
        let told = seen.sample.usage_nano_cores.is_some();
        ensure!(told == version.tells_rates(), "containerd {version}: {seen:?}");
        seen.kubelet?.with_context(|| format!("no rate: {seen:?}"))
    }

    fn version(&self) -> Version {
        self.containerd.version
    }
}
