//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    chart::{Chart, NARROW, WIDE},
    figures::figures,
    headline::{Headline, now},
    incident::Incident,
    lanes::{self, Group},
    remedies, sure, tables,
    trace::Trace,
    words::safe,
};
use crate::{
    clock::span,
    deliver::Status,
    impact::{Confidence, State},
};

const STYLE: &str = include_str!("style.css");
/// What keeps a page that is served up to date.
const SCRIPT: &str = include_str!("live.js");

/// Of a page in a file: nothing but its own style.
const IN_FILE: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Of a page that is served: its own style, its own script and no other, and from the daemon itself more of the same.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src \
                          'sha256-bO8YWPvL5Oq+fW4RxTDWYJ0nx7+MClF2UVufiRdeCf8='; connect-src 'self'; base-uri \
                          'none'; form-action 'none'; frame-ancestors 'none'";

/// Where a page goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Into a file: it stays as it is, and holds no script.
    File,
    /// Over HTTP: it is kept up to date, and links to what else is served.
    Live,
}

/// The page about `incident`, as one HTML document.
pub fn page(incident: &Incident, status: &Status, medium: Medium) -> String {
    let headline = Headline::of(incident, status);
    let live = medium == Medium::Live;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                @if !live { meta http-equiv="Content-Security-Policy" content=(IN_FILE); }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="timejump";
                @if live { noscript { meta http-equiv="refresh" content="10"; } }
                title { (headline.title) " – timejump" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (content(incident, status, &headline)) }
                footer { (colophon(status, live)) }
                @if live { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
    .into_string()
}

fn content(incident: &Incident, status: &Status, headline: &Headline) -> Markup {
    let mut trace = Trace::of(incident);
    let daemon = status.daemon.as_ref();
    let present = daemon.map(|daemon| trace.now(&status.boot_id, daemon.now_boottime_ns));
    let groups = lanes::groups(incident, &trace);
    let open = incident.excursion.as_ref().filter(|it| it.closed.is_none() && *it.boot_id == *status.boot_id);
    let chart = Chart {
        trace: &trace,
        groups: &groups,
        open_excursion: open.map(|excursion| excursion.id),
        now: present,
        summary: summary(headline),
    };
    let wall = now(status);
    html! {
        header class=(headline.stage.class()) {
            p class="stage" { (headline.stage.words()) }
            h1 { (headline.title) "." }
            @for sentence in &headline.lead { p class="lead" { (sentence) } }
            @if !headline.wrongs.is_empty() {
                h2 class="small" { "Still wrong" }
                ul class="wrongs" {
                    @for wrong in &headline.wrongs {
                        li class=(wrong.harm) {
                            b { (wrong.telling) }
                            span class="until" { (wrong.until) }
                            span class="sure" {
                                @if wrong.observed == wrong.count { "observed" }
                                @else if wrong.observed == 0 { "predicted" }
                                @else { (wrong.observed) " observed, " (wrong.count - wrong.observed) " predicted" }
                            }
                        }
                    }
                }
            }
        }
        @let figures = figures(incident, status);
        @if !figures.is_empty() {
            dl class="figures" {
                @for figure in figures {
                    div { dt { (figure.name) } dd { b { (figure.value) } small { (figure.note) } } }
                }
            }
        }
        @if !incident.jumps.is_empty() {
            section aria-labelledby="timeline" {
                h2 id="timeline" { "What happened when" }
                figure class="chart" {
                    (chart.draw(WIDE))
                    (chart.draw(NARROW))
                    figcaption { (legend(&trace, &groups)) }
                }
            }
            (remedies::remedies(incident, status))
            (tables::jumps(incident))
            @if !groups.is_empty() { (tables::victims(incident, &groups, wall)) }
        }
        section class="sure" aria-labelledby="sure" {
            h2 id="sure" { "How sure this is" }
            ul { @for line in sure::sure(incident, status) { li { (line) } } }
            @let unseen = sure::unseen(incident, status);
            @if !unseen.is_empty() {
                h3 { "What was not seen" }
                ul { @for line in unseen { li { (line) } } }
            }
        }
    }
}

fn summary(headline: &Headline) -> String {
    let wrongs: Vec<_> =
        headline.wrongs.iter().map(|wrong| format!(" {}, {}.", wrong.telling, wrong.until)).collect();
    format!("Timeline. {}.{} The tables below say the same.", headline.title, wrongs.concat())
}

fn legend(trace: &Trace<'_>, groups: &[Group]) -> Markup {
    let spans = || groups.iter().flat_map(|group| &group.lanes).flat_map(|lane| &lane.spans);
    let is_there = |confidence| spans().any(|span| span.look.confidence == confidence);
    html! {
        ul class="legend" {
            li { span class="key line" {} "the wall clock" }
            @if !trace.excursions().is_empty() { li { span class="key shade" {} "while it was away" } }
            li class="torn" { span class="key torn" {} "time left out; the scale changes" }
            @if is_there(Confidence::Observed) { li { span class="key observed" {} "observed" } }
            @if is_there(Confidence::Predicted) { li { span class="key predicted" {} "predicted" } }
            @if spans().any(|span| span.look.state == State::Resolved) { li { span class="key resolved" {} "ended" } }
            @if is_there(Confidence::Refuted) { li { span class="key refuted" {} "refuted" } }
        }
    }
}

fn colophon(status: &Status, live: bool) -> Markup {
    let when = status.daemon.as_ref().zip(now(status));
    html! {
        p {
            "timejump " (safe(&status.version, 40)) " · kernel " (safe(&status.kernel, 80)) " · boot " code { (safe(&status.boot_id, 40)) }
        }
        @if let Some((daemon, wall)) = when {
            p { "As of " (wall.short()) ", " (span(daemon.now_boottime_ns.0)) " after boot. All times are UTC, as this node's clock had them." }
        }
        @if live {
            nav aria-label="Also here" {
                @for path in ["/metrics", "/healthz", "/readyz", "/status"] { a href=(path) { (path) } " " }
            }
        }
    }
}
