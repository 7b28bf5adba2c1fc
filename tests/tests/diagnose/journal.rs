//! With systemd's journal, which has both clocks: jumps are measured, and what contradicts it is not believed.

use std::{fmt::Write as _, fs};

use serde_json::json;

use crate::{
    recorded,
    run::{Said, diagnose},
};

const BOOT: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
/// 2026-06-01T08:00:00Z in µs.
const START: u64 = 1_780_300_800_000_000;
const SECOND: u64 = 1_000_000;
const DAYS_55: u64 = 4_752_000 * SECOND;

/// A text, and what the wall clock showed at boot, µs.
struct Export(String, u64);

impl Export {
    /// An entry at so many seconds after boot, with a wall clock that is ahead by so much.
    fn entry(&mut self, at_s: u64, ahead: u64, comm: &str, message: &str) {
        let monotonic = at_s * SECOND + 137;
        let _ = writeln!(
            self.0,
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={BOOT}\n_COMM={comm}\n_PID=917\nMESSAGE={message}\n",
            self.1 + monotonic + ahead
        );
    }
}

/// A minute of entries before, while ahead, and after: the clock is 55 days ahead from 60 s to 120 s.
fn incident() -> String {
    let mut export = Export(String::new(), START);
    for at in (2..180).step_by(2) {
        let ahead = if (60..120).contains(&at) { DAYS_55 } else { 0 };
        export.entry(at, ahead, "cron", "tick");
        if at == 60 || at == 120 {
            export.entry(at, ahead, "systemd", "Time has been changed");
        }
        if at == 120 {
            export.entry(at, ahead, "chronyd", "System clock was stepped by -4752000.000000 seconds");
        }
    }
    export.0
}

fn with(journal: &str, syslog: Option<&str>) -> Said {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("var/log/journal/m");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("system.journal"), journal).unwrap();
    if let Some(text) = syslog {
        fs::write(root.path().join("var/log/syslog"), text).unwrap();
    }
    diagnose(root.path(), &[])
}

#[test]
fn jumps_are_measured_and_their_actor_is_named() {
    let said = with(&incident(), None);
    let jumps = said.of("past_jump");
    assert_eq!(jumps.len(), 2, "{}", said.screen);
    for (jump, delta) in jumps.iter().zip([4_752_000_000_000_000_i64, -4_752_000_000_000_000]) {
        assert_eq!(
            (&jump["delta_ns"], &jump["certainty"]),
            (&json!(delta), &json!("certain")),
            "{}",
            said.screen
        );
        assert!(jump["delta_error_ns"].as_u64() <= Some(1_000_000), "{jump}");
    }
    assert_eq!(jumps[1]["by"], "chronyd[917]", "{}", said.screen);
    assert_eq!(jumps[0]["by"], json!(null), "systemd only noticed it");
    assert_eq!(said.of("past_excursion").len(), 1);
}

#[test]
fn what_a_whole_boots_journal_does_not_have_did_not_happen() {
    let mut quiet = Export(String::new(), START);
    for at in (2..400).step_by(2) {
        quiet.entry(at, 0, "cron", "tick");
    }
    quiet.entry(400, 0, "logger", "System clock was stepped by -86400.0 seconds");
    // A log that tells a whole story, stamps and all.
    let mut syslog = String::new();
    for (day, minute) in [("Jun  1", 1), ("Jul 26", 2), ("Jun  1", 4)] {
        for second in 0..50 {
            let _ = writeln!(syslog, "{day} 08:{minute:02}:{second:02} n kubelet: all is well");
        }
    }
    let said = with(&quiet.0, Some(&syslog));
    assert!(said.of("past_jump").is_empty(), "{}", said.screen);
    assert_eq!(said.code(), Some(0), "{}", said.screen);
    assert_eq!(said.of("disbelieved").len(), 1, "{}", said.screen);
    assert!(!said.of("hint").is_empty(), "it is told as what it is: {}", said.screen);
}

#[test]
fn the_journal_agrees_with_the_recorded_logs() {
    let root = tempfile::tempdir().unwrap();
    recorded::build("5-after-back", root.path());
    // The steps, as they were measured: 238 s and 389 s after boot.
    let mut export = Export(String::new(), 1_780_300_802_259_888);
    for at in (2..614).step_by(3) {
        let ahead = if (238..389).contains(&at) { DAYS_55 } else { 0 };
        export.entry(at, ahead, "cron", "tick");
    }
    let path = root.path().join("journal.export");
    fs::write(&path, export.0).unwrap();
    let said = diagnose(root.path(), &["--journal", path.to_str().unwrap()]);
    let jumps = said.of("past_jump");
    assert_eq!(jumps.len(), 2, "{}", said.screen);
    for jump in jumps {
        assert_eq!(jump["delta_ns"].as_i64().map(i64::abs), Some(4_752_000_000_000_000), "{}", said.screen);
        assert!(jump["sources"].as_array().unwrap().len() >= 3, "{jump}");
    }
    assert_eq!(said.problems("token_not_yet_valid").len(), 6);
}
