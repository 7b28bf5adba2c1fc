//! Prometheus metrics. Made anew for each scrape, from what is counted anyway.
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "Prometheus has floats only")]

use prometheus::{
    Encoder, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{AtomicF64, Collector, GenericCounter, GenericCounterVec},
};

use crate::{
    actor::ActorKind,
    capture::{Size, StepPath},
    clock::BootNs,
    deliver::{
        CredentialsReport, DaemonReport, Handshake, NodeReport, Status, Tally, TokenState, json::word,
        outbox::DeliveryReport, stream::Direction,
    },
    impact::{Confidence, Kind},
    ledger::Verdict,
};

const SECOND: f64 = 1e9;

/// The whole page. Without `status` (the capture does not answer) only what is counted elsewhere, and `timejump_up` 0.
pub(super) fn exposition(
    status: Option<&Status>,
    tally: &Tally,
    now: BootNs,
) -> Result<String, prometheus::Error> {
    let page = Page(Registry::new());
    page.gauge("timejump_up", "Whether the capture answers.", u64::from(status.is_some()))?;
    page.jumps(tally, now)?;
    page.counter(
        "timejump_steps_missed_total",
        "Steps lost between the kernel and the daemon; their sum is in an unattributed jump.",
        tally.missed,
    )?;
    page.by_label(
        "timejump_alarms_total",
        "Times the capture or the store was in trouble, by kind.",
        "kind",
        tally.alarms.iter().map(|(kind, count)| (kind.as_str(), *count)).chain([
            // From the beginning, so that the first one is a rise.
            ("hook_silent", 0),
            ("foreign_record", 0),
            ("store", 0),
            ("remedy_given_up", 0),
        ]),
    )?;
    page.by_label(
        "timejump_impacts_total",
        "Impacts told, by kind; one that is told again counts again.",
        "kind",
        // From the beginning, so that the first one is a rise.
        Kind::ALL.iter().map(|kind| (kind.word(), tally.impacts.get(kind.word()).copied().unwrap_or(0))),
    )?;
    page.by_label(
        "timejump_tls_handshakes_total",
        "TLS handshakes with consumers, by their end; accepted_without_jump: valid only by the clock as it was before an open jump.",
        "result",
        // From the beginning, so that the first one is a rise.
        Handshake::ALL
            .map(|end| (word(end), tally.handshakes.get(&end).copied().unwrap_or(0)))
            .iter()
            .map(|(end, count)| (end.as_str(), *count)),
    )?;
    page.remedies(tally)?;
    if let Some(status) = status {
        page.capture(status)?;
        if let Some(daemon) = &status.daemon {
            page.daemon(daemon)?;
        }
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&page.0.gather(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

struct Page(Registry);

impl Page {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str, value: u64) -> Result<(), prometheus::Error> {
        self.add(IntCounter::new(name, help)?)?.inc_by(value);
        Ok(())
    }

    fn gauge(&self, name: &str, help: &str, value: u64) -> Result<(), prometheus::Error> {
        self.add(IntGauge::new(name, help)?)?.set(i64::try_from(value).unwrap_or(i64::MAX));
        Ok(())
    }

    fn float(&self, name: &str, help: &str, value: f64) -> Result<(), prometheus::Error> {
        self.add(Gauge::new(name, help)?)?.set(value);
        Ok(())
    }

    fn by_label<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, u64)>,
    ) -> Result<(), prometheus::Error> {
        let counters = self.add(IntCounterVec::new(Opts::new(name, help), &[label])?)?;
        for (value, count) in values {
            counters.with_label_values(&[value]).inc_by(count);
        }
        Ok(())
    }

    fn remedies(&self, tally: &Tally) -> Result<(), prometheus::Error> {
        let told = self.add(IntCounterVec::new(
            Opts::new(
                "timejump_remedies_total",
                "Remedies told, by what they do and how far they have come.",
            ),
            &["action", "state"],
        )?)?;
        for ((action, stage), count) in &tally.remedies {
            told.with_label_values(&[&word(action), &word(stage)]).inc_by(*count);
        }
        Ok(())
    }

    fn jumps(&self, tally: &Tally, now: BootNs) -> Result<(), prometheus::Error> {
        let jumps = self.add(IntCounterVec::new(
            Opts::new("timejump_jumps_total", "Jumps of the wall clock."),
            &["path", "direction", "actor_kind"],
        )?)?;
        let moved: GenericCounterVec<AtomicF64> = self.add(GenericCounterVec::new(
            Opts::new("timejump_jump_delta_seconds_total", "How far the wall clock jumped, sizes added up."),
            &["path", "direction"],
        )?)?;
        for path in StepPath::ALL {
            for direction in [Direction::Forward, Direction::Backward] {
                // From the beginning, so that the first one is a rise.
                let labels = [word(path), direction_word(direction), word(usual_actor(path))];
                let _: IntCounter = jumps.with_label_values(&labels.each_ref().map(String::as_str));
                let _: GenericCounter<AtomicF64> =
                    moved.with_label_values(&[labels[0].as_str(), labels[1].as_str()]);
            }
        }
        for ((path, direction, actor), sums) in &tally.jumps {
            let labels = [word(*path), direction_word(*direction), word(*actor)];
            jumps.with_label_values(&labels.each_ref().map(String::as_str)).inc_by(sums.count);
            moved
                .with_label_values(&[labels[0].as_str(), labels[1].as_str()])
                .inc_by(sums.absolute_ns as f64 / SECOND);
        }
        let verdicts = [Verdict::Correction, Verdict::Disruption, Verdict::Unknown]
            .map(|verdict| (word(verdict), tally.verdicts.get(&verdict).copied().unwrap_or(0)));
        self.by_label(
            "timejump_verdicts_total",
            "Jumps by what became of the clock.",
            "verdict",
            verdicts.iter().map(|(verdict, count)| (verdict.as_str(), *count)),
        )?;
        self.float(
            "timejump_net_delta_seconds",
            "Sum of all jumps since the daemon started, signed.",
            tally.net_ns() as f64 / SECOND,
        )?;
        self.counter(
            "timejump_quiet_jumps_total",
            "Jumps below the thresholds, of those in timejump_jumps_total.",
            tally.quiet,
        )?;
        if let Some((sequence, at, delta)) = tally.last {
            self.float(
                "timejump_last_jump_age_seconds",
                "Time since the last jump, by the boot clock. Absent before the first.",
                now.0.saturating_sub(at.0) as f64 / SECOND,
            )?;
            self.float(
                "timejump_last_jump_delta_seconds",
                "How far the last jump went, signed.",
                delta.0 as f64 / SECOND,
            )?;
            self.gauge("timejump_last_jump_sequence", "Number of the last jump.", sequence)?;
        }
        Ok(())
    }

    fn capture(&self, status: &Status) -> Result<(), prometheus::Error> {
        let build = self.add(IntGaugeVec::new(
            Opts::new("timejump_build_info", "Which timejump this is; always 1."),
            &["version"],
        )?)?;
        build.with_label_values(&[&status.version]).set(1);
        let rungs = self.add(IntGaugeVec::new(
            Opts::new("timejump_capture_rung", "1 for the rung of the ladder in use, 0 for the others."),
            &["rung"],
        )?)?;
        for report in &status.rungs {
            rungs.with_label_values(&[&word(report.rung)]).set(i64::from(report.rung == status.rung));
        }
        let sizes = self.add(IntGaugeVec::new(
            Opts::new(
                "timejump_capture_coverage",
                "How well jumps by this path are seen: 2 exactly, 1 measured from user space, 0 not at all.",
            ),
            &["path"],
        )?)?;
        let actors = self.add(IntGaugeVec::new(
            Opts::new("timejump_capture_actor_known", "Whether the actor of jumps by this path is known."),
            &["path"],
        )?)?;
        for coverage in &status.coverage {
            let path = word(coverage.path);
            sizes.with_label_values(&[&path]).set(match coverage.size {
                Size::Exact => 2,
                Size::DeltaOnly => 1,
                Size::Blind => 0,
            });
            actors.with_label_values(&[&path]).set(i64::from(coverage.actor));
        }
        self.float(
            "timejump_wall_offset_error_seconds",
            "The most by which the account of the wall clock can be wrong.",
            status.offset_error_ns as f64 / SECOND,
        )
    }

    fn node(&self, node: &NodeReport, now: BootNs) -> Result<(), prometheus::Error> {
        if let Some(spike) = node.next_spike_boottime_ns {
            self.float(
                "timejump_next_spike_seconds",
                "Time until a CPU rate that stands still moves again and shows too much, once. Absent if none does.",
                spike.0.saturating_sub(now.0) as f64 / SECOND,
            )?;
        }
        self.gauge(
            "timejump_runtime_up",
            "Whether the container runtime answered when it was last asked; 0 as well where there is none.",
            u64::from(node.runtime_ok),
        )?;
        self.gauge(
            "timejump_node_containers",
            "Containers that ran when they were last listed.",
            node.containers,
        )?;
        let info = self.add(IntGaugeVec::new(
            Opts::new("timejump_runtime_info", "Which container runtime this is; 1 where one was found."),
            &["name", "version", "class"],
        )?)?;
        if let Some(runtime) = &node.runtime {
            info.with_label_values(&[&runtime.name, &runtime.version, &word(runtime.class)]).set(1);
        }
        Ok(())
    }

    fn impacts_open(&self, open: &[&(String, Confidence, u64)]) -> Result<(), prometheus::Error> {
        let gauges = self.add(IntGaugeVec::new(
            Opts::new("timejump_impacts_open", "Impacts that last, by kind and by how sure they are."),
            &["kind", "confidence"],
        )?)?;
        for kind in Kind::ALL {
            for confidence in [Confidence::Predicted, Confidence::Observed] {
                let labels = [kind.word(), &word(confidence)];
                gauges.with_label_values(&labels).set(open_count(open, *kind, confidence));
            }
        }
        Ok(())
    }

    fn credentials(&self, report: &CredentialsReport) -> Result<(), prometheus::Error> {
        let tokens = self.add(IntGaugeVec::new(
            Opts::new(
                "timejump_tokens",
                "Service-account tokens in projected volumes, by how they stand; expired and not_yet_valid are refused.",
            ),
            &["state"],
        )?)?;
        for state in TokenState::ALL {
            let number = report.states.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
            tokens.with_label_values(&[&word(state)]).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        self.counter(
            "timejump_token_refreshes_total",
            "Tokens that were seen to be replaced.",
            report.refreshes,
        )?;
        if !report.kubelet_root.is_empty() {
            self.gauge(
                "timejump_token_volumes_watched",
                "Whether every change of a token volume is seen. Absent where there is no kubelet.",
                u64::from(report.watched),
            )?;
        }
        self.gauge(
            "timejump_token_troubles",
            "Volumes and certificates of which something cannot be told.",
            u64::try_from(report.troubles.len()).unwrap_or(u64::MAX),
        )?;
        self.apiservers(report)
    }

    /// A clock that is not known has no series, nor has an apiserver that is not asked whether it answers.
    fn apiservers(&self, report: &CredentialsReport) -> Result<(), prometheus::Error> {
        let vector = |name: &str, help: &str| self.add(GaugeVec::new(Opts::new(name, help), &["apiserver"])?);
        let ahead = vector(
            "timejump_apiserver_clock_ahead_seconds",
            "How far an apiserver's clock is ahead of the node's, signed.",
        )?;
        let error = vector(
            "timejump_apiserver_clock_error_seconds",
            "The most by which timejump_apiserver_clock_ahead_seconds can be wrong.",
        )?;
        let up = vector("timejump_apiserver_up", "Whether an apiserver answered when it was last asked.")?;
        for judge in &report.judges {
            let label = [judge.name.as_str()];
            if judge.source.is_known() {
                ahead.with_label_values(&label).set(judge.ahead_ns.0 as f64 / SECOND);
                error.with_label_values(&label).set(judge.error_ns as f64 / SECOND);
            }
            if judge.is_asked() {
                up.with_label_values(&label).set(if judge.state == "answers" { 1.0 } else { 0.0 });
            }
        }
        Ok(())
    }

    fn daemon(&self, daemon: &DaemonReport) -> Result<(), prometheus::Error> {
        let DaemonReport { ledger, store, consumers, node, credentials, .. } = daemon;
        let running = daemon.now_boottime_ns.0.saturating_sub(daemon.started_boottime_ns.0);
        self.float(
            "timejump_uptime_seconds",
            "How long the daemon has been running, by the boot clock.",
            running as f64 / SECOND,
        )?;
        for (name, help, value) in [
            ("timejump_records_dropped_total", "Records that found the kernel's ring full.", ledger.dropped),
            (
                "timejump_refused_attempts_total",
                "Attempts to set the clock that were refused.",
                ledger.refused,
            ),
            ("timejump_suspends_total", "Times the machine slept.", ledger.suspends),
            (
                "timejump_consumer_lagged_total",
                "Entries that consumers were too slow for, all together.",
                consumers.lagged,
            ),
            ("timejump_store_lost_total", "Entries that the store never got.", store.unstored),
        ] {
            self.counter(name, help, value)?;
        }
        for (name, help, value) in [
            ("timejump_consumers", "Consumers that follow the stream.", consumers.now),
            ("timejump_consumers_limit", "Consumers that may.", consumers.limit),
            ("timejump_store_jumps", "Jumps in the store.", store.jumps),
            ("timejump_store_bytes", "Size of the store, its log included.", store.bytes),
            ("timejump_store_backlog", "Entries that wait for the store.", store.backlog),
            (
                "timejump_store_ok",
                "Whether jumps outlive the daemon: 0 if the store is in trouble or in memory only.",
                u64::from(store.state == "ok"),
            ),
        ] {
            self.gauge(name, help, value)?;
        }
        self.node(node, daemon.now_boottime_ns)?;
        self.credentials(credentials)?;
        self.impacts_open(&node.open.iter().chain(&credentials.open).collect::<Vec<_>>())?;
        let listeners = self.add(GaugeVec::new(
            Opts::new("timejump_listener_up", "Whether the daemon can be asked here."),
            &["kind"],
        )?)?;
        for listener in &daemon.listeners {
            let up = if listener.state == "listening" { 1.0 } else { 0.0 };
            listeners.with_label_values(&[&listener.kind]).set(up);
        }
        self.deliveries(&daemon.deliveries)
    }
}

impl Page {
    fn deliveries(&self, deliveries: &[DeliveryReport]) -> Result<(), prometheus::Error> {
        let up = self.add(GaugeVec::new(
            Opts::new("timejump_delivery_up", "Whether what is delivered outside the node arrives there."),
            &["sink"],
        )?)?;
        for delivery in deliveries {
            let ok = if delivery.state == "ok" { 1.0 } else { 0.0 };
            up.with_label_values(&[&delivery.sink]).set(ok);
        }
        let waiting = self.add(IntGaugeVec::new(
            Opts::new("timejump_delivery_waiting", "Requests that did not succeed yet."),
            &["sink"],
        )?)?;
        for delivery in deliveries {
            let count = i64::try_from(delivery.waiting).unwrap_or(i64::MAX);
            waiting.with_label_values(&[&delivery.sink]).set(count);
        }
        self.by_label(
            "timejump_deliveries_total",
            "Requests by which the stream was taken to a place outside the node.",
            "sink",
            deliveries.iter().map(|delivery| (&*delivery.sink, delivery.delivered)),
        )?;
        self.by_label(
            "timejump_deliveries_given_up_total",
            "Requests that this place will never take.",
            "sink",
            deliveries.iter().map(|delivery| (&*delivery.sink, delivery.given_up)),
        )
    }
}

fn open_count(open: &[&(String, Confidence, u64)], kind: Kind, confidence: Confidence) -> i64 {
    let of = open.iter().filter(|(word, of, _)| word == kind.word() && *of == confidence);
    let count = of.fold(0_u64, |sum, (.., count)| sum.saturating_add(*count));
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn usual_actor(path: StepPath) -> ActorKind {
    match path {
        StepPath::LeapSecond | StepPath::Kernel => ActorKind::Kernel,
        StepPath::Unattributed => ActorKind::Unknown,
        _ => ActorKind::Process,
    }
}

fn direction_word(direction: Direction) -> String {
    match direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{DeltaNs, WallNs},
        deliver::{JudgeReport, Message, TroubleReport, tests::jump},
        node::JudgeSource,
    };

    #[test]
    fn jumps_are_counted_and_summed() {
        let mut tally = Tally::default();
        for (sequence, delta) in [(1, 1_500_000_000), (2, -500_000_000)] {
            tally.count(&Message::Jump(jump(sequence, delta)));
        }
        let text = exposition(None, &tally, BootNs(2_000_000_002)).unwrap();
        for line in [
            "timejump_up 0",
            r#"timejump_jumps_total{actor_kind="unknown",direction="forward",path="clock_settime"} 1"#,
            r#"timejump_jumps_total{actor_kind="process",direction="forward",path="adjtimex"} 0"#,
            r#"timejump_jump_delta_seconds_total{direction="backward",path="clock_settime"} 0.5"#,
            "timejump_net_delta_seconds 1",
            "timejump_last_jump_age_seconds 2",
            "timejump_last_jump_delta_seconds -0.5",
            r#"timejump_alarms_total{kind="store"} 0"#,
            r#"timejump_verdicts_total{verdict="unknown"} 2"#,
            r#"timejump_verdicts_total{verdict="disruption"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn tokens_and_who_judges_them() {
        let judge = |name: &str, source| JudgeReport {
            name: name.into(),
            source,
            wall: WallNs(0),
            ahead_ns: DeltaNs(-2_500_000_000),
            error_ns: 500_000_000,
            seen_boottime_ns: BootNs(0),
            state: "answers".into(),
        };
        let report = CredentialsReport {
            kubelet_root: "/var/lib/kubelet".into(),
            watched: true,
            states: vec![(TokenState::NotYetValid, 3), (TokenState::Accepted, 4)],
            refreshes: 5,
            troubles: vec![TroubleReport::default()],
            judges: vec![
                judge("https://a:6443", JudgeSource::DateHeader),
                JudgeReport { state: "timed out".into(), ..judge("https://b:6443", JudgeSource::NodeClock) },
                judge("the node's clock", JudgeSource::NodeClock),
            ],
            ..CredentialsReport::default()
        };
        let page = Page(Registry::new());
        page.credentials(&report).unwrap();
        let open = |kind: Kind, count| (kind.word().to_owned(), Confidence::Predicted, count);
        let (a, b) = (open(Kind::ProbesSuspended, 1), open(Kind::TokenNotYetValid, 2));
        page.impacts_open(&[&a, &b]).unwrap();
        let mut text = Vec::new();
        TextEncoder::new().encode(&page.0.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            r#"timejump_tokens{state="not_yet_valid"} 3"#,
            r#"timejump_tokens{state="accepted"} 4"#,
            r#"timejump_tokens{state="overdue"} 0"#,
            "timejump_token_refreshes_total 5",
            "timejump_token_volumes_watched 1",
            "timejump_token_troubles 1",
            r#"timejump_apiserver_clock_ahead_seconds{apiserver="https://a:6443"} -2.5"#,
            r#"timejump_apiserver_clock_error_seconds{apiserver="https://a:6443"} 0.5"#,
            r#"timejump_apiserver_up{apiserver="https://a:6443"} 1"#,
            r#"timejump_apiserver_up{apiserver="https://b:6443"} 0"#,
            r#"timejump_impacts_open{confidence="predicted",kind="probes_suspended"} 1"#,
            r#"timejump_impacts_open{confidence="predicted",kind="token_not_yet_valid"} 2"#,
            r#"timejump_impacts_open{confidence="observed",kind="token_not_yet_valid"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"="the node's clock""#), "{text}");
        assert!(!text.contains(r#"ahead_seconds{apiserver="https://b:6443"}"#), "{text}");
    }

    #[test]
    fn before_the_first_jump_there_is_no_age() {
        let text = exposition(None, &Tally::default(), BootNs(0)).unwrap();
        assert!(!text.contains("last_jump"), "{text}");
    }
}
