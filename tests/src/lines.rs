//! The lines `timejump … -o json` writes, as far as the tests look at them. A missing field fails the parse: the
//! fields here are the contract.

use anyhow::Context;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// One line.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The state of the capture, first of all.
    Status(Box<Status>),
    /// One jump.
    Jump(Box<Jump>),
    /// The consumer was too slow, or the ring full.
    Lagged {
        /// How many jumps were not told.
        missed: u64,
        /// Whether the consumer was too slow or the capture.
        at: String,
    },
    /// Attempts that the kernel refused.
    Refused(Box<Refused>),
    /// The capture is in doubt.
    Alarm {
        /// Which doubt.
        kind: String,
        /// In words.
        message: String,
    },
    /// What a jump spoiled.
    Impact(Box<Impact>),
    /// What is done about impacts.
    Remedy(Box<Remedy>),
    /// The balance, last of all.
    Summary(Summary),
    /// Lines of later versions.
    #[serde(other)]
    Other,
}

/// See [`Line::Status`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Status {
    pub version: String,
    pub boot_id: String,
    pub rung: String,
    pub offset_ns: i64,
    pub offset_error_ns: i64,
    pub rungs: Vec<Rung>,
    pub coverage: Vec<Coverage>,
    pub witnesses: Vec<Witness>,
    pub capabilities: Option<Vec<String>>,
    pub daemon: Option<DaemonReport>,
}

/// The daemon around the capture.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct DaemonReport {
    pub ledger: LedgerReport,
    pub store: StoreReport,
    pub listeners: Vec<Listener>,
    pub consumers: Consumers,
}

/// The balance.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct LedgerReport {
    pub start_offset_ns: i64,
    pub sum_of_deltas_ns: i64,
    pub jumps: u64,
    pub missed: u64,
}

/// What outlives the daemon.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct StoreReport {
    pub path: Option<String>,
    pub state: String,
    pub jumps: u64,
    pub bytes: u64,
    pub backlog: u64,
    pub unstored: u64,
}

/// Where the daemon can be asked.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Listener {
    pub kind: String,
    pub address: String,
    pub state: String,
}

/// Who follows the stream.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Consumers {
    pub now: u64,
    pub limit: u64,
    pub lagged: u64,
}

/// See [`Line::Impact`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Impact {
    pub id: u64,
    pub jump: u64,
    pub kind: String,
    pub until: Option<String>,
    pub until_boottime_ns: Option<i64>,
    pub state: String,
    pub confidence: String,
    pub remedy: String,
    pub message: String,
    pub evidence: serde_json::Value,
}

/// See [`Line::Remedy`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Remedy {
    pub id: u64,
    pub boot_id: String,
    pub boottime_ns: i64,
    #[serde(deserialize_with = "instant")]
    pub wall: Timestamp,
    pub action: String,
    pub subject: serde_json::Value,
    pub jump: u64,
    pub impacts: Vec<u64>,
    pub state: String,
    pub reason: Option<String>,
    pub message: String,
    pub mode: String,
    pub started_boottime_ns: Option<i64>,
}

impl Impact {
    /// The container that it is about.
    pub fn container(&self) -> Option<&str> {
        self.evidence["container_id"].as_str()
    }
}

/// One rung of the ladder.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Rung {
    pub rung: String,
    pub state: String,
    pub reason: Option<String>,
}

/// What is known of steps on one path.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Coverage {
    pub path: String,
    pub size: String,
    pub actor: bool,
    pub note: Option<String>,
}

/// One independent witness.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Witness {
    pub name: String,
    pub state: String,
}

/// See [`Line::Jump`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Jump {
    pub sequence: u64,
    pub boot_id: String,
    pub boottime_ns: i64,
    pub delta_ns: i64,
    pub delta_error_ns: i64,
    pub old_offset_ns: i64,
    pub new_offset_ns: i64,
    #[serde(deserialize_with = "instant")]
    pub wall_before: Timestamp,
    #[serde(deserialize_with = "instant")]
    pub wall_after: Timestamp,
    pub path: String,
    pub captured_by: String,
    pub actor: Actor,
    pub verdict: String,
    pub evidence: Vec<String>,
    pub excursion: Option<u64>,
    pub burst: u64,
    pub loud: bool,
    pub window: Option<Window>,
}

/// When a jump that nobody watched can have happened.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Window {
    pub kind: String,
    pub from_boot_id: String,
    pub from_boottime_ns: i64,
    #[serde(deserialize_with = "instant")]
    pub from_wall: Timestamp,
    pub to_boottime_ns: i64,
}

/// RFC 3339 in UTC with nine fractional digits, and in no other form.
fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let form = text.len() == "2024-02-06T00:02:33.100000000Z".len() && text.ends_with('Z');
    let parsed = text.parse().map_err(|e| Error::custom(format!("{text:?}: {e}")))?;
    if form { Ok(parsed) } else { Err(Error::custom(format!("{text:?}: not in UTC to nine digits"))) }
}

/// Who did it.
#[derive(Debug, Clone, Deserialize, Default)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Actor {
    pub kind: String,
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub ppid: Option<u32>,
    pub comm: Option<String>,
    pub parent_comm: Option<String>,
    pub exe: Option<String>,
    pub cmdline: Option<String>,
    pub cgroup: Option<String>,
    pub unit: Option<String>,
    pub container_id: Option<String>,
    pub pod: Option<Pod>,
    pub function: Option<String>,
}

/// The pod of a jump.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Pod {
    pub uid: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
}

/// See [`Line::Refused`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Refused {
    pub path: String,
    pub errno: String,
    pub count: u64,
    pub actor: Actor,
}

/// See [`Line::Summary`].
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the JSON contract")]
pub struct Summary {
    pub offset_at_start_ns: i64,
    pub offset_now_ns: i64,
    pub offset_error_ns: i64,
    pub sum_of_deltas_ns: i64,
    pub residual_ns: i64,
    pub jumps: u64,
    pub missed: u64,
    pub dropped: u64,
    pub refused: u64,
    pub suspends: u64,
    pub suspended_ns: i64,
}

impl Line {
    /// Reads one line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        serde_json::from_str(text).with_context(|| format!("not a line of the contract: {text}"))
    }
}

impl Jump {
    /// `wall_before` in ns since 1970.
    pub fn wall_before_ns(&self) -> i128 {
        self.wall_before.as_nanosecond()
    }

    /// `wall_after` in ns since 1970.
    pub fn wall_after_ns(&self) -> i128 {
        self.wall_after.as_nanosecond()
    }
}

impl Status {
    /// The rung of that name.
    pub fn rung_named(&self, name: &str) -> anyhow::Result<&Rung> {
        self.rungs
            .iter()
            .find(|rung| rung.rung == name)
            .with_context(|| format!("status names no rung {name:?}"))
    }

    /// What the status says of steps on `path`.
    pub fn coverage_of(&self, path: &str) -> anyhow::Result<&Coverage> {
        self.coverage
            .iter()
            .find(|of| of.path == path)
            .with_context(|| format!("status covers no path {path:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_contract() {
        let line = Line::parse(
            r#"{"type":"jump","sequence":17,"boot_id":"b","boottime_ns":5,"delta_ns":-4752000000000000,
            "delta_error_ns":0,"old_offset_ns":7,"new_offset_ns":-4751999999999993,
            "wall_before":"2024-04-01T00:02:33.100000000Z","wall_after":"2024-02-06T00:02:33.100000000Z",
            "path":"clock_settime","captured_by":"fentry","verdict":"unknown","excursion":null,
            "evidence":[],"burst":17,"loud":true,"window":null,
            "actor":{"kind":"process","pid":917,"comm":"chronyd","uid":0,"container_id":null,"pod":null}}"#,
        )
        .expect("the example of DESIGN.md");
        let Line::Jump(jump) = line else { panic!("{line:?}") };
        assert_eq!(jump.wall_after_ns() - jump.wall_before_ns(), i128::from(jump.delta_ns));
        assert_eq!(jump.actor.pid, Some(917));
    }

    #[test]
    fn tells_later_lines_from_broken_ones() {
        assert!(matches!(Line::parse(r#"{"type":"of_next_year","jump":17}"#), Ok(Line::Other)));
        assert!(Line::parse(r#"{"type":"lagged"}"#).is_err());
        assert!(Line::parse("half a li").is_err());
    }
}
