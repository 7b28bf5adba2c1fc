//! The seccomp profile allows what timejump does, and not much else.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{cluster::output, file, provided};

const PROFILE: &str = "deploy/seccomp/timejump.json";
const CONFINED: &str = "tests/python/confined.py";

/// A daemon, ended even if the test fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn confined(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(file(CONFINED)).arg(file(PROFILE));
    command
}

/// What a daemon says to `/readyz`: by which rung it captures.
fn readiness(mut command: Command, home: &Path) -> String {
    // Free when it was looked for.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    command.args(["run", "--no-node", "--http", &address.to_string()]);
    command.arg("--socket").arg(home.join("socket")).arg("--state-dir").arg(home.join("state"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut daemon = Daemon(child.expect("it starts"));
    for _ in 0..600 {
        if let Some(status) = daemon.0.try_wait().expect("a status") {
            panic!("it ended: {status}");
        }
        // HTTP may be there before the stream is, and is not ready then.
        if let Some(answer) = get(address).ok().filter(|answer| answer.contains(" 200 OK")) {
            return answer.lines().last().unwrap_or_default().to_owned();
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it does not get ready");
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_daemon_captures_as_well_under_the_profile() {
    let Some(python) = provided("TIMEJUMP_MANIFESTS_PYTHON") else { return };
    let Some(timejump) = provided("TIMEJUMP_BIN") else { return };
    let home = tempfile::tempdir().expect("a folder");
    let free = home.path().join("free");
    let under = home.path().join("under");
    for folder in [&free, &under] {
        std::fs::create_dir(folder).expect("a folder");
    }
    let mut command = confined(&python);
    command.arg(&timejump);
    let confined = readiness(command, &under);
    assert!(confined.starts_with("ok: capturing by "), "{confined}");
    assert_eq!(confined, readiness(Command::new(&timejump), &free));
}

#[test]
fn other_things_are_refused() {
    let Some(python) = provided("TIMEJUMP_MANIFESTS_PYTHON") else { return };
    // Of util-linux, so there. What it does here is nothing, in a namespace of its own.
    let namespace = ["/usr/bin/unshare", "--uts", "/bin/true"];
    let error = output(confined(&python).args(namespace), "").expect_err("it may not");
    assert!(error.contains("Operation not permitted"), "{error}");
    output(confined(&python).arg("/bin/true"), "").expect("a program that does nothing runs");
}
