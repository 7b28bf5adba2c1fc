//! A daemon's server half whose jumps are made up, and what `timejump` says about them.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const FEED: &str = env!("CARGO_BIN_EXE_timejump-feed");
const SECOND: i64 = 1_000_000_000;
const BOOT: &str = "00000000-feed-4000-8000-000000000000";
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// When the clock steps back, ms since boot.
const BACK_MS: i64 = 388_884;
/// What would be an element if it were not escaped.
pub(crate) const HOSTILE: &str = "</script></title><img src=x onerror=\"document.title=1\">\u{202e}";

/// A running feed, ended even if the test fails.
pub(crate) struct Feed {
    child: Child,
    lines: ChildStdin,
    _output: BufReader<ChildStdout>,
    binary: PathBuf,
    home: TempDir,
    impacts: u64,
    /// Where HTTP is served.
    pub(crate) http: String,
}

impl Feed {
    pub(crate) fn start(binary: &Path) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut child = Command::new(FEED)
            .args(["--http", "127.0.0.1:0", "--socket"])
            .arg(home.path().join("timejump.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start timejump-feed");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("read its output");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let listeners = told["listeners"].as_array().expect("a list");
        let http = listeners.iter().find(|it| it["kind"] == "http").expect("an HTTP listener");
        let http = http["address"].as_str().expect("an address").to_owned();
        let lines = child.stdin.take().expect("piped");
        Self { child, lines, _output: output, binary: binary.to_owned(), home, impacts: 0, http }
    }

    fn tell(&mut self, line: &Value) {
        writeln!(self.lines, "{line}").expect("tell the feed");
    }

    /// A jump by `comm`, which is also the command line.
    pub(crate) fn jump(&mut self, delta_ns: i64, at_ms: i64, comm: &str) {
        let actor = json!({
            "kind": "process", "pid": 154, "comm": comm, "exe": "/usr/bin/date", "cmdline": format!("{comm} -s {comm}"),
            "uid": 0, "ppid": 1, "parent_comm": comm, "unit": "cron.service",
        });
        self.tell(&json!({ "delta_ns": delta_ns, "at_ms": at_ms, "actor": actor, "synchronised": true }));
    }

    /// 55 days ahead and back.
    pub(crate) fn excursion(&mut self, comm: &str) {
        self.jump(55 * DAY, 238_135, comm);
        self.jump(-55 * DAY - SECOND, BACK_MS, comm);
        self.tell(&json!({ "now_ms": BACK_MS + 60_000 }));
    }

    /// A victim of that for 55 days.
    pub(crate) fn victim(&mut self, kind: &str, pod: &str, confidence: &str) {
        self.impacts += 1;
        let from = BACK_MS * 1_000_000;
        let until = from + 55 * DAY - i64::try_from(self.impacts).expect("few") * SECOND;
        let subject = json!({
            "kind": "pod", "namespace": "default", "name": pod, "uid": pod, "container": null, "volume": "kube-api-access-x7k2p",
        });
        self.tell(&json!({ "impact": {
            "id": self.impacts, "jump": 2, "kind": kind, "subject": subject, "confidence": confidence,
            "remedy": "delete_pod", "message": format!("what becomes of {pod}"), "evidence": { pod: pod },
            "boot_id": BOOT, "from_boottime_ns": from, "until_boottime_ns": until,
            "from_wall_ns": 1_707_177_752 * SECOND + from, "until_wall_ns": 1_707_177_752 * SECOND + until,
        } }));
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--address").arg(self.home.path().join("timejump.sock"));
        command.stdin(Stdio::null()).output().expect("run timejump")
    }

    /// Waits until all jumps, so many of them, and all victims are stored.
    pub(crate) fn settled(&self, jumps: u64) {
        let last = jumps.to_string();
        let all = (self.impacts + 1).to_string();
        let words = ["watch", "--all", "--from", &last, "-n", if self.impacts > 0 { &all } else { "1" }];
        let output = self.ask(&words);
        assert!(output.status.success(), "{output:?}");
    }

    /// What `timejump report` does with these words.
    pub(crate) fn report(&self, words: &[&str]) -> Output {
        self.ask(&[&["report"], words].concat())
    }

    /// Writes a report and gives its path.
    pub(crate) fn written(&self, name: &str) -> PathBuf {
        let path = self.home.path().join(name);
        let output = self.report(&["-o", path.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{output:?}");
        path
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
