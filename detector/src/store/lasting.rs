//! What lasts: the impacts that are open, counted.

use rusqlite::OptionalExtension;

use super::{Store, rows};
use crate::{clock::BootNs, ledger::Jump};

/// Impacts that last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// How many.
    pub impacts: u64,
    /// Of how many pods.
    pub pods: u64,
    /// How many have no end in sight.
    pub endless: u64,
    /// When the last of the others ends, ns since boot.
    pub until_boot: Option<BootNs>,
    /// The first jump that they are of; nothing if none of this node's did it.
    pub jump: Option<u64>,
}

impl Store {
    /// The impacts that last, but for refuted ones.
    pub fn lasting(&self) -> rusqlite::Result<Lasting> {
        self.connection
            .prepare_cached(
                "SELECT count(*), count(DISTINCT CASE WHEN json_extract(subject, '$.kind') = 'pod' THEN \
                 json_extract(subject, '$.uid') END), count(*) - count(until_boottime_ns), max(until_boottime_ns), \
                 min(nullif(jump, 0)) FROM impacts WHERE state = 'open' AND confidence <> 'refuted'",
            )?
            .query_row([], |row| {
                let maybe = |column| {
                    let number: Option<i64> = row.get(column)?;
                    Ok::<_, rusqlite::Error>(number.and_then(|number| u64::try_from(number).ok()))
                };
                Ok(Lasting {
                    impacts: rows::unsigned(row, 0)?,
                    pods: rows::unsigned(row, 1)?,
                    endless: rows::unsigned(row, 2)?,
                    until_boot: maybe(3)?.map(BootNs),
                    jump: maybe(4)?,
                })
            })
    }

    /// The last jump that is worth reporting and no correction.
    pub fn last_disturbance(&self) -> rusqlite::Result<Option<Jump>> {
        self.connection
            .prepare_cached(
                "SELECT * FROM jumps WHERE loud = 1 AND verdict <> 'correction' ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row([], rows::jump)
            .optional()
    }
}
