//! The wall offset, and its jumps with their labels.

use maud::{Markup, html};

use super::{
    super::{axis::Axis, trace::Point, words::safe},
    Measures, Sheet,
};
use crate::{
    clock::span,
    deliver::{human::name, json::word},
};

/// Jumps that get a mark, and those of them that can get a label.
const MARKS: usize = 60;
const LABELLED: usize = 12;
/// Lines of labels above the drawing.
const ROWS: usize = 3;

/// A jump's label.
pub(super) struct Label {
    /// Of which point.
    of: usize,
    x: i64,
    pub(super) row: usize,
}

impl Sheet<'_> {
    /// The wall offset. What is not known is dashed.
    pub(super) fn line(&self) -> Markup {
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

    pub(super) fn marks(&self, labels: &[Label]) -> Markup {
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
}

/// Labels for the largest jumps, as far as there is room.
pub(super) fn labels(points: &[Point<'_>], axis: &Axis, measures: Measures) -> Vec<Label> {
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
