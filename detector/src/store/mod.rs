//! What outlives the daemon: jumps, excursions, impacts, and what was known last. SQLite in WAL mode.
//!
//! The schema is `schema.sql`, for programs and for people who open the file with `sqlite3`.

mod deliveries;
mod directory;
mod incident;
mod lasting;
mod open;
mod page;
mod remedies;
mod retention;
mod rows;

pub use deliveries::Delivery;
pub use directory::{Directory, DirectoryError};
pub use incident::Crowd;
pub use lasting::Lasting;
pub use open::{OpenError, is_damage, open, peek, read_only};
pub use page::{Burst, Order};
pub use retention::Retention;

use std::{os::unix::fs::MetadataExt, path::PathBuf, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    clock::{BootNs, OffsetNs, WallNs},
    impact::Impact,
    ledger::{Excursion, Excursions, Jump, Missed, Turn},
    remedy::Remediation,
};

/// What was known last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuity {
    /// In which boot.
    pub boot_id: Arc<str>,
    /// When, ns since that boot.
    pub at: BootNs,
    /// The wall offset.
    pub offset: OffsetNs,
    /// The most by which it can be wrong, ns.
    pub error: u64,
}

impl Continuity {
    /// What the wall clock showed then.
    pub fn wall(&self) -> WallNs {
        self.offset.wall_at(self.at)
    }
}

/// What an earlier run left.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// The number of the last jump.
    pub last_sequence: u64,
    /// The position of the last entry.
    pub last_position: u64,
    /// What was known last.
    pub continuity: Option<Continuity>,
    /// Excursions that may still close.
    pub excursions: Excursions,
    /// The number of the last impact.
    pub last_impact: u64,
    /// Impacts that had not ended.
    pub impacts: Vec<Impact>,
    /// The number of the last remedy.
    pub last_remedy: u64,
    /// The last jumps of the boot that was known last, the oldest first.
    pub turns: Vec<Turn>,
    /// How far each delivery had come; only where the store can be written.
    pub deliveries: Vec<Delivery>,
}

/// One entry of the stream, as it is kept.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are jumps")]
pub enum Kept {
    /// A jump, and the excursion that it opened or closed.
    Jump(Jump, Option<Excursion>),
    /// An impact, for the first time or again.
    Impact(Impact),
    /// A remedy, for the first time or again.
    Remedy(Remediation),
    /// Steps that were lost.
    Missed(Missed),
}

/// The open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: Option<PathBuf>,
    retention: Retention,
    /// Of its file when it was opened.
    inode: Option<u64>,
    jumps: u64,
    /// Uptime seen by the moment of `seen`.
    lived: u64,
    seen: Option<(Arc<str>, BootNs)>,
}

impl Store {
    /// One that ends with the process.
    pub fn in_memory(retention: Retention) -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        open::create(&connection)?;
        Self::new(connection, None, retention)
    }

    fn new(connection: Connection, path: Option<PathBuf>, retention: Retention) -> rusqlite::Result<Self> {
        let last = connection
            .query_row("SELECT boot_id, boottime_ns, lived_ns FROM continuity", [], |row| {
                Ok((row.get::<_, String>(0)?, rows::unsigned(row, 1)?, rows::unsigned(row, 2)?))
            })
            .optional()?;
        let jumps = connection.query_row("SELECT count(*) FROM jumps", [], |row| rows::unsigned(row, 0))?;
        let (lived, seen) = match last {
            Some((boot_id, at, lived)) => (lived, Some((boot_id.into(), BootNs(at)))),
            None => (0, None),
        };
        let inode = path.as_deref().and_then(inode);
        Ok(Self { connection, path, retention, inode, jumps, lived, seen })
    }

    /// Another connection to the same file, for those who read: they then hold up nobody who writes. Nothing for a store
    /// in memory, which has but one.
    pub fn reader(&self) -> rusqlite::Result<Option<Self>> {
        let Some(path) = &self.path else { return Ok(None) };
        open::reader(path)
            .and_then(|connection| Self::new(connection, Some(path.clone()), self.retention))
            .map(Some)
    }

    /// Whether its file was deleted, or another put in its place.
    pub fn is_gone(&self) -> bool {
        self.path.is_some() && self.inode != self.path.as_deref().and_then(inode)
    }

    /// Where it is; nothing if in memory.
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// What an earlier run left.
    pub fn left(&self) -> rusqlite::Result<Left> {
        let number = |sql: &str| self.connection.query_row(sql, [], |row| rows::unsigned(row, 0));
        let last_id = number("SELECT coalesce(max(id), 0) FROM excursions")?;
        let open = self
            .connection
            .prepare("SELECT * FROM excursions WHERE closed_by IS NULL AND part_of IS NULL ORDER BY id")?
            .query_map([], rows::excursion)?
            .collect::<Result<Vec<_>, _>>()?;
        let last_position = number(
            "SELECT max(coalesce((SELECT max(position) FROM jumps), 0), coalesce((SELECT max(position) FROM impacts), \
             0), coalesce((SELECT max(position) FROM lost), 0), coalesce((SELECT max(position) FROM remedies), 0))",
        )?;
        let impacts = self
            .connection
            .prepare("SELECT * FROM impacts WHERE state = 'open' ORDER BY id")?
            .query_map([], rows::impact)?
            .collect::<Result<Vec<_>, _>>()?;
        let mut turns = self
            .connection
            .prepare(
                "SELECT * FROM jumps WHERE boot_id = (SELECT boot_id FROM continuity) ORDER BY sequence DESC LIMIT 1024",
            )?
            .query_map([], |row| rows::jump(row).map(|jump| Turn::from(&jump)))?
            .collect::<Result<Vec<_>, _>>()?;
        turns.reverse();
        Ok(Left {
            last_sequence: number("SELECT coalesce(max(sequence), 0) FROM jumps")?,
            last_position,
            last_impact: number("SELECT coalesce(max(id), 0) FROM impacts")?,
            last_remedy: number("SELECT coalesce(max(id), 0) FROM remedies")?,
            impacts,
            turns,
            continuity: self
                .connection
                .query_row("SELECT * FROM continuity", [], rows::continuity)
                .optional()?,
            excursions: Excursions::restore(last_id, open),
            deliveries: Vec::new(),
        })
    }

    /// Writes `entries` with their positions, and what is known now: all or nothing.
    pub fn append(&mut self, entries: &[(u64, Kept)], now: Option<&Continuity>) -> rusqlite::Result<()> {
        let (mut lived, mut seen) = (self.lived, self.seen.clone());
        let transaction = self.connection.transaction()?;
        for (position, entry) in entries {
            match entry {
                Kept::Jump(jump, excursion) => {
                    live(&mut lived, &mut seen, &jump.boot_id, jump.at);
                    rows::insert_jump(&transaction, *position, jump, lived)?;
                    if let Some(excursion) = excursion {
                        rows::upsert_excursion(&transaction, excursion)?;
                    }
                }
                Kept::Impact(impact) => rows::upsert_impact(&transaction, *position, impact)?,
                Kept::Remedy(remedy) => remedies::upsert(&transaction, *position, remedy)?,
                Kept::Missed(missed) => rows::insert_lost(&transaction, *position, missed)?,
            }
        }
        if let Some(now) = now {
            live(&mut lived, &mut seen, &now.boot_id, now.at);
            rows::set_continuity(&transaction, now, lived)?;
        }
        transaction.commit()?;
        let jumps = entries.iter().filter(|(_, entry)| matches!(entry, Kept::Jump(..))).count();
        self.jumps += u64::try_from(jumps).unwrap_or(0);
        (self.lived, self.seen) = (lived, seen);
        Ok(())
    }

    /// Deletes what is too old or too much. Says how many jumps went.
    pub fn retain(&mut self) -> rusqlite::Result<usize> {
        let gone = retention::apply(&mut self.connection, self.retention, self.lived, self.jumps)?;
        self.jumps = self.jumps.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX));
        Ok(gone)
    }

    /// How many jumps there are.
    pub fn jump_count(&self) -> u64 {
        self.jumps
    }

    /// How large it is, bytes, the write-ahead log included.
    pub fn bytes(&self) -> rusqlite::Result<u64> {
        let Some(path) = &self.path else {
            return self.connection.query_row(
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
                [],
                |row| rows::unsigned(row, 0),
            );
        };
        let files = ["", "-wal"].iter().filter_map(|end| std::fs::metadata(with_suffix(path, end)).ok());
        Ok(files.map(|file| file.len()).sum())
    }

    /// Moves the write-ahead log into the database, as far as that is possible now.
    pub fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", params![], |_| Ok(()))
    }
}

fn inode(path: &std::path::Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.ino())
}

fn with_suffix(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Adds the uptime that has passed. Wall time is what this program doubts, and time in which the machine was off
/// nobody has seen.
fn live(lived: &mut u64, seen: &mut Option<(Arc<str>, BootNs)>, boot_id: &Arc<str>, at: BootNs) {
    let passed = match seen {
        Some((boot, last)) if *boot == *boot_id => at.0.saturating_sub(last.0),
        Some(_) => at.0,
        None => 0,
    };
    *lived = lived.saturating_add(passed);
    *seen = Some((Arc::clone(boot_id), at));
}

#[cfg(test)]
mod tests;
