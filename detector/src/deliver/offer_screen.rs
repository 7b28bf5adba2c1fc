//! What could be done, for people: what, for what, by which command; and what is left alone, and why.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Colour, Obstacles, Offer,
    human::{count, name, printable},
    victims::wrapped,
};
use crate::{
    clock::span,
    impact::{Confidence, Impact, Kind},
    ledger::Jump,
    remedy::{Action, Remediation, Stage, command},
};

/// One, ns.
const SECOND_NS: u64 = 1_000_000_000;
/// Remedies shown of each section.
const MOST: usize = 20;

/// The screen. One line where nothing is to be done. `unit` is kubelet's.
pub fn offer_screen(
    host: &str,
    offer: &Offer,
    obstacles: &Obstacles,
    unit: Option<&str>,
    colour: Colour,
) -> String {
    let host = printable(host);
    let numbered = || offer.remedies.iter().enumerate();
    let can = |place: usize, remedy: &Remediation| {
        remedy.stage == Stage::Planned && !obstacles.contains_key(&place)
    };
    let to_do: Vec<&Remediation> =
        numbered().filter(|(place, remedy)| can(*place, remedy)).map(|(_, remedy)| remedy).collect();
    let left: Vec<(usize, &Remediation)> =
        numbered().filter(|(place, remedy)| !can(*place, remedy)).collect();
    if offer.remedies.is_empty() {
        let fine = colour.bold(&format!("{host}: nothing is to be done because of its clock"));
        let lasting = match offer.impacts.len() {
            0 => "nothing suffers from it".to_owned(),
            lasting => {
                format!("{} that pass or need another remedy: timejump diagnose", many(lasting, "impact"))
            }
        };
        return format!("{fine} ({lasting})\n");
    }
    let mut text = String::new();
    let suffers: Vec<&Impact> = offer.remedies.iter().flat_map(|remedy| offer.impacts_of(remedy)).collect();
    let _ = writeln!(text, "{}", colour.alarm(&format!("{host}: {}", harm(&suffers))));
    if let Some(last) = offer.last_jump {
        let ns = offer.now.0.saturating_sub(last.0);
        let still = if ns < SECOND_NS { "less than a second".to_owned() } else { span(ns - ns % SECOND_NS) };
        let _ = writeln!(text, "{}", colour.faint(&format!("the clock has held still for {still}")));
    }
    if !to_do.is_empty() {
        let _ = writeln!(text, "\n{}", colour.bold("WHAT CAN BE DONE"));
        for (number, remedy) in to_do.iter().enumerate().take(MOST) {
            one(&mut text, number + 1, remedy, offer, unit, colour);
        }
        more(&mut text, to_do.len());
    }
    if !left.is_empty() {
        let _ = writeln!(text, "\n{}", colour.bold("WHAT IS LEFT ALONE"));
        for (place, remedy) in left.iter().take(MOST) {
            let why = obstacles.get(place).unwrap_or(&remedy.message);
            let now = if remedy.stage == Stage::Waiting { ", for now" } else { "" };
            let _ = writeln!(text, "  -  {}{now}", printable(&remedy.what()));
            field(&mut text, "why not", why);
            harms(&mut text, remedy, offer);
        }
        more(&mut text, left.len());
    }
    text
}

fn one(
    text: &mut String,
    number: usize,
    remedy: &Remediation,
    offer: &Offer,
    unit: Option<&str>,
    colour: Colour,
) {
    let _ = writeln!(text, "  {number}. {}", colour.bold(&printable(&remedy.what())));
    harms(text, remedy, offer);
    let then = match remedy.action {
        Action::RestartKubelet => "containers go on running; new tokens are there within two minutes",
        Action::EvictPod => "its controller makes another; disruption budgets are kept to",
    };
    field(text, "then", then);
    if let Some(command) = command(remedy.action, &remedy.subject, unit) {
        field(text, "by hand", &command);
    }
}

fn field(text: &mut String, name: &str, words: &str) {
    wrapped(text, &format!("     {name:<9}"), 14, words);
}

/// `6 tokens of 6 pods are refused, seen on this node; since jump 2, -55d 0h by date[917]`.
fn harms(text: &mut String, remedy: &Remediation, offer: &Offer) {
    let impacts: Vec<&Impact> = offer.impacts_of(remedy).collect();
    let seen = impacts.iter().filter(|impact| impact.confidence == Confidence::Observed).count();
    let sure = match seen {
        0 => "foretold".to_owned(),
        seen if seen == impacts.len() => "seen on this node".to_owned(),
        seen => format!("{seen} of them seen on this node"),
    };
    let jump = offer.jumps.iter().find(|jump| jump.sequence == remedy.jump).map(of_jump);
    field(text, "harm", &format!("{}, {sure}{}", harm(&impacts), jump.unwrap_or_default()));
}

fn of_jump(jump: &Jump) -> String {
    format!("; since jump {}, {} by {}", jump.sequence, jump.delta.short(), name(&jump.actor))
}

/// `6 tokens of 3 pods are refused, 2 CPU rates stand still`.
fn harm(impacts: &[&Impact]) -> String {
    let ids: BTreeSet<u64> = impacts.iter().map(|impact| impact.id).collect();
    let mut impacts: Vec<&&Impact> = impacts.iter().collect();
    impacts.sort_by_key(|impact| impact.id);
    impacts.dedup_by_key(|impact| impact.id);
    let of = |kinds: &[Kind]| -> Vec<&Impact> {
        let is_one = |impact: &&Impact| kinds.iter().any(|kind| impact.kind == kind.word());
        impacts.iter().map(|impact| **impact).filter(is_one).collect()
    };
    let tokens = of(&[Kind::TokenNotYetValid, Kind::TokenExpired]);
    let rates = of(&[Kind::KubeletCpuCacheStuck]);
    let others = ids.len() - tokens.len() - rates.len();
    let mut parts = Vec::new();
    if !tokens.is_empty() {
        let pods: BTreeSet<_> = tokens.iter().map(|impact| &impact.subject.uid).collect();
        let are = if tokens.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} of {} {are} refused", many(tokens.len(), "token"), many(pods.len(), "pod")));
    }
    if !rates.is_empty() {
        let stand = if rates.len() == 1 { "stands" } else { "stand" };
        parts.push(format!("{} {stand} still", many(rates.len(), "CPU rate")));
    }
    if others > 0 {
        let kinds: BTreeSet<String> = impacts
            .iter()
            .filter(|impact| !tokens.iter().chain(&rates).any(|known| known.id == impact.id))
            .map(|impact| impact.kind.replace('_', " "))
            .collect();
        parts.push(format!("{} ({})", many(others, "other"), Vec::from_iter(kinds).join(", ")));
    }
    parts.join(", ")
}

fn more(text: &mut String, all: usize) {
    if all > MOST {
        let _ = writeln!(text, "  and {} more: -o json has them all", all - MOST);
    }
}

fn many(number: usize, what: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::{BootNs, WallNs},
        impact::{Remedy, State, Subject},
        remedy::{Mode, Reason},
    };

    fn pod(name: &str) -> Subject {
        Subject {
            kind: "pod".into(),
            namespace: Some("default".into()),
            name: Some(name.into()),
            uid: Some(format!("uid-{name}")),
            ..Subject::default()
        }
    }

    fn impact(id: u64, kind: Kind, confidence: Confidence) -> Impact {
        Impact {
            id,
            jump: 2,
            boot_id: "b".into(),
            kind: kind.word().into(),
            subject: pod(&format!("web-{id}")),
            from: None,
            until: None,
            from_boot: None,
            until_boot: None,
            state: State::Open,
            confidence,
            remedy: Remedy::RestartKubelet,
            message: String::new(),
            evidence: json!({}),
        }
    }

    fn remedy(action: Action, subject: Subject, impacts: &[u64], reason: Option<Reason>) -> Remediation {
        Remediation {
            id: 0,
            boot_id: "b".into(),
            at: BootNs(0),
            wall: WallNs(0),
            action,
            subject,
            jump: 2,
            impacts: impacts.to_vec(),
            stage: if reason.is_some() { Stage::NotTaken } else { Stage::Planned },
            reason,
            message: reason.map_or_else(String::new, |reason| reason.words().to_owned()),
            mode: Mode::Act,
            started: None,
        }
    }

    #[test]
    fn what_for_how_and_what_not() {
        let offer = Offer {
            remedies: vec![
                remedy(Action::RestartKubelet, Subject::node(), &[1, 2, 3], None),
                remedy(Action::EvictPod, pod("x; reboot"), &[4], Some(Reason::BarePod)),
            ],
            impacts: vec![
                impact(1, Kind::TokenNotYetValid, Confidence::Observed),
                impact(2, Kind::TokenExpired, Confidence::Predicted),
                impact(3, Kind::KubeletCpuCacheStuck, Confidence::Observed),
                impact(4, Kind::ProbesSuspended, Confidence::Predicted),
            ],
            jumps: vec![Jump { sequence: 2, ..crate::deliver::tests::jump(2, -5_000_000_000) }],
            now: BootNs(724 * SECOND_NS + 5),
            last_jump: Some(BootNs(SECOND_NS)),
        };
        let screen = offer_screen("n1", &offer, &Obstacles::new(), Some("k3s-agent.service"), Colour::None);
        let want = "n1: 2 tokens of 2 pods are refused, 1 CPU rate stands still, 1 other (probes suspended)\n\
the clock has held still for 12m 3s\n\n\
WHAT CAN BE DONE\n  1. restart kubelet\n     \
harm     2 tokens of 2 pods are refused, 1 CPU rate stands still, 2 of them seen on this node;\n              \
since jump 2, -5s by unknown\n     \
then     containers go on running; new tokens are there within two minutes\n     \
by hand  systemctl restart k3s-agent\n\n\
WHAT IS LEFT ALONE\n  -  evict default/x; reboot\n     \
why not  nothing controls the pod: evicted, it would be gone for good\n     \
harm     1 other (probes suspended), foretold; since jump 2, -5s by unknown\n";
        assert_eq!(screen, want, "{screen}");
        let nothing = Offer::default();
        let screen = offer_screen("n1", &nothing, &Obstacles::new(), None, Colour::None);
        assert_eq!(screen, "n1: nothing is to be done because of its clock (nothing suffers from it)\n");
    }

    #[test]
    fn what_stands_in_the_way_is_told() {
        let offer = Offer {
            remedies: vec![remedy(Action::EvictPod, pod("web-1"), &[1], None)],
            impacts: vec![impact(1, Kind::TokenNotYetValid, Confidence::Observed)],
            ..Offer::default()
        };
        let clear = offer_screen("n1", &offer, &Obstacles::new(), None, Colour::None);
        assert!(clear.contains("kubectl delete pod -n default web-1"), "{clear}");
        let obstacles = Obstacles::from([(0, "its budget".to_owned())]);
        let held = offer_screen("n1", &offer, &obstacles, None, Colour::None);
        assert!(held.contains("why not  its budget") && !held.contains("kubectl"), "{held}");
    }
}
