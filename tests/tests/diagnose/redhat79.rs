//! The node that this program was written for: a copy of its files, with the instants that were found on it.

use serde_json::json;

use crate::run::{diagnose, fixture};

#[test]
fn all_of_it_is_explained() {
    let said = diagnose(&fixture("redhat79"), &[]);
    let screen = &said.screen;
    assert_eq!(said.code(), Some(1), "{screen}");
    let summary = said.of("diagnosis")[0];
    assert_eq!(summary["host"], "redhat79");
    // Judged at the last line that its kubelet wrote.
    assert_eq!(summary["now"], "2024-02-06T05:16:46.000000000Z");
    assert_eq!(said.problems("kubelet_cpu_cache_stuck").len(), 3, "{screen}");
    let cache =
        said.of("impact").into_iter().find(|impact| impact["kind"] == "kubelet_cpu_cache_stuck").unwrap();
    assert_eq!(cache["until"], "2024-03-31T16:02:33.406532664Z");
    assert_eq!(cache["confidence"], "observed");
    assert_eq!(cache["remedy"], "restart_kubelet");
    let refused = said.problems("token_not_yet_valid");
    assert_eq!(refused.len(), 3, "{screen}");
    let coredns = said.of("impact").into_iter().find(|impact| {
        impact["kind"] == "token_not_yet_valid"
            && impact["subject"]["namespace"] == "kube-system"
            && impact["subject"]["name"].as_str().is_some_and(|name| name.starts_with("coredns"))
    });
    let coredns = coredns.unwrap();
    assert_eq!(coredns["evidence"]["not_before"], "2024-03-31T15:58:15.000000000Z");
    assert_eq!(coredns["evidence"]["expires"], "2025-03-31T15:58:15.000000000Z");
    assert_eq!(coredns["evidence"]["warn_after"], "2024-03-31T16:58:22.000000000Z");
    assert_eq!(coredns["evidence"]["written"], "2024-03-31T15:57:54.000000000Z");
    // A minute of leeway before its time.
    assert_eq!(coredns["until"], "2024-03-31T15:57:15.000000000Z");
    let jumps = said.of("past_jump");
    assert_eq!(jumps.len(), 2, "{screen}");
    assert_eq!((&jumps[0]["certainty"], &jumps[1]["certainty"]), (&json!("certain"), &json!("certain")));
    assert_eq!(jumps[1]["wall_before"], "2024-03-31T16:02:33.406532664Z", "the stamp in kubelet's cache");
    assert_eq!(jumps[1]["wall_after"], "2024-02-04T15:44:00.000000000Z", "23:44:00 in its time zone");
    let quotes = jumps[1].to_string();
    for want in ["Feb  4 23:44:00 redhat79 systemd: Time has been changed", "Backward time jump detected!"] {
        assert!(quotes.contains(want), "{want}: {quotes}");
    }
    let step = said.of("step")[0];
    assert_eq!(step["commands"], json!(["systemctl restart kubelet"]), "{screen}");
    for want in
        ["redhat79: its clock was 56d 0h ahead for 6m", "WHAT IS WRONG", "WHY", "WHAT TO DO", "HOW SURE"]
    {
        assert!(screen.contains(want), "{want}: {screen}");
    }
    assert!(!screen.contains("after boot"), "when it booted is not known: {screen}");
    for key in ["from_boottime_ns", "until_boottime_ns"] {
        assert_eq!(coredns[key], json!(null), "{coredns}");
    }
    assert_eq!(coredns["evidence"]["written_boottime_ns"], json!(null), "{coredns}");
    // The signature is no secret here, but is treated as one.
    assert!(!screen.contains("bm9fc2ln") && !format!("{:?}", said.lines).contains("bm9fc2ln"));
}
