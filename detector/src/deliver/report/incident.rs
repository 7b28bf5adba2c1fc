//! What a report is about, and how it is taken from the store.

use std::fmt;

use crate::{
    impact::Impact,
    ledger::{Excursion, Jump},
    store::{Crowd, Order, Store},
};

/// Jumps of one incident that are named: its first and its last. The others are counted.
const HEAD: u32 = 60;
const TAIL: u32 = 40;
/// Impacts of one kind that are named. The others are counted.
const OF_KIND: u32 = 20;
/// Kinds that are named; there are fewer, unless the store is of a later version.
const KINDS: usize = 40;

/// Which incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The last excursion or, where there was none, the last jump.
    #[default]
    Last,
    /// That of this jump.
    Jump(u64),
    /// This excursion.
    Excursion(u64),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("jump"),
            Self::Jump(sequence) => write!(f, "jump {sequence}"),
            Self::Excursion(id) => write!(f, "excursion {id}"),
        }
    }
}

/// One incident: an excursion with all its jumps, or a jump with its burst; and what it spoiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incident {
    /// Its jumps, the oldest first; of very many the first and the last. None: there was no jump so far.
    pub jumps: Vec<Jump>,
    /// How many it has in all.
    pub total: u64,
    /// The excursion, if it is one.
    pub excursion: Option<Excursion>,
    /// The first jump after it, which is another incident's.
    pub next: Option<Jump>,
    /// How many came after it.
    pub since: u64,
    /// What it spoiled: the first of each kind.
    pub impacts: Vec<Impact>,
    /// All that it spoiled, counted.
    pub crowds: Vec<Crowd>,
}

impl Incident {
    /// Takes it from the store; nothing if there is no such jump or excursion, or no longer.
    pub fn gather(store: &Store, which: Which) -> rusqlite::Result<Option<Self>> {
        let Some((range, excursion)) = range(store, which)? else {
            return Ok((which == Which::Last).then(Self::default));
        };
        let (first, last) = range;
        let crowds = store.crowds(first, last)?;
        let mut kinds: Vec<&str> = Vec::new();
        for crowd in &crowds {
            if !kinds.contains(&crowd.kind.as_str()) && kinds.len() < KINDS {
                kinds.push(&crowd.kind);
            }
        }
        let mut impacts = Vec::new();
        for kind in kinds {
            impacts.extend(store.impacts_of_kind(first, last, kind, OF_KIND)?);
        }
        let after = last.saturating_add(1);
        Ok(Some(Self {
            jumps: store.ends_of_jumps(first, last, HEAD, TAIL)?,
            total: store.count_jumps(first, last)?,
            excursion,
            next: store.jumps(Order::OldestFirst(last), 1)?.pop(),
            since: store.count_jumps(after, u64::MAX)?,
            impacts,
            crowds,
        }))
    }

    /// How far the clock moved in all, ns.
    pub fn sum(&self) -> i128 {
        match (self.jumps.first(), self.jumps.last()) {
            (Some(first), Some(last)) if first.boot_id == last.boot_id => {
                i128::from(last.new.0) - i128::from(first.old.0)
            }
            _ => self.jumps.iter().map(|jump| i128::from(jump.delta.0)).sum(),
        }
    }
}

/// The numbers of its first and its last jump, and its excursion.
type Range = ((u64, u64), Option<Excursion>);

fn range(store: &Store, which: Which) -> rusqlite::Result<Option<Range>> {
    let newest = store.jumps(Order::NewestFirst(u64::MAX), 1)?.pop();
    let jump = match which {
        Which::Jump(sequence) => store.jump(sequence)?,
        Which::Last => newest.clone(),
        Which::Excursion(_) => None,
    };
    let id = match which {
        Which::Excursion(id) => Some(id),
        Which::Jump(_) => jump.as_ref().and_then(|jump| jump.excursion),
        Which::Last => store.last_excursion()?,
    };
    let excursion = id.map(|id| store.whole_excursion(id)).transpose()?.flatten();
    if let Some(excursion) = excursion {
        let end = excursion.closed.map(|closed| store.jump(closed.by)).transpose()?.flatten();
        let last = match (excursion.closed, &end) {
            // Those who set a clock back often do so in several steps.
            (Some(closed), Some(end)) => {
                store.burst(end.burst)?.map_or(closed.by, |it| it.last.max(closed.by))
            }
            (Some(closed), None) => closed.by,
            // After a boot the clock is wherever the RTC, or whoever has set it since, has put it.
            (None, _) => newest
                .filter(|newest| newest.boot_id == excursion.boot_id)
                .map_or(excursion.opened_by, |newest| newest.sequence),
        };
        // To and fro within one burst: one of its excursions is not the whole story, unless it is asked for.
        let burst = end.filter(|end| end.burst < excursion.opened_by).map(|end| end.burst);
        let Some(burst) = burst.filter(|_| !matches!(which, Which::Excursion(_))) else {
            return Ok(Some(((excursion.opened_by, last), Some(excursion))));
        };
        return Ok(Some(((burst, last), None)));
    }
    let Some(jump) = jump else { return Ok(None) };
    let burst = store.burst(jump.burst)?;
    let ends = burst.map_or((jump.sequence, jump.sequence), |burst| (burst.first, burst.last));
    Ok(Some((ends, None)))
}
