//! How sure all that is, and what was not seen.

use super::{incident::Incident, words::safe};
use crate::{
    actor::ActorKind,
    capture::Size,
    clock::DeltaNs,
    deliver::{DaemonReport, Status, human::unwatched},
    impact::Confidence,
    node::JudgeSource,
};

/// Characters of what others say.
const SAID: usize = 200;
/// Troubles that are named.
const TROUBLES: usize = 5;

/// What the figures rest on.
pub(super) fn sure(incident: &Incident, status: &Status) -> Vec<String> {
    let mut found = Vec::new();
    if status.rung.measures_in_kernel() {
        found.push(format!(
            "Jumps are captured by {} in the kernel's own timekeeper, each to the nanosecond.",
            status.rung
        ));
    } else {
        found.push(format!(
            "Jumps are captured by {}, and measured from outside of the kernel: steps close together may be told as one, their sum right.",
            status.rung
        ));
    }
    let error = incident.jumps.iter().map(|jump| jump.delta_error_ns).max().unwrap_or(0);
    if error > 0 {
        found.push(format!("A delta of this incident can be wrong by {error} ns at most."));
    }
    if let Some(daemon) = &status.daemon {
        let moved = status.offset_ns.since(daemon.ledger.start_offset_ns);
        let left = moved.0.saturating_sub(daemon.ledger.sum_of_deltas_ns);
        found.push(match left {
            0 => "The account balances: the sum of all deltas since the daemon started is what the clock moved.".into(),
            _ => format!("The account is off by {} since the daemon started.", DeltaNs(left).short()),
        });
        for judge in daemon.credentials.judges.iter().take(TROUBLES) {
            let how = match judge.source {
                JudgeSource::DateHeader => "by the date in its answers",
                JudgeSource::FreshToken => "by the dates of fresh tokens",
                JudgeSource::OwnApiserver => "which goes by this node's clock",
                JudgeSource::NodeClock => "whose clock is not known: this node's is taken for it",
            };
            found.push(format!("Tokens are judged by {}, {how}.", safe(&judge.name, SAID)));
        }
    }
    let of = |confidence| -> u64 {
        incident.crowds.iter().filter(|crowd| crowd.confidence == confidence).map(|crowd| crowd.impacts).sum()
    };
    let counts = [Confidence::Observed, Confidence::Predicted, Confidence::Refuted].map(of);
    if counts.iter().any(|count| *count > 0) {
        let [observed, predicted, refuted] = counts;
        found.push(format!(
            "Of what it spoiled, {observed} were seen on the node, {predicted} are foretold by rules alone, {refuted} were foretold and not so."
        ));
    }
    found
}

/// What may be missing.
pub(super) fn unseen(incident: &Incident, status: &Status) -> Vec<String> {
    let mut found = Vec::new();
    for jump in &incident.jumps {
        if let Some(window) = &jump.window {
            found.push(format!("Jump #{} happened {}.", jump.sequence, unwatched(window.kind)));
        }
    }
    let unknown = incident.jumps.iter().filter(|jump| jump.actor.kind == ActorKind::Unknown).count();
    if unknown > 0 {
        found.push(format!("Who did it is not known of {unknown} of the jumps shown."));
    }
    for path in &status.coverage {
        if path.size != Size::Exact || !path.actor {
            let note = path.note.as_deref().unwrap_or("not exactly seen");
            found.push(format!("{}: {}.", path.path, safe(note, SAID)));
        }
    }
    if let Some(daemon) = &status.daemon {
        unseen_by_daemon(daemon, &mut found);
    }
    found
}

fn unseen_by_daemon(daemon: &DaemonReport, found: &mut Vec<String>) {
    if daemon.ledger.missed > 0 {
        found.push(format!(
            "{} steps were lost on the way from the kernel; the jump after them carries their sum.",
            daemon.ledger.missed
        ));
    }
    if daemon.store.unstored > 0 {
        found.push(format!("{} entries could not be stored.", daemon.store.unstored));
    }
    let (node, tokens) = (&daemon.node, &daemon.credentials);
    match (&node.runtime, node.runtime_ok) {
        (Some(_), true) => {}
        (_, _) if node.runtime_state.is_empty() => found.push("No container runtime was looked at.".into()),
        _ => found.push(format!("Container runtime: {}.", safe(&node.runtime_state, SAID))),
    }
    if tokens.kubelet_root.is_empty() {
        found.push("No token volumes were looked at.".into());
    } else if !tokens.watched {
        found.push(format!("Token volumes: {}.", safe(&tokens.volumes_state, SAID)));
    }
    for trouble in tokens.troubles.iter().take(TROUBLES) {
        found.push(format!("{}: {}.", safe(&trouble.of, SAID), safe(&trouble.trouble, SAID)));
    }
    if tokens.troubles.len() > TROUBLES {
        found.push(format!("And {} more like that.", tokens.troubles.len() - TROUBLES));
    }
}
