//! That a guest's end is told for what it is: each of these boots one.

use std::{
    env, fs,
    process::{Command, Output},
};

/// Runs a command in a guest, unless guests are not to be had: that is said, and is a failure in CI.
fn guest(options: &[&str], command: &[&str]) -> Option<Output> {
    let missing = if env::var_os("TIMEJUMP_NO_VM").is_some_and(|value| value == "1") {
        Some("TIMEJUMP_NO_VM is set")
    } else if env::var_os("TIMEJUMP_XTASK").is_none() {
        Some("TIMEJUMP_XTASK is not set: run `cargo xtask test`")
    } else {
        None
    };
    if let Some(reason) = missing {
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!ci, "{reason}");
        println!("skipped: {reason}");
        return None;
    }
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["vm", "--no-build", "--build=tested", "--kernel=6.1"]).args(options).arg("--").args(command);
    Some(xtask.output().expect("xtask starts"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn outputs_files_and_the_exit_status_come_through_unchanged() {
    let script = r"printf 'a\r\n\0b'; echo c >&2; grep -o timejump.guest=1 /proc/cmdline >&2; exit 42";
    let script = format!(r"printf 'd\0\377' > /root/made; {script}");
    let folder = tempfile::tempdir().expect("a folder");
    let fetch = |name: &str| format!("--fetch=/root/{name}={}", folder.path().join(name).display());
    let options = ["--env=x=y", &fetch("not-made"), &fetch("made")];
    let Some(output) = guest(&options, &["sh", "-c", &script]) else { return };
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(text(&output.stdout), "a\r\n\0b");
    // Before it there may be words of our own, of a guest without our programs.
    let stderr = text(&output.stderr);
    assert!(stderr.ends_with("c\ntimejump.guest=1\n"), "{stderr}");
    assert_eq!(fs::read(folder.path().join("made")).expect("a file"), b"d\0\xff");
    assert!(!folder.path().join("not-made").exists());
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let Some(output) = guest(&[], &["no-such-program"]) else { return };
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("no-such-program: No such file or directory"));
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let Some(output) = guest(&["--timeout=40"], &["sh", "-c", "echo begun; sleep 1000"]) else { return };
    assert_eq!(output.status.code(), Some(124));
    assert_eq!(text(&output.stdout), "begun\n");
    assert!(text(&output.stderr).contains("time is up"));
}

#[test]
fn a_kernel_that_panics_is_no_result_of_the_command() {
    let crash = "echo c > /proc/sysrq-trigger; exit 0";
    let Some(output) = guest(&[], &["sh", "-c", crash]) else { return };
    assert_eq!(output.status.code(), Some(125));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("Kernel panic"), "{stderr}");
    assert!(stderr.contains("sysrq_handle_crash"), "the kernel's last messages are shown: {stderr}");
}
