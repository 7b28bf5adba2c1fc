//! The recorded incident, diagnosed at each of its stages from what a bundle made then would have held.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run::{Said, diagnose, fixture};

#[derive(Deserialize)]
struct Stage {
    name: String,
    wall_ns: i64,
    boot_ns: u64,
    /// Which tokens were in the volumes.
    tokens: Vec<usize>,
    /// How many lines the logs had.
    lines: BTreeMap<String, usize>,
    cri: Vec<Cri>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cri {
    id: String,
    timestamp: i64,
    usage_core_nano_seconds: u64,
    usage_nano_cores: u64,
}

fn stages() -> Vec<Stage> {
    serde_json::from_str(&fs::read_to_string(fixture("incident/stages.json")).unwrap()).unwrap()
}

fn tokens() -> Vec<Value> {
    let text = fs::read_to_string(fixture("incident/tokens.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "token").collect()
}

/// The node's files and its bundle at a stage.
pub fn build(stage: &str, root: &Path) {
    let stages = stages();
    let stage = stages.iter().find(|known| known.name.contains(stage)).unwrap();
    let log = root.join("var/log");
    fs::create_dir_all(&log).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    for (name, lines) in &stage.lines {
        let text = fs::read_to_string(fixture(&format!("incident/logs/{name}.log"))).unwrap();
        let text: String = text.split_inclusive('\n').take(*lines).collect();
        fs::write(log.join(format!("{name}.log")), text).unwrap();
    }
    let all = tokens();
    for token in stage.tokens.iter().map(|number| &all[*number]) {
        let claims = &token["claims"];
        let uid = claims["kubernetes.io"]["pod"]["uid"].as_str().unwrap();
        let volume = root
            .join("var/lib/kubelet/pods")
            .join(uid)
            .join("volumes/kubernetes.io~projected")
            .join(token["volume"].as_str().unwrap());
        let data = token["data"].as_str().unwrap();
        fs::create_dir_all(volume.join(data)).unwrap();
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        fs::write(volume.join(data).join("token"), format!("e30.{payload}.bm9uZQ")).unwrap();
        symlink(data, volume.join("..data")).unwrap();
    }
    let node: Value =
        serde_json::from_str(&fs::read_to_string(fixture("incident/node.json")).unwrap()).unwrap();
    let starts = node["kubelet"]["started_boot_ns"].as_array().unwrap();
    let kubelet = starts.iter().filter_map(Value::as_u64).rfind(|at| *at < stage.boot_ns).unwrap();
    let containers: Vec<Value> = node["containers"].as_array().unwrap().iter().map(|container| {
        // What the recording has of its CPU: the runtime's counter, and that one of the three burns 0.3 processors.
        let used = stage.cri.iter().find(|cri| cri.id == container["id"]).map_or(0, |cri| cri.usage_core_nano_seconds);
        let rate = if container["pod"] == "burn" { 300_000_000 } else { 100_000 };
        json!({
            "id": container["id"], "name": "c", "attempt": 0, "namespace": "default", "pod": container["pod"],
            "pod_uid": container["uid"], "state": "running", "created_ns": container["created_ns"],
            "started_ns": container["started_ns"], "finished_ns": null, "cpu": [used, stage.boot_ns, rate],
        })
    }).collect();
    let samples: Vec<Value> = stage.cri.iter().map(|cri| {
        json!({
            "container_id": cri.id, "timestamp_ns": cri.timestamp, "usage_ns": cri.usage_core_nano_seconds,
            "nanocores": cri.usage_nano_cores,
        })
    }).collect();
    let bundle = json!({
        "form": 1, "version": "0.1.0", "wall_ns": stage.wall_ns, "boottime_ns": stage.boot_ns, "boot_id": "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
        "host": "rig", "kernel": "6.1.0", "clocks": {"synchronised": false, "rtc_ahead_ns": null, "apiservers": []},
        "own_apiserver": true, "kubelet_root": "/var/lib/kubelet", "kubelet_cert_dir": null,
        "kubelet": [if kubelet < 600_000_000_000 { 308 } else { 1775 }, kubelet], "kubelet_version": [1, 20],
        "runtime": {"name": "containerd", "version": node["runtime"]["version"], "api": "v1",
                    "endpoint": "/run/containerd/containerd.sock", "process": [200, node["runtime"]["started_boot_ns"]]},
        "containers": containers, "samples": samples, "csi_pods": [], "sources": [],
    });
    fs::write(root.join("timejump-bundle.json"), bundle.to_string()).unwrap();
}

fn at(stage: &str) -> Said {
    let root = tempfile::tempdir().unwrap();
    build(stage, root.path());
    diagnose(root.path(), &[])
}

/// Jumps: by how many seconds, and how sure.
fn jumps(said: &Said) -> Vec<(i64, &str)> {
    let jump = |jump: &Value| jump["delta_ns"].as_i64().unwrap() / 1_000_000_000;
    said.of("past_jump").into_iter().map(|line| (jump(line), line["certainty"].as_str().unwrap())).collect()
}

const DAYS_55: i64 = 4_752_000;
/// Between the last line before a jump and the first after it: kubelet writes one every 10 s.
const SILENCE: i64 = 15;

fn are(jumps: &[(i64, &str)], want: &[i64]) -> bool {
    let near =
        |(found, want): (&(i64, &str), &i64)| (found.0 - want).abs() <= SILENCE && found.1 == "certain";
    jumps.len() == want.len() && jumps.iter().zip(want).all(near)
}

#[test]
fn before_all_is_well() {
    let said = at("1-before");
    assert_eq!(said.code(), Some(0), "{}", said.screen);
    assert_eq!(jumps(&said), []);
    assert_eq!(said.screen.lines().count(), 1, "{}", said.screen);
    assert!(
        said.screen.contains("nothing is wrong because of its clock (as of 2026-06-01 08:03:50Z, when the bundle was made; 6 tokens"),
        "{}",
        said.screen
    );
}

#[test]
fn right_after_the_step_ahead() {
    let said = at("2-stepped-ahead");
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    let [(delta, "certain")] = jumps(&said)[..] else { panic!("{}", said.screen) };
    assert!((delta - DAYS_55).abs() <= SILENCE, "{}", said.screen);
    // Those of the pods that were not synced yet; the third pod's had been replaced.
    assert_eq!(said.problems("token_expired"), ["burn", "idle2"], "{}", said.screen);
    assert_eq!(said.of("clock_problem")[0]["kind"], "unconfirmed");
}

#[test]
fn ahead_with_new_tokens() {
    let said = at("3-ahead-refreshed");
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    let [(delta, "certain")] = jumps(&said)[..] else { panic!("{}", said.screen) };
    assert!((delta - DAYS_55).abs() <= SILENCE, "{}", said.screen);
    let clock = said.of("clock_problem");
    assert_eq!((clock.len(), &clock[0]["kind"]), (1, &json!("unconfirmed")), "{}", said.screen);
    assert!(said.problems("token_not_yet_valid").is_empty() && said.problems("token_expired").is_empty());
}

/// All that is wrong once it is back, until kubelet is restarted.
fn is_back(said: &Said) {
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    assert!(are(&jumps(said), &[DAYS_55, -DAYS_55]), "{}", said.screen);
    let excursions = said.of("past_excursion");
    assert_eq!(excursions.len(), 1);
    assert_eq!((&excursions[0]["opened_by"], &excursions[0]["closed_by"]), (&json!(1), &json!(2)));
    let lasted = excursions[0]["lasted_ns"].as_u64().unwrap() / 1_000_000_000;
    assert!(lasted.abs_diff(150) <= SILENCE.unsigned_abs(), "{lasted}");
    let six = ["burn", "burn", "idle1", "idle1", "idle2", "idle2"];
    assert_eq!(said.problems("token_not_yet_valid"), six, "{}", said.screen);
    let observed = |kind: &str| {
        let impacts = said.of("impact").into_iter().filter(move |impact| impact["kind"] == kind);
        impacts.filter(|impact| impact["confidence"] == "observed").count()
    };
    assert_eq!(observed("token_not_yet_valid"), 6, "the apiserver's clock is the node's");
    assert_eq!(said.problems("kubelet_cpu_cache_stuck"), ["burn", "idle1", "idle2"], "{}", said.screen);
    assert_eq!(said.problems("runtime_cpu_baseline_stuck"), ["burn", "idle1", "idle2"], "{}", said.screen);
    assert!(observed("runtime_cpu_baseline_stuck") >= 1, "the one that burns shows 0");
    let steps = said.of("step");
    assert!(steps[0]["what"].as_str().unwrap().starts_with("Restart kubelet"), "{}", said.screen);
    assert_eq!(steps[0]["commands"], json!(["systemctl restart kubelet"]));
    assert_eq!(steps[1]["commands"], json!(["systemctl restart containerd"]), "{}", said.screen);
}

#[test]
fn right_after_the_step_back() {
    is_back(&at("4-stepped-back"));
}

#[test]
fn minutes_after_the_step_back() {
    let said = at("5-after-back");
    is_back(&said);
    let cache: Vec<&Value> =
        said.of("impact").into_iter().filter(|impact| impact["kind"] == "kubelet_cpu_cache_stuck").collect();
    assert!(cache.iter().all(|impact| impact["confidence"] == "observed"), "{}", said.screen);
    // Its log's last stamp: `1785053185373125940`.
    assert_eq!(cache[0]["until"], "2026-07-26T08:06:25.373125940Z");
}

#[test]
fn after_kubelets_restart_the_runtime_is_still_stuck() {
    let said = at("6-kubelet-restarted");
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    assert!(are(&jumps(&said), &[DAYS_55, -DAYS_55]), "{}", said.screen);
    for cured in ["token_not_yet_valid", "token_expired", "kubelet_cpu_cache_stuck"] {
        assert!(said.problems(cured).is_empty(), "{cured}: {}", said.screen);
    }
    assert_eq!(said.problems("runtime_cpu_baseline_stuck"), ["burn", "idle1", "idle2"], "{}", said.screen);
    assert_eq!(said.of("step")[0]["commands"], json!(["systemctl restart containerd"]), "{}", said.screen);
}
