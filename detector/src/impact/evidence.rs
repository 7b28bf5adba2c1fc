//! What observations say about predictions. Pure.

use serde_json::{Value, json};

use super::{Confidence, Impact, Kind, Observation, Remedy, Stuck};
use crate::{
    clock::{BootNs, WallNs},
    node::{Cpu, Judge, cri::Sample, kubelet_log::StuckLine, summary::Shown},
};

/// A container that uses less than this may be shown as 0 rightly, billionths of a core.
const IDLE_NANOCORES: u64 = 100_000;
/// Readings of kubelet's summary that tell a rate that stands still from one that happens to be the same.
pub const ENOUGH_READINGS: usize = 3;
/// kubelet asks every 10 s and what it takes to ask, ns.
const LATE_NS: i128 = 5_000_000_000;

/// What the runtime's own sample says about a container whose rate should stand still. `wall` is what the wall clock showed
/// when it was taken.
pub fn of_sample(kind: Kind, sample: &Sample, cpu: Option<Cpu>, wall: WallNs) -> Option<Observation> {
    let used = cpu.and_then(|cpu| cpu.nanocores);
    let confidence = match kind {
        Kind::RuntimeCpuBaselineStuck => match (sample.nanocores?, used) {
            (0, Some(used)) if used >= IDLE_NANOCORES => Confidence::Observed,
            // An idle container's 0 proves nothing.
            (0, _) => return None,
            _ => Confidence::Refuted,
        },
        // The latest sample is one that the wall clock has not come to yet.
        Kind::RuntimeCpuFrozen if i128::from(sample.timestamp) > wall.0 => Confidence::Observed,
        Kind::RuntimeCpuFrozen => Confidence::Refuted,
        _ => return None,
    };
    let value = json!({
        "nanocores": sample.nanocores,
        "timestamp": WallNs(sample.timestamp.into()),
        "cgroup_nanocores": used,
    });
    Some(Observation {
        confidence: Some(confidence),
        name: "runtime_sample",
        value,
        until: None,
        remedy: None,
    })
}

/// Whether what was foretold with certainty may have ended at `now` although its latest end has not come: a sample that
/// shows nothing of it any more does not refute it then.
pub fn may_be_over(impact: &Impact, now: BootNs) -> bool {
    let certain = impact.evidence.get("certain").and_then(Value::as_bool) == Some(true);
    let interval = impact.evidence.get("interval_ns").and_then(Value::as_u64).unwrap_or_default();
    certain && impact.left_ns(now) <= interval
}

/// Whether a line of kubelet's log is about the cache that should be stuck, and not about one of an earlier jump.
pub fn is_of(line: StuckLine, expected: &Stuck, interval_ns: u64) -> bool {
    let earliest = expected.possible.0 - i128::from(interval_ns) - LATE_NS;
    let earliest = expected.certain.map_or(earliest, |certain| earliest.min(certain.0 - LATE_NS));
    line.cached <= expected.possible && line.cached.0 >= earliest
}

/// What kubelet's log says: these are the stamps that its cache is stuck at, one for each container.
pub fn of_log(stamps: impl Iterator<Item = WallNs> + Clone, until: Option<BootNs>) -> Observation {
    let value = json!({
        "stuck_stamps": stamps.clone().count(),
        "earliest": stamps.clone().min(),
        "latest": stamps.max(),
    });
    Observation { confidence: Some(Confidence::Observed), name: "kubelet_log", value, until, remedy: None }
}

/// What kubelet's log says if it tells of no stuck cache for so long, ns, although it is read.
pub fn of_silent_log(for_ns: u64) -> Observation {
    let value: Value = json!({ "silent_for_ns": for_ns });
    Observation {
        confidence: Some(Confidence::Refuted),
        name: "kubelet_log",
        value,
        until: None,
        remedy: None,
    }
}

/// What kubelet shows of a container while a rate of it should stand still, by readings of which each is newer than the
/// one before; nothing if they do not suffice. That its own cache is stuck it shows only where it shows that at all.
pub fn of_summary(kind: Kind, readings: &[Shown]) -> Option<Observation> {
    let [first, .., last] = readings else { return None };
    let advance = readings.windows(2).all(|pair| pair[0].at < pair[1].at);
    let passed = u64::try_from(last.at.0 - first.at.0).ok()?;
    let used = last.usage_ns?.checked_sub(first.usage_ns?)?;
    let rate = u64::try_from(u128::from(used) * 1_000_000_000 / u128::from(passed.max(1))).ok()?;
    if readings.len() < ENOUGH_READINGS || !advance || rate < IDLE_NANOCORES {
        return None;
    }
    let same = readings.iter().all(|shown| shown.nanocores == first.nanocores);
    let shows = match last.nanocores {
        None if same => "nothing",
        Some(0) if same => "zero",
        Some(_) if same => "frozen",
        Some(shown) if (rate / 2..=rate.saturating_mul(2)).contains(&shown) => "the truth",
        _ => return None,
    };
    let confirms = kind == Kind::KubeletCpuCacheStuck && shows != "the truth";
    Some(Observation {
        confidence: confirms.then_some(Confidence::Observed),
        name: "kubelet_summary",
        value: json!({ "shows": shows, "nanocores": last.nanocores, "real_nanocores": rate }),
        until: None,
        // kubelet's readers are spared: nothing is worth a restart then.
        remedy: (shows == "the truth").then_some(Remedy::Wait),
    })
}

/// What the clock of an apiserver that refuses a token, as it has been seen since, says about that; nothing if it has not
/// been seen, or if what is foretold has not begun at `now`.
pub fn of_apiserver_clock(impact: &Impact, judges: &[Judge], now: BootNs) -> Option<Observation> {
    let from = impact.from_boot.unwrap_or_default();
    let refused_by = impact.evidence.get("refused_by").and_then(Value::as_array)?;
    let judge = judges.iter().find(|judge| refused_by.iter().any(|name| *name == *judge.name))?;
    (judge.source.is_known() && judge.seen >= from && from <= now).then(|| Observation {
        confidence: Some(Confidence::Observed),
        name: "apiserver_clock",
        value: json!({
            "source": judge.source,
            "shows": judge.timeline.wall(now),
            "error_ns": judge.error_ns,
        }),
        until: None,
        remedy: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(nanocores: Option<u64>, timestamp: i64) -> Sample {
        Sample { container_id: "c".into(), timestamp, usage_ns: Some(1), nanocores }
    }

    fn cpu(nanocores: Option<u64>) -> Cpu {
        Cpu { usage_ns: 0, at: BootNs(0), nanocores }
    }

    #[test]
    fn samples() {
        use Confidence::{Observed, Refuted};
        let baseline = Kind::RuntimeCpuBaselineStuck;
        let frozen = Kind::RuntimeCpuFrozen;
        for (kind, sample, used, want) in [
            (baseline, sample(Some(0), 5), Some(cpu(Some(300_000_000))), Some(Observed)),
            (baseline, sample(Some(0), 5), Some(cpu(Some(10))), None),
            (baseline, sample(Some(0), 5), Some(cpu(None)), None),
            (baseline, sample(Some(0), 5), None, None),
            (baseline, sample(Some(7), 5), Some(cpu(Some(300_000_000))), Some(Refuted)),
            (baseline, sample(None, 5), Some(cpu(Some(300_000_000))), None),
            (frozen, sample(Some(7), 11), None, Some(Observed)),
            (frozen, sample(Some(7), 10), None, Some(Refuted)),
            (Kind::KubeletCpuCacheStuck, sample(Some(0), 5), Some(cpu(Some(300_000_000))), None),
        ] {
            let found = of_sample(kind, &sample, used, WallNs(10)).and_then(|found| found.confidence);
            assert_eq!(found, want, "{kind} {sample:?} {used:?}");
        }
    }

    #[test]
    fn lines_of_this_jump_and_of_others() {
        let second = 1_000_000_000_i128;
        let expected = Stuck {
            certain: Some(WallNs(990 * second)),
            possible: WallNs(1000 * second),
            jump: 1,
            since: BootNs(0),
            behind_ns: 0,
        };
        for (cached, want) in [(1001, false), (1000, true), (990, true), (986, true), (984, false)] {
            let line = StuckLine { new: WallNs(second), cached: WallNs(cached * second) };
            assert_eq!(is_of(line, &expected, 10_000_000_000), want, "{cached}");
        }
    }

    #[test]
    fn what_kubelet_shows() {
        let second = 1_000_000_000_u64;
        let readings = |rates: &[Option<u64>]| -> Vec<Shown> {
            let shown = |(n, nanocores): (u64, &Option<u64>)| Shown {
                at: WallNs(i128::from(n * 10 * second)),
                usage_ns: Some(n * 3 * second),
                nanocores: *nanocores,
            };
            (0..).zip(rates).map(shown).collect()
        };
        let truth = Some(300_000_000);
        let kubelets = Kind::KubeletCpuCacheStuck;
        for (kind, rates, want) in [
            (kubelets, vec![Some(7), Some(7), Some(7)], Some(("frozen", true))),
            (kubelets, vec![Some(0), Some(0), Some(0)], Some(("zero", true))),
            (kubelets, vec![None, None, None], Some(("nothing", true))),
            (kubelets, vec![Some(290_000_000), Some(310_000_000), truth], Some(("the truth", false))),
            (Kind::RuntimeCpuBaselineStuck, vec![Some(0), Some(0), Some(0)], Some(("zero", false))),
            (kubelets, vec![Some(1), Some(2), Some(3)], None),
            (kubelets, vec![Some(7), Some(7)], None),
            (kubelets, vec![], None),
        ] {
            let found = of_summary(kind, &readings(&rates));
            let found = found.as_ref().map(|found| {
                (found.value["shows"].as_str().unwrap(), found.confidence == Some(Confidence::Observed))
            });
            assert_eq!(found, want, "{rates:?}");
        }
        let mut stale = readings(&[Some(7), Some(7), Some(7)]);
        stale[2].at = stale[1].at;
        assert_eq!(of_summary(kubelets, &stale), None, "none is newer");
    }
}
