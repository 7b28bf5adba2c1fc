//! The wall offset over time, against where it was before the first jump.

use std::sync::Arc;

use super::{axis::Moment, incident::Incident};
use crate::{
    clock::{BootNs, WallNs},
    impact::Impact,
    ledger::Jump,
};

/// One jump on the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    pub(super) jump: &'a Jump,
    pub(super) at: Moment,
    /// The level before and after, ns.
    pub(super) before: i128,
    pub(super) after: i128,
    /// Whether jumps before it are left out.
    pub(super) follows_gap: bool,
    /// Whether it belongs to what comes after the incident.
    pub(super) is_next: bool,
}

/// The line, and the boots that the report speaks of.
#[derive(Clone, Debug)]
pub(super) struct Trace<'a> {
    pub(super) points: Vec<Point<'a>>,
    boots: Vec<Arc<str>>,
}

impl<'a> Trace<'a> {
    pub(super) fn of(incident: &'a Incident) -> Self {
        let mut trace = Self { points: Vec::new(), boots: Vec::new() };
        let next = incident.next.iter().map(|jump| (jump, true));
        let mut level = 0;
        let mut last: Option<&Jump> = None;
        for (jump, is_next) in incident.jumps.iter().map(|jump| (jump, false)).chain(next) {
            let at = Moment { boot: trace.boot_or_new(&jump.boot_id), at: jump.at.0 };
            let chained = last.filter(|last| last.boot_id == jump.boot_id);
            // Normally 0: each jump begins where the one before ended.
            let drift = chained.map_or(0, |last| i128::from(jump.old.0) - i128::from(last.new.0));
            let before = level + drift;
            let after = before + i128::from(jump.delta.0);
            let follows_gap = last.is_some_and(|last| jump.sequence > last.sequence + 1);
            trace.points.push(Point { jump, at, before, after, follows_gap, is_next });
            level = after;
            last = Some(jump);
        }
        trace
    }

    fn boot_or_new(&mut self, id: &Arc<str>) -> usize {
        self.boot(id).unwrap_or_else(|| {
            self.boots.push(Arc::clone(id));
            self.boots.len() - 1
        })
    }

    fn boot(&self, id: &str) -> Option<usize> {
        self.boots.iter().position(|boot| **boot == *id)
    }

    /// The present, if it is not before what is known to have happened.
    pub(super) fn now(&mut self, boot_id: &str, at: BootNs) -> Moment {
        Moment { boot: self.boot_or_new(&boot_id.into()), at: at.0 }
    }

    /// When the incident began.
    pub(super) fn origin(&self) -> Option<Moment> {
        self.points.first().map(|point| point.at)
    }

    /// From when an impact is, and until when, if its end is in sight.
    pub(super) fn span(&self, impact: &Impact) -> Option<(Moment, Option<Moment>)> {
        let cause = self.points.iter().find(|point| point.jump.sequence == impact.jump);
        let cause = cause.or_else(|| self.points.first())?.at;
        let boot = self.boot(&impact.boot_id).unwrap_or(cause.boot);
        let from = impact.from_boot.map_or(cause, |at| Moment { boot, at: at.0 });
        Some((from, impact.until_boot.map(|at| Moment { boot, at: at.0 }.max(from))))
    }

    /// What the wall clock shows at `moment`, if nobody steps it after the last jump that is known.
    pub(super) fn wall(&self, moment: Moment) -> Option<WallNs> {
        let of_boot = || self.points.iter().filter(|point| point.at.boot == moment.boot);
        let before = of_boot().rev().find(|point| point.at <= moment).map(|point| point.jump.new);
        let offset = before.or_else(|| of_boot().next().map(|point| point.jump.old))?;
        Some(offset.wall_at(BootNs(moment.at)))
    }

    /// Where excursions begin and end, as far as that is among the jumps.
    pub(super) fn excursions(&self) -> Vec<(u64, Moment, Option<Moment>)> {
        let mut found: Vec<(u64, Moment, Option<Moment>)> = Vec::new();
        for point in self.points.iter().filter(|point| !point.is_next) {
            let Some(id) = point.jump.excursion else { continue };
            match found.iter_mut().find(|(known, ..)| *known == id) {
                Some((_, _, end)) => *end = Some(point.at),
                None => found.push((id, point.at, None)),
            }
        }
        found
    }
}
