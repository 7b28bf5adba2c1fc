//! From the JSON lines to attributes: flat, by the names of the semantic conventions where they have one.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value as Any};
use serde_json::Value;

/// What the semantic conventions call it: of a jump's actor, and of an impact's subject.
const NAMES: &[(&str, &str)] = &[
    ("actor.pid", "process.pid"),
    ("actor.ppid", "process.parent_pid"),
    ("actor.comm", "process.executable.name"),
    ("actor.exe", "process.executable.path"),
    ("actor.cmdline", "process.command_line"),
    ("actor.uid", "process.real_user.id"),
    ("actor.cgroup", "process.linux.cgroup"),
    ("actor.tid", "thread.id"),
    ("actor.container_id", "container.id"),
    ("actor.pod.namespace", "k8s.namespace.name"),
    ("actor.pod.name", "k8s.pod.name"),
    ("actor.pod.uid", "k8s.pod.uid"),
    ("evidence.container_id", "container.id"),
];
/// The same of a subject that is a pod.
const OF_POD: &[(&str, &str)] = &[
    ("subject.namespace", "k8s.namespace.name"),
    ("subject.name", "k8s.pod.name"),
    ("subject.uid", "k8s.pod.uid"),
    ("subject.container", "k8s.container.name"),
    ("subject.volume", "k8s.volume.name"),
];
/// What a record says in fields of its own.
const ELSEWHERE: [&str; 2] = ["type", "message"];

/// One attribute.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key.to_owned(), Any::StringValue(value.into()))
}

/// The attributes of a JSON line.
pub(super) fn of_line(line: &Value) -> Vec<KeyValue> {
    let is_pod = line.pointer("/subject/kind").and_then(Value::as_str) == Some("pod");
    let mut attributes = Vec::new();
    if let Value::Object(fields) = line {
        for (name, value) in fields.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
            flatten(&mut attributes, name, value, is_pod);
        }
    }
    attributes
}

fn flatten(attributes: &mut Vec<KeyValue>, path: &str, value: &Value, is_pod: bool) {
    let value = match value {
        Value::Null => return,
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(attributes, &format!("{path}.{name}"), value, is_pod);
            }
            return;
        }
        other => any(other),
    };
    let find =
        |names: &[(&str, &'static str)]| names.iter().find(|(ours, _)| *ours == path).map(|(_, name)| *name);
    let conventional = find(NAMES).or_else(|| find(OF_POD).filter(|_| is_pod));
    let key = conventional.map_or_else(|| format!("timejump.{path}"), str::to_owned);
    // Keys are unique in a record.
    if attributes.iter().all(|known| known.key != key) {
        attributes.push(attribute(key, value));
    }
}

/// Integers as such if they fit; lists as lists, and what is deeper than that as JSON.
fn any(value: &Value) -> Any {
    match value {
        Value::Bool(yes) => Any::BoolValue(*yes),
        Value::String(text) => Any::StringValue(text.clone()),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Any::StringValue(number.to_string()), Any::IntValue)
        }
        Value::Array(items) => {
            let values = items.iter().map(|item| AnyValue {
                value: (!item.is_null())
                    .then(|| if item.is_array() { Any::StringValue(item.to_string()) } else { any(item) }),
            });
            Any::ArrayValue(ArrayValue { values: values.collect() })
        }
        Value::Null | Value::Object(_) => Any::StringValue(value.to_string()),
    }
}

fn attribute(key: String, value: Any) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(attributes: &[KeyValue], key: &str) -> Option<Any> {
        attributes.iter().find(|known| known.key == key)?.value.clone()?.value
    }

    #[test]
    fn names_of_the_conventions_and_our_own() {
        let line = json!({
            "type": "impact", "message": "m", "id": 3, "until": null, "until_boottime_ns": u64::MAX,
            "subject": { "kind": "pod", "namespace": "default", "name": "burn", "uid": "u", "container": "c", "volume": null },
            "evidence": { "container_id": "0123", "rule": "R1", "audiences": ["a", 7, null, { "b": 1 }] },
        });
        let attributes = of_line(&line);
        let text = |text: &str| Some(Any::StringValue(text.into()));
        assert_eq!(found(&attributes, "k8s.pod.name"), text("burn"));
        assert_eq!(found(&attributes, "k8s.container.name"), text("c"));
        assert_eq!(found(&attributes, "container.id"), text("0123"));
        assert_eq!(found(&attributes, "timejump.evidence.rule"), text("R1"));
        assert_eq!(found(&attributes, "timejump.id"), Some(Any::IntValue(3)));
        assert_eq!(found(&attributes, "timejump.until_boottime_ns"), text("18446744073709551615"));
        for left_out in ["timejump.until", "timejump.type", "timejump.message", "k8s.volume.name"] {
            assert_eq!(found(&attributes, left_out), None, "{left_out}");
        }
        let Some(Any::ArrayValue(list)) = found(&attributes, "timejump.evidence.audiences") else { panic!() };
        assert_eq!(list.values[1].value, Some(Any::IntValue(7)));
        assert_eq!(list.values[2].value, None);
        assert_eq!(list.values[3].value, text(r#"{"b":1}"#));
    }

    #[test]
    fn a_certificate_is_no_pod() {
        let line = json!({ "subject": { "kind": "certificate", "name": "/etc/x.crt" } });
        let attributes = of_line(&line);
        assert_eq!(found(&attributes, "timejump.subject.name"), Some(Any::StringValue("/etc/x.crt".into())));
        assert_eq!(found(&attributes, "k8s.pod.name"), None);
    }
}
