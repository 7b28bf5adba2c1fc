//! Reading what belongs to one incident, within bounds however much that is.

use rusqlite::{OptionalExtension, params};

use super::{
    Store,
    rows::{self, signed},
};
use crate::{
    clock::{BootNs, WallNs},
    impact::{Confidence, Impact, Remedy, State},
    ledger::{Excursion, Jump},
};

/// Jumps looked through for the last excursion.
const LOOKED_AT: u32 = 10_000;

/// Impacts that stand alike, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// What is wrong, such as `token_not_yet_valid`.
    pub kind: String,
    /// Whether they last.
    pub state: State,
    /// How sure they are.
    pub confidence: Confidence,
    /// What to do.
    pub remedy: Remedy,
    /// How many.
    pub impacts: u64,
    /// Of how many pods; 0 if they are of the node or of files.
    pub pods: u64,
    /// How many have no end in sight.
    pub endless: u64,
    /// When the last of the others ends, by the wall clock.
    pub until: Option<WallNs>,
    /// The same, ns since boot.
    pub until_boot: Option<BootNs>,
}

impl Store {
    /// The excursion that the last jump of any opened or closed.
    pub fn last_excursion(&self) -> rusqlite::Result<Option<u64>> {
        let id: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT excursion FROM (SELECT sequence, excursion FROM jumps ORDER BY sequence DESC LIMIT ?) WHERE \
                 excursion IS NOT NULL ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row([LOOKED_AT], |row| row.get(0))
            .optional()?;
        Ok(id.and_then(|id| u64::try_from(id).ok()))
    }

    /// The excursion of that number or, if that was but a step on the way of another, the other.
    pub fn whole_excursion(&self, id: u64) -> rusqlite::Result<Option<Excursion>> {
        self.connection
            .prepare_cached(
                "SELECT * FROM excursions WHERE id = coalesce((SELECT part_of FROM excursions WHERE id = ?1), ?1)",
            )?
            .query_row([signed(id)], rows::excursion)
            .optional()
    }

    /// How many jumps there are from number `first` to `last`, both included.
    pub fn count_jumps(&self, first: u64, last: u64) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT count(*) FROM jumps WHERE sequence BETWEEN ? AND ?")?
            .query_row([signed(first), signed(last)], |row| rows::unsigned(row, 0))
    }

    /// The first `head` and the last `tail` jumps from number `first` to `last`, the oldest first.
    pub fn ends_of_jumps(&self, first: u64, last: u64, head: u32, tail: u32) -> rusqlite::Result<Vec<Jump>> {
        self.connection
            .prepare_cached(
                "SELECT * FROM jumps WHERE sequence IN (SELECT * FROM (SELECT sequence FROM jumps WHERE sequence BETWEEN ?1 \
                 AND ?2 ORDER BY sequence LIMIT ?3) UNION SELECT * FROM (SELECT sequence FROM jumps WHERE sequence BETWEEN \
                 ?1 AND ?2 ORDER BY sequence DESC LIMIT ?4)) ORDER BY sequence",
            )?
            .query_map(params![signed(first), signed(last), head, tail], rows::jump)?
            .collect()
    }

    /// The impacts of the jumps from number `first` to `last`, counted by how they stand.
    pub fn crowds(&self, first: u64, last: u64) -> rusqlite::Result<Vec<Crowd>> {
        self.connection
            .prepare_cached(
                "SELECT kind, state, confidence, remedy, count(*) AS impacts, count(DISTINCT CASE WHEN \
                 json_extract(subject, '$.kind') = 'pod' THEN coalesce(json_extract(subject, '$.uid'), \
                 json_extract(subject, '$.namespace') || '/' || json_extract(subject, '$.name')) END) AS pods, \
                 sum(until_wall_ns IS NULL) AS endless, max(until_wall_ns) AS until, max(until_boottime_ns) AS until_boot \
                 FROM impacts WHERE jump BETWEEN ? AND ? GROUP BY kind, state, confidence, remedy ORDER BY min(id)",
            )?
            .query_map([signed(first), signed(last)], |row| {
                let number = |column: &str| {
                    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
                };
                let until_boot: Option<i64> = row.get("until_boot")?;
                Ok(Crowd {
                    kind: row.get("kind")?,
                    state: rows::from_word(row, "state")?,
                    confidence: rows::from_word(row, "confidence")?,
                    remedy: rows::from_word(row, "remedy")?,
                    impacts: number("impacts")?,
                    pods: number("pods")?,
                    endless: number("endless")?,
                    until: row.get::<_, Option<i64>>("until")?.map(|until| WallNs(until.into())),
                    until_boot: until_boot.and_then(|at| u64::try_from(at).ok()).map(BootNs),
                })
            })?
            .collect()
    }

    /// At most `limit` impacts of one kind, of the jumps from number `first` to `last`: those that last and are seen come
    /// first.
    pub fn impacts_of_kind(
        &self,
        first: u64,
        last: u64,
        kind: &str,
        limit: u32,
    ) -> rusqlite::Result<Vec<Impact>> {
        self.connection
            .prepare_cached(
                "SELECT * FROM impacts WHERE jump BETWEEN ? AND ? AND kind = ? ORDER BY state <> 'open', CASE confidence \
                 WHEN 'observed' THEN 0 WHEN 'predicted' THEN 1 ELSE 2 END, id LIMIT ?",
            )?
            .query_map(params![signed(first), signed(last), kind, limit], rows::impact)?
            .collect()
    }
}
