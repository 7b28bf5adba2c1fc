//! Prometheus takes the alerts and they fire when they should, and alerts and dashboard know exactly the metrics that the
//! daemon serves.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{file, provided, text};

const RULES: &str = "deploy/prometheus/timejump.rules.yaml";
const RULES_TEST: &str = "deploy/prometheus/timejump.rules.test.yaml";
const DASHBOARD: &str = "deploy/grafana/timejump.json";
const METRICS: &str = "detector/src/deliver/http/metrics.rs";
/// Columns of a dashboard.
const COLUMNS: u64 = 24;

fn dashboard() -> Value {
    serde_json::from_str(&text(DASHBOARD)).expect("JSON")
}

/// The names that metrics.rs gives to metrics: whole string literals, tests left out.
fn served() -> BTreeSet<String> {
    let source = text(METRICS);
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_name = |literal: &&str| {
        literal.starts_with("timejump_") && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    code.split('"').filter(is_name).map(str::to_owned).collect()
}

/// The metrics that PromQL within `text` names. What a recording rule makes begins with its level, not with ours.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("timejump_"))
        .map(str::to_owned)
        .collect()
}

/// All that a dashboard asks of Prometheus: panels and annotations by `expr`, variables by `query` and `definition`.
fn queries(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(query) if ["expr", "query", "definition"].contains(&&**key) => vec![&**query],
                other => queries(other),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

/// Each alert of the rules with its text.
fn alerts(rules: &str) -> BTreeMap<&str, &str> {
    let blocks = rules.split("- alert: ").skip(1);
    blocks.map(|block| block.split_once('\n').expect("an alert has more than a name")).collect()
}

#[test]
fn prometheus_takes_the_rules_and_their_tests_hold() {
    let Some(promtool) = provided("TIMEJUMP_PROMTOOL") else { return };
    for (command, path) in [("check", RULES), ("test", RULES_TEST)] {
        let output = Command::new(&promtool)
            .args([command, "rules"])
            .arg(file(path))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", promtool.display()));
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {command} rules {path}: {}\n{said}", output.status);
    }
}

#[test]
fn every_alert_tells_what_to_do() {
    let rules = text(RULES);
    let alerts = alerts(&rules);
    assert!(!alerts.is_empty(), "no alerts in {RULES}");
    for (name, block) in alerts {
        for part in ["expr:", "severity: ", "summary: ", "description: ", "`timejump "] {
            assert!(block.contains(part), "{name} lacks {part}");
        }
    }
}

/// Each alert names its section of the runbook, and there are no sections of alerts that there are not.
#[test]
fn every_alert_has_its_section_in_the_runbook() {
    let rules = text(RULES);
    let runbook = text("docs/runbook.md");
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("### Timejump"));
    let sections: BTreeSet<_> = sections.map(|name| format!("Timejump{name}")).collect();
    let alerts = alerts(&rules);
    assert_eq!(sections, alerts.keys().map(ToString::to_string).collect());
    for (name, block) in alerts {
        let url = format!("/docs/runbook.md#{}\n", name.to_lowercase());
        assert!(block.contains(&url), "{name} has another runbook_url, or none");
    }
}

/// What they try is promtool's business; that none is left out is ours.
#[test]
fn every_alert_is_tried_both_ways() {
    let tests = text(RULES_TEST);
    let mut tried: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for case in tests.split("alertname: ").skip(1) {
        let mut lines = case.lines().map(str::trim);
        let (name, expected) = (lines.next().expect("a name"), lines.next().expect("what is expected"));
        assert!(expected.starts_with("exp_alerts:"), "{name} is followed by {expected}");
        tried.entry(name).or_default().insert(!expected.ends_with("[]"));
    }
    let rules = text(RULES);
    let alerts = alerts(&rules);
    for name in alerts.keys() {
        let ways = tried.get(name).map_or(0, BTreeSet::len);
        assert_eq!(ways, 2, "{name} must have a case in which it fires and one in which it does not");
    }
    let unknown: Vec<_> = tried.keys().filter(|name| !alerts.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "tests for alerts that there are not: {unknown:?}");
}

#[test]
fn rules_and_dashboard_name_exactly_what_is_served() {
    let served = served();
    assert!(served.contains("timejump_up"), "no metrics found in {METRICS}: {served:?}");
    let dashboard = dashboard();
    let asked = named(&queries(&dashboard).join("\n"));
    let alerted = named(&text(RULES));
    for (path, names) in [(RULES, &alerted), (RULES_TEST, &named(&text(RULES_TEST))), (DASHBOARD, &asked)] {
        let unknown: Vec<_> = names.difference(&served).collect();
        assert!(!names.is_empty() && unknown.is_empty(), "{path} names what is not served: {unknown:?}");
    }
    let unused: Vec<_> =
        served.iter().filter(|name| !asked.contains(*name) && !alerted.contains(*name)).collect();
    assert!(unused.is_empty(), "neither dashboard nor rules use {unused:?}");
}

#[test]
fn panels_are_described_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title} has the id of another panel");
        if panel["type"] != "row" {
            assert!(
                panel["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{title} says nothing"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title} has a data source of its own");
        }
        let [x, y, w, h] = ["x", "y", "w", "h"]
            .map(|key| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{title} has no {key}")));
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{title} is outside the grid");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            if let Some(other) = taken.insert(cell, title) {
                panic!("{title} and {other} overlap");
            }
        }
    }
}
