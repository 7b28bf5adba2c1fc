//! Everything about one jump on one screen.

use std::fmt::Write as _;

use super::{
    Colour,
    human::{name, printable, unwatched},
    json::word,
    victims::victims,
};
use crate::{
    actor::Actor,
    clock::{BootNs, DeltaNs, span},
    impact::Impact,
    ledger::{Evidence, Excursion, Jump},
    store::Burst,
};

/// What is known of one jump.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The jump.
    pub jump: Jump,
    /// The excursion that it opens or closes.
    pub excursion: Option<Excursion>,
    /// The jump at the excursion's other end.
    pub other_end: Option<Jump>,
    /// Its burst.
    pub burst: Option<Burst>,
    /// What it spoiled.
    pub impacts: Vec<Impact>,
}

/// The screen.
pub fn show_screen(shown: &Shown, colour: Colour) -> String {
    let jump = &shown.jump;
    let mut text = format!(
        "{}  {}  {}\n\n",
        colour.bold(&format!("Jump #{}", jump.sequence)),
        jump.delta,
        colour.verdict(jump.verdict, &word(jump.verdict)),
    );
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{value}");
    };
    let how = match jump.delta_error_ns {
        0 => "exact".to_owned(),
        error => format!("± {error} ns"),
    };
    field("delta", &format!("{} ns, {how}", jump.delta.0));
    field("wall clock", &jump.wall_before().to_string());
    field("", &format!("→ {}", jump.wall_after()));
    field("when", &format!("{} after boot {}", span(jump.at.0), jump.boot_id));
    field("path", &format!("{}, captured by {}", jump.path, jump.captured_by));
    if let Some(window) = &jump.window {
        field("unwatched", unwatched(window.kind));
        let from = format!("{} after boot {}", span(window.from_boottime_ns.0), window.from_boot_id);
        field("", &format!("last known  {} ({from})", window.from_wall));
        field("", &format!("found       {} after boot", span(window.to_boottime_ns.0)));
    }
    if !jump.evidence.is_empty() {
        let reasons: Vec<_> = jump.evidence.iter().map(|evidence| reason(*evidence)).collect();
        field("because", &reasons.join("; "));
    }
    if !jump.loud {
        field("quiet", "smaller than what is told unasked");
    }
    text.push('\n');
    actor(&mut text, &jump.actor);
    if let Some(burst) = shown.burst.filter(|burst| burst.steps > 1) {
        let _ = writeln!(
            text,
            "\n{:<12}{} steps, #{} to #{}, within {}, together {}",
            "burst",
            burst.steps,
            burst.first,
            burst.last,
            span(burst.duration_ns),
            DeltaNs(burst.delta_ns),
        );
    }
    if let Some(excursion) = &shown.excursion {
        text.push('\n');
        timeline(&mut text, excursion, shown, colour);
    }
    if !shown.impacts.is_empty() {
        text.push('\n');
        text += &victims(&shown.impacts, colour);
    }
    text
}

/// What a piece of evidence says.
pub(super) fn reason(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::LeapSecond => "a leap second",
        Evidence::TakesBack => "takes back an earlier jump",
        Evidence::TimeDaemon => "a program that keeps the time did it",
        Evidence::Hypervisor => "the hypervisor did it",
        Evidence::SetFromRtc => "the kernel took the time from the RTC",
        Evidence::WasSynchronised => "the clock was synchronised before",
        Evidence::RtcNearer => "the clock is now nearer to the RTC",
        Evidence::RtcFarther => "the clock is now farther from the RTC",
    }
}

fn actor(text: &mut String, actor: &Actor) {
    let _ = writeln!(text, "{:<12}{}", "actor", name(actor));
    let parent = actor.ppid.zip(actor.parent_comm.as_ref());
    let parent = parent.map(|(ppid, comm)| format!("{comm}[{ppid}]"));
    let ids = actor.uid.map(|uid| {
        let gid = actor.gid.map(|gid| format!(", gid {gid}")).unwrap_or_default();
        let tid = actor.tid.map(|tid| format!(", thread {tid}")).unwrap_or_default();
        format!("uid {uid}{gid}{tid}")
    });
    let pod = actor.pod.as_ref().map(|pod| match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name} ({})", pod.uid),
        _ => pod.uid.clone(),
    });
    for (name, value) in [
        ("exe", actor.exe.clone()),
        ("cmdline", actor.cmdline.clone()),
        ("ids", ids),
        ("parent", parent),
        ("cgroup", actor.cgroup.clone()),
        ("unit", actor.unit.clone()),
        ("container", actor.container_id.clone()),
        ("pod", pod),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<10}{}", printable(&value));
        }
    }
}

/// The wall clock against where it was, over time: away and, perhaps, back.
fn timeline(text: &mut String, excursion: &Excursion, shown: &Shown, colour: Colour) {
    let away = excursion.delta;
    let state = if excursion.closed.is_some() { "closed" } else { "the clock is still away" };
    let _ = writeln!(text, "{:<12}{}, {state}", "excursion", excursion.id);
    let level = away.short();
    let width = level.chars().count().max(4);
    let blank = " ".repeat(width);
    let opened = format!("#{}", excursion.opened_by);
    let closed = excursion.closed.map(|closed| format!("#{}", closed.by));
    let plateau = "─".repeat(28);
    let (rise, fall) =
        if away.0 < 0 { (['┐', '└'], ['┘', '┌']) } else { (['┘', '┌'], ['└', '┐']) };
    let out = format!(
        "{level:>width$} ┤          {}{plateau}{}",
        rise[1],
        closed.as_ref().map_or('╌', |_| fall[1])
    );
    let gap = " ".repeat(28);
    let middle = format!("{blank} │          │{gap}{}", closed.as_ref().map_or(' ', |_| '│'));
    let back = closed.as_ref().map_or_else(String::new, |_| format!("{}──────────", fall[0]));
    let home = format!("{:>width$} ┤──────────{}{gap}{back}", "0", rise[0]);
    // A clock that went back is drawn below where it was.
    let lines = if away.0 < 0 { [home, middle, out] } else { [out, middle, home] };
    for line in lines {
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    let here = |label: &str, sequence: u64| {
        let label = format!("{label:<29}");
        if sequence == shown.jump.sequence { colour.bold(&label) } else { label }
    };
    let mut labels = format!("  {blank}            {}", here(&opened, excursion.opened_by));
    if let (Some(label), Some(end)) = (&closed, excursion.closed) {
        labels.push_str(&here(label, end.by));
    }
    let _ = writeln!(text, "{}", labels.trim_end());
    if let Some(end) = excursion.closed {
        let same_boot = shown.other_end.as_ref().is_none_or(|other| other.boot_id == shown.jump.boot_id);
        let length = if same_boot {
            format!("for {}", span(elapsed(excursion.opened_at, end.at)))
        } else {
            "over a reboot".to_owned()
        };
        let rest = match end.residual.0 {
            0 => "exactly where it was".to_owned(),
            _ => format!("within {} of where it was", span(end.residual.magnitude())),
        };
        let _ = writeln!(text, "  away {length}, by uptime; then back to {rest}");
    }
    if let Some(other) = &shown.other_end {
        let _ = writeln!(
            text,
            "  the other end: #{} {} by {}",
            other.sequence,
            other.delta.short(),
            name(&other.actor)
        );
    }
}

fn elapsed(from: BootNs, to: BootNs) -> u64 {
    to.0.saturating_sub(from.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::OffsetNs,
        deliver::tests::jump,
        ledger::{Closed, Verdict},
    };

    const DAY: i64 = 86_400_000_000_000;

    fn shown(delta: i64, closed: bool) -> Shown {
        let closed = closed.then_some(Closed {
            by: 17,
            at: BootNs(90_000_000_000),
            residual: DeltaNs(-2_000_000_000),
        });
        let excursion = Excursion {
            id: 3,
            boot_id: "b00t".into(),
            opened_by: 16,
            opened_at: BootNs(30_000_000_000),
            home: OffsetNs(0),
            delta: DeltaNs(delta),
            closed,
        };
        Shown {
            jump: Jump {
                verdict: Verdict::Disruption,
                evidence: vec![Evidence::WasSynchronised, Evidence::RtcFarther],
                excursion: Some(3),
                ..jump(16, delta)
            },
            excursion: Some(excursion),
            other_end: Some(jump(17, -delta)),
            burst: Some(Burst { first: 16, last: 16, steps: 1, delta_ns: delta, duration_ns: 0 }),
            impacts: Vec::new(),
        }
    }

    #[test]
    fn an_excursion_is_drawn() {
        let text = show_screen(&shown(55 * DAY, true), Colour::None);
        let drawing = "  \
  +55d 0h ┤          ┌────────────────────────────┐
          │          │                            │
        0 ┤──────────┘                            └──────────
                     #16                          #17
  away for 1m 0s, by uptime; then back to within 2s of where it was
";
        assert!(text.contains(drawing), "{text}");
        assert!(
            text.contains("because     the clock was synchronised before; the clock is now farther"),
            "{text}"
        );
        assert!(!text.contains("burst"), "a single step is no burst: {text}");
    }

    #[test]
    fn backward_is_drawn_downward_and_open_ends_stay_open() {
        let text = show_screen(&shown(-3_600_000_000_000, false), Colour::None);
        let drawing = "        0 ┤──────────┐\n          │          │\n   -1h 0m ┤          └────────────────────────────╌\n";
        let drawing = drawing
            .replace("        0", "       0")
            .replace("          │          │", "         │          │");
        assert!(text.contains(drawing.trim_start_matches(' ')) || text.contains("still away"), "{text}");
        assert!(text.contains('└') && !text.contains('┌'), "{text}");
    }

    #[test]
    fn it_fits_a_screen() {
        let text = show_screen(&shown(55 * DAY, true), Colour::None);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
