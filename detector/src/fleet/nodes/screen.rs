//! `timejump nodes` for people, in at most 120 columns.

use std::fmt::Write as _;

use super::standing::{NodeStanding, NodeState, Skew, Told};
use crate::{
    clock::span,
    deliver::{Colour, cut, printable, shortened, word, wrapped},
};

/// Columns for names of nodes, at most.
const NODE: usize = 20;
/// Columns for who did it.
const BY: usize = 18;
/// Columns for how it captures, at least and at most.
const RUNG: (usize, usize) = (7, 14);

/// The screen.
pub fn nodes_screen(nodes: &[NodeStanding], colour: Colour) -> String {
    let longest = nodes.iter().map(|node| node.node.chars().count()).max();
    let width = longest.unwrap_or(0).clamp("NODE".len(), NODE);
    let rungs = nodes.iter().filter_map(|node| node.daemon.as_ref()).map(|told| word(told.rung).len());
    let rung = rungs.max().unwrap_or(0).clamp(RUNG.0, RUNG.1);
    let head = format!(
        "{:<width$}  {:<11}  {:<rung$}  {:>10}  {:>8}  {:<BY$}  {:>7}  {:>7}  {:>9}",
        "NODE", "STATE", "RUNG", "LAST JUMP", "AGO", "BY", "VICTIMS", "FOR", "SKEW"
    );
    let mut text = format!("{}\n", colour.bold(head.trim_end()));
    for node in nodes {
        let _ = writeln!(text, "{}", row(node, width, rung, colour));
    }
    let mut begun = false;
    for node in nodes.iter().filter(|node| !node.why.is_empty()) {
        if !std::mem::replace(&mut begun, true) {
            text.push('\n');
        }
        for (n, why) in node.why.iter().enumerate() {
            let name = if n == 0 { shortened(&printable(&node.node), width) } else { String::new() };
            wrapped(&mut text, &format!("{name:<width$}  "), width + 2, why);
        }
    }
    let _ = write!(text, "\n{}\n", summary(nodes));
    text
}

fn row(node: &NodeStanding, width: usize, rung: usize, colour: Colour) -> String {
    let name = shortened(&printable(&node.node), width);
    let state = format!("{:<11}", word(node.state).replace('_', " "));
    let state = match node.state {
        NodeState::ClockAway | NodeState::Impaired => colour.alarm(&state),
        NodeState::Unreachable | NodeState::NotRunning | NodeState::Degraded => colour.warn(&state),
        NodeState::NoTimejump => colour.faint(&state),
        NodeState::Sound => state,
    };
    let row = format!(
        "{name:<width$}  {state}  {}",
        node.daemon.as_ref().map_or_else(String::new, |it| told(it, rung))
    );
    row.trim_end().to_owned()
}

fn told(told: &Told, width: usize) -> String {
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
    format!("{rung:<width$}  {delta:>10}  {ago:>8}  {by:<BY$}  {victims:>7}  {until:>7}  {skew:>9}")
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
    if ns == 0 {
        return "now".to_owned();
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::{Rung, StepPath},
        clock::{DeltaNs, WallNs},
        fleet::nodes::standing::{LastJump, Victims},
        impact::Confidence,
        ledger::Verdict,
    };

    fn told() -> Told {
        Told {
            version: "0.1.0".into(),
            boot_id: "b".into(),
            rung: Rung::RawTracepoint,
            jumps: 3,
            last_jump: Some(LastJump {
                sequence: 7,
                delta_ns: DeltaNs(-55 * 86_400_000_000_000),
                wall_after: WallNs(0),
                path: StepPath::Adjtimex,
                verdict: Verdict::Correction,
                by: "fifteen-letters[4194304] a-unit.service".into(),
                ago_ns: Some(90 * 86_400_000_000_000),
            }),
            excursion: None,
            victims: vec![Victims {
                kind: "token_not_yet_valid".into(),
                confidence: Confidence::Observed,
                impacts: 1_234_567,
            }],
            until_boottime_ns: None,
            remaining_ns: None,
            skew: Some(Skew { ahead_ns: DeltaNs(-5_000_000_000), error_ns: 510_000_000, judge: "j".into() }),
            deliveries: Vec::new(),
        }
    }

    fn standing(node: &str, state: NodeState, daemon: Option<Told>) -> NodeStanding {
        let why = vec!["\u{1b}[2J and many words more ".repeat(20)];
        NodeStanding { node: node.into(), state, why, pod: None, condition: None, daemon }
    }

    #[test]
    fn it_fits_120_columns_and_steers_no_terminal() {
        let long = "ip-10-0-12-34.eu-central-1.compute.internal";
        let nodes = [
            standing(long, NodeState::ClockAway, Some(told())),
            standing("\u{1b}]0;x\u{7}", NodeState::NoTimejump, None),
        ];
        let text = nodes_screen(&nodes, Colour::None);
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(
            text.contains("ip-10-0-12-34…ternal  clock away   raw_tracepoint     -55d 0h    90d 0h"),
            "{text}"
        );
        assert!(text.contains("no end") && text.contains("      -5s\n"), "{text}");
        assert!(
            !text.contains('\u{1b}') && text.ends_with("2 nodes: 1 clock away, 1 no timejump\n"),
            "{text}"
        );
    }

    #[test]
    fn less_than_can_be_wrong_is_no_skew() {
        let near = Skew { ahead_ns: DeltaNs(400_000_000), error_ns: 510_000_000, judge: "j".into() };
        assert_eq!(skew(&near), "<510ms");
    }
}
