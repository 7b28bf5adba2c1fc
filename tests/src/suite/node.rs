//! What jumps do to the CPU statistics of a node, on the runtimes that real nodes have.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cli::Cli;
use crate::daemon::{Daemon, Options};
use crate::diagnosis::Diagnosis;
use crate::lines::Impact;
use crate::node::containerd::Containerd;
use crate::node::eviction::{Eviction, Seen};
use crate::node::pod::{BURN, IDLE, Pod};
use crate::node::sample::Sample;
use crate::node::version::Version;
use crate::stage::{Stage, seconds};
use crate::sys::SECOND;

/// Steps that are waited out, or not.
const MINUTE_NS: i64 = seconds(60);
const HOUR_NS: i64 = seconds(3600);
/// How much is left of an hour when a step forward has brought its end near.
const REST_NS: i64 = seconds(45);
/// How long the daemon may take to tell what must come.
const TELLING: Duration = Duration::from_secs(40);
/// From here on rates do not come of who asks when. What Debian's unstable release has is to get there.
const COLLECTS: Version = Version::new(2, 3);
/// What is asked before the step: the first answer has no rate yet.
const POLLS_BEFORE: usize = 3;

/// What the daemon foretells of steps back, against what the runtime then answers: a minute, waited out; an hour, whose
/// end a step forward brings near; an hour forward, and back.
pub(super) fn stats_foretold(stage: &Stage) -> Result<()> {
    Rig::recorded(stage, |rig, daemon| {
        let mut before = rig.before()?;
        let foretold = rig.step_back(stage, daemon, "1 min back", MINUTE_NS)?;
        before = rig.comes_true(daemon, &before, &foretold)?;

        let foretold = rig.step_back(stage, daemon, "1 h back", HOUR_NS)?;
        rig.is_confirmed(daemon, &before, &foretold)?;
        rig.eviction.step(&stage.guest, HOUR_NS - REST_NS)?;
        before = rig.comes_true(daemon, &before, &foretold)?;

        rig.eviction.step(&stage.guest, HOUR_NS)?;
        rig.is_diluted(&before)?;
        before = rig.is_as_before(&before)?;
        let foretold = rig.step_back(stage, daemon, "1 h forward and back", HOUR_NS)?;
        rig.is_confirmed(daemon, &before, &foretold)?;
        rig.eviction.step(&stage.guest, HOUR_NS - REST_NS)?;
        rig.comes_true(daemon, &before, &foretold).map(drop)
    })
}

/// A step back, cured: what containerd reckons rates from does not outlive it.
pub(super) fn stats_restart(stage: &Stage) -> Result<()> {
    Rig::recorded(stage, |rig, daemon| {
        let before = rig.before()?;
        let foretold = rig.step_back(stage, daemon, "1 h back, containerd restarted", HOUR_NS)?;
        let seen = rig.poll()?;
        rig.is_stuck(&before, &seen)?;
        rig.is_diagnosed()?;
        rig.containerd.restart()?;
        let over = daemon.wait_for_impact("the end", TELLING, foretold.line, |impact| {
            impact.id == foretold.impact.id && impact.state == "resolved"
        })?;
        ensure!(over.evidence["ended"] == "holder_restarted", "{over:?}");
        let first = rig.poll()?;
        rig.is_first(&first)?;
        rig.is_as_before(&before).map(drop)
    })
}

/// What the daemon foretold of the burning pod.
struct Foretold {
    label: &'static str,
    /// As it was told first.
    impact: Impact,
    /// How many lines it had written by then.
    line: usize,
}

/// A node with a pod that burns CPU time and one that does not.
struct Rig {
    containerd: Containerd,
    pods: [Pod; 2],
    eviction: Eviction,
    timejump: PathBuf,
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
    fn recorded(stage: &Stage, trial: impl FnOnce(&mut Self, &mut Daemon) -> Result<()>) -> Result<()> {
        let mut containerd = Containerd::start(stage)?;
        let version = containerd.version;
        ensure!(
            version < COLLECTS,
            "containerd {version} collects rates by itself, which nothing here expects"
        );
        let pods = [BURN.run(&mut containerd.cri)?, IDLE.run(&mut containerd.cri)?];
        let log = stage.bench.dir.join("kubelet.log");
        let mut daemon = stage.daemon_with(&Options::with(&["--kubelet-log", &log.to_string_lossy()]))?;
        let eviction = Eviction::begin(&containerd, &pods, log)?;
        let timejump = stage.bench.timejump.clone();
        let mut rig = Self { containerd, pods, eviction, timejump };
        let outcome = trial(&mut rig, &mut daemon);
        for entry in rig.eviction.record() {
            println!("{}", entry.line()?);
        }
        outcome?;
        daemon.stop()?;
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
        ensure!((20_000_000..500_000_000).contains(&nano_cores), "it burns 0.1 of a processor: {last:?}");
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

    /// Steps the clock back and waits for what the daemon foretells of it.
    fn step_back(
        &mut self,
        stage: &Stage,
        daemon: &mut Daemon,
        label: &'static str,
        by_ns: i64,
    ) -> Result<Foretold> {
        let line = daemon.lines()?.len();
        self.eviction.step(&stage.guest, -by_ns)?;
        let (kind, container) = (self.kind(), self.pods[0].container.clone());
        let impact = daemon.wait_for_impact("what is foretold", TELLING, line, |impact| {
            impact.kind == kind && impact.container() == Some(&container)
        })?;
        ensure!((impact.state.as_str(), impact.confidence.as_str()) == ("open", "predicted"), "{impact:?}");
        Ok(Foretold { label, impact, line })
    }

    /// What the daemon calls it.
    fn kind(&self) -> &'static str {
        if self.version().tells_rates() { "runtime_cpu_baseline_stuck" } else { "kubelet_cpu_cache_stuck" }
    }

    /// Asks twice while it is stuck: the daemon sees that it is.
    fn is_confirmed(&mut self, daemon: &mut Daemon, before: &Before, foretold: &Foretold) -> Result<()> {
        for _ in 0..2 {
            let seen = self.poll()?;
            self.is_stuck(before, &seen)?;
        }
        let observed = |impact: &Impact| impact.id == foretold.impact.id && impact.confidence == "observed";
        daemon.wait_for_impact("that it is seen", TELLING, foretold.line, observed)?;
        self.is_shown(daemon, foretold)
    }

    /// On the screens that people look at. They are passed on, to be looked at.
    fn is_shown(&self, daemon: &Daemon, foretold: &Foretold) -> Result<()> {
        let cli = Cli { timejump: self.timejump.clone(), socket: daemon.socket() };
        let container = &self.pods[0].container;
        let lines = cli.output(&["stats", "-o", "json"])?;
        let of_pod = lines.lines().find(|line| line.contains(container));
        let of_pod = of_pod.with_context(|| format!("the burning pod in {lines}"))?;
        let state: serde_json::Value = serde_json::from_str(of_pod)?;
        ensure!(state["cache"] == "stuck" && state["impact"] == foretold.impact.id, "{state}");
        let sequence = foretold.impact.jump.to_string();
        for words in [&["stats"][..], &["show", &sequence], &["status"]] {
            let screen = cli.output(words)?;
            ensure!(words == ["status"] || screen.contains("default/burn"), "{screen}");
            for line in screen.lines() {
                println!("{}screen {line}", crate::node::sample::PREFIX);
            }
        }
        Ok(())
    }

    /// Waits until it ends: when it was foretold, with the spike that was.
    fn comes_true(&mut self, daemon: &mut Daemon, before: &Before, foretold: &Foretold) -> Result<Before> {
        let (last_stuck, passed) = self.stuck_until_passed(before)?;
        self.spikes(before, &passed)?;
        let of_it = |impact: &Impact| impact.id == foretold.impact.id;
        let over = daemon.wait_for_impact("the end", TELLING, foretold.line, |impact| {
            of_it(impact) && impact.state == "resolved"
        })?;
        ensure!(over.evidence["ended"] == "as_foretold", "{over:?}");
        let last_told =
            daemon.impacts(foretold.line).filter(|impact| of_it(impact) && impact.state == "open").last();
        let told = last_told.with_context(|| format!("told before its end: {over:?}"))?;
        let instant = |name: &str| -> Result<i64> {
            nanoseconds(told.evidence[name].as_str().with_context(|| format!("no {name}: {told:?}"))?)
        };
        let until = told.until.as_deref().with_context(|| format!("no end: {told:?}"))?;
        let until = nanoseconds(until)?;
        let stuck_at = before.last.timestamp_ns;
        let (earliest, latest) = (instant("stuck_stamp_earliest")?, instant("stuck_stamp_latest")?);
        ensure!((earliest..=latest).contains(&stuck_at), "stuck at {stuck_at}: {told:?}");
        ensure!((earliest..=latest).contains(&until), "it ends at its stamp: {told:?}");
        if let Some(last_stuck) = &last_stuck {
            let stamp = last_stuck.sample.timestamp_ns;
            ensure!(stamp <= until, "{stamp}: {told:?}");
        }
        let (stamp, recovery) = (passed.sample.timestamp_ns, instant("recovery_latest")?);
        // An answer may come as late as an emulated machine lets it.
        ensure!(stamp > earliest && stamp <= recovery + SECOND, "recovered at {stamp}: {told:?}");
        let spike = self.rate(&passed)?;
        let at_least = told.evidence["spike_nanocores_at_least"].as_u64();
        let at_least = at_least.with_context(|| format!("no spike: {told:?}"))?;
        ensure!(spike >= at_least / 2, "a spike of {spike}: {told:?}");
        ensure!(over.confidence == "observed", "{over:?}");
        let row = serde_json::json!({
            "containerd": self.containerd.cri.runtime_version, "step": foretold.label, "kind": told.kind,
            "stuck_at": wall(stuck_at), "foretold_from": wall(earliest), "foretold_until": wall(until),
            "last_stuck": last_stuck.map(|seen| wall(seen.sample.timestamp_ns)), "first_rate": wall(stamp),
            "spike_foretold_at_least": at_least, "spike": spike, "confidence": over.confidence,
        });
        println!("{}foretold {row}", crate::node::sample::PREFIX);
        self.is_as_before(before)
    }

    /// Whoever comes later and finds no daemon is told the same, and of the jump: by when containers were made, against when
    /// their processes started.
    fn is_diagnosed(&self) -> Result<()> {
        let diagnosis = Diagnosis::make(&self.timejump, &[])?;
        let stuck = diagnosis.problems(self.kind()).count();
        ensure!(diagnosis.status == 1 && stuck == self.pods.len(), "{stuck} are stuck: {diagnosis:?}");
        let net: i64 = diagnosis.jumps().iter().sum();
        ensure!((net + HOUR_NS).abs() <= 2 * MINUTE_NS, "{net}: {diagnosis:?}");
        Ok(())
    }

    /// The one answer after a step forward by an hour.
    fn is_diluted(&mut self, before: &Before) -> Result<()> {
        let seen = self.poll()?;
        let (rate, usual) = (self.rate(&seen)?, before.nano_cores);
        ensure!((usual / 1000..usual / 100).contains(&rate), "an hour too long for {usual}: {seen:?}");
        Ok(())
    }

    /// Asks until the wall clock has passed the last answer from before the step. Gives the last one that was not past
    /// it, and the first one that is.
    fn stuck_until_passed(&mut self, before: &Before) -> Result<(Option<Seen>, Seen)> {
        let mut stuck = None;
        loop {
            let seen = self.poll()?;
            if seen.sample.timestamp_ns > before.last.timestamp_ns {
                return Ok((stuck, seen));
            }
            self.is_stuck(before, &seen)?;
            stuck = Some(seen);
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
    fn is_as_before(&mut self, before: &Before) -> Result<Before> {
        let seen = self.poll()?;
        let nano_cores = self.rate(&seen)?;
        let usual = before.nano_cores;
        ensure!((usual / 2..=usual * 2).contains(&nano_cores), "about {usual} as before: {seen:?}");
        Ok(Before { nano_cores, last: seen.sample })
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

/// Since 1970.
fn nanoseconds(instant: &str) -> Result<i64> {
    Ok(i64::try_from(instant.parse::<jiff::Timestamp>()?.as_nanosecond())?)
}

/// To the millisecond.
fn wall(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |at| format!("{at:.3}"))
}
