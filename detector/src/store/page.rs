//! Reading, a page at a time: readers share a connection, and in memory share it with whoever writes.

use rusqlite::{OptionalExtension, params};

use super::{
    Kept, Store, remedies,
    rows::{self, signed},
};
use crate::{
    impact::Impact,
    ledger::{Excursion, Jump},
};

/// Which way to go through the jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the oldest on, after this number.
    OldestFirst(u64),
    /// From the newest back, before this number.
    NewestFirst(u64),
}

/// Steps close together by the same actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Number of its first jump.
    pub first: u64,
    /// Number of its last.
    pub last: u64,
    /// Steps.
    pub steps: u64,
    /// Sum of the deltas, ns.
    pub delta_ns: i64,
    /// From the first to the last, ns.
    pub duration_ns: u64,
}

/// Of one burst, by its first jump and by the index of the others.
pub(super) const BURST: &str = "SELECT min(sequence), max(sequence), count(*), sum(delta_ns), max(boottime_ns) - \
                                min(boottime_ns) FROM jumps WHERE (sequence = ?1 AND burst = ?1) OR (burst = ?1 AND \
                                burst <> sequence)";

impl Store {
    /// At most `limit` jumps.
    pub fn jumps(&self, order: Order, limit: u32) -> rusqlite::Result<Vec<Jump>> {
        let (sql, from) = match order {
            Order::OldestFirst(after) => {
                ("SELECT * FROM jumps WHERE sequence > ? ORDER BY sequence LIMIT ?", after)
            }
            Order::NewestFirst(before) => {
                ("SELECT * FROM jumps WHERE sequence < ? ORDER BY sequence DESC LIMIT ?", before)
            }
        };
        self.connection.prepare_cached(sql)?.query_map(params![signed(from), limit], rows::jump)?.collect()
    }

    /// The jump of that number.
    pub fn jump(&self, sequence: u64) -> rusqlite::Result<Option<Jump>> {
        self.connection
            .query_row("SELECT * FROM jumps WHERE sequence = ?", [signed(sequence)], rows::jump)
            .optional()
    }

    /// The excursion of that number.
    pub fn excursion(&self, id: u64) -> rusqlite::Result<Option<Excursion>> {
        self.connection
            .query_row("SELECT * FROM excursions WHERE id = ?", [signed(id)], rows::excursion)
            .optional()
    }

    /// The burst that begins with that jump, as far as it is still stored.
    pub fn burst(&self, first: u64) -> rusqlite::Result<Option<Burst>> {
        self.connection.query_row(BURST, [signed(first)], |row| {
            let Some(_) = row.get::<_, Option<i64>>(0)? else { return Ok(None) };
            Ok(Some(Burst {
                first: rows::unsigned(row, 0)?,
                last: rows::unsigned(row, 1)?,
                steps: rows::unsigned(row, 2)?,
                delta_ns: row.get(3)?,
                duration_ns: rows::unsigned(row, 4)?,
            }))
        })
    }

    /// The impacts of one jump.
    pub fn impacts_of(&self, jump: u64) -> rusqlite::Result<Vec<Impact>> {
        self.connection
            .prepare_cached("SELECT * FROM impacts WHERE jump = ? ORDER BY id")?
            .query_map([signed(jump)], rows::impact)?
            .collect()
    }

    /// At most `limit` impacts, of one jump or of all, after the one with number `after`.
    pub fn impacts(&self, jump: Option<u64>, after: u64, limit: u32) -> rusqlite::Result<Vec<Impact>> {
        let sql = match jump {
            Some(_) => "SELECT * FROM impacts WHERE id > ?1 AND jump = ?3 ORDER BY id LIMIT ?2",
            None => "SELECT * FROM impacts WHERE id > ?1 AND ?3 IS NULL ORDER BY id LIMIT ?2",
        };
        self.connection
            .prepare_cached(sql)?
            .query_map(params![signed(after), limit, jump.map(signed)], rows::impact)?
            .collect()
    }

    /// The position right before the first jump whose number is at least `sequence`; of the last entry if there is no
    /// such jump, and nothing if there is no entry either.
    pub fn position_before(&self, sequence: u64) -> rusqlite::Result<Option<u64>> {
        let position: Option<i64> = self.connection.query_row(
            "SELECT coalesce((SELECT position - 1 FROM jumps WHERE sequence >= ? ORDER BY sequence LIMIT 1), (SELECT \
             max(position) FROM (SELECT max(position) AS position FROM jumps UNION ALL SELECT max(position) FROM impacts \
             UNION ALL SELECT max(position) FROM lost UNION ALL SELECT max(position) FROM remedies)))",
            [signed(sequence)],
            |row| row.get(0),
        )?;
        Ok(position.and_then(|position| u64::try_from(position).ok()))
    }

    /// The position of the first entry that there is.
    pub fn first_position(&self) -> rusqlite::Result<Option<u64>> {
        let first: Option<i64> = self.connection.query_row(
            "SELECT min(position) FROM (SELECT min(position) AS position FROM jumps UNION ALL SELECT min(position) FROM \
             impacts UNION ALL SELECT min(position) FROM lost UNION ALL SELECT min(position) FROM remedies)",
            [],
            |row| row.get(0),
        )?;
        Ok(first.and_then(|position| u64::try_from(position).ok()))
    }

    /// At most `limit` entries of the stream after `position`, in their order.
    pub fn entries(&self, position: u64, limit: u32) -> rusqlite::Result<Vec<(u64, Kept)>> {
        let mut found: Vec<(u64, Kept)> = Vec::new();
        let from = params![signed(position), limit];
        let position_of = |row: &rusqlite::Row<'_>| {
            row.get::<_, i64>("position").map(|position| u64::try_from(position).unwrap_or(0))
        };
        let sql = |table: &str| format!("SELECT * FROM {table} WHERE position > ? ORDER BY position LIMIT ?");
        for entry in self
            .connection
            .prepare_cached(&sql("jumps"))?
            .query_map(from, |row| Ok((position_of(row)?, Kept::Jump(rows::jump(row)?, None))))?
        {
            found.push(entry?);
        }
        for entry in self
            .connection
            .prepare_cached(&sql("impacts"))?
            .query_map(from, |row| Ok((position_of(row)?, Kept::Impact(rows::impact(row)?))))?
        {
            found.push(entry?);
        }
        for entry in self
            .connection
            .prepare_cached(&sql("lost"))?
            .query_map(from, |row| Ok((position_of(row)?, Kept::Missed(rows::lost(row)?))))?
        {
            found.push(entry?);
        }
        for entry in self
            .connection
            .prepare_cached(&sql("remedies"))?
            .query_map(from, |row| Ok((position_of(row)?, Kept::Remedy(remedies::remedy(row)?))))?
        {
            found.push(entry?);
        }
        found.sort_by_key(|(position, _)| *position);
        found.truncate(limit as usize);
        Ok(found)
    }
}
