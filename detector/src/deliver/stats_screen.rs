//! `timejump stats` for people.

use std::fmt::Write as _;

use super::{
    CacheState, Colour, ContainerReport, ContainersReport, NodeReport,
    columns::{seconds, shortened, time_or_day},
    human::{count, printable},
    json::word,
};
use crate::impact::WORTH_A_WORD_NANOCORES;

/// Columns for a pod's name and for a container's; longer ones lose their middle.
const NAMES: [usize; 2] = [36, 16];

/// The screen.
pub fn stats_screen(report: &ContainersReport, colour: Colour) -> String {
    let now = report.now_boottime_ns;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<9} {}", printable(value));
    };
    node_fields(&report.node, &mut field);
    let last = report.last_jump.map_or_else(String::new, |(sequence, at, delta)| {
        let ago = seconds(now.0.saturating_sub(at.0));
        format!("; last jump #{sequence} {}, {ago} ago", delta.short())
    });
    field("clock", &format!("{}, up {}{last}", report.wall.short(), seconds(now.0)));
    text.push('\n');
    let running = report.node.containers;
    if report.containers.is_empty() {
        let _ = match running {
            0 => writeln!(text, "no containers run"),
            _ => writeln!(
                text,
                "{}, none of them with a CPU rate that stands still",
                count(running, "container")
            ),
        };
        return text;
    }
    let names = ["POD", "CONTAINER", "CORES", "CPU RATE", "FOR", "SPIKE ≥", "UNTIL"];
    let head = line(names.map(str::to_owned), |state| state);
    let _ = writeln!(text, "{}", colour.bold(&head));
    for container in &report.containers {
        let _ = writeln!(text, "{}", row(container, colour));
    }
    let stuck = report.containers.iter().filter(|container| container.kind.is_some()).count();
    let stuck = u64::try_from(stuck).unwrap_or(u64::MAX);
    let _ = writeln!(text, "\n{}, {stuck} with a CPU rate that stands still", count(running, "container"));
    let spiking = |container: &&ContainerReport| container.spike_times_at_least.is_some();
    let mut spikes = report.containers.iter().filter(spiking).peekable();
    if spikes.peek().is_some() {
        text += "SPIKE: the one rate, in cores, that is shown when it moves again";
        let times = spikes.any(|container| container.spike_nanocores_at_least.is_none());
        text += if times { "; × so many times the real one\n" } else { "\n" };
    }
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
    let pod = format!("{}/{}", container.pod.namespace, container.pod.name);
    let cores = container.nanocores.map_or_else(|| "-".to_owned(), cores);
    let (state, paint): (&str, fn(Colour, &str) -> String) = match container.cache {
        CacheState::Sound => ("ok", Colour::faint),
        CacheState::Unknown => ("unknown", Colour::faint),
        CacheState::PerhapsStuck => ("perhaps stuck", Colour::warn),
        CacheState::Stuck => ("stuck", Colour::alarm),
    };
    let confidence = container.confidence.filter(|_| container.cache == CacheState::Stuck);
    let confidence = confidence.map_or_else(String::new, |confidence| format!(", {}", word(confidence)));
    let spike = match (container.spike_nanocores_at_least, container.spike_times_at_least) {
        // An idle container's is none.
        (Some(nanocores), _) if nanocores < WORTH_A_WORD_NANOCORES => String::new(),
        (Some(nanocores), _) => self::cores(nanocores),
        (None, Some(times)) => format!("× {times}"),
        (None, None) => String::new(),
    };
    let columns = [
        printable(&pod),
        printable(&container.name),
        cores,
        format!("{state}{confidence}"),
        container.remaining_ns.map_or_else(String::new, seconds),
        spike,
        container
            .until
            .map_or_else(String::new, |until| time_or_day(until, container.remaining_ns.unwrap_or(u64::MAX))),
    ];
    line(columns, |state| paint(colour, &state))
}

fn line(columns: [String; 7], paint: impl Fn(String) -> String) -> String {
    let [pod, name, cores, state, left, spike, until] = columns;
    let [(pod, pods), (name, names)] =
        [(pod, NAMES[0]), (name, NAMES[1])].map(|(name, columns)| (shortened(&name, columns), columns));
    let state = paint(format!("{state:<16}"));
    let line = format!("{pod:<pods$} {name:<names$} {cores:>6}  {state}  {left:>9}  {spike:>7}  {until}");
    line.trim_end().to_owned()
}

/// Three digits or more: `0.30`, `39.8`, `108`.
fn cores(nanocores: u64) -> String {
    let hundredths = nanocores.saturating_add(5_000_000) / 10_000_000;
    match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{}", hundredths / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{BootNs, DeltaNs, WallNs},
        impact::Confidence,
        node::Pod,
    };

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
            spike_times_at_least: stuck.then_some(361),
        }
    }

    #[test]
    fn a_screen() {
        let report = ContainersReport {
            now_boottime_ns: BootNs(110_000_000_000),
            wall: WallNs(1_780_297_610_000_000_000),
            last_jump: Some((17, BootNs(100_000_000_000), DeltaNs(-3_600_000_000_000))),
            node: NodeReport {
                runtime_state: "there is none".into(),
                containers: 2,
                ..NodeReport::default()
            },
            containers: vec![
                container("burn", CacheState::Stuck),
                container(&"n".repeat(60), CacheState::Sound),
            ],
        };
        let text = stats_screen(&report, Colour::None);
        assert!(
            text.contains("clock     2026-06-01 07:06:50Z, up 1m 50s; last jump #17 -1h 0m, 10s ago\n"),
            "{text}"
        );
        for row in [
            "POD                                  CONTAINER         CORES  CPU RATE                FOR  SPIKE ≥  UNTIL\n",
            "default/burn                         c                  0.30  stuck, observed     59m 50s      108  08:06:40Z\n",
            "default/nnnnnnnnnnnnnnnnnnnnn…nnnnnn c                  0.30  ok\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
        assert!(text.contains("2 containers, 1 with a CPU rate that stands still\n"), "{text}");
    }

    #[test]
    fn the_longest_row_fits() {
        let mut container = container(&"n".repeat(253), CacheState::Stuck);
        container.name = "c".repeat(63);
        container.confidence = Some(Confidence::Predicted);
        container.remaining_ns = Some((1_105 * 24 + 10) * 3_600_000_000_000);
        container.nanocores = Some(128_000_000_000);
        container.spike_nanocores_at_least = Some(1_036_800_000_000_000);
        let row = row(&container, Colour::None);
        assert!(row.ends_with("stuck, predicted  1105d 10h  1036800  2026-06-01"), "{row}");
        assert!(row.chars().count() <= 110, "{row}");
    }

    #[test]
    fn nothing_stuck_and_nothing_there() {
        let mut report = ContainersReport {
            now_boottime_ns: BootNs(0),
            wall: WallNs(0),
            last_jump: None,
            node: NodeReport::default(),
            containers: Vec::new(),
        };
        assert!(stats_screen(&report, Colour::None).ends_with("no containers run\n"));
        report.node.containers = 6;
        let text = stats_screen(&report, Colour::None);
        assert!(text.ends_with("6 containers, none of them with a CPU rate that stands still\n"), "{text}");
    }
}
