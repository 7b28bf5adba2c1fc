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
        let still = span(offer.now.0.saturating_sub(last.0));
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
            let what = if remedy.stage == Stage::Waiting { "for now" } else { "not" };
            wrapped(&mut text, "  - ", 4, &format!("{}, {what}: {why}", remedy.what()));
            cause(&mut text, "    ", remedy, offer);
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
    cause(text, "     ", remedy, offer);
    let what_happens = match remedy.action {
        Action::RestartKubelet => "containers go on running; new tokens are there within two minutes",
        Action::EvictPod => "its controller makes another; disruption budgets are kept to",
    };
    let _ = writeln!(text, "     {}", colour.faint(what_happens));
    if let Some(command) = command(remedy.action, &remedy.subject, unit) {
        let _ = writeln!(text, "     by hand: {}", colour.bold(&command));
    }
}

/// `for 6 tokens that are refused, of jump 2 (-55d by date[917])`.
fn cause(text: &mut String, begin: &str, remedy: &Remediation, offer: &Offer) {
    let impacts: Vec<&Impact> = offer.impacts_of(remedy).collect();
    let seen = impacts.iter().filter(|impact| impact.confidence == Confidence::Observed).count();
    let sure = match seen {
        0 => "foretold".to_owned(),
        seen if seen == impacts.len() => "seen on this node".to_owned(),
        seen => format!("{seen} of them seen on this node"),
    };
    let jump = offer.jumps.iter().find(|jump| jump.sequence == remedy.jump).map(of_jump);
    let jump = jump.unwrap_or_default();
    wrapped(text, &format!("{begin}for "), begin.len() + 4, &format!("{}, {sure}{jump}", harm(&impacts)));
}

fn of_jump(jump: &Jump) -> String {
    format!("; by jump {}: {} by {}", jump.sequence, jump.delta.short(), name(&jump.actor))
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
