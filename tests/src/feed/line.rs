//! What the feed is told: one JSON object a line.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use timejump::{
    actor::{Actor, ActorKind},
    capture::{CapturedBy, StepPath},
    clock::{BootNs, WallNs},
    impact::{Confidence, Impact, Remedy, State, Subject},
};

/// One line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// `{"delta_ns": -5000000000, "path": "adjtimex", "comm": "chronyd", "at_ms": 1000}`
    Jump(JumpLine),
    /// `{"impact": {"id": 1, "jump": 1, "kind": "token_not_yet_valid"}}`
    Impact {
        /// The impact.
        impact: ImpactLine,
    },
    /// `{"now_ms": 60000}`: it is so long after boot by now.
    Now {
        /// When, ms since boot.
        now_ms: u64,
    },
    /// `{"missed": 3}`: so many steps were lost.
    Missed {
        /// How many.
        missed: u64,
    },
    /// `{"alarm": "hook_silent", "message": "…"}`
    Alarm {
        /// Its kind.
        alarm: String,
        /// For people.
        message: String,
    },
}

/// A jump to make up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JumpLine {
    /// How far.
    pub delta_ns: i64,
    /// The most by which that can be wrong.
    #[serde(default)]
    pub delta_error_ns: u64,
    /// By which path.
    #[serde(default = "clock_settime")]
    pub path: StepPath,
    /// Captured by what.
    #[serde(default = "fentry")]
    pub captured_by: CapturedBy,
    /// When, ms since boot; by default 1 ms after the one before.
    pub at_ms: Option<u64>,
    /// Done by a process of this name.
    pub comm: Option<String>,
    /// Done by this one.
    pub actor: Option<Actor>,
    /// Whether the clock was synchronised before.
    pub synchronised: Option<bool>,
}

/// An impact to make up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImpactLine {
    id: u64,
    jump: u64,
    kind: String,
    #[serde(default)]
    subject: Option<Subject>,
    #[serde(default)]
    from_wall_ns: Option<i64>,
    #[serde(default)]
    until_wall_ns: Option<i64>,
    #[serde(default = "predicted")]
    confidence: Confidence,
    #[serde(default = "wait")]
    remedy: Remedy,
    #[serde(default)]
    message: String,
    #[serde(default = "nothing")]
    evidence: Value,
    #[serde(default)]
    boot_id: String,
    #[serde(default)]
    from_boottime_ns: Option<u64>,
    #[serde(default)]
    until_boottime_ns: Option<u64>,
    #[serde(default)]
    state: State,
}

fn clock_settime() -> StepPath {
    StepPath::ClockSettime
}

fn fentry() -> CapturedBy {
    CapturedBy::Fentry
}

fn predicted() -> Confidence {
    Confidence::Predicted
}

fn wait() -> Remedy {
    Remedy::Wait
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Line {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).with_context(|| format!("not a line for the feed: {text}"))
    }
}

impl JumpLine {
    /// Who did it.
    pub(super) fn actor(&self) -> Actor {
        let named = |comm: &String| Actor {
            kind: ActorKind::Process,
            pid: Some(4711),
            comm: Some(comm.clone()),
            ..Actor::default()
        };
        self.actor.clone().or_else(|| self.comm.as_ref().map(named)).unwrap_or_default()
    }
}

impl From<ImpactLine> for Impact {
    fn from(line: ImpactLine) -> Self {
        let wall = |ns: i64| WallNs(ns.into());
        Self {
            id: line.id,
            jump: line.jump,
            kind: line.kind,
            subject: line.subject.unwrap_or_else(|| Subject { kind: "node".into(), ..Subject::default() }),
            from: line.from_wall_ns.map(wall),
            until: line.until_wall_ns.map(wall),
            confidence: line.confidence,
            remedy: line.remedy,
            message: line.message,
            evidence: line.evidence,
            boot_id: line.boot_id.into(),
            from_boot: line.from_boottime_ns.map(BootNs),
            until_boot: line.until_boottime_ns.map(BootNs),
            state: line.state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_kind() {
        let line = Line::parse(r#"{"delta_ns":-5,"path":"adjtimex","comm":"chronyd","at_ms":7}"#).unwrap();
        let Line::Jump(jump) = line else { panic!("{line:?}") };
        assert_eq!((jump.delta_ns, jump.path, jump.at_ms), (-5, StepPath::Adjtimex, Some(7)));
        assert_eq!(jump.actor().comm.as_deref(), Some("chronyd"));
        let line = Line::parse(r#"{"impact":{"id":2,"jump":1,"kind":"x","remedy":"none"}}"#).unwrap();
        let Line::Impact { impact } = line else { panic!("{line:?}") };
        assert_eq!(Impact::from(impact).remedy, Remedy::None);
        assert!(matches!(Line::parse(r#"{"missed":3}"#).unwrap(), Line::Missed { missed: 3 }));
        for nonsense in ["", "{}", r#"{"delta_ns":1,"pth":"adjtimex"}"#, r#"{"delta_ns":"1"}"#] {
            Line::parse(nonsense).unwrap_err();
        }
    }
}
