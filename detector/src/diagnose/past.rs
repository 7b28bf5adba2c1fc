//! What is concluded of the past.

use serde::Serialize;

use super::{Sighting, Span, Weight, Witness, from_logs::Disbelieved};
use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    ledger::Timeline,
};

/// How sure it is that there was such a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// One source hints at it.
    Possible,
    /// One source shows it.
    Likely,
    /// It was measured, or sources that know nothing of each other show it.
    Certain,
}

/// A jump of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastJump {
    /// Its number in this diagnosis, from 1, the oldest first.
    pub number: u64,
    /// What the wall clock showed right before.
    pub before: Span,
    /// What it showed right after.
    pub after: Span,
    /// By how much it moved.
    pub delta: Span,
    /// The best single guess at these.
    pub guess: Guess,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who did it, as far as that was said.
    pub by: Option<String>,
    /// What tells of it, the weightiest first.
    pub sightings: Vec<Sighting>,
}

/// The best single guess at where a jump went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// What the wall clock showed right before.
    pub before: WallNs,
    /// What it showed right after.
    pub after: WallNs,
    /// By how much it moved.
    pub delta: DeltaNs,
    /// When that was, ns since boot; where boot is not known, since some time before all that is known.
    pub at: BootNs,
}

/// From a jump until the clock was back. One that lasts is none yet: its jump is among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PastExcursion {
    /// The jump that began it; nothing if nothing tells of it.
    pub opened_by: Option<u64>,
    /// The jump that ended it.
    pub closed_by: u64,
    /// How far the clock was away.
    pub delta_ns: DeltaNs,
    /// For how long, ns.
    pub lasted_ns: u64,
}

/// What is concluded of the past.
#[derive(Clone, Debug)]
pub struct Past {
    /// Jumps, the oldest first.
    pub jumps: Vec<PastJump>,
    /// The present, ns since boot; where boot is not known, since some time before all that is known.
    pub now: BootNs,
    /// Excursions, by the jump that ended them.
    pub excursions: Vec<PastExcursion>,
    /// Which wall offset held when, by these jumps. Numbers are theirs.
    pub timeline: Timeline,
    /// What speaks of jumps of which nothing else is known: too little to conclude one.
    pub hints: Vec<Sighting>,
    /// Jumps of earlier boots, for people.
    pub earlier: Vec<String>,
    /// Lines that are not believed.
    pub disbelieved: Vec<Disbelieved>,
}

impl PastJump {
    /// How far the guess at the delta may be off, ns.
    pub fn error_ns(&self) -> Option<u64> {
        let guess = i128::from(self.guess.delta.0);
        let error = (self.delta.hi - guess).max(guess - self.delta.lo);
        self.delta.is_bounded().then(|| u64::try_from(error.max(0)).unwrap_or(u64::MAX))
    }

    /// Sources that tell of it, each once.
    pub fn sources(&self) -> Vec<&str> {
        let mut sources: Vec<&str> = Vec::new();
        for sighting in &self.sightings {
            if !sources.contains(&sighting.source.as_str()) {
                sources.push(&sighting.source);
            }
        }
        sources
    }
}

/// How sure a jump is of which these tell.
pub(super) fn certainty(sightings: &[Sighting]) -> Certainty {
    let shows = |sighting: &&Sighting| {
        // What was made in the future was made there, whatever is known of how the clock came there.
        matches!(sighting.witness, Witness::Files | Witness::Lives)
            || !matches!(sighting.weight, Weight::Told | Weight::Said | Weight::Lone)
    };
    let mut sources: Vec<&str> = sightings.iter().filter(shows).map(|sighting| &*sighting.source).collect();
    sources.sort_unstable();
    sources.dedup();
    let measured = sightings.iter().any(|sighting| sighting.weight == Weight::Measured);
    // Silence of several logs at once may be the machine's, which stood still. A clock that moved against a process is none.
    let measured_by_life = sightings.iter().any(|sighting| sighting.witness == Witness::Lives);
    if sources.len() > 1
        && !measured_by_life
        && sightings.iter().filter(shows).all(|sighting| sighting.weight == Weight::Leap)
    {
        return Certainty::Likely;
    }
    let best = sightings.iter().map(|sighting| sighting.weight).min();
    let told = sightings.iter().any(|sighting| sighting.witness == Witness::Words);
    match (sources.len(), best) {
        _ if measured => Certainty::Certain,
        (2.., _) => Certainty::Certain,
        (1, Some(Weight::Order | Weight::Reached | Weight::Told)) => Certainty::Likely,
        (1, _) if told => Certainty::Likely,
        _ => Certainty::Possible,
    }
}
