//! What a jump spoiled, for people: by kind, what many have in common only once.

use std::fmt::Write as _;

use super::{
    Colour,
    columns::shortened,
    human::{count, printable, standing, victim},
};
use crate::{
    clock::span,
    impact::{Impact, Remedy, State},
};

/// Victims shown of each kind.
const MOST: usize = 10;
/// Columns that a line may take.
const COLUMNS: usize = 100;
/// Columns for a victim's name, where something is beside it; a longer one loses its middle.
const NAME: usize = 46;

/// The victims, the kinds in the order in which they came.
pub(super) fn victims(impacts: &[Impact], colour: Colour) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for impact in impacts {
        if !kinds.contains(&impact.kind.as_str()) {
            kinds.push(&impact.kind);
        }
    }
    let mut text = String::new();
    for kind in kinds {
        let of_kind: Vec<_> = impacts.iter().filter(|impact| impact.kind == kind).collect();
        let number = count(u64::try_from(of_kind.len()).unwrap_or(u64::MAX), "victim");
        let _ = writeln!(text, "{}  {number}", colour.bold(&printable(kind)));
        let shown = &of_kind[..of_kind.len().min(MOST)];
        for alike in shown.chunk_by(|a, b| header(a) == header(b)) {
            group(&mut text, alike);
        }
        if of_kind.len() > MOST {
            let _ = writeln!(text, "  and {} more: -o json has them all", of_kind.len() - MOST);
        }
    }
    text
}

/// How it stands, and what to do.
fn header(impact: &Impact) -> (String, Option<&'static str>) {
    (standing(impact), (impact.state == State::Open).then(|| remedy(impact.remedy)))
}

/// Until when that is.
fn end(impact: &Impact) -> String {
    let Some(until) = impact.until else { return String::new() };
    let word = if impact.state == State::Resolved { "until" } else { "ends" };
    let boot = impact.until_boot.map_or_else(String::new, |at| format!(", {} after boot", span(at.0)));
    format!("{word} {}{boot}", until.short())
}

/// Victims that stand alike. What they do not have in common is in each one's own line.
fn group(text: &mut String, impacts: &[&Impact]) {
    let Some(first) = impacts.first() else { return };
    let (standing, remedy) = header(first);
    let one_end = impacts.iter().all(|impact| end(impact) == end(first));
    let together = if one_end && first.until.is_some() { format!("; {}", end(first)) } else { String::new() };
    let _ = writeln!(text, "  {standing}{together}");
    if let Some(remedy) = remedy {
        let _ = writeln!(text, "  remedy: {remedy}");
    }
    let messages: Vec<String> = impacts.iter().map(|impact| message(impact, one_end)).collect();
    let common = in_common(&messages);
    let shared = common.trim_end_matches("; ");
    if !shared.is_empty() {
        wrapped(text, "  ", 2, shared);
    }
    for (impact, message) in impacts.iter().zip(&messages) {
        let own_end = if one_end { String::new() } else { end(impact) };
        let rest = &message[common.len()..];
        let name = printable(&victim(&impact.subject));
        // With nothing beside it, it may be as long as it is.
        let name = if own_end.is_empty() && rest.is_empty() { name } else { shortened(&name, NAME) };
        let name = format!("    {name:<NAME$} {own_end}");
        if rest.is_empty() {
            let _ = writeln!(text, "{}", name.trim_end());
        } else if shared.is_empty() || !own_end.is_empty() {
            let _ = writeln!(text, "{}", name.trim_end());
            wrapped(text, "      ", 6, rest);
        } else {
            wrapped(text, &name, NAME + 5, rest);
        }
    }
}

/// Its words; without the time that is its own, where that is said beside its name.
fn message(impact: &Impact, one_end: bool) -> String {
    match impact.until {
        Some(until) if !one_end => impact.message.replace(&until.short(), "…"),
        _ => impact.message.clone(),
    }
}

/// What all messages begin with, as far as a part of a sentence goes.
fn in_common(messages: &[String]) -> &str {
    let Some((first, others)) = messages.split_first() else { return "" };
    if others.iter().all(|message| message == first) {
        return first;
    }
    let same = |end: usize| others.iter().all(|message| message.starts_with(&first[..end]));
    let end = first.match_indices("; ").map(|(at, mark)| at + mark.len()).take_while(|end| same(*end)).last();
    &first[..end.unwrap_or(0)]
}

/// Breaks between words; the lines after the first begin with `indent` blanks.
pub(crate) fn wrapped(text: &mut String, begin: &str, indent: usize, words: &str) {
    let mut line = begin.to_owned();
    let mut is_empty = true;
    for word in printable(words).split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    let _ = writeln!(text, "{line}");
}

/// What to do, in words.
fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::RestartKubelet => "restart kubelet, or wait",
        Remedy::DeletePod => "delete the pod, or wait",
        Remedy::RestartRuntime => "restart the container runtime (containers go on running), or wait",
        Remedy::Wait => "wait",
        Remedy::None => "none needed",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::{BootNs, WallNs},
        impact::{Confidence, Subject},
    };

    fn impact(pod: &str, message: &str) -> Impact {
        Impact {
            id: 1,
            jump: 1,
            boot_id: "b".into(),
            kind: "runtime_cpu_baseline_stuck".into(),
            subject: Subject {
                kind: "pod".into(),
                namespace: Some("default".into()),
                name: Some(pod.into()),
                container: Some("c".into()),
                ..Subject::default()
            },
            from: None,
            until: Some(WallNs(1_780_301_200_000_000_000)),
            from_boot: None,
            until_boot: Some(BootNs(3_700_000_000_000)),
            state: State::Open,
            confidence: Confidence::Observed,
            remedy: Remedy::RestartRuntime,
            message: message.into(),
            evidence: json!({}),
        }
    }

    #[test]
    fn what_many_have_in_common_is_said_once() {
        let begin = "containerd 1.7.24 shows the CPU rate 0 until the wall clock passes 2026-06-01 08:06:40Z, 1h 0m after the jump";
        let mut over = impact("d", "m");
        over.state = State::Resolved;
        over.evidence = json!({ "ended": "subject_gone" });
        let impacts = [
            impact("a", &format!("{begin}; then, once, at least 108.3 cores")),
            impact("b", &format!("{begin}; then, once, at least 7.2 cores")),
            over,
        ];
        assert_eq!(
            victims(&impacts, Colour::None),
            "\
runtime_cpu_baseline_stuck  3 victims
  observed; ends 2026-06-01 08:06:40Z, 1h 2m after boot
  remedy: restart the container runtime (containers go on running), or wait
  containerd 1.7.24 shows the CPU rate 0 until the wall clock passes 2026-06-01 08:06:40Z, 1h 0m
  after the jump
    default/a c                                    then, once, at least 108.3 cores
    default/b c                                    then, once, at least 7.2 cores
  observed, ended: subject gone; until 2026-06-01 08:06:40Z, 1h 2m after boot
  m
    default/d c
"
        );
    }

    #[test]
    fn messages_with_nothing_in_common_follow_each_victim() {
        let impacts = [impact("a", "one thing"), impact("b", &"another ".repeat(30))];
        let text = victims(&impacts, Colour::None);
        assert!(text.contains("    default/a c\n      one thing\n    default/b c\n      another"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }

    #[test]
    fn times_of_their_own_are_beside_the_names() {
        let at = |pod: &str, seconds: i128| Impact {
            until: Some(WallNs(seconds * 1_000_000_000)),
            message: format!("not probed until {}, and their delay", WallNs(seconds * 1_000_000_000).short()),
            ..impact(pod, "")
        };
        let text = victims(&[at("a", 60), at("b", 61)], Colour::None);
        let want = "
  observed
  remedy: restart the container runtime (containers go on running), or wait
  not probed until …, and their delay
    default/a c                                    ends 1970-01-01 00:01:00Z, 1h 2m after boot
    default/b c                                    ends 1970-01-01 00:01:01Z, 1h 2m after boot
";
        assert!(text.contains(want), "{text}");
    }

    /// A token of `pod` that is refused until `until`.
    fn refused(pod: &str, kind: &str, until: Option<WallNs>, message: String) -> Impact {
        let mut impact = impact(pod, "");
        impact.kind = kind.into();
        impact.subject.namespace = Some("kube-system".into());
        impact.subject.container = None;
        impact.subject.volume = Some("kube-api-access-x7k2p".into());
        Impact {
            until,
            until_boot: until.map(|until| BootNs(u64::try_from(until.0 / 1_000_000).unwrap())),
            confidence: Confidence::Predicted,
            remedy: Remedy::RestartKubelet,
            message,
            ..impact
        }
    }

    #[test]
    fn tokens_are_told_by_pod_and_volume() {
        let not_yet = |pod: &str, until: i128| {
            let until = WallNs(until * 1_000_000_000);
            let message = format!(
                "the apiserver refuses it (401, \"not valid yet\") until the apiserver's clock passes {}; kubelet does \
                 not replace it before that",
                until.short()
            );
            refused(pod, "token_not_yet_valid", Some(until), message)
        };
        let expired = refused(
            "kube-proxy-7xk2p",
            "token_expired",
            None,
            "the apiserver refuses it (401, \"expired\") until kubelet replaces it, which is overdue".into(),
        );
        let excursion = Impact {
            kind: "token_excursion".into(),
            subject: Subject::node(),
            message: "while the clock was 55d 0h ahead, for 25m 0s, 2 tokens of 2 pods were written; they are refused \
                      with 401, the last of them until 2024-03-31 23:49:00Z; restart kubelet: it writes new ones within \
                      two minutes"
                .into(),
            ..not_yet("", 1_711_928_940)
        };
        let impacts = [
            not_yet("coredns-5dd5756b68-2x9lm", 1_711_928_940),
            not_yet("coredns-5dd5756b68-9fq4c", 1_711_928_938),
            expired,
            excursion,
        ];
        let text = victims(&impacts, Colour::None);
        let want = "\
token_not_yet_valid  2 victims
  predicted
  remedy: restart kubelet, or wait
";
        assert!(text.starts_with(want), "{text}");
        for line in [
            "    kube-system/coredns-5dd5756b68-2x9lm ku…-x7k2p ends 2024-03-31 23:49:00Z, ",
            "    kube-system/kube-proxy-7xk2p kube-api-access-x7k2p\n",
            "  while the clock was 55d 0h ahead, for 25m 0s, 2 tokens of 2 pods were written; they are refused\n",
            "    this node\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }

    #[test]
    fn only_so_many_are_shown() {
        let impacts: Vec<_> = (0..12).map(|n| impact(&format!("p{n}"), "m")).collect();
        let text = victims(&impacts, Colour::None);
        assert!(text.contains("p9") && !text.contains("p10") && text.contains("and 2 more"), "{text}");
    }
}
