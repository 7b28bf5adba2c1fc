//! What is on the node: the real binary beside container runtimes that are made up, or none.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use timejump_tests::sys::clock::Deadline;

use crate::running::{PATIENCE, Running, binary, home, output, output_at};

const CRI: &str = env!("CARGO_BIN_EXE_timejump-cri");
/// Columns of a terminal in a talk.
const COLUMNS: usize = 110;

/// A runtime that is made up, ended even if the test fails.
struct Cri {
    child: Child,
    _input: ChildStdin,
    _output: BufReader<ChildStdout>,
}

impl Cri {
    fn start(socket: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(CRI);
        command.arg("--socket").arg(socket).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start timejump-cri");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut String::new()).expect("it says where it listens");
        let input = child.stdin.take().expect("piped");
        Self { child, _input: input, _output: output }
    }
}

impl Drop for Cri {
    /// `kill -9`: its socket stays behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon on the rung that every machine has, with `words` about the node.
pub(crate) struct Daemon {
    binary: PathBuf,
    home: tempfile::TempDir,
    running: Option<Running>,
}

impl Daemon {
    /// Where its runtime is, if it has one.
    fn cri(home: &tempfile::TempDir) -> PathBuf {
        home.path().join("cri.sock")
    }

    pub(crate) fn start(binary: &Path, home: tempfile::TempDir, words: &[&str]) -> Self {
        // A developer's own is none of ours.
        Self::start_with(binary, home, words, "")
    }

    fn start_with(binary: &Path, home: tempfile::TempDir, words: &[&str], endpoint: &str) -> Self {
        let mut command = Command::new(binary);
        command.args(["run", "-o", "json", "--rung", "timerfd", "--no-store", "--http", "127.0.0.1:0"]);
        command.arg("--socket").arg(home.path().join("timejump.sock")).args(words);
        command.env("CONTAINER_RUNTIME_ENDPOINT", endpoint);
        let mut running = Running::start(&mut command);
        running.status();
        Self { binary: binary.to_owned(), home, running: Some(running) }
    }

    fn with_cri(binary: &Path, home: tempfile::TempDir) -> Self {
        let endpoint = format!("unix://{}", Self::cri(&home).display());
        Self::start(binary, home, &["--cri-endpoint", &endpoint])
    }

    /// What a command prints that asks it; it must succeed.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let output = output_at(&self.binary, &self.home.path().join("timejump.sock"), words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A screen, which must fit: of `status` the daemon's part, for reasons why a rung is refused may be long.
    fn screen(&self, words: &[&str]) -> String {
        let text = self.ask(words);
        let own = if words == ["status"] { text.split("\n\n").next().unwrap_or_default() } else { &text };
        for line in own.lines() {
            assert!(line.chars().count() <= COLUMNS, "{words:?}: {line:?}");
            assert_eq!(line.trim_end(), line, "{words:?}");
        }
        text
    }

    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        self.ask(words).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn node(&self) -> Value {
        self.lines(&["status", "-o", "json"])[0]["daemon"]["node"].clone()
    }

    /// Waits until its node is as it should be; gives it.
    fn until(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let node = self.node();
            if fits(&node) {
                return node;
            }
            assert!(!deadline.passed(), "{node}");
            sleep(Duration::from_millis(50));
        }
    }

    fn metrics(&self) -> String {
        let status = &self.lines(&["status", "-o", "json"])[0];
        let listeners = status["daemon"]["listeners"].as_array().expect("listeners");
        let http = listeners.iter().find(|of| of["kind"] == "http").expect("an HTTP listener");
        let mut stream = TcpStream::connect(http["address"].as_str().expect("text")).expect("connect");
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: here\r\n\r\n").expect("ask");
        std::io::read_to_string(stream).expect("an answer")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("it runs").child.id()
    }

    /// Ends it, which takes no longer than without a node.
    fn stop(mut self) -> tempfile::TempDir {
        if let Some(running) = self.running.take() {
            running.stop();
        }
        std::mem::replace(&mut self.home, home())
    }
}

/// Whether the node was looked at once.
fn is_known(node: &Value) -> bool {
    node["runtime_state"] != "not looked at yet"
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn stats_and_status_tell_of_the_runtime() {
    let Some(binary) = binary() else { return };
    let home = home();
    let cri = Cri::start(&Daemon::cri(&home), &["--pods", "2", "--containers", "3", "--namespace", "shop"]);
    let daemon = Daemon::with_cri(&binary, home);
    let node = daemon.until(|node| node["runtime_ok"] == true);
    let runtime = &node["runtime"];
    assert_eq!((&runtime["name"], &runtime["version"]), (&"containerd".into(), &"v1.7.24".into()));
    assert_eq!((&runtime["class"], &runtime["api"]), (&"baseline".into(), &"v1".into()));
    assert_eq!(runtime["process"]["pid"], cri.child.id());
    assert_eq!((&node["containers"], &node["open"]), (&6.into(), &Value::Array(Vec::new())));

    let screen = daemon.screen(&["stats"]);
    let pid = format!("pid {}: answers", cri.child.id());
    says(
        &screen,
        &["runtime   containerd 1.7.24: ", &pid, "POD  ", "shop/pod-0", "  ok\n", "\n6 containers, 0 with"],
    );
    says(&screen, &["kubelet   ", "clock     20"]);
    says(&daemon.screen(&["stats", "--stuck"]), &["6 containers, none of them"]);

    let lines = daemon.lines(&["stats", "-o", "json"]);
    assert_eq!(lines.len(), 7);
    assert_eq!((&lines[0]["type"], &lines[0]["last_jump"]), (&"node".into(), &Value::Null));
    assert_eq!(lines[0]["runtime"], *runtime);
    for line in &lines[1..] {
        assert_eq!((&line["type"], &line["cache"]), (&"container".into(), &"sound".into()), "{line}");
        assert_eq!(line["pod"]["namespace"], "shop");
        assert_eq!((&line["impact"], &line["until"]), (&Value::Null, &Value::Null), "{line}");
    }
    assert_eq!(daemon.lines(&["stats", "--stuck", "-o", "json"]).len(), 1, "the node alone");

    says(&daemon.screen(&["status"]), &["runtime    containerd 1.7.24: ", &pid, "kubelet    "]);
    says(
        &daemon.metrics(),
        &[
            "timejump_runtime_up 1\n",
            "timejump_node_containers 6\n",
            "timejump_runtime_info{class=\"baseline\",name=\"containerd\",version=\"v1.7.24\"} 1\n",
            "timejump_impacts_open{confidence=\"observed\",kind=\"kubelet_cpu_cache_stuck\"} 0\n",
            "timejump_impacts_total{kind=\"restart_delayed\"} 0\n",
        ],
    );
    daemon.stop();
}

#[test]
fn a_runtime_that_nobody_knows_is_said_to_be_so() {
    let Some(binary) = binary() else { return };
    let home = home();
    let _cri = Cri::start(&Daemon::cri(&home), &["--profile", "unknown"]);
    let daemon = Daemon::with_cri(&binary, home);
    daemon.until(|node| node["runtime_ok"] == true);
    says(
        &daemon.screen(&["stats"]),
        &["boxes 0.0.1: what it does with CPU rates is not known", "  unknown\n"],
    );
    daemon.stop();
}

#[test]
fn without_a_runtime_it_says_so() {
    let Some(binary) = binary() else { return };
    // Found if there is one on this machine; else not, and either way told.
    let daemon = Daemon::start(&binary, home(), &[]);
    let node = daemon.until(is_known);
    if node["runtime"].is_null() {
        let said = "there is no container runtime at any of the usual sockets";
        says(&daemon.screen(&["status"]), &[said]);
        says(&daemon.screen(&["stats"]), &[said, "no containers run\n"]);
        says(&daemon.metrics(), &["timejump_runtime_up 0\n", "timejump_node_containers 0\n"]);
        assert!(!daemon.metrics().contains("timejump_runtime_info{"), "there is none to tell of");
    }
    daemon.stop();
    // One that was named, and is not there.
    let daemon = Daemon::with_cri(&binary, home());
    let node = daemon.until(is_known);
    let said = node["runtime_state"].as_str().expect("text");
    says(said, &["cannot connect to ", "/cri.sock: No such file or directory"]);
    says(&daemon.screen(&["stats"]), &["no containers run\n"]);
    daemon.stop();
}

#[test]
fn no_node_asks_nobody() {
    let Some(binary) = binary() else { return };
    let daemon = Daemon::start(&binary, home(), &["--no-node"]);
    let node = daemon.until(is_known);
    assert_eq!(node["runtime_state"], "not looked at: --no-node");
    says(&daemon.screen(&["stats"]), &["not looked at: --no-node"]);
    assert_eq!(node["listed_boottime_ns"], 0);
    daemon.stop();
}

/// It is crictl's, and may say what only crictl understands.
#[test]
fn the_environment_names_a_runtime_and_keeps_nobody_from_starting() {
    let Some(binary) = binary() else { return };
    let home = home();
    let socket = Daemon::cri(&home);
    let _cri = Cri::start(&socket, &["--pods", "1", "--containers", "1"]);
    let endpoint = format!("unix://{}", socket.display());
    let daemon = Daemon::start_with(&binary, home, &[], &endpoint);
    let node = daemon.until(|node| node["runtime_ok"] == true);
    assert_eq!(node["runtime"]["endpoint"], socket.to_str().expect("UTF-8"));
    let home = daemon.stop();
    let daemon = Daemon::start_with(&binary, home, &["--no-node"], &endpoint);
    daemon.stop();
    let daemon = Daemon::start_with(&binary, crate::running::home(), &[], "npipe:////./pipe/containerd");
    daemon.stop();
}

#[test]
fn a_runtime_that_never_answers_holds_nobody_up() {
    let Some(binary) = binary() else { return };
    let home = home();
    let listener = UnixListener::bind(Daemon::cri(&home)).expect("a socket");
    let accepting = std::thread::spawn(move || listener.accept());
    let daemon = Daemon::with_cri(&binary, home);
    // It is being asked.
    let asked = accepting.join().expect("a thread").expect("a connection");
    let deadline = Deadline::after(Duration::from_secs(2));
    says(&daemon.screen(&["status"]), &["runtime    not looked at yet\n"]);
    assert!(!deadline.passed(), "status does not wait for it");
    // It ends while the question waits for its answer.
    let deadline = Deadline::after(Duration::from_secs(3));
    daemon.stop();
    assert!(!deadline.passed(), "nor does the end");
    drop(asked);
}

#[test]
fn a_runtime_that_hangs_is_named_in_stats() {
    let Some(binary) = binary() else { return };
    let home = home();
    let _cri = Cri::start(&Daemon::cri(&home), &["--door", "hang"]);
    let daemon = Daemon::with_cri(&binary, home);
    let node = daemon.until(is_known);
    let said = node["runtime_state"].as_str().expect("text");
    says(said, &["has not answered Version within 5 s"]);
    says(&daemon.screen(&["stats"]), &["has not answered Version within 5 s", "no containers run"]);
    daemon.stop();
}

#[test]
fn a_runtime_that_was_killed_is_found_again() {
    let Some(binary) = binary() else { return };
    let home = home();
    let socket = Daemon::cri(&home);
    let cri = Cri::start(&socket, &["--pods", "1", "--containers", "1"]);
    let first = cri.child.id();
    let daemon = Daemon::with_cri(&binary, home);
    daemon.until(|node| node["runtime_ok"] == true);
    drop(cri);
    // Its end is seen by itself.
    let node = daemon.until(|node| node["runtime_ok"] == false);
    assert_eq!(node["containers"], 1, "what was known of it stays: {node}");
    says(node["runtime_state"].as_str().expect("text"), &["cannot connect to"]);
    fs::remove_file(&socket).expect("remove what it left");
    let cri = Cri::start(&socket, &["--pods", "2", "--containers", "1"]);
    assert_ne!(cri.child.id(), first);
    let node = daemon.until(|node| node["runtime_ok"] == true);
    assert_eq!(
        (&node["containers"], &node["runtime"]["process"]["pid"]),
        (&2.into(), &cri.child.id().into())
    );
    daemon.stop();
}

#[test]
fn wrong_values_are_usage_errors_that_say_what_is_right() {
    let Some(binary) = binary() else { return };
    for (words, said) in [
        (
            &["run", "--cri-endpoint", "run/containerd.sock"][..],
            "is neither an absolute path nor unix:///path",
        ),
        (&["run", "--cri-endpoint", "tcp://127.0.0.1:1"], "is neither an absolute path nor unix:///path"),
        (&["run", "--kubelet-log", "kubelet.log"], "neither auto, journal, none nor an absolute path"),
        (&["run", "--kubelet-version", "new"], "not a version such as 1.28"),
        (&["run", "--kubelet-version", "1"], "not a version such as 1.28"),
        (&["run", "--no-node", "--cri-endpoint", "/run/x.sock"], "cannot be used with"),
        (&["run", "--no-node", "--kubelet-version", "1.28"], "cannot be used with"),
        (&["stats", "-o", "nonsense"], "possible values"),
        (&["stats", "--address", "nonsense"], "neither a path"),
        (&["stats", "more"], "unexpected argument"),
    ] {
        let output = output(&binary, words);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
        says(&String::from_utf8_lossy(&output.stderr), &[said]);
    }
    let home = home();
    let output = output_at(&binary, &home.path().join("nobody.sock"), &["stats"]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}
