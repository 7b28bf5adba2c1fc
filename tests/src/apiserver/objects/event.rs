//! What is checked of an Event of `events.k8s.io/v1`: pkg/apis/core/validation/events.go.

use serde_json::Value;

use super::{refusal::Refusal, route::Route};

/// Longest note, in bytes.
const NOTE: usize = 1024;
/// Longest reason, action, instance.
const WORD: usize = 128;

/// `ValidateEventCreate`.
pub(super) fn check_new(route: &Route, event: &Value, nodes_in_kube_system: bool) -> Result<(), Refusal> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let of = event["regarding"]["namespace"].as_str().unwrap_or_default();
    let at_home = match (of, &*route.namespace) {
        ("", "kube-system") => true,
        ("", "default") => !nodes_in_kube_system,
        (of, namespace) => of == namespace,
    };
    let invalid = |field: &str, why: &str| Err(Refusal::invalid(route, field, why));
    if !at_home {
        return invalid("involvedObject.namespace", "Invalid value: \"\": does not match event.namespace");
    }
    if !is_micro(text("eventTime")) {
        return Err(Refusal::BadBody(format!(
            "parsing time \"{}\" as \"2006-01-02T15:04:05.000000Z07:00\"",
            text("eventTime")
        )));
    }
    for field in ["reason", "action", "reportingInstance", "reportingController"] {
        match text(field).len() {
            0 => return invalid(field, "Required value"),
            length if length > WORD => {
                return invalid(field, "Invalid value: \"\": can have at most 128 characters");
            }
            _ => {}
        }
    }
    if !["Normal", "Warning"].contains(&text("type")) {
        return invalid("type", "Invalid value: \"\": has invalid value");
    }
    if text("note").len() > NOTE {
        return invalid("message", "Invalid value: \"\": can have at most 1024 characters");
    }
    for field in
        ["deprecatedCount", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]
    {
        if !event[field].is_null() {
            return invalid(field, "Invalid value: \"\": needs to be unset");
        }
    }
    let name = event["metadata"]["name"].as_str().unwrap_or_default();
    if !is_subdomain(name) {
        return invalid(
            "metadata.name",
            "Invalid value: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
        );
    }
    check_series(route, event)
}

/// `ValidateEventUpdate`: all but the series is as it was.
pub(super) fn check_change(route: &Route, old: &Value, new: &Value) -> Result<(), Refusal> {
    for field in
        ["note", "reason", "action", "type", "eventTime", "reportingInstance", "regarding", "related"]
    {
        if old[field] != new[field] {
            return Err(Refusal::invalid(route, field, "Invalid value: field is immutable"));
        }
    }
    check_series(route, new)
}

fn check_series(route: &Route, event: &Value) -> Result<(), Refusal> {
    let series = &event["series"];
    if series.is_null() {
        return Ok(());
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        return Err(Refusal::invalid(route, "series.count", "Invalid value: \"\": should be at least 2"));
    }
    if !is_micro(series["lastObservedTime"].as_str().unwrap_or_default()) {
        return Err(Refusal::invalid(route, "series.lastObservedTime", "Required value"));
    }
    Ok(())
}

/// Exactly six digits after the point.
fn is_micro(time: &str) -> bool {
    let digits = time.strip_suffix('Z').and_then(|time| time.split_once('.')).map(|(_, digits)| digits);
    digits.is_some_and(|digits| digits.len() == 6) && time.parse::<jiff::Timestamp>().is_ok()
}

fn is_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |part: &str| {
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
