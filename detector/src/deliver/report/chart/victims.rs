//! Who suffers, below the wall offset and on its axis.

use maud::{Markup, html};

use super::{
    super::{
        lanes::{Group, Lane, Span},
        words::confidence,
    },
    Sheet,
};
use crate::{
    deliver::columns::shortened,
    impact::{Confidence, State},
};

/// Where a group is drawn.
pub(super) struct Place<'a> {
    group: &'a Group,
    begin: i64,
    lanes: Vec<(&'a Lane, i64)>,
    end: i64,
}

impl Sheet<'_> {
    /// Hatches, for what is foretold only.
    pub(super) fn patterns(&self) -> Markup {
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

    /// Where groups and their lanes are, and where they end.
    pub(super) fn places(&self, ground: i64) -> (Vec<Place<'_>>, i64) {
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

    pub(super) fn bars(&self, places: &[Place<'_>]) -> Markup {
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
    pub(super) fn names(&self, places: &[Place<'_>]) -> Markup {
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
}
