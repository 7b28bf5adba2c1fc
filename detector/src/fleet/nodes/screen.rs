//! `timejump nodes` for people, in at most 120 columns.

use std::fmt::Write as _;

use super::standing::{NodeStanding, NodeState, Skew, Told};
use crate::{
    clock::span,
    deliver::{Colour, cut, printable, shortened, word},
};

/// Columns for names of nodes, at most.
const NODE: usize = 24;
/// Columns for who did it.
const BY: usize = 24;
/// Columns for a reason.
const WHY: usize = 400;

/// The screen.
pub fn nodes_screen(nodes: &[NodeStanding], colour: Colour) -> String {
    let longest = nodes.iter().map(|node| node.node.chars().count()).max();
    let width = longest.unwrap_or(0).clamp("NODE".len(), NODE);
    let head = format!(
        "{:<width$}  {:<11}  {:<10}  {:>10}  {:>8}  {:<BY$}  {:>7}  {:>7}  {:>9}",
        "NODE", "STATE", "RUNG", "LAST JUMP", "AGO", "BY", "VICTIMS", "FOR", "SKEW"
    );
    let mut text = format!("{}\n", colour.bold(head.trim_end()));
    for node in nodes {
        let _ = writeln!(text, "{}", row(node, width, colour));
    }
    let mut begun = false;
    for node in nodes.iter().filter(|node| !node.why.is_empty()) {
        if !std::mem::replace(&mut begun, true) {
            text.push('\n');
        }
        for (n, why) in node.why.iter().enumerate() {
            let name = if n == 0 { shortened(&printable(&node.node), width) } else { String::new() };
            let _ = writeln!(text, "{name:<width$}  {}", cut(&printable(why), WHY));
        }
    }
    let _ = write!(text, "\n{}\n", summary(nodes));
    text
}

fn row(node: &NodeStanding, width: usize, colour: Colour) -> String {
    let name = shortened(&printable(&node.node), width);
    let state = format!("{:<11}", word(node.state).replace('_', " "));
    let state = match node.state {
        NodeState::ClockAway | NodeState::Impaired => colour.alarm(&state),
        NodeState::Unreachable | NodeState::NotRunning | NodeState::Degraded => colour.warn(&state),
        NodeState::NoTimejump => colour.faint(&state),
        NodeState::Sound => state,
    };
    let row = format!("{name:<width$}  {state}  {}", node.daemon.as_ref().map_or_else(String::new, told));
    row.trim_end().to_owned()
}

fn told(told: &Told) -> String {
    let (delta, ago, by) = told.last_jump.as_ref().map_or_else(
        || ("none".to_owned(), String::new(), String::new()),
        |jump| {
            let ago = jump.ago_ns.map_or_else(|| "reboot".to_owned(), rough);
            (jump.delta_ns.short(), ago, jump.by.clone())
        },
    );
    let victims: u64 = told.victims.iter().map(|victims| victims.impacts).sum();
    let (victims, until) = match (victims, told.remaining_ns) {
        (0, _) => ("-".to_owned(), String::new()),
        (some, Some(left)) => (some.to_string(), rough(left)),
        (some, None) => (some.to_string(), "no end".to_owned()),
    };
    let skew = told.skew.as_ref().map_or_else(|| "?".to_owned(), skew);
    let rung = word(told.rung);
    let by = cut(&by, BY);
    format!("{rung:<10}  {delta:>10}  {ago:>8}  {by:<BY$}  {victims:>7}  {until:>7}  {skew:>9}")
}

/// Less than it can be wrong is none that is known.
fn skew(skew: &Skew) -> String {
    if skew.ahead_ns.magnitude() <= skew.error_ns {
        return format!("<{}", rough(skew.error_ns.max(1_000_000)));
    }
    skew.ahead_ns.short()
}

/// A length of time in one or two units, without fractions of a second where there are seconds.
fn rough(ns: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if ns < SECOND {
        return span(ns / 1_000_000 * 1_000_000);
    }
    span(ns / SECOND * SECOND)
}

fn summary(nodes: &[NodeStanding]) -> String {
    let count = |state: NodeState| nodes.iter().filter(|node| node.state == state).count();
    let states = [
        NodeState::ClockAway,
        NodeState::Impaired,
        NodeState::Unreachable,
        NodeState::NotRunning,
        NodeState::Degraded,
        NodeState::NoTimejump,
        NodeState::Sound,
    ];
    let told = states.iter().filter(|state| count(**state) > 0);
    let parts: Vec<_> =
        told.map(|state| format!("{} {}", count(*state), word(*state).replace('_', " "))).collect();
    let total = nodes.len();
    let plural = if total == 1 { "" } else { "s" };
    format!("{total} node{plural}: {}", parts.join(", "))
}
