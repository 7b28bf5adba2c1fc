//! Chromium without a screen.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_mins(1);
/// It runs as root in CI, where its sandbox does not work; and it asks nobody for anything.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Runs it with `arguments` to its end; gives what it printed.
pub(crate) fn run(chromium: &Path, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let child = Command::new(chromium)
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start Chromium");
    let pid = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        // It is still there, for nobody has waited for it.
        let _ = kill_process(pid, Signal::KILL);
        panic!("Chromium did not end in time: {arguments:?}");
    });
    let output = output.expect("read its output");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The document as it is after it was loaded.
pub(crate) fn document(chromium: &Path, address: &str, arguments: &[&str]) -> String {
    run(chromium, &[arguments, &["--dump-dom", address]].concat())
}
