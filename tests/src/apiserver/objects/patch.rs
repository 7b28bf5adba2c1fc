//! Patches: RFC 7386, and of strategic merges as much as a Node's conditions need.

use serde_json::Value;

use super::{kind::Kind, refusal::Refusal, route::Route};

/// The object as the patch makes it.
pub(super) fn apply(route: &Route, content_type: &str, old: &Value, patch: &Value) -> Result<Value, Refusal> {
    let mut new = old.clone();
    match content_type {
        "application/merge-patch+json" => merge(&mut new, patch),
        "application/strategic-merge-patch+json" => {
            let mut patch = patch.clone();
            if let Some(conditions) = patch["status"]["conditions"].as_array().cloned() {
                let merged = by_type(&old["status"]["conditions"], &conditions);
                patch["status"]["conditions"] = merged.into();
            }
            merge(&mut new, &patch);
        }
        other => {
            return Err(Refusal::BadBody(format!(
                "the body of the request was in an unknown format: {other}"
            )));
        }
    }
    // What is not the part that was asked for stays as it is.
    if route.kind == Kind::Node {
        let part = if route.subresource == "status" { "spec" } else { "status" };
        new[part] = old[part].clone();
    }
    Ok(new)
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Conditions are told apart by `type`; stamps are cut to seconds.
fn by_type(old: &Value, patch: &[Value]) -> Vec<Value> {
    let mut conditions = old.as_array().cloned().unwrap_or_default();
    for new in patch {
        match conditions.iter_mut().find(|condition| condition["type"] == new["type"]) {
            Some(condition) => merge(condition, new),
            None => conditions.push(new.clone()),
        }
    }
    conditions
}
