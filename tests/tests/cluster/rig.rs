//! A node that tells an apiserver.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use timejump_tests::{
    apiserver::{Apiserver, Kind, Settings, Trust},
    sys::clock::Deadline,
};

const FEED: &str = env!("CARGO_BIN_EXE_timejump-feed");
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
pub(crate) const BOOT: &str = "00000000-feed-4000-8000-000000000000";
/// Of the made-up boot, ns since 1970.
pub(crate) const BOOTED: i64 = 1_707_177_752 * SECOND;
/// A secret that must not be seen anywhere.
const TOKEN: &str = "header.payload.s3cr3t-signature";
/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A node whose jumps are made up, and its apiserver.
pub(crate) struct Rig {
    pub(crate) apiserver: Apiserver,
    home: TempDir,
    feed: Option<(Child, ChildStdin)>,
    impacts: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let apiserver =
            Apiserver::start(&home.path().join("ca.crt"), &Settings::with_offset(BOOTED)).unwrap();
        apiserver.trust(Trust::These([TOKEN.to_owned()].into()));
        apiserver.objects().put(
            Kind::Node,
            json!({
                "metadata": { "name": "worker-1" },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
            }),
        );
        let mut rig = Self { apiserver, home, feed: None, impacts: 0 };
        rig.write_token(TOKEN);
        rig.apiserver.write_kubeconfig(&rig.path("kubeconfig"), &rig.path("token")).unwrap();
        rig.start();
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// As kubelet does: another file in its place.
    pub(crate) fn write_token(&self, token: &str) {
        fs::write(self.path("token.new"), token).unwrap();
        fs::rename(self.path("token.new"), self.path("token")).unwrap();
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = Command::new(FEED)
            .arg("--socket")
            .arg(self.path("timejump.sock"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        let lines = child.stdin.take().unwrap();
        self.feed = Some((child, lines));
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, _)) = self.feed.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn tell(&mut self, line: &Value) {
        let (_, lines) = self.feed.as_mut().unwrap();
        writeln!(lines, "{line}").unwrap();
    }

    /// A jump by `date`.
    pub(crate) fn jump(&mut self, delta_ns: i64, at_ms: i64) {
        let actor =
            json!({ "kind": "process", "pid": 154, "comm": "date", "exe": "/usr/bin/date", "uid": 0 });
        self.tell(&json!({ "delta_ns": delta_ns, "at_ms": at_ms, "actor": actor, "synchronised": true }));
    }

    /// A token of that pod is refused; says the impact's number.
    pub(crate) fn victim(&mut self, jump: u64, namespace: &str, pod: &str) -> u64 {
        self.impacts += 1;
        self.impact(self.impacts, jump, namespace, pod, "predicted", "open");
        self.impacts
    }

    pub(crate) fn impact(
        &mut self,
        id: u64,
        jump: u64,
        namespace: &str,
        pod: &str,
        confidence: &str,
        state: &str,
    ) {
        let subject = json!({
            "kind": "pod", "namespace": namespace, "name": pod, "uid": format!("{pod}-uid"), "container": null,
            "volume": "kube-api-access-x7k2p",
        });
        self.tell(&json!({ "impact": {
            "id": id, "jump": jump, "kind": "token_not_yet_valid", "subject": subject, "confidence": confidence,
            "state": state, "remedy": "restart_kubelet", "message": "the apiserver refuses the token",
            "evidence": {}, "boot_id": BOOT, "from_boottime_ns": 100 * SECOND,
            "until_boottime_ns": 5_000_000 * SECOND, "from_wall_ns": BOOTED + 100 * SECOND,
            "until_wall_ns": BOOTED + 5_000_000 * SECOND,
        } }));
    }

    /// Events that the apiserver has, by name.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.apiserver.objects().all(Kind::Event)
    }

    /// Those of that reason.
    pub(crate) fn of_reason(&self, reason: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["reason"] == reason).collect()
    }

    pub(crate) fn condition(&self) -> Value {
        let objects = self.apiserver.objects();
        let node = objects.get(Kind::Node, "", "worker-1").unwrap();
        let conditions = node["status"]["conditions"].as_array().unwrap();
        assert!(conditions.iter().any(|condition| condition["type"] == "Ready"), "others' conditions stay");
        conditions.iter().find(|condition| condition["type"] == "ClockJump").cloned().unwrap_or_default()
    }

    /// What is written to the log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Waits for it.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Deadline::after(PATIENCE);
        while !is_so(self) {
            assert!(
                !deadline.passed(),
                "{what}: not so; Events {:#?}, history {:?}, log:\n{}",
                self.events(),
                self.apiserver.objects().history(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
        if !std::thread::panicking() {
            let log = self.log();
            assert!(!log.contains("s3cr3t"), "a token in the log: {log}");
        }
    }
}
