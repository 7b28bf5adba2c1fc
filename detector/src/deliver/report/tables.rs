//! The jumps, the victims and the evidence, exactly.

use maud::{Markup, html};

use super::{
    incident::Incident,
    lanes::Group,
    words::{away, remedy, safe},
};
use crate::{
    actor::Actor,
    clock::{BootNs, WallNs, span},
    deliver::{
        human::{name, standing, unwatched, victim, who},
        json::word,
        show::reason,
    },
    impact::{Impact, State},
    ledger::Jump,
};

/// Characters of a name, of a command line, and of a message.
const NAME: usize = 120;
const COMMAND: usize = 400;
const MESSAGE: usize = 600;
/// Characters of one impact's evidence.
const EVIDENCE: usize = 2_000;

/// The jumps.
pub(super) fn jumps(incident: &Incident) -> Markup {
    let shown = u64::try_from(incident.jumps.len()).unwrap_or(u64::MAX);
    let left_out = incident.total.saturating_sub(shown);
    let mut before: Option<&Jump> = None;
    html! {
        section aria-labelledby="jumps" {
            h2 id="jumps" { "The jumps" }
            table class="cards jumps" role="table" {
                thead role="rowgroup" { tr role="row" {
                    @for head in ["Jump", "By how much", "Wall clock", "How", "Who", "Verdict"] {
                        th scope="col" role="columnheader" { (head) }
                    }
                } }
                tbody role="rowgroup" {
                    @for jump in &incident.jumps {
                        @if left_out > 0 && before.is_some_and(|before| jump.sequence > before.sequence + 1) {
                            tr role="row" {
                                td class="fold" role="cell" colspan="6" {
                                    "… " (left_out) " more: " code { "timejump history" } " has them all"
                                }
                            }
                        }
                        (row(jump, before.replace(jump), false))
                    }
                    @if let Some(next) = &incident.next { (row(next, None, true)) }
                }
            }
            @if incident.next.is_some() {
                p class="note" { "The last row is the first jump after this incident." }
            }
        }
    }
}

/// `before`: the jump of the row above. Who did that as well is not told twice.
fn row(jump: &Jump, before: Option<&Jump>, is_next: bool) -> Markup {
    let error = match jump.delta_error_ns {
        0 => "exact".to_owned(),
        error => format!("± {error} ns"),
    };
    let reasons: Vec<_> = jump.evidence.iter().map(|evidence| reason(*evidence)).collect();
    html! {
        tr role="row" class=[is_next.then_some("next")] {
            th scope="row" role="rowheader" { "#" (jump.sequence) }
            td role="cell" data-label="By how much" {
                b class="figure" { (jump.delta.to_string()) }
                small { (jump.delta.0) " ns, " (error) }
            }
            td role="cell" data-label="Wall clock" {
                span class="wall" { (jump.wall_before().to_string()) }
                span class="wall" { "→ " (jump.wall_after().to_string()) }
                small { (span(jump.at.0)) " after boot" }
            }
            td role="cell" data-label="How" {
                code { (jump.path.to_string()) }
                small { "captured by " (jump.captured_by.to_string()) }
                @if let Some(window) = &jump.window { small { (unwatched(window.kind)) } }
            }
            td role="cell" data-label="Who" { (actor(&jump.actor, before.map(|before| &before.actor))) }
            td role="cell" data-label="Verdict" {
                span class={ "verdict " (word(jump.verdict)) } { (word(jump.verdict)) }
                @if !reasons.is_empty() { small { "because " (reasons.join("; ")) } }
            }
        }
    }
}

fn actor(actor: &Actor, before: Option<&Actor>) -> Markup {
    let told = |of: &Actor| Actor { pid: None, tid: None, ..of.clone() };
    let as_above = before.is_some_and(|before| told(before) == told(actor)) && actor.comm.is_some();
    let pod = actor.pod.as_ref().map(|pod| match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => pod.uid.clone(),
    });
    let parent = actor.ppid.zip(actor.parent_comm.as_ref()).map(|(pid, comm)| format!("{comm}[{pid}]"));
    let fields = [
        ("exe", actor.exe.clone(), NAME),
        ("command", actor.cmdline.clone(), COMMAND),
        ("unit", actor.unit.clone(), NAME),
        ("pod", pod, NAME),
        ("container", actor.container_id.clone(), 12),
        ("parent", parent, NAME),
        ("uid", actor.uid.map(|uid| uid.to_string()), NAME),
    ];
    html! {
        b { (if actor.comm.is_some() { safe(&name(actor), NAME) } else { safe(&who(actor), NAME) }) }
        @if as_above {
            small { "as above" }
        } @else {
            dl class="facts" {
                @for (field, value, most) in fields {
                    @if let Some(value) = value { div { dt { (field) } dd { (safe(&value, most)) } } }
                }
            }
        }
    }
}

/// The victims, a table for each kind.
pub(super) fn victims(incident: &Incident, groups: &[Group], now: Option<WallNs>) -> Markup {
    html! {
        section aria-labelledby="victims" {
            h2 id="victims" { "Who suffers" }
            @for (n, group) in groups.iter().enumerate() {
                @let impacts: Vec<&Impact> =
                    incident.impacts.iter().filter(|impact| impact.kind == group.kind).collect();
                @let common = common(&impacts);
                @let more = group.total.saturating_sub(u64::try_from(impacts.len()).unwrap_or(u64::MAX));
                article class={ "kind " (group.telling.harm.class()) } aria-labelledby=(format!("kind-{n}")) {
                    h3 id=(format!("kind-{n}")) {
                        (group.telling.title) " "
                        span class="count" { (group.total) @if group.open < group.total { ", " (group.open) " open" } }
                    }
                    p class="code" { code { (safe(&group.kind, NAME)) } }
                    @if let Some(common) = common { p { (safe(common, MESSAGE)) } }
                    table class="cards victims" role="table" {
                        thead role="rowgroup" { tr role="row" {
                            @for head in ["Subject", "From", "Until", "How sure", "Remedy"] {
                                th scope="col" role="columnheader" { (head) }
                            }
                        } }
                        tbody role="rowgroup" {
                            @for impact in &impacts { (self::impact(impact, now, common.is_none())) }
                        }
                    }
                    @if more > 0 {
                        p class="fold" { "and " (more) " more: " code { "timejump show" } " has them all" }
                    }
                    (evidence(n, &impacts))
                }
            }
        }
    }
}

/// The message that all have.
fn common<'a>(impacts: &[&'a Impact]) -> Option<&'a str> {
    let (first, others) = impacts.split_first()?;
    others.iter().all(|impact| impact.message == first.message).then_some(first.message.as_str())
}

fn impact(impact: &Impact, now: Option<WallNs>, with_message: bool) -> Markup {
    let open = impact.state == State::Open;
    html! {
        tr role="row" class={ (super::words::confidence(impact.confidence)) @if !open { " resolved" } } {
            th scope="row" role="rowheader" {
                span class="subject" { (safe(&victim(&impact.subject), 2 * NAME)) }
                @if with_message { small class="message" { (safe(&impact.message, MESSAGE)) } }
            }
            td role="cell" data-label="From" { (instant(impact.from, impact.from_boot, None)) }
            td role="cell" data-label="Until" {
                @if impact.until.is_none() && impact.until_boot.is_none() { "no end is in sight" }
                (instant(impact.until, impact.until_boot, now))
            }
            td role="cell" data-label="How sure" { span class="sure" { (safe(&standing(impact), NAME)) } }
            td role="cell" data-label="Remedy" { @if open { (remedy(impact.remedy)) } @else { "–" } }
        }
    }
}

/// By both clocks.
fn instant(wall: Option<WallNs>, boot: Option<BootNs>, now: Option<WallNs>) -> Markup {
    html! {
        @if let Some(wall) = wall { span class="wall" { (wall.short()) } }
        @if let Some(boot) = boot {
            small {
                (span(boot.0)) " after boot"
                @if let (Some(now), Some(wall)) = (now, wall) { ", " (away(wall, now)) }
            }
        }
    }
}

fn evidence(group: usize, impacts: &[&Impact]) -> Markup {
    html! {
        details id=(format!("evidence-{group}")) {
            summary { "Evidence" }
            @for impact in impacts {
                h4 { (safe(&victim(&impact.subject), NAME)) " " span class="count" { "impact " (impact.id) " of jump #" (impact.jump) } }
                pre tabindex="0" { (pretty(&impact.evidence)) }
            }
        }
    }
}

/// One line for each member, no longer than it may be.
fn pretty(evidence: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(evidence).unwrap_or_default();
    let lines: Vec<String> =
        text.chars().take(EVIDENCE).collect::<String>().lines().map(|line| safe(line, 400)).collect();
    let cut = if text.chars().nth(EVIDENCE).is_some() { "\n…" } else { "" };
    lines.join("\n") + cut
}
