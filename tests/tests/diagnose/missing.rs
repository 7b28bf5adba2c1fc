//! Each source of evidence is missing in turn: what the others tell is still told, and what could not be seen is said.

use std::{fs, path::Path};

use crate::{
    recorded,
    run::{Said, copy, diagnose, fixture},
};

fn without(name: &str, remove: &[&str]) -> Said {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture(name), root.path()).unwrap();
    gone(root.path(), remove);
    diagnose(root.path(), &[])
}

fn gone(root: &Path, remove: &[&str]) {
    for path in remove {
        let path = root.join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

fn delta_s(jump: &serde_json::Value) -> i64 {
    jump["delta_ns"].as_i64().unwrap() / 1_000_000_000
}

#[test]
fn without_logs_the_volumes_tell() {
    let said = without("redhat79", &["var/log"]);
    // Judged by the newest file: that is from the excursion itself, when nothing was wrong yet, and it is said.
    assert_eq!(said.code(), Some(0), "{}", said.screen);
    assert!(said.unseen().contains(&"logs"), "{}", said.screen);
    assert!(said.screen.contains("as of 2024-03-31 16:00:12Z, by its newest file"), "{}", said.screen);
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("redhat79"), root.path()).unwrap();
    gone(root.path(), &["var/log"]);
    let said = diagnose(root.path(), &["--now", "2024-02-06T05:16:46Z"]);
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    assert_eq!(said.problems("token_not_yet_valid").len(), 3, "{}", said.screen);
    let jumps = said.of("past_jump");
    let back = jumps.last().unwrap();
    assert!(delta_s(back) < -54 * 86_400, "{}", said.screen);
    assert_eq!(back["certainty"], "certain", "volumes and containers: {}", said.screen);
}

#[test]
fn without_volumes_the_log_tells() {
    let said = without("redhat79", &["data"]);
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    assert!(said.problems("token_not_yet_valid").is_empty());
    assert_eq!(said.problems("kubelet_cpu_cache_stuck").len(), 3, "{}", said.screen);
    let deltas: Vec<i64> = said.of("past_jump").into_iter().map(delta_s).collect();
    assert_eq!(deltas.len(), 2, "{}", said.screen);
    assert!(said.unseen().iter().any(|name| name.starts_with("token volumes")), "{}", said.screen);
}

#[test]
fn without_the_zone_days_are_right_all_the_same() {
    let said = without("redhat79", &["etc/localtime"]);
    assert_eq!(said.problems("token_not_yet_valid").len(), 3, "{}", said.screen);
    assert!(said.unseen().contains(&"time zone"), "{}", said.screen);
    for jump in said.of("past_jump") {
        let days = delta_s(jump).abs() / 86_400;
        assert!((55..=56).contains(&days), "{}", said.screen);
    }
}

#[test]
fn without_containers_nothing_else_changes() {
    let said = without("redhat79", &["var/lib/docker"]);
    assert_eq!(said.problems("token_not_yet_valid").len(), 3, "{}", said.screen);
    assert!(said.problems("probes_suspended").is_empty());
    assert_eq!(said.of("past_jump").len(), 2);
}

#[test]
fn of_the_recorded_node_each_log_may_be_missing() {
    for log in ["kubelet", "apiserver", "kcm", "etcd", "containerd"] {
        let root = tempfile::tempdir().unwrap();
        recorded::build("5-after-back", root.path());
        gone(root.path(), &[&format!("var/log/{log}.log")]);
        let said = diagnose(root.path(), &[]);
        assert_eq!(said.code(), Some(1), "{log}: {}", said.screen);
        let deltas: Vec<i64> = said.of("past_jump").into_iter().map(delta_s).collect();
        assert_eq!(deltas.len(), 2, "{log}: {}", said.screen);
        assert!(deltas.iter().all(|delta| (delta.abs() - 4_752_000).abs() <= 60), "{log}: {deltas:?}");
        assert_eq!(said.problems("token_not_yet_valid").len(), 6, "{log}: {}", said.screen);
    }
}

#[test]
fn nothing_at_all_is_no_problem_and_said() {
    let root = tempfile::tempdir().unwrap();
    let said = diagnose(root.path(), &[]);
    assert_eq!(said.code(), Some(0), "{}", said.screen);
    assert!(said.screen.contains("nothing is wrong") && said.screen.contains("not seen"), "{}", said.screen);
}
