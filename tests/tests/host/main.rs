//! The real binary on this machine's own kernel, whichever that is and whatever it allows. Nothing steps a clock here.
//!
//! `TIMEJUMP_BIN` names the binary; without it these tests say so and pass, but fail where `CI` is set.

mod node;
mod privilege;
mod running;
mod secrets;
mod tls;
mod tokens;

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use running::{PATIENCE, Running, binary, home, output, output_at, run_json};
use timejump_tests::idle::wake_ups;
use timejump_tests::lines::{Line, Status};
use timejump_tests::report::{Expect, Report};

const RUNGS: [&str; 5] = ["fentry", "kprobe", "raw_tracepoint", "tracepoint", "timerfd"];
const NOBODY: u32 = 65534;

/// What must hold of a status on any machine.
fn is_sound(status: &Status) {
    assert!(RUNGS.contains(&&*status.rung), "{status:?}");
    let names: Vec<_> = status.rungs.iter().map(|rung| &*rung.rung).collect();
    assert_eq!(names, RUNGS, "the ladder, in order");
    for rung in &status.rungs {
        assert_eq!(rung.state == "in_use", rung.rung == status.rung, "one rung is in use: {status:?}");
        assert!(rung.rung == status.rung || rung.reason.is_some(), "not in use without a reason: {rung:?}");
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the boot id");
    assert_eq!(status.boot_id, boot_id.trim());
    for path in ["clock_settime", "settimeofday", "adjtimex", "timezone_warp", "leap_second", "kernel"] {
        assert_ne!(
            status.coverage_of(path).expect("every path").size,
            "blind",
            "timerfd sees all: {status:?}"
        );
    }
}

#[test]
fn status_tells_the_whole_ladder() {
    let Some(binary) = binary() else { return };
    let output = output(&binary, &["status", "--survey", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    match Line::parse(text.trim_end()).expect("one line of the contract") {
        Line::Status(status) => is_sound(&status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn runs_and_ends_with_a_balance() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut daemon = Running::start(&mut run_json(&binary, home.path()));
    let status = daemon.status();
    is_sound(&status);
    let mut lines = vec![Line::Status(Box::new(status))];
    lines.extend(daemon.stop());
    let report = Report::audit(&lines, &Expect::default()).expect("a sound report");
    report.has_jumps(0).expect("nobody steps this machine's clock");
}

#[test]
fn idles_without_waking_up() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut daemon = Running::start(&mut run_json(&binary, home.path()));
    daemon.status();
    let woken = wake_ups(daemon.child.id(), Duration::from_secs(5)).expect("its context switches");
    assert_eq!(woken, 0, "an idle daemon woke up {woken} times in 5 s");
    daemon.stop();
}

#[test]
fn without_privilege_it_stands_on_timerfd_and_says_why() {
    let Some(binary) = binary() else { return };
    // The checkout may lie where others may not look.
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open it");
    let copy = dir.path().join("timejump");
    fs::copy(&binary, &copy).expect("copy the binary");
    let mut command = run_json(&copy, dir.path());
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut daemon = Running::start(command.current_dir("/"));
    let status = daemon.status();
    is_sound(&status);
    assert_eq!(status.rung, "timerfd", "{status:?}");
    for rung in status.rungs.iter().filter(|rung| rung.rung != "timerfd") {
        assert_eq!(rung.state, "refused", "{rung:?}");
        let reason = rung.reason.as_deref().unwrap_or_default();
        assert!(reason.len() > 10, "says why: {rung:?}");
    }
    daemon.stop();
}

/// What systemd sees: ready, how it stands, and stopping.
#[test]
fn tells_systemd_how_it_stands() {
    let Some(binary) = binary() else { return };
    let home = home();
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut command = run_json(&binary, home.path());
    let mut daemon = Running::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000"));
    let told = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("a message in time");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let first = told();
    assert!(first.contains("READY=1") && first.contains("STATUS=capturing by"), "{first}");
    assert!(told().contains("WATCHDOG=1") && told().contains("WATCHDOG=1"), "alive again and again");
    daemon.status();
    daemon.stop();
    let last = std::iter::from_fn(|| Some(told())).find(|message| !message.contains("WATCHDOG"));
    assert!(last.is_some_and(|last| last.contains("STOPPING=1")));
}

/// A socket that was there before, handed over as systemd does.
#[test]
fn takes_the_socket_that_systemd_hands_over() {
    let Some(binary) = binary() else { return };
    let home = home();
    let path = home.path().join("activated.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    // The process must name itself, so a shell becomes it; the socket comes as its standard input and moves to the
    // first number that systemd uses.
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let direct = run_json(&binary, home.path());
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(direct.get_program()).args(direct.get_args());
    let errors = tempfile::tempfile().expect("a file for stderr");
    let child = command
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::piped())
        .stderr(errors.try_clone().expect("a handle"));
    let mut child = child.spawn().expect("start timejump");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut daemon = Running { child, output, errors };
    let listeners = daemon.status().daemon.expect("a daemon").listeners;
    assert!(listeners.iter().any(|of| of.kind == "unix" && of.address == "from systemd"), "{listeners:?}");
    let status = output_at(&binary, &path, &["status", "-o", "json"]);
    assert!(status.status.success(), "{status:?}");
    daemon.stop();
    assert!(path.exists(), "the socket is systemd's to take away");
}

#[test]
fn without_a_daemon_there_is_nothing_to_ask() {
    let Some(binary) = binary() else { return };
    let home = home();
    for words in [&["watch"][..], &["history"], &["show", "1"]] {
        let output = output_at(&binary, &home.path().join("nobody.sock"), words);
        assert_eq!(output.status.code(), Some(69), "{words:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("no timejump daemon answers"), "{words:?}: {said}");
    }
}

#[test]
fn metrics_and_health_over_http() {
    let Some(binary) = binary() else { return };
    let home = home();
    let mut daemon = Running::start(&mut run_json(&binary, home.path()));
    let listeners = daemon.status().daemon.expect("a daemon").listeners;
    let http = listeners.iter().find(|of| of.kind == "http").expect("an HTTP listener");
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&http.address).expect("connect");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: here\r\n\r\n").expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for (path, wanted) in [
        ("/", "<h1>No jump so far.</h1>"),
        ("/", "<a href=\"/metrics\">"),
        ("/", "content-security-policy: default-src 'none';"),
        ("/?jump=1", "404"),
        ("/?jump=x", "400"),
        ("/healthz", "ok"),
        ("/readyz", "ok: capturing by"),
        ("/status", "\"type\":\"status\""),
        ("/metrics", "timejump_up 1"),
        (
            "/metrics",
            "timejump_jumps_total{actor_kind=\"process\",direction=\"forward\",path=\"adjtimex\"} 0",
        ),
        ("/metrics", "timejump_store_ok 1"),
        ("/nonsense", "404"),
    ] {
        let answer = get(path);
        assert!(answer.contains(wanted), "{path} should say {wanted}:\n{answer}");
    }
    daemon.stop();
}

#[test]
fn a_group_may_use_the_socket() {
    let Some(binary) = binary() else { return };
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can give a file to another group");
        return;
    }
    let home = home();
    let socket = home.path().join("timejump.sock");
    for (group, mode, gid) in
        [(None, 0o600, 0), (Some("nogroup"), 0o660, 65534), (Some("12345"), 0o660, 12345)]
    {
        let mut command = run_json(&binary, home.path());
        command.args(group.iter().flat_map(|group| ["--socket-group", group]));
        let mut daemon = Running::start(&mut command);
        daemon.status();
        let found = fs::metadata(&socket).expect("the socket");
        assert_eq!((found.permissions().mode() & 0o777, found.gid()), (mode, gid), "{group:?}");
        daemon.stop();
        assert!(!socket.exists(), "it takes its socket away");
    }
}

#[test]
fn nonsense_is_a_usage_error() {
    let Some(binary) = binary() else { return };
    for words in [
        &["run", "-o", "nonsense"][..],
        &["status", "-o", "nonsense"],
        &["run", "--rung", "nonsense"],
        &["run", "--min-forward", "nonsense"],
        &["run", "--listen", "127.0.0.1:1"],
        &["watch", "--address", "nonsense"],
        &["history", "--since", "nonsense"],
        &["show"],
        &["nonsense"],
    ] {
        let output = output(&binary, words);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}
