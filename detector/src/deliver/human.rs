//! Lines and tables for people.

use std::fmt::Write as _;

use super::{Alarm, Message, Refused, Status, Summary};
use crate::{
    actor::{Actor, ActorKind},
    deliver::json::word,
    impact::{Impact, Remedy, State, Subject},
    ledger::{Jump, WindowKind},
    remedy::{Mode, Remediation, Stage},
};

/// The message for people, one or a few lines, without the last one's end.
pub fn human_line(message: &Message) -> String {
    match message {
        Message::Status(status) => status_lines(status),
        Message::Jump(jump) => jump_lines(jump),
        Message::Impact(impact) => impact_line(impact),
        Message::Remedy(remedy) => remedy_line(remedy),
        Message::Missed(missed) => format!(
            "!    {} steps were lost on the way (ring full); their sum follows unless it is 0",
            missed.missed
        ),
        Message::Lagged(missed) => {
            format!("!    too slow: {missed} entries were passed over; `timejump history` has them")
        }
        Message::Refused(refused) => refused_line(refused),
        Message::Alarm(Alarm { kind, message }) => printable(&format!("!    {kind}: {message}")),
        Message::Summary(summary) => summary_line(summary),
    }
}

fn status_lines(status: &Status) -> String {
    let mut text = format!("timejump {}: watching by {}", status.version, status.rung);
    let in_use = status.rungs.iter().find(|report| report.rung == status.rung);
    if let Some(reason) = in_use.and_then(|report| report.reason.as_ref()) {
        let _ = write!(text, " ({reason})");
    }
    if !status.rung.measures_in_kernel() {
        text.push_str("; steps closer together than a wake-up are told as one (timejump status tells why)");
    }
    text
}

fn jump_lines(jump: &Jump) -> String {
    let how =
        if jump.delta_error_ns == 0 { "exact".to_owned() } else { format!("±{}ns", jump.delta_error_ns) };
    let mut text = format!(
        "#{:<4}{}  {}  by {}\n     {} → {}  {how}, {}",
        jump.sequence,
        jump.delta,
        jump.path,
        who(&jump.actor),
        jump.wall_before(),
        jump.wall_after(),
        jump.captured_by,
    );
    if let Some(window) = &jump.window {
        let _ = write!(text, "\n     {}", unwatched(window.kind));
    }
    text
}

/// What the delta of a jump means that nobody watched.
pub(super) fn unwatched(kind: WindowKind) -> &'static str {
    match kind {
        WindowKind::DaemonDown => "while timejump was down: the sum of all that happened meanwhile",
        WindowKind::RebootBehind => {
            "across a reboot: the clock is behind what it last showed; it went back by at least this"
        }
        WindowKind::RebootAhead => {
            "across a reboot: the clock is far ahead of what it last showed; the machine was off for so long, or the clock \
             went forward, by at most this"
        }
    }
}

/// `default/burn c`, `default/burn kube-api-access-x7k2p`, `this node`; a certificate's file.
pub(super) fn victim(subject: &Subject) -> String {
    let Subject { kind, namespace, name, container, volume, .. } = subject;
    if kind == "node" {
        return "this node".to_owned();
    }
    let name: Vec<_> = [namespace, name].into_iter().flatten().map(String::as_str).collect();
    let parts = [Some(name.join("/")), container.clone(), volume.clone()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `predicted`, `observed`, `resolved as foretold`.
pub(super) fn standing(impact: &Impact) -> String {
    let confidence = word(impact.confidence);
    match (impact.state, impact.evidence.get("ended").and_then(|ended| ended.as_str())) {
        (State::Resolved, Some(ended)) => format!("{confidence}, ended: {}", ended.replace('_', " ")),
        (State::Resolved, None) => format!("{confidence}, ended"),
        (State::Open, _) => confidence,
    }
}

pub(super) fn impact_line(impact: &Impact) -> String {
    let victim = victim(&impact.subject);
    let first = match impact.state {
        State::Open => format!("     #{} → {victim}: {}", impact.jump, impact.message),
        State::Resolved => format!("     #{} → {victim}: over", impact.jump),
    };
    let remedy = match impact.remedy {
        Remedy::None | Remedy::Wait => String::new(),
        remedy if impact.state == State::Open => format!("; remedy: {}", word(remedy)),
        _ => String::new(),
    };
    let second = format!("          {}, {}{remedy}", impact.kind, standing(impact));
    format!("{}\n{}", printable(&first), printable(&second))
}

/// `*    #17 → restart kubelet: done, and seen to have helped`.
pub(super) fn remedy_line(remedy: &Remediation) -> String {
    let stage = match remedy.stage {
        Stage::Planned => "planned",
        Stage::DryRun => "would be done now (dry run)",
        Stage::Waiting => "waits",
        Stage::Started => "begins",
        Stage::Succeeded => "done",
        Stage::Failed => "failed",
        Stage::GivenUp => "given up",
        Stage::NotTaken => "not done",
    };
    let dry = remedy.mode == Mode::DryRun && remedy.stage != Stage::DryRun;
    let dry = if dry { " (dry run)" } else { "" };
    let first = format!("*    #{} → {}: {stage}{dry}", remedy.jump, remedy.what());
    format!("{}\n{}", printable(&first), printable(&format!("          {}", remedy.message)))
}

/// `1 jump`, `2 jumps`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn refused_line(refused: &Refused) -> String {
    let times = if refused.count == 1 { String::new() } else { format!(", {} times so far", refused.count) };
    format!("-    refused ({}{times}): {} by {}", refused.errno, refused.path, who(&refused.actor))
}

fn summary_line(summary: &Summary) -> String {
    let balance = &summary.balance;
    let mut text = format!("{}, sum {}", count(balance.jumps, "jump"), balance.sum);
    for (n, what) in [
        (balance.missed, "steps lost on the way"),
        (summary.refused, "attempts refused"),
        (balance.suspends, "suspends"),
    ] {
        if n != 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

/// `chronyd[917] uid 0 (/usr/sbin/chronyd -F 1), child of systemd[1], chronyd.service`.
pub fn who(actor: &Actor) -> String {
    let function = actor.function.as_deref().map(printable);
    match actor.kind {
        ActorKind::Process => process(actor),
        ActorKind::Kernel => function.map_or("the kernel".into(), |name| format!("the kernel ({name})")),
        ActorKind::Hypervisor => {
            function.map_or("the hypervisor".into(), |name| format!("the hypervisor ({name})"))
        }
        ActorKind::Unknown => "unknown".into(),
    }
}

/// `date[917]`, or what else can be said in a word.
pub fn name(actor: &Actor) -> String {
    match (&actor.comm, actor.pid) {
        (Some(comm), Some(pid)) => printable(&format!("{comm}[{pid}]")),
        (Some(comm), None) => printable(comm),
        _ => who(actor),
    }
}

fn process(actor: &Actor) -> String {
    let mut text = actor.comm.clone().unwrap_or_else(|| "?".to_owned());
    if let Some(pid) = actor.pid {
        let _ = write!(text, "[{pid}]");
    }
    if let Some(uid) = actor.uid {
        let _ = write!(text, " uid {uid}");
    }
    if let Some(command) = actor.cmdline.as_ref().or(actor.exe.as_ref()) {
        let _ = write!(text, " ({command})");
    }
    if let (Some(ppid), Some(comm)) = (actor.ppid.filter(|ppid| *ppid != 0), &actor.parent_comm) {
        let _ = write!(text, ", child of {comm}[{ppid}]");
    }
    if let Some(pod) = &actor.pod {
        let _ = write!(text, ", pod {}", pod.uid);
    }
    if let Some(container) = &actor.container_id {
        let _ = write!(text, ", container {}", container.get(..12).unwrap_or(container));
    }
    if let Some(unit) = &actor.unit {
        let _ = write!(text, ", {unit}");
    }
    printable(&text)
}

/// Names, command lines and units are the processes' own: nothing in them may steer a terminal or turn a line around.
pub fn printable(text: &str) -> String {
    let is_steering = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_steering(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{BootNs, OffsetNs},
        deliver::tests::jump,
    };

    fn actor() -> Actor {
        Actor {
            kind: ActorKind::Process,
            pid: Some(917),
            comm: Some("date".into()),
            uid: Some(0),
            cmdline: Some("date -s 2024-02-06".into()),
            ppid: Some(900),
            parent_comm: Some("bash".into()),
            unit: Some("session-3.scope".into()),
            ..Actor::default()
        }
    }

    #[test]
    fn a_jump_reads_at_a_glance() {
        let jump = Jump {
            old: OffsetNs(1_000_000_000),
            new: OffsetNs(0),
            at: BootNs(0),
            actor: actor(),
            ..jump(3, -1_000_000_000)
        };
        assert_eq!(
            human_line(&Message::Jump(jump)),
            "#3   -1s  clock_settime  by date[917] uid 0 (date -s 2024-02-06), child of bash[900], session-3.scope\n     \
             1970-01-01T00:00:01.000000000Z → 1970-01-01T00:00:00.000000000Z  exact, fentry"
        );
    }

    #[test]
    fn victims_are_named() {
        let pod = Subject {
            kind: "pod".into(),
            namespace: Some("default".into()),
            name: Some("burn".into()),
            ..Subject::default()
        };
        let volume = Subject { volume: Some("kube-api-access-x7k2p".into()), ..pod.clone() };
        let certificate = Subject {
            kind: "certificate".into(),
            name: Some("/var/lib/kubelet/pki/kubelet.crt".into()),
            ..Subject::default()
        };
        for (subject, want) in [
            (Subject { container: Some("c".into()), ..pod.clone() }, "default/burn c"),
            (pod, "default/burn"),
            (volume, "default/burn kube-api-access-x7k2p"),
            (certificate, "/var/lib/kubelet/pki/kubelet.crt"),
            (Subject::node(), "this node"),
        ] {
            assert_eq!(victim(&subject), want);
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let evil = Actor {
            comm: Some("\u{1b}[2J".into()),
            cmdline: Some("a\nb".into()),
            unit: Some("\u{1b}]0;x\u{7}\u{202e}.service".into()),
            ..actor()
        };
        assert!(!who(&evil).contains(['\u{1b}', '\n', '\u{7}', '\u{202e}']));
    }

    #[test]
    fn kernel_callers_are_named() {
        let rtc = Actor { kind: ActorKind::Kernel, function: Some("rtc_hctosys".into()), ..Actor::default() };
        assert_eq!(who(&rtc), "the kernel (rtc_hctosys)");
        assert_eq!(who(&Actor::unknown()), "unknown");
    }
}
