//! One JSON object a line.

use serde::Serialize;
use serde_json::Value;

use super::{Alarm, Message, Refused, Status, Summary};
use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    impact::{Confidence, Impact, Remedy, State, Subject},
    ledger::{Evidence, Jump, Verdict, Window},
    remedy::{Action, Mode, Reason, Remediation, Stage},
};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Status(&'a Status),
    Jump(JumpLine<'a>),
    Impact(ImpactLine<'a>),
    Remedy(RemedyLine<'a>),
    Lagged { missed: u64, at: &'static str },
    Refused(&'a Refused),
    Alarm(&'a Alarm),
    Summary(SummaryLine),
}

#[derive(Serialize)]
struct LineOf<'a> {
    node: &'a str,
    #[serde(flatten)]
    line: Line<'a>,
}

#[derive(Serialize)]
struct JumpLine<'a> {
    sequence: u64,
    boot_id: &'a str,
    boottime_ns: BootNs,
    delta_ns: DeltaNs,
    delta_error_ns: u64,
    wall_before: WallNs,
    wall_after: WallNs,
    old_offset_ns: OffsetNs,
    new_offset_ns: OffsetNs,
    path: StepPath,
    captured_by: CapturedBy,
    actor: &'a Actor,
    verdict: Verdict,
    evidence: &'a [Evidence],
    excursion: Option<u64>,
    burst: u64,
    loud: bool,
    window: Option<&'a Window>,
}

#[derive(Serialize)]
struct ImpactLine<'a> {
    id: u64,
    jump: u64,
    kind: &'a str,
    subject: &'a Subject,
    from: Option<WallNs>,
    until: Option<WallNs>,
    boot_id: &'a str,
    from_boottime_ns: Option<BootNs>,
    until_boottime_ns: Option<BootNs>,
    state: State,
    confidence: Confidence,
    remedy: Remedy,
    message: &'a str,
    evidence: &'a Value,
}

#[derive(Serialize)]
struct RemedyLine<'a> {
    id: u64,
    boot_id: &'a str,
    boottime_ns: BootNs,
    wall: WallNs,
    action: Action,
    subject: &'a Subject,
    jump: u64,
    impacts: &'a [u64],
    state: Stage,
    reason: Option<Reason>,
    message: &'a str,
    mode: Mode,
    started_boottime_ns: Option<BootNs>,
}

#[derive(Serialize)]
struct SummaryLine {
    offset_at_start_ns: OffsetNs,
    offset_now_ns: OffsetNs,
    offset_error_ns: u64,
    sum_of_deltas_ns: DeltaNs,
    residual_ns: DeltaNs,
    jumps: u64,
    missed: u64,
    dropped: u64,
    refused: u64,
    suspends: u64,
    suspended_ns: i64,
}

/// The message as a line of JSON, without its end.
pub fn json_line(message: &Message) -> String {
    written(&line(message))
}

/// The same with the name of the node that tells it.
pub fn json_line_of(node: &str, message: &Message) -> String {
    written(&LineOf { node, line: line(message) })
}

fn line(message: &Message) -> Line<'_> {
    match message {
        Message::Status(status) => Line::Status(status),
        Message::Jump(jump) => Line::Jump(jump_line(jump)),
        Message::Impact(impact) => Line::Impact(impact_line(impact)),
        Message::Remedy(remedy) => Line::Remedy(remedy_line(remedy)),
        Message::Missed(missed) => Line::Lagged { missed: missed.missed, at: "capture" },
        Message::Lagged(missed) => Line::Lagged { missed: *missed, at: "consumer" },
        Message::Refused(refused) => Line::Refused(refused),
        Message::Alarm(alarm) => Line::Alarm(alarm),
        Message::Summary(summary) => Line::Summary(summary_line(summary)),
    }
}

fn written(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_else(|error| format!(r#"{{"type":"error","message":"{error}"}}"#))
}

/// The word that JSON has for a value.
pub(crate) fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A jump as a JSON object.
pub fn jump_value(jump: &Jump) -> Value {
    serde_json::to_value(Line::Jump(jump_line(jump))).unwrap_or_default()
}

/// An impact as a JSON object.
pub fn impact_value(impact: &Impact) -> Value {
    serde_json::to_value(Line::Impact(impact_line(impact))).unwrap_or_default()
}

/// A remedy as a JSON object.
pub fn remedy_value(remedy: &Remediation) -> Value {
    serde_json::to_value(Line::Remedy(remedy_line(remedy))).unwrap_or_default()
}

fn jump_line(jump: &Jump) -> JumpLine<'_> {
    JumpLine {
        sequence: jump.sequence,
        boot_id: &jump.boot_id,
        boottime_ns: jump.at,
        delta_ns: jump.delta,
        delta_error_ns: jump.delta_error_ns,
        wall_before: jump.wall_before(),
        wall_after: jump.wall_after(),
        old_offset_ns: jump.old,
        new_offset_ns: jump.new,
        path: jump.path,
        captured_by: jump.captured_by,
        actor: &jump.actor,
        verdict: jump.verdict,
        evidence: &jump.evidence,
        excursion: jump.excursion,
        burst: jump.burst,
        loud: jump.loud,
        window: jump.window.as_ref(),
    }
}

fn impact_line(impact: &Impact) -> ImpactLine<'_> {
    ImpactLine {
        id: impact.id,
        jump: impact.jump,
        kind: &impact.kind,
        subject: &impact.subject,
        from: impact.from,
        until: impact.until,
        boot_id: &impact.boot_id,
        from_boottime_ns: impact.from_boot,
        until_boottime_ns: impact.until_boot,
        state: impact.state,
        confidence: impact.confidence,
        remedy: impact.remedy,
        message: &impact.message,
        evidence: &impact.evidence,
    }
}

fn remedy_line(remedy: &Remediation) -> RemedyLine<'_> {
    RemedyLine {
        id: remedy.id,
        boot_id: &remedy.boot_id,
        boottime_ns: remedy.at,
        wall: remedy.wall,
        action: remedy.action,
        subject: &remedy.subject,
        jump: remedy.jump,
        impacts: &remedy.impacts,
        state: remedy.stage,
        reason: remedy.reason,
        message: &remedy.message,
        mode: remedy.mode,
        started_boottime_ns: remedy.started,
    }
}

fn summary_line(summary: &Summary) -> SummaryLine {
    let balance = summary.balance;
    // The witness may be inexact; within its error the account is right, beyond it the difference is a residual.
    let (witness, error) = summary.offset_now;
    let agrees = witness.since(balance.offset).magnitude() <= error.saturating_add(balance.error);
    let now = if agrees { balance.offset } else { witness };
    SummaryLine {
        offset_at_start_ns: balance.start,
        offset_now_ns: now,
        offset_error_ns: balance.error,
        sum_of_deltas_ns: balance.sum,
        residual_ns: DeltaNs(now.since(balance.start).0.saturating_sub(balance.sum.0)),
        jumps: balance.jumps,
        missed: balance.missed,
        dropped: summary.dropped,
        refused: summary.refused,
        suspends: balance.suspends,
        suspended_ns: balance.suspended_ns,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        actor::{ActorKind, Pod},
        deliver::tests::jump,
        ledger::{Balance, Missed},
    };

    #[test]
    fn a_jump_is_as_the_contract_says() {
        let jump = Jump {
            boot_id: "b00t".into(),
            sequence: 17,
            at: BootNs(1_000),
            delta: DeltaNs(-4_752_000_000_000_000),
            delta_error_ns: 80,
            old: OffsetNs(1_711_929_753_099_999_000),
            new: OffsetNs(1_707_177_753_099_999_000),
            path: StepPath::ClockSettime,
            captured_by: CapturedBy::Fentry,
            actor: Actor {
                kind: ActorKind::Process,
                pid: Some(917),
                comm: Some("chronyd".into()),
                pod: Some(Pod { uid: "u".into(), ..Pod::default() }),
                ..Actor::default()
            },
            verdict: Verdict::Unknown,
            excursion: Some(3),
            ..jump(17, 0)
        };
        let line: Value = serde_json::from_str(&json_line(&Message::Jump(jump))).unwrap();
        for (key, want) in [
            ("type", json!("jump")),
            ("sequence", json!(17)),
            ("boot_id", json!("b00t")),
            ("boottime_ns", json!(1000)),
            ("delta_ns", json!(-4_752_000_000_000_000_i64)),
            ("delta_error_ns", json!(80)),
            ("wall_before", json!("2024-04-01T00:02:33.100000000Z")),
            ("wall_after", json!("2024-02-06T00:02:33.100000000Z")),
            ("path", json!("clock_settime")),
            ("captured_by", json!("fentry")),
            ("verdict", json!("unknown")),
            ("excursion", json!(3)),
            ("burst", json!(17)),
            ("loud", json!(true)),
            ("window", Value::Null),
        ] {
            assert_eq!(line[key], want, "{key}");
        }
        let actor = &line["actor"];
        assert_eq!(
            (&actor["kind"], &actor["pid"], &actor["comm"]),
            (&json!("process"), &json!(917), &json!("chronyd"))
        );
        assert_eq!(actor["pod"], json!({"namespace": null, "name": null, "uid": "u"}));
        for key in ["exe", "uid", "cgroup", "unit", "container_id"] {
            assert_eq!(actor.get(key), Some(&Value::Null), "{key}");
        }
    }

    #[test]
    fn lagged_is_as_the_contract_says() {
        assert_eq!(json_line(&Message::Lagged(12)), r#"{"type":"lagged","missed":12,"at":"consumer"}"#);
        let missed = Missed { boot_id: "".into(), at: BootNs(1), missed: 12 };
        assert_eq!(json_line(&Message::Missed(missed)), r#"{"type":"lagged","missed":12,"at":"capture"}"#);
    }

    #[test]
    fn an_impact_is_as_the_contract_says() {
        let impact = Impact {
            id: 4,
            jump: 17,
            kind: "token_not_yet_valid".into(),
            subject: Subject {
                kind: "pod".into(),
                namespace: Some("kube-system".into()),
                ..Subject::default()
            },
            from: Some(WallNs(0)),
            until: None,
            boot_id: "b00t".into(),
            from_boot: Some(BootNs(5)),
            until_boot: None,
            state: State::Open,
            confidence: Confidence::Predicted,
            remedy: Remedy::RestartKubelet,
            message: "m".into(),
            evidence: json!({}),
        };
        let want = json!({
            "type": "impact", "id": 4, "jump": 17, "kind": "token_not_yet_valid",
            "subject": {"kind": "pod", "namespace": "kube-system", "name": null, "uid": null, "container": null,
                        "volume": null},
            "from": "1970-01-01T00:00:00.000000000Z", "until": null, "boot_id": "b00t", "from_boottime_ns": 5,
            "until_boottime_ns": null, "state": "open", "confidence": "predicted",
            "remedy": "restart_kubelet", "message": "m", "evidence": {},
        });
        assert_eq!(impact_value(&impact), want);
    }

    #[test]
    fn a_remedy_is_as_the_contract_says() {
        let remedy = Remediation {
            id: 2,
            boot_id: "b00t".into(),
            at: BootNs(9),
            wall: WallNs(0),
            action: Action::EvictPod,
            subject: Subject { kind: "pod".into(), name: Some("web-1".into()), ..Subject::default() },
            jump: 17,
            impacts: vec![4, 5],
            stage: Stage::Waiting,
            reason: Some(Reason::DisruptionBudget),
            message: "m".into(),
            mode: Mode::Act,
            started: None,
        };
        let want = json!({
            "type": "remedy", "id": 2, "boot_id": "b00t", "boottime_ns": 9,
            "wall": "1970-01-01T00:00:00.000000000Z", "action": "evict_pod",
            "subject": {"kind": "pod", "namespace": null, "name": "web-1", "uid": null, "container": null,
                        "volume": null},
            "jump": 17, "impacts": [4, 5], "state": "waiting", "reason": "disruption_budget", "message": "m",
            "mode": "act", "started_boottime_ns": null,
        });
        assert_eq!(remedy_value(&remedy), want);
    }

    #[test]
    fn a_summary_tells_what_is_left_over() {
        let balance = Balance {
            start: OffsetNs(100),
            offset: OffsetNs(150),
            error: 0,
            sum: DeltaNs(50),
            jumps: 1,
            missed: 0,
            suspends: 0,
            suspended_ns: 0,
        };
        for (witness, error, residual) in [(150, 0, 0), (152, 5, 0), (152, 1, 2)] {
            let summary = Summary { balance, offset_now: (OffsetNs(witness), error), dropped: 0, refused: 0 };
            let line: Value = serde_json::from_str(&json_line(&Message::Summary(summary))).unwrap();
            assert_eq!(line["residual_ns"], json!(residual), "{witness} ± {error}");
        }
    }
}
