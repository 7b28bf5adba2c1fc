//! Remedies that were carried out, and what decides about the next ones.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{
    Store,
    rows::{
        self, from_json, from_maybe_word, from_word, json, maybe_number, number, signed, wall_to_i64, word,
    },
};
use crate::{
    clock::{BootNs, WallNs},
    remedy::{Case, Reason, Remediation},
};

/// Jumps of impacts that are looked at, the latest.
const JUMPS: usize = 256;

pub(super) fn upsert(to: &Transaction<'_>, position: u64, remedy: &Remediation) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT OR REPLACE INTO remedies (id, position, boot_id, boottime_ns, wall_ns, action, subject, jump, impacts, \
         state, reason, message, mode, started_boottime_ns) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        signed(remedy.id),
        signed(position),
        remedy.boot_id,
        signed(remedy.at.0),
        wall_to_i64(remedy.wall),
        word(&remedy.action)?,
        json(&remedy.subject)?,
        signed(remedy.jump),
        json(&remedy.impacts)?,
        word(&remedy.stage)?,
        remedy.reason.map(Reason::word),
        remedy.message,
        word(&remedy.mode)?,
        remedy.started.map(|at| signed(at.0)),
    ])
    .map(drop)
}

pub(super) fn remedy(row: &Row<'_>) -> rusqlite::Result<Remediation> {
    Ok(Remediation {
        id: number(row, "id")?,
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        at: BootNs(number(row, "boottime_ns")?),
        wall: WallNs(row.get::<_, i64>("wall_ns")?.into()),
        action: from_word(row, "action")?,
        subject: from_json(row, "subject")?,
        jump: number(row, "jump")?,
        impacts: from_json(row, "impacts")?,
        stage: from_word(row, "state")?,
        reason: from_maybe_word(row, "reason")?,
        message: row.get("message")?,
        mode: from_word(row, "mode")?,
        started: maybe_number(row, "started_boottime_ns")?.map(BootNs),
    })
}

impl Store {
    /// What was done or said in a boot, in the order of its numbers.
    pub fn remedies(&self, boot_id: &str) -> rusqlite::Result<Vec<Remediation>> {
        self.connection
            .prepare_cached("SELECT * FROM remedies WHERE boot_id = ? ORDER BY id")?
            .query_map([boot_id], remedy)?
            .collect()
    }

    /// The remedy of that number.
    pub fn remedy(&self, id: u64) -> rusqlite::Result<Option<Remediation>> {
        self.connection.query_row("SELECT * FROM remedies WHERE id = ?", [signed(id)], remedy).optional()
    }

    /// What decides about remedies, as far as it is stored.
    pub fn remedy_case(&self, boot_id: &str) -> rusqlite::Result<Case> {
        let impacts: Vec<_> = self
            .connection
            .prepare_cached("SELECT * FROM impacts WHERE state = 'open' AND boot_id = ? ORDER BY id")?
            .query_map([boot_id], rows::impact)?
            .collect::<Result<_, _>>()?;
        let mut numbers: Vec<u64> =
            impacts.iter().map(|impact| impact.jump).filter(|jump| *jump > 0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let numbers = numbers.split_off(numbers.len().saturating_sub(JUMPS));
        let first = numbers.first().copied().unwrap_or(u64::MAX);
        let mut jumps = BTreeMap::new();
        for number in numbers {
            jumps.extend(self.jump(number)?.map(|jump| (number, jump)));
        }
        let last: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(boottime_ns) FROM jumps WHERE boot_id = ?")?
            .query_row([boot_id], |row| row.get(0))?;
        // One that began in another boot cannot end in this one, but at its start.
        let excursions = self
            .connection
            .prepare_cached(
                "SELECT * FROM excursions WHERE part_of IS NULL AND ((closed_by IS NULL AND boot_id = ?1) OR closed_by >= \
                 ?2) ORDER BY id",
            )?
            .query_map(params![boot_id, signed(first)], rows::excursion)?
            .collect::<Result<_, _>>()?;
        Ok(Case {
            impacts,
            jumps,
            last_jump: last.and_then(|at| u64::try_from(at).ok()).map(BootNs),
            excursions,
            past: self.remedies(boot_id)?,
            ..Case::default()
        })
    }
}
