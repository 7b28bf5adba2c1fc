//! The drawing: the wall offset over uptime, and below it, on the same axis, who suffers.

mod axes;
mod jumps;
mod victims;

use maud::{Markup, html};

use super::{
    axis::{Axis, Moment, Shape},
    lanes::Group,
    scale::Scale,
    trace::{Point, Trace},
};
use crate::clock::span;

/// The measures of a drawing, in its own units.
#[derive(Clone, Copy, Debug)]
pub(in crate::deliver::report) struct Measures {
    /// Tells the drawings of one page apart.
    pub(in crate::deliver::report) id: &'static str,
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
pub(in crate::deliver::report) const WIDE: Measures = Measures {
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
pub(in crate::deliver::report) const NARROW: Measures = Measures {
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
pub(in crate::deliver::report) struct Chart<'a> {
    pub(in crate::deliver::report) trace: &'a Trace<'a>,
    pub(in crate::deliver::report) groups: &'a [Group],
    /// The excursion that is still open, if it is.
    pub(in crate::deliver::report) open_excursion: Option<u64>,
    pub(in crate::deliver::report) now: Option<Moment>,
    /// What it shows, for those who do not see it.
    pub(in crate::deliver::report) summary: String,
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
    pub(in crate::deliver::report) fn draw(&self, measures: Measures) -> Markup {
        let (next, own): (Vec<&Point<'_>>, Vec<_>) =
            self.trace.points.iter().partition(|point| point.is_next);
        let jumps: Vec<Moment> = own.into_iter().map(|point| point.at).collect();
        let spans = self.groups.iter().flat_map(|group| &group.lanes).flat_map(|lane| &lane.spans);
        let mut moments: Vec<Moment> =
            spans.flat_map(|span| [Some(span.from), span.until]).flatten().collect();
        moments.extend(next.into_iter().map(|point| point.at).chain(self.now));
        let shape = Shape {
            left: measures.left,
            right: measures.width - 8,
            gap: if measures.names_above { 16 } else { 26 },
            pad: if measures.names_above { 12 } else { 26 },
            parts: measures.parts,
        };
        let axis = Axis::new(&moments, &jumps, shape);
        let labels = jumps::labels(&self.trace.points, &axis, measures);
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

    fn hint(&self, moment: Moment) -> String {
        let wall = self
            .chart
            .trace
            .wall(moment)
            .map_or_else(String::new, |wall| format!(", wall clock {}", wall.short()));
        format!("{} after boot{wall}", span(moment.at))
    }
}
