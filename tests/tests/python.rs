//! The stream for clients that are not the daemon's own: Python's grpcio, and the `timejump` command, both served by
//! `timejump-feed`, which makes its jumps up. No clock is touched, and no privilege needed.
//!
//! `TIMEJUMP_PYTHON` names a Python that has grpcio, `TIMEJUMP_BIN` the command; without them these tests say so and
//! pass, but fail where `CI` is set.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use timejump_tests::lines::{Line, Status};

const FEED: &str = env!("CARGO_BIN_EXE_timejump-feed");
const CRI: &str = env!("CARGO_BIN_EXE_timejump-cri");
const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
/// Between 2024, where the feed's clock begins, and far beyond the present.
const YEARS: i64 = 73 * 365 * 24 * HOUR;
const PATIENCE: Duration = Duration::from_mins(1);

/// What `cargo xtask test` provides, or nothing where it was not that which started us.
fn provided(variable: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    assert!(env::var_os("CI").is_none_or(|value| value.is_empty()), "{variable} is not set");
    println!("skipped: {variable} is not set; `cargo xtask test` sets it");
    None
}

fn binary() -> Option<PathBuf> {
    provided("TIMEJUMP_BIN")
}

/// A running feed, ended even if the test fails.
struct Feed {
    child: Child,
    lines: Option<ChildStdin>,
    _output: BufReader<ChildStdout>,
    socket: PathBuf,
}

impl Feed {
    fn start(home: &Path) -> Self {
        let socket = home.join("timejump.sock");
        let mut child = Command::new(FEED)
            .arg("--socket")
            .arg(&socket)
            .arg("--state-dir")
            .arg(home.join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start timejump-feed");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("read its output");
        assert!(line.contains("listening"), "it says where it listens: {line:?}");
        let lines = child.stdin.take();
        Self { child, lines, _output: output, socket }
    }

    fn tell(&mut self, line: &Value) {
        let lines = self.lines.as_mut().expect("it has not ended");
        writeln!(lines, "{line}").expect("tell the feed");
    }

    fn jump(&mut self, delta: i64, comm: &str) {
        self.tell(&serde_json::json!({ "delta_ns": delta, "comm": comm }));
    }

    fn end(mut self) {
        drop(self.lines.take());
        let status = self.child.wait().expect("wait for it");
        assert!(status.success(), "{status}");
    }

    /// `timejump` with these words, asking this feed.
    fn ask(&self, binary: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(words).arg("--address").arg(&self.socket).stdin(Stdio::null());
        command
    }

    /// What it prints; it must succeed.
    fn asked(&self, binary: &Path, words: &[&str]) -> String {
        let output = finished(&mut self.ask(binary, words));
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Waits until jump `sequence` is stored.
    fn stored(&self, binary: &Path, sequence: u64) {
        let from = sequence.to_string();
        self.asked(binary, &["watch", "--all", "--from", &from, "-n", "1"]);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end, which must come in time.
fn finished(command: &mut Command) -> Output {
    let child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start a program of ours");
    let pid = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        // It is still there, for nobody has waited for it.
        let _ = kill_process(pid, Signal::KILL);
        panic!("it did not end in time: {command:?}");
    });
    output.expect("read its output")
}

/// Runs without a feed; gives the exit status, and what was printed.
fn run<S: AsRef<OsStr>>(binary: &Path, words: &[S]) -> (Option<i32>, String) {
    let output = finished(Command::new(binary).args(words).stdin(Stdio::null()));
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The numbers of the jumps that these lines of JSON tell; anything else fails.
fn sequences(text: &str) -> Vec<u64> {
    let number = |line: &str| match Line::parse(line).expect("a line of the contract") {
        Line::Jump(jump) => jump.sequence,
        other => panic!("{other:?}"),
    };
    text.lines().map(number).collect()
}

fn fits(text: &str, columns: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "wider than {columns} columns: {line:?}");
    }
    assert!(!text.contains('\u{1b}'), "no colour for a pipe: {text:?}");
}

/// Numbers 1 to 5. The second takes the clock far beyond the present; the fourth is small.
fn some_jumps(feed: &mut Feed) {
    for (delta, comm) in [
        (2 * SECOND, "date"),
        (YEARS, "a-name-15-long"),
        (5 * SECOND, "chronyd"),
        (SECOND / 100, "chronyd"),
        (-3 * SECOND, "date"),
    ] {
        feed.jump(delta, comm);
    }
}

#[test]
fn python_is_served_by_reflection_and_from_the_proto() {
    let Some(python) = provided("TIMEJUMP_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/stream_test.py");
    let output = Command::new(python)
        .arg(script)
        .args([FEED, CRI])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // It tells of each handshake that a test wants to fail.
        .env("GRPC_VERBOSITY", "NONE")
        .stdin(Stdio::null())
        .output()
        .expect("start Python");
    let told = String::from_utf8_lossy(&output.stdout);
    print!("{told}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.lines().filter(|line| line.starts_with("ok ")).count() > 20, "it ran too little");
}

#[test]
fn watch_replays_and_follows() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    some_jumps(&mut feed);
    let text = feed.asked(&binary, &["watch", "-o", "json", "--from", "0", "-n", "5"]);
    assert_eq!(sequences(&text), [1, 2, 3, 4, 5]);
    let filtered =
        &["watch", "-o", "json", "--from", "1", "-n", "2", "--direction", "forward", "--comm", "chronyd"];
    assert_eq!(sequences(&feed.asked(&binary, filtered)), [3, 4]);
    let table = feed.asked(&binary, &["watch", "--from", "2", "-n", "3"]);
    fits(&table, 100);
    assert_eq!(table.lines().count(), 4, "a head and three rows: {table}");
}

#[test]
fn watch_goes_on_when_the_daemon_comes_back() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    some_jumps(&mut feed);
    let mut watch = feed.ask(&binary, &["watch", "-o", "json", "--from", "1", "-n", "10"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start timejump");
    let mut output = BufReader::new(watch.stdout.take().expect("piped"));
    let mut text = String::new();
    // It follows.
    output.read_line(&mut text).expect("read its output");
    feed.end();
    let mut feed = Feed::start(home.path());
    some_jumps(&mut feed);
    output.read_to_string(&mut text).expect("read its output");
    assert!(watch.wait().expect("wait").success());
    assert_eq!(sequences(&text), (1..=10).collect::<Vec<_>>());
    let once = feed.ask(&binary, &["watch", "--once"]).stdout(Stdio::null()).spawn();
    let mut once = once.expect("start timejump");
    feed.end();
    // It may have come too late to find the daemon.
    let code = once.wait().expect("wait").code();
    assert!(matches!(code, Some(0 | 69)), "{code:?}");
}

#[test]
fn history_selects() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    assert_eq!(feed.asked(&binary, &["history"]), "no jumps\n");
    some_jumps(&mut feed);
    feed.stored(&binary, 5);
    let table = feed.asked(&binary, &["history"]);
    fits(&table, 100);
    assert_eq!(table.lines().count(), 6, "a head and five rows: {table}");
    for (words, wanted) in [
        (&["--since", "1h", "--min-delta", "1s", "--limit", "2"][..], &[3, 5][..]),
        (&["--since", "2090-01-01T00:00:00Z"], &[2, 3, 4, 5]),
        (&["--until", "2030-01-01T00:00:00Z"], &[1, 2]),
        (&["--direction", "backward"], &[5]),
        (&["--path", "adjtimex"], &[]),
        (&["--comm", "date"], &[1, 5]),
        (&["--min-delta", "3s"], &[2, 3, 5]),
    ] {
        let words: Vec<_> = ["history", "-o", "json"].iter().chain(words).copied().collect();
        assert_eq!(sequences(&feed.asked(&binary, &words)), wanted, "{words:?}");
    }
}

#[test]
fn a_burst_takes_two_rows() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    for _ in 0..30 {
        feed.jump(SECOND, "a-name-15-long");
    }
    feed.stored(&binary, 30);
    let table = feed.asked(&binary, &["history"]);
    fits(&table, 100);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("29 more in this burst"), "{table}");
    assert_eq!(feed.asked(&binary, &["history", "--steps"]).lines().count(), 31);
}

#[test]
fn show_draws_the_excursion() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    feed.tell(&serde_json::json!({ "delta_ns": HOUR, "comm": "date", "at_ms": 1000, "synchronised": true }));
    feed.tell(&serde_json::json!({ "delta_ns": -HOUR, "comm": "chronyd", "at_ms": 61_000 }));
    feed.tell(&serde_json::json!({
        "impact": { "id": 1, "jump": 1, "kind": "token_not_yet_valid", "message": "a token is not valid yet" }
    }));
    feed.stored(&binary, 2);
    feed.asked(&binary, &["watch", "--only", "impacts", "--from", "1", "-n", "1"]);
    for sequence in ["1", "2"] {
        let screen = feed.asked(&binary, &["show", sequence]);
        fits(&screen, 100);
        for part in ["┌─", "─┐", "#1", "#2", "+1h 0m ┤", "for 1m 0s, by uptime"] {
            assert!(screen.contains(part), "no {part:?} in\n{screen}");
        }
    }
    let screen = feed.asked(&binary, &["show", "1"]);
    for part in ["disruption", "3600000000000 ns, exact", "date[4711]", "a token is not valid yet"] {
        assert!(screen.contains(part), "no {part:?} in\n{screen}");
    }
    let json = feed.asked(&binary, &["show", "1", "-o", "json"]);
    let kinds: Vec<_> = json
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["type"].as_str().expect("a type").to_owned()
        })
        .collect();
    assert_eq!(kinds, ["jump", "excursion", "jump", "impact"]);
}

#[test]
fn status_tells_of_the_daemon() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut feed = Feed::start(home.path());
    some_jumps(&mut feed);
    feed.stored(&binary, 5);
    let text = feed.asked(&binary, &["status", "-o", "json"]);
    let Line::Status(status) = Line::parse(text.trim_end()).expect("one line of the contract") else {
        panic!("{text}")
    };
    let Status { rung, daemon, offset_ns, .. } = *status;
    let daemon = daemon.expect("a daemon");
    assert_eq!((&*rung, daemon.ledger.jumps), ("fentry", 5));
    assert_eq!(offset_ns - daemon.ledger.start_offset_ns, daemon.ledger.sum_of_deltas_ns);
    assert_eq!(daemon.listeners[0].address, feed.socket.to_string_lossy());
    let screen = feed.asked(&binary, &["status"]);
    for part in ["A  fentry", "in use", "5 jumps", "timejump.db", "listening"] {
        assert!(screen.contains(part), "no {part:?} in\n{screen}");
    }
}

#[test]
fn without_a_daemon_or_an_answer() {
    let Some(binary) = binary() else { return };
    let home = home();
    let nobody = home.path().join("nobody.sock");
    let nobody = nobody.to_str().expect("UTF-8");
    for words in [&["watch"][..], &["history"], &["show", "1"]] {
        let words = [words, &["--address", nobody]].concat();
        assert_eq!(run(&binary, &words), (Some(69), String::new()), "{words:?}");
    }
    let feed = Feed::start(home.path());
    let output = finished(&mut feed.ask(&binary, &["show", "7"]));
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no jump 7"), "{output:?}");
}

#[test]
fn nonsense_is_a_usage_error() {
    let Some(binary) = binary() else { return };
    for words in [
        &["show"][..],
        &["show", "one"],
        &["watch", "--from", "x"],
        &["watch", "--address", "http://plain:1"],
        &["watch", "--path", "nonsense"],
        &["watch", "--cert", "x.pem"],
        &["history", "--since", "yesterday"],
        &["history", "--min-delta", "5"],
        &["completions", "nonsense"],
        &["man", "nonsense"],
        &["run", "--listen", "127.0.0.1:0"],
    ] {
        assert_eq!(run(&binary, words), (Some(64), String::new()), "{words:?}");
    }
}

#[test]
fn completions_and_manual_pages() {
    let Some(binary) = binary() else { return };
    for shell in ["bash", "zsh", "fish"] {
        let (code, text) = run(&binary, &["completions", shell]);
        assert!(code == Some(0) && text.contains("history"), "{shell}: {code:?} {text}");
    }
    for words in [&["man"][..], &["man", "watch"]] {
        let (code, text) = run(&binary, words);
        assert!(code == Some(0) && text.contains(".TH"), "{words:?}: {code:?} {text}");
    }
}
