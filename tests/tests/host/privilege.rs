//! What each of the daemon's threads may still do, by what the kernel says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use timejump_tests::sys::clock::Deadline;

use crate::running::{PATIENCE, Running, binary, home, output_at, run_json};

/// Bits of capability sets, as in linux/capability.h.
const DAC_READ_SEARCH: u64 = 1 << 2;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;
const SYSLOG: u64 = 1 << 34;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;
const LOOK: u64 = DAC_READ_SEARCH | SYS_PTRACE;
const CAPTURE: u64 = LOOK | SYSLOG | PERFMON | BPF | SYS_ADMIN;

/// One thread's `/proc/PID/task/TID/status`.
struct Thread {
    name: String,
    fields: BTreeMap<String, String>,
}

impl Thread {
    fn all(pid: u32) -> Vec<Self> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
        texts
            .map(|text| {
                let fields = text.lines().filter_map(|line| line.split_once(':'));
                let fields: BTreeMap<_, _> =
                    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
                Self { name: fields["Name"].clone(), fields }
            })
            .collect()
    }

    fn set(&self, name: &str) -> u64 {
        u64::from_str_radix(&self.fields[name], 16).expect("a set of capabilities")
    }

    /// The most it may have, by what it is there for.
    fn most(&self) -> u64 {
        match &*self.name {
            "journal" | "printer" | "server" | "tracing-appende" => 0,
            "assessor" | "keeper" | "remedier" | "deliverer" => LOOK,
            _ => CAPTURE,
        }
    }

    fn is_narrow(&self) -> bool {
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
        let within = sets.iter().all(|set| self.set(set) & !self.most() == 0);
        within && self.fields["NoNewPrivs"] == "1" && self.fields["Seccomp"] == "2"
    }
}

#[test]
fn each_thread_keeps_what_its_duty_takes() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut daemon = Running::start(&mut run_json(&binary, home.path()));
    daemon.status();
    let deadline = Deadline::after(PATIENCE);
    let threads = loop {
        let threads = Thread::all(daemon.child.id());
        if threads.iter().all(Thread::is_narrow) {
            break threads;
        }
        let wide: Vec<_> = threads.iter().filter(|thread| !thread.is_narrow()).collect();
        assert!(
            !deadline.passed(),
            "{:?}",
            wide.iter().map(|thread| (&thread.name, &thread.fields)).collect::<Vec<_>>()
        );
        sleep(Duration::from_millis(20));
    };
    let capture = threads.iter().find(|thread| thread.name == "timejump").expect("the first thread");
    let asked = output_at(&binary, &home.path().join("timejump.sock"), &["status", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("a status");
    let told: Vec<String> = serde_json::from_value(told["capabilities"].clone()).expect("capabilities");
    let names = [
        ("dac_read_search", DAC_READ_SEARCH),
        ("sys_ptrace", SYS_PTRACE),
        ("sys_admin", SYS_ADMIN),
        ("syslog", SYSLOG),
        ("perfmon", PERFMON),
        ("bpf", BPF),
    ];
    let held = names.iter().filter(|(_, bit)| capture.set("CapPrm") & bit != 0);
    let held: BTreeSet<_> = held.map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), held, "as the kernel says");
    for name in ["timejump", "journal", "printer", "server", "assessor", "keeper"] {
        assert!(threads.iter().any(|thread| thread.name == name), "no thread {name}");
    }
    daemon.stop();
}
