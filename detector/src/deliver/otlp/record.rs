//! One entry of the stream as a log record: pure.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value as Any},
    logs::v1::{LogRecord, SeverityNumber},
};
use serde_json::json;

use super::attributes::{of_line, text};
use crate::{
    clock::{WallNs, span},
    deliver::{
        Message,
        human::{count, standing, unwatched, victim},
        impact_value, jump_value, printable, remedy_value,
        stream::Told,
        who,
    },
    impact::{Confidence, Impact, State},
    ledger::{Jump, Verdict},
    remedy::{Remediation, Stage},
};

/// The record; nothing of what is no event. `observed` is what the node's wall clock shows now.
pub(super) fn record(told: &Told, observed: WallNs, boot_id: &str) -> Option<LogRecord> {
    let (name, at, severity, body, line, boot_id) = match &told.message {
        Message::Jump(jump) => (
            "timejump.jump",
            Some(jump.wall_after()),
            of_jump(jump),
            jump_body(jump),
            jump_value(jump),
            &*jump.boot_id,
        ),
        Message::Impact(impact) => (
            "timejump.impact",
            if impact.state == State::Open { impact.from } else { impact.until },
            of_impact(impact),
            impact_body(impact),
            impact_value(impact),
            &*impact.boot_id,
        ),
        Message::Remedy(remedy) => (
            "timejump.remedy",
            Some(remedy.wall),
            of_remedy(remedy),
            format!("{}: {}", victim(&remedy.subject), remedy.message),
            remedy_value(remedy),
            &*remedy.boot_id,
        ),
        Message::Missed(missed) => (
            "timejump.lagged",
            None,
            SeverityNumber::Warn,
            format!(
                "{} lost on the way from the kernel; the jump that follows carries their sum unless it is 0",
                count(missed.missed, "step")
            ),
            json!({ "missed": missed.missed, "at": "capture", "boot_id": &*missed.boot_id, "boottime_ns": missed.at }),
            &*missed.boot_id,
        ),
        Message::Lagged(missed) => (
            "timejump.lagged",
            None,
            SeverityNumber::Warn,
            format!("{missed} entries were deleted before they could be sent"),
            json!({ "missed": missed, "at": "consumer" }),
            boot_id,
        ),
        Message::Alarm(alarm) => (
            "timejump.alarm",
            Some(observed),
            SeverityNumber::Error,
            format!("{}: {}", alarm.kind, alarm.message),
            json!({ "kind": alarm.kind }),
            boot_id,
        ),
        Message::Status(_) | Message::Refused(_) | Message::Summary(_) => return None,
    };
    let mut attributes = of_line(&line);
    // The same when it is sent again.
    attributes.push(text("log.record.uid", format!("{boot_id}-{}-{name}", told.position)));
    Some(LogRecord {
        time_unix_nano: at.map_or(0, unix),
        observed_time_unix_nano: unix(observed).max(1),
        severity_number: severity.into(),
        severity_text: word(severity).into(),
        body: Some(AnyValue { value: Some(Any::StringValue(printable(&body))) }),
        attributes,
        event_name: name.into(),
        ..LogRecord::default()
    })
}

/// A time that OTLP cannot say is one that is not known.
fn unix(at: WallNs) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

fn of_jump(jump: &Jump) -> SeverityNumber {
    match jump.verdict {
        Verdict::Correction => SeverityNumber::Info,
        Verdict::Disruption | Verdict::Unknown => SeverityNumber::Warn,
    }
}

fn of_impact(impact: &Impact) -> SeverityNumber {
    match (impact.state, impact.confidence) {
        (State::Resolved, _) | (State::Open, Confidence::Refuted) => SeverityNumber::Info,
        (State::Open, Confidence::Predicted) => SeverityNumber::Warn,
        (State::Open, Confidence::Observed) => SeverityNumber::Error,
    }
}

fn of_remedy(remedy: &Remediation) -> SeverityNumber {
    match remedy.stage {
        Stage::Failed | Stage::GivenUp => SeverityNumber::Error,
        _ => SeverityNumber::Info,
    }
}

fn word(severity: SeverityNumber) -> &'static str {
    match severity {
        SeverityNumber::Error => "ERROR",
        SeverityNumber::Warn => "WARN",
        _ => "INFO",
    }
}

fn jump_body(jump: &Jump) -> String {
    let way = if jump.delta.0 < 0 { "back" } else { "ahead" };
    let window = jump.window.as_ref().map_or_else(String::new, |it| format!("; {}", unwatched(it.kind)));
    format!(
        "the wall clock went {way} by {}, from {} to {}: {} by {}{window}",
        span(jump.delta.magnitude()),
        jump.wall_before(),
        jump.wall_after(),
        jump.path,
        who(&jump.actor),
    )
}

fn impact_body(impact: &Impact) -> String {
    let of = victim(&impact.subject);
    match impact.state {
        State::Open => format!("{of}: {}", impact.message),
        State::Resolved => format!("{of}: {} is over ({})", impact.kind, standing(impact)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{BootNs, OffsetNs},
        deliver::tests::jump,
    };

    const SECOND: i64 = 1_000_000_000;

    fn told(message: Message) -> Told {
        Told { position: 9, message }
    }

    #[test]
    fn a_jump_has_the_time_that_the_node_then_had() {
        let back = Jump {
            at: BootNs(5),
            old: OffsetNs(100 * SECOND),
            new: OffsetNs(40 * SECOND),
            verdict: Verdict::Disruption,
            ..jump(3, -60 * SECOND)
        };
        let record = record(&told(Message::Jump(back)), WallNs(77), "other").unwrap();
        assert_eq!(record.time_unix_nano, 40_000_000_005);
        assert_eq!(record.observed_time_unix_nano, 77);
        assert_eq!((record.severity_number, &*record.severity_text), (13, "WARN"));
        assert_eq!(record.event_name, "timejump.jump");
        let Some(Any::StringValue(body)) = record.body.unwrap().value else { panic!() };
        assert!(body.starts_with("the wall clock went back by 1m 0s, from 1970-01-01T00:01:40"), "{body}");
        let uid = record.attributes.iter().find(|it| it.key == "log.record.uid").unwrap();
        assert_eq!(uid.value.clone().unwrap().value, Some(Any::StringValue("b00t-9-timejump.jump".into())));
    }

    #[test]
    fn before_1970_is_not_known() {
        let far = Jump { new: OffsetNs(-SECOND), verdict: Verdict::Correction, ..jump(3, -60 * SECOND) };
        let record = record(&told(Message::Jump(far)), WallNs(-5), "b").unwrap();
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (0, 1));
        assert_eq!(record.severity_number, 9);
    }

    #[test]
    fn gaps_are_told() {
        let record = record(&told(Message::Lagged(4)), WallNs(5), "b").unwrap();
        assert_eq!((&*record.event_name, record.severity_number), ("timejump.lagged", 13));
    }
}
