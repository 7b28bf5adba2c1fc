//! Lines and tables for people.

use std::fmt::Write as _;

use super::{Alarm, Message, Refused, Status, Summary};
use crate::{
    actor::{Actor, ActorKind},
    capture::{PathCoverage, RungReport, Size},
    ledger::Jump,
};

/// The message for people, one or a few lines, without the last one's end.
pub fn human_line(message: &Message) -> String {
    match message {
        Message::Status(status) => status_lines(status),
        Message::Jump(jump) => jump_lines(jump),
        Message::Lagged(missed) => {
            format!("!    {missed} steps were lost on the way (ring full); their sum follows unless it is 0")
        }
        Message::Refused(refused) => refused_line(refused),
        Message::Alarm(Alarm { kind, message }) => format!("!    {kind}: {message}"),
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
    format!(
        "#{:<4}{}  {}  by {}\n     {} → {}  {how}, {}",
        jump.sequence,
        jump.delta,
        jump.path,
        who(&jump.actor),
        jump.wall_before(),
        jump.wall_after(),
        jump.captured_by,
    )
}

fn refused_line(refused: &Refused) -> String {
    let times = if refused.count == 1 { String::new() } else { format!(", {} times so far", refused.count) };
    format!("-    refused ({}{times}): {} by {}", refused.errno, refused.path, who(&refused.actor))
}

fn summary_line(summary: &Summary) -> String {
    let balance = &summary.balance;
    let mut text = format!("{} jumps, sum {}", balance.jumps, balance.sum);
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
fn who(actor: &Actor) -> String {
    let function = actor.function.as_deref();
    match actor.kind {
        ActorKind::Process => process(actor),
        ActorKind::Kernel => function.map_or("the kernel".into(), |name| format!("the kernel ({name})")),
        ActorKind::Hypervisor => {
            function.map_or("the hypervisor".into(), |name| format!("the hypervisor ({name})"))
        }
        ActorKind::Unknown => "unknown".into(),
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
fn printable(text: &str) -> String {
    let is_steering = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_steering(c) { '\u{fffd}' } else { c }).collect()
}

/// A table of the rungs.
pub fn rung_table(reports: &[RungReport]) -> String {
    let mut text = format!("{:<2} {:<15} {:<10} {}\n", "", "RUNG", "STATE", "WHY");
    for report in reports {
        let why = report.reason.as_deref().unwrap_or("");
        let row = format!("{:<2} {:<15} {:<10} {why}", report.rung.letter(), report.rung, report.state);
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

/// A table of the paths.
pub fn coverage_table(coverage: &[PathCoverage]) -> String {
    let mut text = format!("{:<15} {:<11} {:<8} {}\n", "PATH", "SIZE", "ACTOR", "NOTE");
    for path in coverage {
        let size = match path.size {
            Size::Exact => "exact",
            Size::DeltaOnly => "delta only",
            Size::Blind => "blind",
        };
        let actor = if path.actor { "yes" } else { "no" };
        let row = format!("{:<15} {size:<11} {actor:<8} {}", path.path, path.note.as_deref().unwrap_or(""));
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::{CapturedBy, StepPath},
        clock::{BootNs, DeltaNs, OffsetNs},
        ledger::Verdict,
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
            sequence: 3,
            at: BootNs(0),
            delta: DeltaNs(-1_000_000_000),
            delta_error_ns: 0,
            old: OffsetNs(1_000_000_000),
            new: OffsetNs(0),
            path: StepPath::ClockSettime,
            captured_by: CapturedBy::Fentry,
            actor: actor(),
            verdict: Verdict::Unknown,
            excursion: None,
        };
        assert_eq!(
            human_line(&Message::Jump(jump)),
            "#3   -1s  clock_settime  by date[917] uid 0 (date -s 2024-02-06), child of bash[900], session-3.scope\n     \
             1970-01-01T00:00:01.000000000Z → 1970-01-01T00:00:00.000000000Z  exact, fentry"
        );
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
