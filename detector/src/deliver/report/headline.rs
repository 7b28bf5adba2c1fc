//! What happened, in a sentence; what is still wrong, in a few.

use std::collections::BTreeSet;

use super::{
    incident::Incident,
    words::{away, long, safe, telling},
};
use crate::{
    capture::StepPath,
    clock::{DeltaNs, WallNs},
    deliver::{Status, human::name},
    impact::{Confidence, Impact, Kind, State},
    ledger::{Excursion, Jump, Verdict, WindowKind},
    store::Crowd,
};

/// Characters of a name.
const NAME: usize = 60;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There was no jump.
    Nothing,
    /// The clock is away.
    Away,
    /// It is back, or rests where it is, and somebody suffers.
    Aftermath,
    /// Nobody suffers any more, as far as is known.
    Over,
}

impl Stage {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Nothing => "calm",
            Self::Away => "away",
            Self::Aftermath => "aftermath",
            Self::Over => "over",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "quiet",
            Self::Away => "the clock is away",
            Self::Aftermath => "it still does harm",
            Self::Over => "over",
        }
    }
}

/// One thing that is still wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) telling: String,
    pub(super) harm: &'static str,
    /// Until when, in words.
    pub(super) until: String,
    /// Of all, how many were seen, not only foretold.
    pub(super) observed: u64,
    pub(super) count: u64,
}

/// The top of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) stage: Stage,
    pub(super) title: String,
    pub(super) lead: Vec<String>,
    pub(super) wrongs: Vec<Wrong>,
}

impl Headline {
    pub(super) fn of(incident: &Incident, status: &Status) -> Self {
        let (Some(first), Some(last)) = (incident.jumps.first(), incident.jumps.last()) else {
            return nothing(status);
        };
        let wrongs = wrongs(incident, now(status));
        let excursion = incident.excursion.as_ref();
        let is_away = excursion.is_some_and(|it| it.closed.is_none() && *it.boot_id == *status.boot_id);
        let stage = match (is_away, wrongs.is_empty()) {
            (_, false) if !is_away => Stage::Aftermath,
            (true, _) => Stage::Away,
            _ => Stage::Over,
        };
        let title = match excursion {
            Some(excursion) => of_excursion(excursion, is_away, first, last),
            None if incident.total > 1 => of_burst(incident, first, last),
            None => of_jump(first),
        };
        let mut lead = vec![by_whom(incident, first, last)];
        lead.extend(excursion.and_then(rest));
        if incident.since > 0 {
            let times =
                if incident.since == 1 { "once".to_owned() } else { format!("{} times", incident.since) };
            lead.push(format!("Since then the clock has jumped {times} more."));
        }
        if wrongs.is_empty() {
            lead.push(unharmed(incident, status).to_owned());
        }
        Self { stage, title, lead, wrongs }
    }
}

/// The wall clock as the daemon has it.
pub(super) fn now(status: &Status) -> Option<WallNs> {
    status.daemon.as_ref().map(|daemon| status.offset_ns.wall_at(daemon.now_boottime_ns))
}

fn nothing(status: &Status) -> Headline {
    let since = status.daemon.as_ref().map_or_else(String::new, |daemon| {
        let watched = daemon.now_boottime_ns.0.saturating_sub(daemon.started_boottime_ns.0);
        format!(" timejump has been watching for {} since it was last started.", long(watched))
    });
    Headline {
        stage: Stage::Nothing,
        title: "No jump so far".into(),
        lead: vec![format!("The wall clock of this node has not jumped while timejump knew of it.{since}")],
        wrongs: Vec::new(),
    }
}

fn ahead(delta: DeltaNs) -> &'static str {
    if delta.0 < 0 { "behind" } else { "ahead" }
}

fn of_excursion(excursion: &Excursion, is_away: bool, first: &Jump, last: &Jump) -> String {
    let far = format!("{} {}", long(excursion.delta.magnitude()), ahead(excursion.delta));
    let closed = match excursion.closed {
        Some(closed) => closed,
        None if is_away => return format!("The clock went {far} and is still there"),
        None => return format!("The clock went {far}; since then the machine was booted"),
    };
    // It may lie between jumps that are not named here.
    if first.boot_id != last.boot_id {
        return format!("The clock went {far}, and came back over a reboot");
    }
    let lasted = long(closed.at.0.saturating_sub(excursion.opened_at.0));
    format!("The clock went {far} for {lasted}, then came back")
}

fn of_burst(incident: &Incident, first: &Jump, last: &Jump) -> String {
    let sum = incident.sum();
    let size = long(u64::try_from(sum.unsigned_abs()).unwrap_or(u64::MAX));
    let within = long(last.at.0.saturating_sub(first.at.0));
    let way = match sum {
        0 => "and ended where it had been".to_owned(),
        _ if sum < 0 => format!("{size} back in all"),
        _ => format!("{size} forward in all"),
    };
    format!("The clock jumped {} times within {within}, {way}", incident.total)
}

fn of_jump(jump: &Jump) -> String {
    let size = long(jump.delta.magnitude());
    let way = if jump.delta.0 < 0 { "back" } else { "forward" };
    match (&jump.window, jump.path, jump.verdict) {
        (Some(window), ..) => match window.kind {
            WindowKind::DaemonDown => format!("While timejump was down the clock went {way} by {size}"),
            WindowKind::RebootBehind => format!("Over a reboot the clock went back by at least {size}"),
            WindowKind::RebootAhead => {
                format!(
                    "Over a reboot the clock went forward by at most {size}, or the machine was off for so long"
                )
            }
        },
        (None, StepPath::LeapSecond, _) => format!("A leap second took the clock {way} by {size}"),
        (None, _, Verdict::Correction) => format!("The clock was corrected: {way} by {size}"),
        _ => format!("The clock jumped {way} by {size}"),
    }
}

fn by_whom(incident: &Incident, first: &Jump, last: &Jump) -> String {
    let who = |jump: &Jump| {
        let unit =
            jump.actor.unit.as_ref().map(|unit| format!(" of {}", safe(unit, NAME))).unwrap_or_default();
        format!("{}{unit}", safe(&name(&jump.actor), NAME))
    };
    let when = |wall: WallNs| wall.short();
    let did = |jump: &Jump| {
        format!("{} set it from {} to {}", who(jump), when(jump.wall_before()), when(jump.wall_after()))
    };
    if incident.excursion.as_ref().is_some_and(|it| it.closed.is_some()) && first.sequence != last.sequence {
        format!("{}; {}.", did(first), did(last))
    } else {
        format!("{}.", did(first))
    }
}

fn rest(excursion: &Excursion) -> Option<String> {
    let residual = excursion.closed?.residual;
    Some(match residual.0 {
        0 => "It came back to exactly where it would have been.".into(),
        _ => format!(
            "It came to rest {} {} where it would have been.",
            long(residual.magnitude()),
            if residual.0 < 0 { "behind" } else { "ahead of" }
        ),
    })
}

/// What to say where nobody is known to suffer.
fn unharmed(incident: &Incident, status: &Status) -> &'static str {
    if !incident.crowds.is_empty() {
        return "All that it spoiled, as far as timejump knows, is over.";
    }
    let daemon = status.daemon.as_ref();
    let looked = daemon
        .is_some_and(|daemon| daemon.node.runtime.is_some() || !daemon.credentials.kubelet_root.is_empty());
    if looked {
        "Nothing that timejump looks for on this node suffers from it."
    } else {
        "Whom it harmed is not known: timejump sees no container runtime and no kubelet here."
    }
}

/// What is still wrong, the worst first.
fn wrongs(incident: &Incident, now: Option<WallNs>) -> Vec<Wrong> {
    let lasts = |crowd: &&Crowd| crowd.state == State::Open && crowd.confidence != Confidence::Refuted;
    let lasting = || incident.crowds.iter().filter(lasts);
    let mut kinds: Vec<&str> = Vec::new();
    for crowd in lasting() {
        if !kinds.contains(&crowd.kind.as_str()) {
            kinds.push(&crowd.kind);
        }
    }
    // The sum of what is counted one by one.
    if kinds.contains(&Kind::TokenNotYetValid.word()) {
        kinds.retain(|kind| *kind != Kind::TokenExcursion.word());
    }
    kinds.sort_by_key(|kind| telling(kind).harm);
    kinds
        .iter()
        .map(|kind| {
            wrong(incident, kind, &lasting().filter(|crowd| crowd.kind == *kind).collect::<Vec<_>>(), now)
        })
        .collect()
}

fn wrong(incident: &Incident, kind: &str, crowds: &[&Crowd], now: Option<WallNs>) -> Wrong {
    let sum = |of: fn(&Crowd) -> u64| -> u64 { crowds.iter().map(|crowd| of(crowd)).sum() };
    let count = sum(|crowd| crowd.impacts);
    let observed = sum(|crowd| if crowd.confidence == Confidence::Observed { crowd.impacts } else { 0 });
    let last = if count > 1 { "the last of them until" } else { "until" };
    let until = match (crowds.iter().filter_map(|crowd| crowd.until).max(), sum(|crowd| crowd.endless)) {
        (Some(until), 0) => {
            let away = now.map_or_else(String::new, |now| format!(", {}", away(until, now)));
            format!("{last} {}{away}", until.short())
        }
        _ => "no end is in sight".to_owned(),
    };
    let of = match pods(incident, kind, crowds, count) {
        Some(1) if count > 1 => " (1 pod)".to_owned(),
        Some(pods) if pods < count => format!(" ({pods} pods)"),
        _ => String::new(),
    };
    let telling = telling(kind);
    Wrong { telling: telling.count(count) + &of, harm: telling.harm.class(), until, observed, count }
}

/// Of how many pods they are, if that can be told: those that stand differently are counted apart.
fn pods(incident: &Incident, kind: &str, crowds: &[&Crowd], count: u64) -> Option<u64> {
    if let [one] = crowds {
        return Some(one.pods).filter(|pods| *pods > 0);
    }
    let lasts = |impact: &&Impact| {
        impact.kind == kind && impact.state == State::Open && impact.confidence != Confidence::Refuted
    };
    let named = || incident.impacts.iter().filter(lasts);
    if u64::try_from(named().count()) != Ok(count) {
        return None;
    }
    let pods: BTreeSet<_> = named()
        .filter(|impact| impact.subject.kind == "pod")
        .map(|impact| (&impact.subject.namespace, &impact.subject.name))
        .collect();
    u64::try_from(pods.len()).ok().filter(|pods| *pods > 0)
}
