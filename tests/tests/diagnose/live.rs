//! This machine itself, with a kubelet's root directory that is made up; and its bundle, diagnosed elsewhere.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use timejump::clock::{Clocks, SystemClocks};
use timejump_tests::kubelet::{Bound, Claims, MARK};

use crate::run::{diagnose, timejump};

const DAYS_55: i64 = 4_752_000;

/// A pod whose token was written `ahead` seconds from now, both by the node's clock and by the apiserver's.
fn volume(root: &Path, pod: &str, ahead: i64) {
    let now = SystemClocks.realtime_ns() / 1_000_000_000 + ahead;
    let bound = Bound {
        namespace: "default".into(),
        pod: pod.into(),
        pod_uid: format!("uid-{pod}"),
        service_account: "default".into(),
        node: None,
    };
    let claims = Claims {
        serial: 1,
        iat: now,
        nbf: now,
        exp: now + 31_536_000,
        warn_after: Some(now + 3607),
        audiences: vec!["k".into()],
        bound,
    };
    let volume = root.join(format!("pods/uid-{pod}/volumes/kubernetes.io~projected/kube-api-access-x"));
    let stamp = jiff::Timestamp::from_second(now).unwrap().strftime("..%Y_%m_%d_%H_%M_%S.1").to_string();
    fs::create_dir_all(volume.join(&stamp)).unwrap();
    fs::write(volume.join(&stamp).join("token"), claims.jwt()).unwrap();
    symlink(&stamp, volume.join("..data")).unwrap();
}

#[test]
fn tokens_from_the_future_and_a_bundle_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let (kubelet, bundle) = (directory.path().join("kubelet"), directory.path().join("bundle.tar"));
    volume(&kubelet, "ahead", DAYS_55);
    volume(&kubelet, "fine", -60);
    let mut command = Command::new(timejump());
    command.args(["diagnose", "-o", "json", "--kubelet-root"]).arg(&kubelet).arg("--collect").arg(&bundle);
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("token_not_yet_valid") && text.contains("\"name\":\"ahead\""), "{text}");
    assert!(!text.contains(MARK), "a signature");

    let packed = fs::read(&bundle).unwrap();
    assert!(!packed.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "a signature in the bundle");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&bundle).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let copy = directory.path().join("copy");
    tar::Archive::new(&packed[..]).unpack(&copy).unwrap();
    let said = diagnose(&copy, &[]);
    assert_eq!(said.code(), Some(1), "{}", said.screen);
    assert_eq!(said.problems("token_not_yet_valid"), ["ahead"], "{}", said.screen);
    let back = said.of("past_jump");
    assert!(back[0]["delta_ns"].as_i64().unwrap() < -54 * 86_400 * 1_000_000_000, "{}", said.screen);
}

#[test]
fn a_bundle_that_cannot_be_written_says_why() {
    let done = Command::new(timejump())
        .args(["diagnose", "--kubelet-root", "/nonexistent", "--collect", "/nonexistent/x.tar"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&done.stderr).contains("/nonexistent/x.tar"), "{done:?}");
}

#[test]
fn what_cannot_be_is_a_usage_error() {
    for (arguments, want) in [
        (&["--root", "/nonexistent"][..], "/nonexistent: no directory"),
        (&["--journal", "/nonexistent"], "/nonexistent"),
        (&["--now", "2024-02-06T05:16:46Z"], "--root"),
        (&["--root", "/tmp", "--now", "yesterday"], "no time such as"),
        (&["--root", "/tmp", "--collect", "x"], "--collect"),
    ] {
        let done = Command::new(timejump()).arg("diagnose").args(arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(64), "{arguments:?}: {done:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains(want), "{arguments:?}: {done:?}");
    }
}

#[test]
fn a_bundle_of_another_form_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for (text, want) in [
        ("{", "not what timejump writes"),
        ("{\"form\":1}", "not what timejump writes"),
        ("{\"form\":2,\"other\":[]}", "has form 2"),
    ] {
        fs::write(root.path().join("timejump-bundle.json"), text).unwrap();
        let done = Command::new(timejump()).args(["diagnose", "--root"]).arg(root.path()).output().unwrap();
        assert_eq!(done.status.code(), Some(74));
        assert!(String::from_utf8_lossy(&done.stderr).contains(want), "{done:?}");
    }
}
