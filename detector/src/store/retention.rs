//! How much of the past is kept.
//!
//! Age is counted in uptime that the store has seen, not in wall time: a clock that went to next year must not delete
//! the evidence.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::rows::signed;

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Jumps kept at most.
    pub jumps: u64,
    /// Uptime after which a jump is dropped.
    pub age: Duration,
}

/// Jumps kept at most where the store is in memory, about 1 kB each.
const MOST_IN_MEMORY: u64 = 4096;
/// Impacts kept, about 1 kB each.
const MOST_IMPACTS: i64 = 200_000;
/// Remedies kept.
const MOST_REMEDIES: i64 = 20_000;

impl Default for Retention {
    fn default() -> Self {
        Self { jumps: 100_000, age: Duration::from_hours(90 * 24) }
    }
}

impl Retention {
    /// The same for a store in memory: a daemon that nobody has given a disk is not to grow by what a clock does that strobes.
    #[must_use]
    pub fn in_memory(self) -> Self {
        Self { jumps: self.jumps.min(MOST_IN_MEMORY), ..self }
    }
}

/// Deletes what is beyond `retention`, with all that belongs to it. `lived` is the uptime seen so far, ns; `jumps`,
/// how many there are.
///
/// Looks from the oldest on, and no further than at what goes: a full store is too large to be read for each look.
pub(super) fn apply(
    connection: &mut Connection,
    retention: Retention,
    lived: u64,
    jumps: u64,
) -> rusqlite::Result<usize> {
    let age = u64::try_from(retention.age.as_nanos()).unwrap_or(u64::MAX);
    let transaction = connection.transaction()?;
    let oldest: Option<i64> = transaction.query_row(
        "SELECT max(sequence) FROM (SELECT max(sequence) AS sequence FROM jumps WHERE sequence < coalesce((SELECT \
         sequence FROM jumps WHERE lived_ns >= ?1 ORDER BY sequence LIMIT 1), ?3) UNION ALL SELECT (SELECT sequence \
         FROM jumps WHERE ?2 > 0 ORDER BY sequence LIMIT 1 OFFSET max(?2 - 1, 0)))",
        params![
            signed(lived.saturating_sub(age)),
            signed(jumps.saturating_sub(retention.jumps)),
            i64::MAX
        ],
        |row| row.get(0),
    )?;
    // A jump may spoil a thousand containers: impacts have a bound of their own. Those that last are few, and needed.
    transaction.execute(
        "DELETE FROM impacts WHERE id <= (SELECT max(id) FROM impacts) - ?1 AND state <> 'open'",
        [MOST_IMPACTS],
    )?;
    transaction
        .execute("DELETE FROM remedies WHERE id <= (SELECT max(id) FROM remedies) - ?1", [MOST_REMEDIES])?;
    let Some(oldest) = oldest else {
        transaction.commit()?;
        return Ok(0);
    };
    let gone = transaction.execute("DELETE FROM jumps WHERE sequence <= ?1", [oldest])?;
    transaction.execute("DELETE FROM impacts WHERE jump <= ?1", [oldest])?;
    transaction.execute("DELETE FROM remedies WHERE jump <= ?1", [oldest])?;
    // One that is still open may yet close.
    transaction.execute(
        "DELETE FROM excursions WHERE coalesce(closed_by, opened_by) <= ?1 AND (closed_by IS NOT NULL OR part_of IS \
         NOT NULL)",
        [oldest],
    )?;
    transaction
        .execute("DELETE FROM lost WHERE position < (SELECT coalesce(min(position), 0) FROM jumps)", [])?;
    transaction.commit()?;
    Ok(gone)
}
