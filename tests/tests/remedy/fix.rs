//! `timejump fix`, as people type it: the binary itself.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread::sleep,
    time::Duration,
};

use timejump::deliver::locked;
use timejump_tests::sys::clock::Deadline;

use crate::{daemon::Node, rig::pod};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, or nothing if there is none.
fn binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIMEJUMP_BIN") {
        return Some(path.into());
    }
    assert!(env::var_os("CI").is_none_or(|value| value.is_empty()), "TIMEJUMP_BIN is not set");
    println!("skipped: TIMEJUMP_BIN is not set; `cargo xtask test` sets it");
    None
}

/// A process that is called kubelet, and does nothing.
struct Kubelet {
    program: PathBuf,
    child: Child,
}

impl Kubelet {
    fn start(home: &Path) -> Self {
        let program = home.join("kubelet");
        fs::copy("/bin/sleep", &program).expect("as the test has it");
        let child = Command::new(&program).arg("600").spawn().expect("as the test has it");
        Self { program, child }
    }

    fn restart(&mut self) {
        self.child.kill().expect("as the test has it");
        self.child.wait().expect("as the test has it");
        self.child = Command::new(&self.program).arg("600").spawn().expect("as the test has it");
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fix(binary: &Path, node: &Node, arguments: &[&str]) -> Command {
    let home = node.home.path();
    let mut command = Command::new(binary);
    command.args(["fix", "--node-name", "worker-1", "--dbus", node.bus.address(), "--address"]);
    command.arg(home.join("s")).arg("--kubeconfig").arg(home.join("kubeconfig")).args(arguments);
    command.stdin(Stdio::null()).env_remove("KUBECONFIG");
    command
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    text.into_owned()
}

#[test]
fn what_can_be_done_is_shown_and_done() {
    let Some(binary) = binary() else { return };
    let place = tempfile::tempdir().unwrap();
    let kubelet: Arc<Mutex<Option<Kubelet>>> = Arc::default();
    let restarted = Arc::clone(&kubelet);
    let mut node = Node::restarting(move || {
        if let Some(kubelet) = &mut *locked(&restarted) {
            kubelet.restart();
        }
    });
    node.start_with(None, true);
    // Nothing is wrong.
    let output = fix(&binary, &node, &["--dry-run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).starts_with("worker-1: nothing is to be done because of its clock"));
    let back = node.incident();
    for id in [1, 2, 3] {
        node.token(id, back, "open");
    }
    let until = |arguments: &[&str], fits: &dyn Fn(&str) -> bool| {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let output = fix(&binary, &node, arguments).output().unwrap();
            let text = said(&output);
            if fits(&text) {
                return (text, output.status.code());
            }
            assert!(!deadline.passed(), "{text}");
            sleep(Duration::from_millis(100));
        }
    };
    // The clock has just jumped.
    let (text, code) = until(&["--dry-run", "--still-for", "1h"], &|text| text.contains("3 tokens"));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("only once the clock has held still for 1h") && !text.contains("by hand"),
        "{text}"
    );
    let now = ["--dry-run", "--still-for", "0s"];
    let root = rustix::process::geteuid().is_root();
    if !root {
        // Anybody may call a process so; root's alone is kubelet.
        let (text, code) = until(&now, &|text| text.contains("3 tokens"));
        assert!(text.contains("no kubelet is seen") && code == Some(1), "{text}");
        return node.stop();
    }
    *locked(&kubelet) = Some(Kubelet::start(place.path()));
    let (text, code) = until(&now, &|text| text.contains("3 tokens of 3 pods are refused"));
    assert_eq!(code, Some(1), "there is something to do");
    for part in ["1. restart kubelet", "seen on this node", "systemctl restart kubelet"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Nobody to ask.
    let output = fix(&binary, &node, &["--still-for", "0s"]).output().unwrap();
    said(&output);
    assert_eq!(output.status.code(), Some(64));
    assert!(node.systemd.restarts().is_empty());
    let acts = fix(&binary, &node, &["--still-for", "0s", "--yes"]).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Deadline::after(PATIENCE);
    while node.systemd.restarts().is_empty() {
        assert!(!deadline.passed());
        sleep(Duration::from_millis(20));
    }
    for id in [1, 2, 3] {
        node.token(id, back, "resolved");
    }
    let output = acts.wait_with_output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("done:") && text.contains("all that it was for is over"), "{text}");
    node.stop();
}

#[test]
fn pods_are_shown_with_what_speaks_against_them() {
    let Some(binary) = binary() else { return };
    let mut node = Node::new();
    node.start_with(None, true);
    node.csi(1);
    for id in [1, 2] {
        pod(&node.apiserver, &format!("web-{id}"));
    }
    node.apiserver.objects().keep_pod("default", "web-2", true);
    let back = node.incident();
    for id in [1, 2, 3] {
        node.token(id, back, "open");
    }
    let deadline = Deadline::after(PATIENCE);
    let text = loop {
        let output = fix(&binary, &node, &["--dry-run", "--still-for", "0s"]).output().unwrap();
        let text = said(&output);
        if text.contains("3 tokens") {
            break text;
        }
        assert!(!deadline.passed(), "{text}");
        sleep(Duration::from_millis(100));
    };
    for part in [
        "1. evict default/web-1",
        "kubectl delete pod -n default web-1",
        "evict default/web-2, for now\n     why not  Cannot evict pod",
        "evict default/web-3\n     why not  the pod is going",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = fix(&binary, &node, &["--dry-run", "--still-for", "0s", "-o", "json"]).output().unwrap();
    let states: Vec<String> = said(&output)
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(states, ["planned", "waiting", "not_taken"]);
    node.stop();
}
