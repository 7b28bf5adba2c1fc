//! The drawing: the wall offset over uptime, and below it, on the same axis, who suffers.

use maud::{Markup, html};

use super::{
    axis::{Axis, Moment, Shape},
    lanes::{Group, Lane, Span},
    scale::Scale,
    ticks::ticks,
    trace::{Point, Trace},
    words::{confidence, level, safe},
};
use crate::{
    clock::{WallNs, span},
    deliver::{columns::shortened, human::name, json::word},
    impact::{Confidence, State},
};

/// Jumps that get a mark, and those of them that can get a label.
const MARKS: usize = 60;
const LABELLED: usize = 12;
/// Lines of labels above the drawing.
const ROWS: usize = 3;

/// The measures of a drawing, in its own units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    /// Tells the drawings of one page apart.
    pub(super) id: &'static str,
    width: i64,
    /// Where time begins: left of it are names or, where it is narrow, levels alone.
    left: i64,
    /// Whether a lane's name is above it.
    names_above: bool,
    /// From one tick to the next, and room for a label of a jump.
    apart: i64,
    label: i64,
    /// Of the drawing of the wall offset.
    height: i64,
    parts: usize,
    /// Characters of a name.
    name: usize,
}

/// For screens and paper.
pub(super) const WIDE: Measures = Measures {
    id: "wide",
    width: 1080,
    left: 250,
    names_above: false,
    apart: 96,
    label: 118,
    height: 150,
    parts: 5,
    name: 34,
};

/// For phones.
pub(super) const NARROW: Measures = Measures {
    id: "narrow",
    width: 336,
    left: 52,
    names_above: true,
    apart: 64,
    label: 84,
    height: 110,
    parts: 4,
    name: 42,
};

/// What is drawn.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) trace: &'a Trace<'a>,
    pub(super) groups: &'a [Group],
    /// The excursion that is still open, if it is.
    pub(super) open_excursion: Option<u64>,
    pub(super) now: Option<Moment>,
    /// What it shows, for those who do not see it.
    pub(super) summary: String,
}

/// Where a group is drawn.
struct Place<'a> {
    group: &'a Group,
    begin: i64,
    lanes: Vec<(&'a Lane, i64)>,
    end: i64,
}

/// What all parts of a drawing need.
struct Sheet<'a> {
    chart: &'a Chart<'a>,
    measures: Measures,
    axis: Axis,
    scale: Scale,
    top: i64,
    bottom: i64,
}

impl Chart<'_> {
    /// Draws it.
    pub(super) fn draw(&self, measures: Measures) -> Markup {
        let jumps: Vec<Moment> = self.trace.points.iter().map(|point| point.at).collect();
        let spans = self.groups.iter().flat_map(|group| &group.lanes).flat_map(|lane| &lane.spans);
        let mut moments: Vec<Moment> =
            spans.flat_map(|span| [Some(span.from), span.until]).flatten().collect();
        moments.extend(self.now);
        let shape = Shape {
            left: measures.left,
            right: measures.width - 8,
            gap: if measures.names_above { 16 } else { 26 },
            pad: if measures.names_above { 12 } else { 26 },
            parts: measures.parts,
        };
        let axis = Axis::new(&moments, &jumps, shape);
        let labels = labels(&self.trace.points, &axis, measures);
        let rows = labels.iter().map(|label| label.row + 1).max().unwrap_or(0);
        let top = 14 + i64::try_from(rows).unwrap_or(0) * 32;
        let bottom = top + measures.height;
        let levels: Vec<i128> =
            self.trace.points.iter().flat_map(|point| [point.before, point.after]).collect();
        let scale = Scale::new(&levels, top + 6, bottom - 10);
        let sheet = Sheet { chart: self, measures, axis, scale, top, bottom };
        let ground = bottom + 44;
        let (places, end) = sheet.places(ground);
        let height = end + if self.now.is_some() { 24 } else { 8 };
        html! {
            svg class=(measures.id) viewBox=(format!("0 0 {} {height}", measures.width)) role="img"
                aria-label=(self.summary) {
                (sheet.patterns())
                (sheet.excursions(end))
                (sheet.grid(end))
                (sheet.bars(&places))
                (sheet.breaks(end))
                (sheet.names(&places))
                (sheet.line())
                (sheet.marks(&labels))
                (sheet.now(end))
            }
        }
    }
}

impl Sheet<'_> {
    fn x(&self, moment: Moment) -> i64 {
        self.axis.x(moment)
    }

    /// Hatches, for what is foretold only.
    fn patterns(&self) -> Markup {
        html! {
            defs {
                @for harm in ["access", "figures", "work", "passing"] {
                    pattern id=(format!("{}-{harm}", self.measures.id)) class={ "hatch " (harm) } width="6" height="6"
                        patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                        rect class="ground" width="6" height="6" {}
                        line x1="0" y1="0" x2="0" y2="6" {}
                    }
                }
            }
        }
    }

    fn excursions(&self, end: i64) -> Markup {
        let shades: Vec<_> = self
            .chart
            .trace
            .excursions()
            .into_iter()
            .filter_map(|(id, from, until)| {
                let open = self.chart.open_excursion == Some(id);
                let until = if open { self.chart.now.or(until) } else { until };
                let length = until
                    .filter(|until| until.boot == from.boot)
                    .map(|until| until.at.saturating_sub(from.at));
                until.map(|until| (id, self.x(from), self.x(until), length, open))
            })
            .collect();
        html! {
            @for (id, from, until, length, open) in shades {
                g class="excursion" {
                    title {
                        "excursion " (id)
                        @if let Some(length) = length { ": away for " (span(length)) @if open { " so far" } }
                    }
                    rect x=(from) y=(self.top - 4) width=((until - from).max(1)) height=(end - self.top + 4) {}
                    @if let Some(length) = length && until - from > self.measures.label {
                        text class="away" x=(from.midpoint(until)) y=(self.top.midpoint(self.bottom) + 4) {
                            "away for " (span(length)) @if open { " so far" }
                        }
                    }
                }
            }
        }
    }

    /// Levels and times.
    fn grid(&self, end: i64) -> Markup {
        let right = self.measures.width - 8;
        html! {
            g class="grid" {
                @for level_ns in self.levels() {
                    line class=[(level_ns == 0).then_some("home")] x1=(self.measures.left) x2=(right)
                        y1=(self.scale.y(level_ns)) y2=(self.scale.y(level_ns)) {}
                    text class="level" x=(self.measures.left - 6) y=(self.scale.y(level_ns) + 4) { (level(level_ns)) }
                }
                @if !self.measures.names_above {
                    text class="axis-name" x="0" y=(self.top + 2) { "Wall clock" }
                    text class="axis-note" x="0" y=(self.top + 18) { "against where it" }
                    text class="axis-note" x="0" y=(self.top + 32) { "had been" }
                    @if self.scale.is_logarithmic() {
                        text class="axis-note" x="0" y=(self.top + 46) { "(logarithmic)" }
                    }
                    text class="axis-name" x="0" y=(self.bottom + 16) { "Uptime" }
                    text class="axis-note" x="0" y=(self.bottom + 31) { "since the first jump; wall clock" }
                }
                @for part in &self.axis.parts {
                    rect class="part" x=(part.left) y=(self.bottom) width=(part.right - part.left) height="1" {}
                    @let origin = self.origin(part.boot);
                    @for (n, tick) in ticks(part, origin, self.measures.apart).iter().enumerate() {
                        @let moment = Moment { boot: part.boot, at: tick.at };
                        @let x = self.x(moment);
                        line class="time" x1=(x) x2=(x) y1=(self.top) y2=(end) {}
                        line class="tick" x1=(x) x2=(x) y1=(self.bottom) y2=(self.bottom + 5) {}
                        text class="tick" x=(x) y=(self.bottom + 17) {
                            title { (self.hint(moment)) }
                            @if part.boot > 0 && n == 0 { "boot " }
                            (tick.label)
                        }
                        @if let Some(wall) = self.chart.trace.wall(moment) {
                            text class="wall" x=(x) y=(self.bottom + 31) {
                                (clock_of(wall, n == 0 && !self.measures.names_above && part.width() > 60))
                            }
                        }
                    }
                }
            }
        }
    }

    fn origin(&self, boot: usize) -> u64 {
        self.chart.trace.origin().filter(|origin| origin.boot == boot).map_or(0, |origin| origin.at)
    }

    /// The levels that get a line: home and those farthest from all others.
    fn levels(&self) -> Vec<i128> {
        let points = self.chart.trace.points.iter();
        let mut all: Vec<i128> = points.flat_map(|point| [point.before, point.after]).collect();
        all.sort_unstable_by_key(|level| std::cmp::Reverse(level.unsigned_abs()));
        let mut shown: Vec<i128> = vec![0];
        for level in all {
            let y = self.scale.y(level);
            if shown.len() < 6 && shown.iter().all(|other| (self.scale.y(*other) - y).abs() >= 14) {
                shown.push(level);
            }
        }
        shown
    }

    fn hint(&self, moment: Moment) -> String {
        let wall = self
            .chart
            .trace
            .wall(moment)
            .map_or_else(String::new, |wall| format!(", wall clock {}", wall.short()));
        format!("{} after boot{wall}", span(moment.at))
    }

    /// Where time is left out: the paper is torn.
    fn breaks(&self, end: i64) -> Markup {
        let half = if self.measures.names_above { 5 } else { 8 };
        html! {
            @for torn in &self.axis.breaks {
                g class="break" {
                    title {
                        @match torn.left_out {
                            Some(ns) => { (span(ns)) " are left out here; the scale changes" }
                            None => "the machine was booted here",
                        }
                    }
                    rect x=(torn.x - half) y=(self.top - 6) width=(2 * half) height=(end - self.top + 8) {}
                    path d=(tear(torn.x - half, self.top - 6, end + 2)) {}
                    path d=(tear(torn.x + half, self.top - 6, end + 2)) {}
                    text transform=(format!("translate({} {}) rotate(-90)", torn.x + 4, self.top.midpoint(self.bottom))) {
                        @match torn.left_out { Some(ns) => (span(ns)), None => "reboot" }
                    }
                }
            }
        }
    }

    /// The wall offset. What is not known is dashed.
    fn line(&self) -> Markup {
        let mut known = Vec::new();
        let mut guessed = Vec::new();
        let points = &self.chart.trace.points;
        let Some(first) = self.axis.parts.first() else { return html! {} };
        let mut pen = (first.left, self.scale.y(0));
        for point in points {
            let (x, before, after) =
                (self.x(point.at), self.scale.y(point.before), self.scale.y(point.after));
            let path = if point.follows_gap { &mut guessed } else { &mut known };
            path.push(format!("M{} {}L{x} {before}", pen.0, pen.1));
            known.push(format!("M{x} {before}V{after}"));
            pen = (x, after);
        }
        let last = points.last().map(|point| point.at);
        let now = self.chart.now.filter(|now| last.is_none_or(|last| *now >= last));
        let has_next = points.last().is_some_and(|point| point.is_next);
        if let Some(now) = now.filter(|_| !has_next) {
            known.push(format!("M{} {}H{}", pen.0, pen.1, self.x(now)));
            pen.0 = self.x(now);
        }
        guessed.push(format!("M{} {}H{}", pen.0, pen.1, self.measures.width - 8));
        html! {
            path class="offset guessed" d=(guessed.join("")) {}
            path class="offset" d=(known.join("")) {}
        }
    }

    fn marks(&self, labels: &[Label]) -> Markup {
        let points = &self.chart.trace.points;
        let marked =
            |n: usize| points.len() <= MARKS || labels.iter().any(|label| label.of == n) || n < MARKS;
        html! {
            g class="jumps" {
                @for (n, point) in points.iter().enumerate().filter(|(n, _)| marked(*n)) {
                    @let (x, y) = (self.x(point.at), self.scale.y(point.after));
                    g class={ "jump " (word(point.jump.verdict)) } {
                        title {
                            "#" (point.jump.sequence) " " (point.jump.delta.to_string()) " by " (safe(&name(&point.jump.actor), 60))
                            ": " (point.jump.wall_before().short()) " → " (point.jump.wall_after().short())
                            ", " (span(point.at.at)) " after boot"
                        }
                        @if let Some(label) = labels.iter().find(|label| label.of == n) {
                            @let row = 14 + i64::try_from(label.row).unwrap_or(0) * 32;
                            line class="leader" x1=(x) x2=(x) y1=(row + 4) y2=(y.min(self.scale.y(point.before))) {}
                            text class="number" x=(label.x) y=(row) {
                                "#" (point.jump.sequence) " " (point.jump.delta.short())
                            }
                            text class="actor" x=(label.x) y=(row + 13) { (safe(&name(&point.jump.actor), 18)) }
                        }
                        circle class=[point.is_next.then_some("next")] cx=(x) cy=(y) r=(if points.len() > 12 { 3 } else { 5 }) {}
                    }
                }
            }
        }
    }

    /// Where groups and their lanes are, and where they end.
    fn places(&self, ground: i64) -> (Vec<Place<'_>>, i64) {
        let (step, header) = if self.measures.names_above { (32, 22) } else { (20, 26) };
        let mut end = ground;
        let mut places = Vec::new();
        for group in self.chart.groups {
            let begin = end + 8;
            let first = begin + header;
            let lanes: Vec<_> = group.lanes.iter().zip((first..).step_by(step)).collect();
            let height = i64::try_from(step * lanes.len()).unwrap_or(0);
            end = first + height + if group.more > 0 { 16 } else { 0 };
            places.push(Place { group, begin, lanes, end });
        }
        (places, end)
    }

    fn bars(&self, places: &[Place<'_>]) -> Markup {
        let down = if self.measures.names_above { 16 } else { 4 };
        html! {
            @for place in places {
                @let harm = place.group.telling.harm.class();
                g class={ "group " (harm) } {
                    line class="rule" x1="0" x2=(self.measures.width - 8) y1=(place.begin) y2=(place.begin) {}
                    @for (lane, y) in &place.lanes {
                        @for span in &lane.spans { (self.span(span, y + down, harm)) }
                    }
                }
            }
        }
    }

    /// On top of everything that crosses them.
    fn names(&self, places: &[Place<'_>]) -> Markup {
        let (begin, down) = if self.measures.names_above { (0, 11) } else { (12, 13) };
        html! {
            @for Place { group, begin: top, lanes, end } in places {
                g class={ "group " (group.telling.harm.class()) } {
                    text class="kind" x="0" y=(top + 17) {
                        (group.telling.title)
                        tspan class="count" dx="8" {
                            (group.total) @if group.open < group.total { ", " (group.open) " open" }
                        }
                    }
                    @for (lane, y) in lanes {
                        @let most = self.measures.name - if lane.times > 1 { 4 } else { 0 };
                        text class=(if lane.is_refuted() { "name refuted" } else { "name" }) x=(begin) y=(y + down) {
                            title { (lane.name) }
                            (shortened(&lane.name, most))
                            @if lane.times > 1 { tspan class="count" { " ×" (lane.times) } }
                        }
                    }
                    @if group.more > 0 { text class="more" x=(begin) y=(end - 3) { "and " (group.more) " more" } }
                }
            }
        }
    }

    fn span(&self, span: &Span, y: i64, harm: &str) -> Markup {
        let right = self.measures.width - 8;
        let from = self.x(span.from);
        let until = span.until.map_or(right, |until| self.x(until)).max(from + 3);
        let (sure, state) = (span.look.confidence, span.look.state);
        let fill = (sure == Confidence::Predicted).then(|| format!("url(#{}-{harm})", self.measures.id));
        let class =
            format!("span {}{}", confidence(sure), if state == State::Resolved { " resolved" } else { "" });
        html! {
            g class=(class) {
                title { (span.hint) }
                rect x=(from) y=(y) width=(until - from) height="11" rx="2" fill=[fill] {}
                @if sure == Confidence::Refuted {
                    line class="strike" x1=(from - 3) x2=(until + 3) y1=(y + 5) y2=(y + 5) {}
                }
                @if state == State::Resolved {
                    line class="cap" x1=(until) x2=(until) y1=(y - 2) y2=(y + 13) {}
                } @else if span.until.is_none() {
                    path class="arrow" d=(format!("M{} {}l7 5.5l-7 5.5", right - 2, y)) {}
                }
            }
        }
    }

    fn now(&self, end: i64) -> Markup {
        let Some(now) = self.chart.now else { return html! {} };
        let x = self.x(now);
        html! {
            g class="now" {
                title { "now: " (self.hint(now)) }
                // Not through the labels of the axis.
                line x1=(x) x2=(x) y1=(self.top - 4) y2=(self.bottom) {}
                line x1=(x) x2=(x) y1=(self.bottom + 36) y2=(end + 6) {}
                text x=(x.min(self.measures.width - 20)) y=(end + 18) { "now" }
            }
        }
    }
}

/// A torn edge.
fn tear(x: i64, top: i64, bottom: i64) -> String {
    let teeth = (bottom - top).max(0) / 8;
    let mut path = format!("M{x} {top}");
    for n in 0..teeth {
        path += if n % 2 == 0 { "l3 8" } else { "l-3 8" };
    }
    path
}

/// The time of day, with its date if `dated`.
fn clock_of(wall: WallNs, dated: bool) -> String {
    let text = wall.short();
    match text.split_once(' ') {
        Some((_, time)) if !dated => time.to_owned(),
        _ => text.trim_end_matches('Z').to_owned() + "Z",
    }
}

/// A jump's label.
struct Label {
    /// Of which point.
    of: usize,
    x: i64,
    row: usize,
}

/// Labels for the largest jumps, as far as there is room.
fn labels(points: &[Point<'_>], axis: &Axis, measures: Measures) -> Vec<Label> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|n| std::cmp::Reverse((points[*n].jump.delta.magnitude(), std::cmp::Reverse(*n))));
    order.truncate(LABELLED);
    let mut placed: Vec<Label> = Vec::new();
    let half = measures.label / 2;
    for of in order {
        let x = axis.x(points[of].at).clamp(half.min(measures.left), measures.width - half);
        let taken = |row: usize| placed.iter().any(|it| it.row == row && (it.x - x).abs() < measures.label);
        if let Some(row) = (0..ROWS).find(|row| !taken(*row)) {
            placed.push(Label { of, x, row });
        }
    }
    placed
}
