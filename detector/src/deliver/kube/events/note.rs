//! What Events say. Times by the clock as it was and as it then went, and since boot: the reporter's wall clock is what is
//! in question.

use std::fmt::Write as _;

use super::memory::Remembered;
use crate::{
    clock::{BootNs, DeltaNs, OffsetNs, WallNs, span},
    deliver::{
        human::{standing, unwatched, victim},
        json::word,
        printable, who,
    },
    impact::{Impact, Remedy},
    ledger::Jump,
};

/// An apiserver takes no more, in bytes.
const LONGEST: usize = 1024;

/// Of a jump.
pub(super) fn jump(jump: &Jump) -> String {
    let exact = if jump.delta_error_ns == 0 {
        "exactly".to_owned()
    } else {
        format!("to within {}", span(jump.delta_error_ns))
    };
    let mut text = format!(
        "The wall clock jumped by {} ({exact}), from {} to {}, {} after boot, by {} of {}; {}",
        jump.delta,
        jump.wall_before(),
        jump.wall_after(),
        uptime(jump.at),
        jump.path,
        who(&jump.actor),
        word(jump.verdict),
    );
    if let Some(window) = &jump.window {
        let _ = write!(text, "; {}", unwatched(window.kind));
    }
    let _ = write!(text, ". Jump {}: `timejump show {}`", jump.sequence, jump.sequence);
    bounded(&text)
}

/// Of what a jump does to an object.
pub(super) fn impact(impact: &Impact, because: Option<&Remembered>) -> String {
    let mut text = format!("{}: {}", victim(&impact.subject), impact.message);
    let end = match (impact.until, impact.until_boot) {
        (Some(wall), Some(at)) => format!("until {} ({} after boot)", wall.short(), uptime(at)),
        (Some(wall), None) => format!("until {}", wall.short()),
        (None, Some(at)) => format!("until {} after boot", uptime(at)),
        (None, None) => "no end in sight".to_owned(),
    };
    let _ = write!(text, "; {end}; {}", standing(impact));
    if !matches!(impact.remedy, Remedy::None) {
        let _ = write!(text, "; remedy: {}", word(impact.remedy).replace('_', " "));
    }
    let _ = write!(text, ". {}", because_of(impact.jump, because));
    bounded(&text)
}

/// That it is over.
pub(super) fn over(impact: &Impact, times: u64, because: Option<&Remembered>) -> String {
    let also = if times > 1 { format!(" (told {times} times)") } else { String::new() };
    let kind = impact.kind.replace('_', " ");
    let text = format!("{kind} is over{also}: {}. {}", standing(impact), because_of(impact.jump, because));
    bounded(&text)
}

fn because_of(jump: u64, because: Option<&Remembered>) -> String {
    if jump == 0 {
        return "No jump of this node did it: it was the apiserver's clock".to_owned();
    }
    let Some(because) = because else { return format!("Jump {jump}: `timejump show {jump}`") };
    let at = BootNs(because.boottime_ns);
    let (old, new) = because.offsets();
    let wall = |offset: OffsetNs| -> WallNs { offset.wall_at(at) };
    format!(
        "Because of jump {jump} by {} from {} to {}, {} after boot",
        DeltaNs(because.delta_ns).short(),
        wall(old).short(),
        wall(new).short(),
        uptime(at)
    )
}

fn uptime(at: BootNs) -> String {
    format!("{}.{:03}s", at.0 / 1_000_000_000, at.0 % 1_000_000_000 / 1_000_000)
}

/// On one line, and no longer than an apiserver takes.
pub(super) fn bounded(text: &str) -> String {
    let text = printable(&text.replace('\n', " "));
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST - "…".len()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
