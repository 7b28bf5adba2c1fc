//! A jump in the making: what the sightings of it allow together.

use super::{Sighting, Span, TOLERANCE_NS, Witness};

/// A jump in the making.
pub(super) struct Candidate {
    pub(super) before: Span,
    pub(super) after: Span,
    pub(super) delta: Span,
    pub(super) sightings: Vec<Sighting>,
}

impl Candidate {
    pub(super) fn new(sighting: Sighting) -> Self {
        Self {
            before: sighting.before,
            after: sighting.after,
            delta: sighting.delta,
            sightings: vec![sighting],
        }
    }

    /// Whether this may be a sighting of the same jump.
    pub(super) fn takes(&self, sighting: &Sighting) -> bool {
        let twice = |known: &Sighting| {
            // One log turns once at one jump.
            known.source == sighting.source
                && known.witness == Witness::Stamps
                && sighting.witness == Witness::Stamps
        };
        let meets = |a: Span, b: Span| a.widened(TOLERANCE_NS).meet(b).is_some();
        !self.sightings.iter().any(twice)
            && meets(self.before, sighting.before)
            && meets(self.after, sighting.after)
            && meets(self.delta, sighting.delta)
            && self.delta.meet(sighting.delta.widened(TOLERANCE_NS)).is_some()
    }

    pub(super) fn take(&mut self, sighting: Sighting) {
        // Where they miss each other within the tolerance, the weightier one, which came first, holds.
        let tighter = Sighting {
            before: self.before.meet(sighting.before).unwrap_or(self.before),
            after: self.after.meet(sighting.after).unwrap_or(self.after),
            delta: self.delta.meet(sighting.delta).unwrap_or(self.delta),
            ..sighting.clone()
        };
        if let Some(tighter) = tighter.consistent() {
            (self.before, self.after, self.delta) = (tighter.before, tighter.after, tighter.delta);
        }
        self.sightings.push(sighting);
    }

    pub(super) fn goes_back(&self) -> bool {
        self.delta.hi < 0
    }
}
