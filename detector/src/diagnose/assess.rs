//! What the rules say of the scene, given the past.

use std::{collections::BTreeSet, sync::Arc};

use super::{Past, Scene};
use crate::{
    clock::{BootNs, WallNs},
    impact::{Book, Case, Ended, Impact, Kind, POLL_AT_MOST_NS, Remedy, State, assess, evidence, stuck},
    ledger::Timeline,
    node::{
        NodeFacts,
        apiserver::stand_in,
        logs::{LogReading, Start},
        tokens::{Token, TokenKey, written},
    },
};

/// A line of kubelet's log about its cache is of now if its sample is no older, ns: one comes with each poll.
const RECENT_NS: i128 = 60_000_000_000;
/// What the runtime's sample speaks about.
const SAMPLED: [Kind; 2] = [Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen];
/// What one token suffers.
const OF_TOKEN: [Kind; 2] = [Kind::TokenNotYetValid, Kind::TokenExpired];

/// What is worst comes first; what is not named here comes last.
const WORST: [Kind; 9] = [
    Kind::TokenExcursion,
    Kind::TokenNotYetValid,
    Kind::TokenExpired,
    Kind::TokenRefreshStalled,
    Kind::CertificateNotYetValid,
    Kind::CertificateExpired,
    Kind::KubeletCpuCacheStuck,
    Kind::RuntimeCpuBaselineStuck,
    Kind::RuntimeCpuFrozen,
];

/// Everything that is wrong, or will be, the worst first.
pub fn impacts(scene: &Scene, past: &Past, now: BootNs) -> Vec<Impact> {
    let timeline = &past.timeline;
    let facts = facts(scene, past, now);
    let case = Case { timeline, node: &facts, now, assessed: now };
    let boot_id = scene.boot_id.clone().unwrap_or_default();
    let mut book = Book::new(boot_id.as_str().into(), 0, Vec::new());
    // Nothing was open before that could end.
    book.update(assess(&case), timeline, |_| Ended::ClockStepped, now);
    observe(&mut book, scene, &facts, timeline, now);
    let open = book.open().filter(|impact| impact.state == State::Open && !is_past(impact, now));
    let mut impacts: Vec<Impact> = open.cloned().collect();
    let rank =
        |impact: &Impact| WORST.iter().position(|kind| kind.word() == impact.kind).unwrap_or(WORST.len());
    impacts.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.kind.cmp(&b.kind)));
    impacts
}

/// Whether it is wrong now, and something can be done about it or must be waited for.
pub fn is_problem(impact: &Impact, now: BootNs) -> bool {
    impact.remedy != Remedy::None && impact.from_boot.unwrap_or_default() <= now
}

fn is_past(impact: &Impact, now: BootNs) -> bool {
    impact.until_boot.is_some_and(|until| until <= now)
}

/// What is on the node, with when that came to be.
fn facts(scene: &Scene, past: &Past, now: BootNs) -> NodeFacts {
    let timeline = &past.timeline;
    let mut facts = scene.facts.clone();
    for container in &mut facts.containers {
        container.born = timeline.moment_of(container.created, BootNs(0), now);
    }
    for listed in &scene.volumes {
        for (file, claims) in &listed.volume.tokens {
            let key =
                TokenKey { pod_uid: listed.pod_uid.clone(), volume: listed.name.clone(), file: file.clone() };
            let uid = listed.pod_uid.to_string();
            let named = || facts.containers.iter().map(|container| &container.pod).find(|pod| pod.uid == uid);
            let pod = claims.pod_of(&uid).or_else(|| named().cloned()).unwrap_or_default();
            let stamp = listed.volume.stamp;
            let token = Token {
                pod,
                claims: Arc::clone(claims),
                stamp,
                written: stamp.map_or(BootNs(0), |stamp| written(stamp, timeline, now)),
                known: now,
                seen: false,
                refreshes: 0,
                key,
            };
            facts.tokens.insert(token.key.text(), token);
        }
    }
    facts.judges.clone_from(&scene.judges);
    // They were asked for this diagnosis.
    for judge in &mut facts.judges {
        judge.seen = now;
    }
    if facts.judges.is_empty() {
        facts.judges = vec![stand_in(timeline, scene.own_apiserver, None, now)];
    }
    for (program, since) in [("kubelet", &mut facts.kubelet_since), ("containerd", &mut facts.runtime_since)]
    {
        *since = (*since).max(last_start(&scene.logs, program, past, now));
    }
    facts.kubelet_cache_seen = scene.logs.iter().any(|log| is_stuck_now(log, scene.present.wall));
    facts
}

/// When a program was started last, as far as logs tell: 0 if they do not.
fn last_start(logs: &[LogReading], program: &str, past: &Past, now: BootNs) -> BootNs {
    let starts = logs.iter().flat_map(|log| log.starts.iter().map(move |start| (log, start)));
    let moments = starts
        .filter(|(_, start)| start.program == program)
        .filter_map(|(log, start)| moment(log, start, past, now));
    moments.max().unwrap_or_default()
}

/// A stamp may have been shown twice: which time it was, the line's place among those where the log turns tells.
fn moment(log: &LogReading, start: &Start, past: &Past, now: BootNs) -> Option<BootNs> {
    let source = log.path.display().to_string();
    let before = past.jumps.iter().rfind(|jump| {
        jump.sightings.iter().any(|sighting| {
            sighting.source == source && sighting.place.is_some_and(|line| line <= start.line)
        })
    });
    let not_before = before.map_or(BootNs(0), |jump| jump.guess.at);
    let at = past.timeline.moment_of(start.wall?, not_before, now);
    Some(at.min(now))
}

fn is_stuck_now(log: &LogReading, wall: WallNs) -> bool {
    log.stuck.iter().any(|seen| (wall.0 - seen.last.new.0).abs() <= RECENT_NS)
}

/// What confirms or refutes what the rules say.
fn observe(book: &mut Book, scene: &Scene, facts: &NodeFacts, timeline: &Timeline, now: BootNs) {
    let open: Vec<(Kind, String, Impact)> = book
        .open()
        .filter_map(|impact| {
            let kind = Kind::of_word(&impact.kind)?;
            let key = impact.container_id().or(impact.token())?;
            Some((kind, key.to_owned(), impact.clone()))
        })
        .collect();
    let stamps = stuck_stamps(scene, facts, timeline, now);
    for (kind, key, impact) in open {
        let seen = if OF_TOKEN.contains(&kind) {
            evidence::of_apiserver_clock(&impact, &facts.judges, now)
        } else if SAMPLED.contains(&kind) {
            let sample = scene.samples.iter().find(|sample| sample.container_id == key);
            let cpu = facts.containers.iter().find(|container| *container.id == *key);
            let cpu = cpu.and_then(|container| container.cpu);
            sample.and_then(|sample| evidence::of_sample(kind, sample, cpu, timeline.wall(now)))
        } else if kind == Kind::KubeletCpuCacheStuck {
            let latest = stamps.last().copied();
            latest.map(|latest| evidence::of_log(stamps.iter().copied(), timeline.boot_at(latest)))
        } else {
            None
        };
        if let Some(seen) = seen {
            book.observe(kind, &key, &seen, timeline, now);
        }
    }
}

/// The stamps that kubelet's cache is stuck at now, by its log.
fn stuck_stamps(scene: &Scene, facts: &NodeFacts, timeline: &Timeline, now: BootNs) -> BTreeSet<WallNs> {
    let Some(expected) = stuck(timeline, facts.kubelet_since, POLL_AT_MOST_NS, now) else {
        return BTreeSet::new();
    };
    let recent = scene.logs.iter().filter(|log| is_stuck_now(log, scene.present.wall));
    let lines = recent.flat_map(|log| &log.stuck).map(|seen| seen.last);
    lines
        .filter(|line| (scene.present.wall.0 - line.new.0).abs() <= RECENT_NS)
        .filter(|line| line.cached.0 <= expected.possible.0 + RECENT_NS)
        .map(|line| line.cached)
        .collect()
}
