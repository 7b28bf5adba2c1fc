//! Levels and times, and where the paper is torn.

use maud::{Markup, html};

use super::{
    super::{axis::Moment, ticks::ticks, words::level},
    Sheet,
};
use crate::clock::{WallNs, span};

impl Sheet<'_> {
    /// Levels and times.
    pub(super) fn grid(&self, end: i64) -> Markup {
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

    /// Where time is left out: the paper is torn.
    pub(super) fn breaks(&self, end: i64) -> Markup {
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
