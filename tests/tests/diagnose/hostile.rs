//! Evidence that contradicts itself, is forged, absurd, or too much.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    recorded,
    run::{copy, diagnose, fixture},
};

fn append(path: &Path, text: &str) {
    let mut all = fs::read_to_string(path).unwrap_or_default();
    all += text;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, all).unwrap();
}

/// A quiet log: a line every 10 s for an hour, with whatever is forged in the middle of it.
fn quiet(forged: &str) -> String {
    let mut text = String::new();
    for n in 0..360 {
        let (minute, second) = (n / 6, n % 6 * 10);
        let _ = writeln!(text, "Jun  1 07:{minute:02}:{second:02} rig systemd[1]: Started Session {n}.");
        if n == 180 {
            text += forged;
        }
    }
    text
}

#[test]
fn forged_words_move_nothing() {
    for forged in [
        "Jun  1 07:30:05 rig chronyd[917]: System clock was stepped by -4752000.000000 seconds\n",
        "Jun  1 07:30:05 rig chronyd[917]: System clock was stepped by 4752000.000000 seconds\n",
        "Jun  1 07:30:05 rig ntpd[917]: time reset +31536000.0 s\n",
        // As many as one likes.
        &"Jun  1 07:30:05 rig chronyd[917]: System clock was stepped by -86400.0 seconds\n".repeat(5000),
    ] {
        let root = tempfile::tempdir().unwrap();
        recorded::build("1-before", root.path());
        append(&root.path().join("var/log/syslog"), &quiet(forged));
        let said = diagnose(root.path(), &[]);
        assert_eq!(said.code(), Some(0), "{}", said.screen);
        assert!(said.of("past_jump").is_empty(), "{}", said.screen);
        assert!(!said.of("disbelieved").is_empty(), "{}", said.screen);
        assert!(said.screen.contains("not believed"), "{}", said.screen);
    }
}

#[test]
fn one_line_out_of_place_is_no_jump() {
    for forged in [
        "Jul 26 08:04:01 rig x: from the future\n",
        "Jan  1 00:00:00 rig x: from the past\n",
        "1970-01-01T00:00:00Z rig x: from the epoch\n",
        "9999-12-31T23:59:59Z rig x: from the end of time\n",
        "type=TIME_INJOFFSET msg=audit(9999999999.999:1): sec=9223372036854775807 nsec=999999999\n",
    ] {
        let root = tempfile::tempdir().unwrap();
        recorded::build("1-before", root.path());
        append(&root.path().join("var/log/syslog"), &quiet(forged));
        let said = diagnose(root.path(), &[]);
        assert_eq!(said.code(), Some(0), "{forged}: {}", said.screen);
        assert!(said.of("past_jump").is_empty(), "{forged}: {}", said.screen);
    }
}

#[test]
fn forged_words_do_not_hide_a_true_jump() {
    let root = tempfile::tempdir().unwrap();
    recorded::build("5-after-back", root.path());
    append(
        &root.path().join("var/log/syslog"),
        &quiet("Jun  1 07:30:05 rig chronyd[917]: System clock was stepped by -1000000.0 seconds\n"),
    );
    let said = diagnose(root.path(), &[]);
    let deltas: Vec<i64> =
        said.of("past_jump").iter().map(|jump| jump["delta_ns"].as_i64().unwrap() / 1_000_000_000).collect();
    assert_eq!(deltas.len(), 2, "{}", said.screen);
    assert!(deltas.iter().all(|delta| (delta.abs() - 4_752_000).abs() <= 15), "{deltas:?}");
    assert_eq!(said.of("disbelieved").len(), 1, "{}", said.screen);
}

#[test]
fn a_token_of_somebody_elses_is_no_witness() {
    let root = tempfile::tempdir().unwrap();
    recorded::build("1-before", root.path());
    // A config map, projected under a name that a token has: bound to no pod of this directory.
    let claims = r#"{"iat":4102444800,"exp":4102448400,"kubernetes.io":{"namespace":"x","pod":{"name":"x","uid":"other"}}}"#;
    let payload = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
    let volume = root.path().join(
        "var/lib/kubelet/pods/99f2d27a-8527-4e20-ac33-17515201da47/volumes/kubernetes.io~projected/odd",
    );
    fs::create_dir_all(volume.join("..9999_12_31_23_59_59.1")).unwrap();
    fs::write(volume.join("..9999_12_31_23_59_59.1/token"), format!("e30.{payload}.x")).unwrap();
    std::os::unix::fs::symlink("..9999_12_31_23_59_59.1", volume.join("..data")).unwrap();
    let said = diagnose(root.path(), &[]);
    assert!(said.of("past_jump").is_empty(), "{}", said.screen);
}

#[test]
fn what_steers_terminals_does_not_reach_one() {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("redhat79"), root.path()).unwrap();
    fs::write(root.path().join("etc/hostname"), "\u{1b}[2Jevil\n").unwrap();
    append(
        &root.path().join("var/log/messages"),
        "Feb  6 13:16:47 redhat79 \u{1b}[31mchronyd[1]: System clock was stepped by -0.5 seconds\u{7}\u{202e}\n",
    );
    let said = diagnose(root.path(), &[]);
    assert!(!said.screen.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", said.screen);
}

#[test]
fn links_do_not_lead_out_of_a_copy() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), quiet("")).unwrap();
    let root = tempfile::tempdir().unwrap();
    recorded::build("1-before", root.path());
    std::os::unix::fs::symlink(outside.path(), root.path().join("var/log/syslog")).unwrap();
    let said = diagnose(root.path(), &[]);
    assert!(said.unseen().contains(&"/var/log/syslog"), "{}", said.screen);
    assert!(said.screen.contains("not seen"), "{}", said.screen);
}

#[test]
fn a_million_lines() {
    let root = tempfile::tempdir().unwrap();
    recorded::build("5-after-back", root.path());
    let mut text = String::with_capacity(110_000_000);
    for n in 0..1_000_000_u32 {
        let second = n / 300;
        let (hour, minute, second) = (7 + second / 3600, second / 60 % 60, second % 60);
        let _ = writeln!(
            text,
            "Jun  1 {hour:02}:{minute:02}:{second:02} rig app[{n}]: request {n} was served in 3 ms, status 200, and so on and on"
        );
    }
    fs::write(root.path().join("var/log/syslog"), text).unwrap();
    let said = diagnose(root.path(), &[]);
    assert_eq!(said.of("past_jump").len(), 2, "{}", said.screen);
    assert_eq!(said.problems("token_not_yet_valid").len(), 6);
}
