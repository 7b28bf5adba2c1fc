//! Rows to and from what they stand for.

use std::sync::Arc;

use rusqlite::{Row, Transaction, params, types::Type};
use serde::{Serialize, de::DeserializeOwned};

use super::Continuity;
use crate::{
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    impact::Impact,
    ledger::{Closed, Excursion, Jump, Missed, Window, WindowKind},
};

/// SQLite's integers are signed; numbers and times of ours stay below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(super) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(super) fn maybe_number(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(column).map(|number| number.and_then(|number| u64::try_from(number).ok()))
}

/// The word for a value whose JSON is a word.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match serde_json::to_value(value).map_err(unfit)? {
        serde_json::Value::String(word) => Ok(word),
        other => Ok(other.to_string()),
    }
}

pub(super) fn from_word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| foreign(column, &error))
}

pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(unfit)
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| foreign(column, &error))
}

pub(super) fn from_maybe_word<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        Some(_) => from_word(row, column).map(Some),
        None => Ok(None),
    }
}

fn from_maybe_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| foreign(column, &error))
}

fn unfit(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn foreign(column: &str, error: &serde_json::Error) -> rusqlite::Error {
    let error = format!("column {column}: {error}");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}

/// A window as it is kept: its wall time as an integer.
#[derive(serde::Serialize, serde::Deserialize)]
struct WindowRow {
    kind: WindowKind,
    from_boot_id: String,
    from_boottime_ns: u64,
    from_wall_ns: i64,
    to_boottime_ns: u64,
}

pub(super) fn wall_to_i64(wall: WallNs) -> i64 {
    i64::try_from(wall.0).unwrap_or(if wall.0 < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn insert_jump(
    to: &Transaction<'_>,
    position: u64,
    jump: &Jump,
    lived: u64,
) -> rusqlite::Result<()> {
    let window = jump.window.as_ref().map(|window| WindowRow {
        kind: window.kind,
        from_boot_id: window.from_boot_id.to_string(),
        from_boottime_ns: window.from_boottime_ns.0,
        from_wall_ns: wall_to_i64(window.from_wall),
        to_boottime_ns: window.to_boottime_ns.0,
    });
    to.prepare_cached(
        "INSERT INTO jumps (sequence, position, boot_id, boottime_ns, delta_ns, delta_error_ns, old_offset_ns, \
         new_offset_ns, path, captured_by, actor, verdict, evidence, excursion, burst, loud, window, lived_ns) VALUES \
         (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        signed(jump.sequence),
        signed(position),
        jump.boot_id,
        signed(jump.at.0),
        jump.delta.0,
        signed(jump.delta_error_ns),
        jump.old.0,
        jump.new.0,
        word(&jump.path)?,
        word(&jump.captured_by)?,
        json(&jump.actor)?,
        word(&jump.verdict)?,
        json(&jump.evidence)?,
        jump.excursion.map(signed),
        signed(jump.burst),
        jump.loud,
        window.as_ref().map(json).transpose()?,
        signed(lived),
    ])
    .map(drop)
}

pub(super) fn jump(row: &Row<'_>) -> rusqlite::Result<Jump> {
    let window: Option<WindowRow> = from_maybe_json(row, "window")?;
    let window = window.map(|row| Window {
        kind: row.kind,
        from_boot_id: row.from_boot_id.into(),
        from_boottime_ns: BootNs(row.from_boottime_ns),
        from_wall: WallNs(row.from_wall_ns.into()),
        to_boottime_ns: BootNs(row.to_boottime_ns),
    });
    Ok(Jump {
        sequence: number(row, "sequence")?,
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        at: BootNs(number(row, "boottime_ns")?),
        delta: DeltaNs(row.get("delta_ns")?),
        delta_error_ns: number(row, "delta_error_ns")?,
        old: OffsetNs(row.get("old_offset_ns")?),
        new: OffsetNs(row.get("new_offset_ns")?),
        path: from_word(row, "path")?,
        captured_by: from_word(row, "captured_by")?,
        actor: from_json(row, "actor")?,
        verdict: from_word(row, "verdict")?,
        evidence: from_json(row, "evidence")?,
        excursion: maybe_number(row, "excursion")?,
        burst: number(row, "burst")?,
        loud: row.get("loud")?,
        window,
    })
}

pub(super) fn upsert_excursion(to: &Transaction<'_>, excursion: &Excursion) -> rusqlite::Result<()> {
    let closed = excursion.closed;
    to.prepare_cached(
        "INSERT INTO excursions (id, boot_id, opened_by, opened_boottime_ns, home_offset_ns, delta_ns, closed_by, \
         closed_boottime_ns, residual_ns) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET closed_by = \
         excluded.closed_by, closed_boottime_ns = excluded.closed_boottime_ns, residual_ns = excluded.residual_ns",
    )?
    .execute(params![
        signed(excursion.id),
        excursion.boot_id,
        signed(excursion.opened_by),
        signed(excursion.opened_at.0),
        excursion.home.0,
        excursion.delta.0,
        closed.map(|closed| signed(closed.by)),
        closed.map(|closed| signed(closed.at.0)),
        closed.map(|closed| closed.residual.0),
    ])?;
    if closed.is_some() {
        to.prepare_cached(
            "UPDATE excursions SET part_of = ?1 WHERE id > ?1 AND closed_by IS NULL AND part_of IS NULL",
        )?
        .execute([signed(excursion.id)])?;
    }
    Ok(())
}

pub(super) fn excursion(row: &Row<'_>) -> rusqlite::Result<Excursion> {
    let closed = match maybe_number(row, "closed_by")? {
        Some(by) => Some(Closed {
            by,
            at: BootNs(maybe_number(row, "closed_boottime_ns")?.unwrap_or(0)),
            residual: DeltaNs(row.get::<_, Option<i64>>("residual_ns")?.unwrap_or(0)),
        }),
        None => None,
    };
    Ok(Excursion {
        id: number(row, "id")?,
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        opened_by: number(row, "opened_by")?,
        opened_at: BootNs(number(row, "opened_boottime_ns")?),
        home: OffsetNs(row.get("home_offset_ns")?),
        delta: DeltaNs(row.get("delta_ns")?),
        closed,
    })
}

pub(super) fn upsert_impact(to: &Transaction<'_>, position: u64, impact: &Impact) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT OR REPLACE INTO impacts (id, position, jump, kind, subject, from_wall_ns, until_wall_ns, confidence, \
         remedy, message, evidence, boot_id, from_boottime_ns, until_boottime_ns, state) VALUES \
         (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        signed(impact.id),
        signed(position),
        signed(impact.jump),
        impact.kind,
        json(&impact.subject)?,
        impact.from.map(wall_to_i64),
        impact.until.map(wall_to_i64),
        word(&impact.confidence)?,
        word(&impact.remedy)?,
        impact.message,
        json(&impact.evidence)?,
        impact.boot_id,
        impact.from_boot.map(|from| signed(from.0)),
        impact.until_boot.map(|until| signed(until.0)),
        word(&impact.state)?,
    ])
    .map(drop)
}

pub(super) fn impact(row: &Row<'_>) -> rusqlite::Result<Impact> {
    let wall =
        |column: &str| row.get::<_, Option<i64>>(column).map(|wall| wall.map(|wall| WallNs(wall.into())));
    Ok(Impact {
        id: number(row, "id")?,
        jump: number(row, "jump")?,
        kind: row.get("kind")?,
        subject: from_json(row, "subject")?,
        from: wall("from_wall_ns")?,
        until: wall("until_wall_ns")?,
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        from_boot: maybe_number(row, "from_boottime_ns")?.map(BootNs),
        until_boot: maybe_number(row, "until_boottime_ns")?.map(BootNs),
        state: from_word(row, "state")?,
        confidence: from_word(row, "confidence")?,
        remedy: from_word(row, "remedy")?,
        message: row.get("message")?,
        evidence: from_json(row, "evidence")?,
    })
}

pub(super) fn insert_lost(to: &Transaction<'_>, position: u64, missed: &Missed) -> rusqlite::Result<()> {
    to.prepare_cached("INSERT INTO lost (position, boot_id, boottime_ns, missed) VALUES (?,?,?,?)")?
        .execute(params![signed(position), missed.boot_id, signed(missed.at.0), signed(missed.missed)])
        .map(drop)
}

pub(super) fn lost(row: &Row<'_>) -> rusqlite::Result<Missed> {
    Ok(Missed {
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        at: BootNs(number(row, "boottime_ns")?),
        missed: number(row, "missed")?,
    })
}

pub(super) fn set_continuity(to: &Transaction<'_>, now: &Continuity, lived: u64) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT OR REPLACE INTO continuity (id, boot_id, boottime_ns, offset_ns, offset_error_ns, lived_ns) VALUES \
         (1,?,?,?,?,?)",
    )?
    .execute(params![now.boot_id, signed(now.at.0), now.offset.0, signed(now.error), signed(lived)])
    .map(drop)
}

pub(super) fn continuity(row: &Row<'_>) -> rusqlite::Result<Continuity> {
    Ok(Continuity {
        boot_id: row.get::<_, Arc<str>>("boot_id")?,
        at: BootNs(number(row, "boottime_ns")?),
        offset: OffsetNs(row.get("offset_ns")?),
        error: number(row, "offset_error_ns")?,
    })
}
