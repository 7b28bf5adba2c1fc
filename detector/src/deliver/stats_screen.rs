//! `timejump stats` for people.

use std::fmt::Write as _;

use super::{
    CacheState, Colour, ContainerReport, ContainersReport, NodeReport,
    human::{count, printable},
    json::word,
};
use crate::clock::{DeltaNs, WallNs};

/// The widest that a pod's name may be; longer ones lose their middle.
const NAME: usize = 30;

/// The screen.
pub fn stats_screen(report: &ContainersReport, colour: Colour) -> String {
    let now = report.now_boottime_ns;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<9} {}", printable(value));
    };
    node_fields(&report.node, &mut field);
    let last = report.last_jump.map_or_else(String::new, |(sequence, at, delta)| {
        let ago = span(now.0.saturating_sub(at.0));
        format!("; last jump #{sequence} {}, {ago} ago", delta.short())
    });
    field("clock", &format!("{}, up {}{last}", report.wall.short(), span(now.0)));
    text.push('\n');
    if report.containers.is_empty() {
        text += "no containers\n";
        return text;
    }
    let names = ["POD", "CONTAINER", "CORES", "CPU RATE", "FOR", "THEN ONCE", "UNTIL"];
    let head = line(names.map(str::to_owned), |state| state);
    let _ = writeln!(text, "{}", colour.bold(&head));
    for container in &report.containers {
        let _ = writeln!(text, "{}", row(container, colour));
    }
    let stuck = report.containers.iter().filter(|container| container.kind.is_some()).count();
    let stuck = u64::try_from(stuck).unwrap_or(u64::MAX);
    let all = u64::try_from(report.containers.len()).unwrap_or(u64::MAX);
    let _ = writeln!(text, "\n{}, {stuck} with a CPU rate that cannot be trusted", count(all, "container"));
    text
}

/// Runtime and kubelet, as `status` has them too.
pub(super) fn node_fields(node: &NodeReport, field: &mut impl FnMut(&str, &str)) {
    match &node.runtime {
        Some(runtime) => {
            let version = runtime.version.trim_start_matches('v');
            field("runtime", &format!("{} {version}: {}", runtime.name, runtime.class.meaning()));
            let pid = runtime.process.map_or_else(String::new, |process| format!(", pid {}", process.pid));
            field(
                "",
                &format!(
                    "CRI {} at {}{pid}: {}",
                    runtime.api,
                    runtime.endpoint.display(),
                    node.runtime_state
                ),
            );
        }
        None => field("runtime", &node.runtime_state),
    }
    let kubelet = match node.kubelet {
        Some(kubelet) => {
            let version = kubelet.version.map_or_else(String::new, |version| format!(" {version}"));
            format!("{version} pid {}, its log: {}", kubelet.process.pid, node.kubelet_log)
                .trim_start()
                .to_owned()
        }
        None => "none is seen here".to_owned(),
    };
    field("kubelet", &kubelet);
}

fn row(container: &ContainerReport, colour: Colour) -> String {
    let pod = shortened(&format!("{}/{}", container.pod.namespace, container.pod.name));
    let name = printable(&container.name);
    let cores = container.nanocores.map_or_else(|| "-".to_owned(), cores);
    let (state, paint): (&str, fn(Colour, &str) -> String) = match container.cache {
        CacheState::Sound => ("ok", Colour::faint),
        CacheState::Unknown => ("unknown", Colour::faint),
        CacheState::PerhapsStuck => ("perhaps stuck", Colour::warn),
        CacheState::Stuck => ("stuck", Colour::alarm),
    };
    let confidence = container.confidence.filter(|_| container.cache == CacheState::Stuck);
    let confidence = confidence.map_or_else(String::new, |confidence| format!(", {}", word(confidence)));
    let then = match (container.spike_nanocores_at_least, container.spike_times_at_least) {
        (Some(nanocores), _) => format!("≥ {} cores", self::cores(nanocores)),
        (None, Some(times)) => format!("× {times}"),
        (None, None) => String::new(),
    };
    let columns = [
        printable(&pod),
        name,
        cores,
        format!("{state}{confidence}"),
        container.remaining_ns.map_or_else(String::new, span),
        then,
        container.until.map_or_else(String::new, WallNs::short),
    ];
    line(columns, |state| paint(colour, &state))
}

fn line(columns: [String; 7], paint: impl Fn(String) -> String) -> String {
    let [pod, name, cores, state, left, then, until] = columns;
    let state = paint(format!("{state:<16}"));
    let line = format!("{pod:<NAME$} {name:<12} {cores:>6}  {state} {left:<8} {then:<12} {until}");
    line.trim_end().to_owned()
}

/// Two digits after the point, for what a container uses.
fn cores(nanocores: u64) -> String {
    let hundredths = nanocores.saturating_add(5_000_000) / 10_000_000;
    if hundredths >= 10_000 {
        return format!("{}", hundredths / 100);
    }
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Beginning and end tell pods apart, the middle does not.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let head: String = name.chars().take(NAME - 16).collect();
    let tail: String = name.chars().skip(length - 15).collect();
    format!("{head}…{tail}")
}

fn span(ns: u64) -> String {
    let text = DeltaNs(i64::try_from(ns).unwrap_or(i64::MAX)).short();
    text.trim_start_matches('+').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::BootNs, impact::Confidence, node::Pod};

    fn container(pod: &str, cache: CacheState) -> ContainerReport {
        let stuck = cache == CacheState::Stuck;
        ContainerReport {
            id: "a".into(),
            name: "c".into(),
            attempt: 0,
            pod: Pod { namespace: "default".into(), name: pod.into(), uid: "u".into() },
            cache,
            kind: stuck.then(|| "runtime_cpu_baseline_stuck".into()),
            confidence: stuck.then_some(Confidence::Observed),
            impact: stuck.then_some(1),
            jump: stuck.then_some(1),
            until: stuck.then_some(WallNs(1_780_301_200_000_000_000)),
            until_boottime_ns: stuck.then_some(BootNs(3_700_000_000_000)),
            remaining_ns: stuck.then_some(3_590_000_000_000),
            nanocores: Some(300_000_000),
            spike_nanocores_at_least: stuck.then_some(108_300_000_000),
            spike_times_at_least: None,
        }
    }

    #[test]
    fn a_screen() {
        let report = ContainersReport {
            now_boottime_ns: BootNs(110_000_000_000),
            wall: WallNs(1_780_297_610_000_000_000),
            last_jump: Some((17, BootNs(100_000_000_000), DeltaNs(-3_600_000_000_000))),
            node: NodeReport { runtime_state: "there is none".into(), ..NodeReport::default() },
            containers: vec![
                container("burn", CacheState::Stuck),
                container(&"n".repeat(60), CacheState::Sound),
            ],
        };
        let text = stats_screen(&report, Colour::None);
        assert!(
            text.contains("clock     2026-06-01 07:06:50Z, up 1m 50s; last jump #17 -1h 0m, 10.000s ago\n"),
            "{text}"
        );
        for row in [
            "POD                            CONTAINER     CORES  CPU RATE         FOR      THEN ONCE    UNTIL\n",
            "default/burn                   c               0.30  stuck, observed  59m 50s  ≥ 108 cores  2026-06-01 08:06:40Z\n",
            "default/nnnnnn…nnnnnnnnnnnnnnn c               0.30  ok\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
        assert!(text.ends_with("2 containers, 1 with a CPU rate that cannot be trusted\n"), "{text}");
    }
}
