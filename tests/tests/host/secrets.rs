//! What is secret reaches no output: neither at the most talkative level of the log, nor in what is said of broken files.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

use serde_json::json;
use timejump_tests::apiserver::{Apiserver, Kind, Settings, Trust};
use timejump_tests::kubelet::{ApiServer, Ask, AtomicWriter, Bound, MARK, Payload};
use timejump_tests::sys::clock::{Deadline, boot_ns, wall_ns};

use crate::running::{PATIENCE, Running, binary, home, output_at, run_json};
use crate::tls::authority::{Authority, Kind as Certificate, Pair};

/// The daemon's own token.
const BEARER: &str = "sEcReT-bEaReR-0123456789abcdef";
const NODE: &str = "worker-1";

/// Lines of a private key.
fn key_lines(pair: &Pair) -> Vec<String> {
    let pem = fs::read_to_string(&pair.key).expect("a key");
    let body = pem.lines().filter(|line| !line.starts_with("-----"));
    // The first one begins with what all keys of a kind begin with.
    body.skip(1).map(str::to_owned).collect()
}

fn holds_none(name: &str, text: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret:?} is in {name}: {}", String::from_utf8_lossy(text));
    }
}

fn every_file(below: &Path, each: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            every_file(&path, each);
        } else {
            each(&path, &fs::read(&path).expect("a file"));
        }
    }
}

fn get(http: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(http).expect("connect");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: here\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn kubeconfig(apiserver: &Apiserver, user: &serde_json::Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            { "name": "c", "cluster": { "server": apiserver.url(), "certificate-authority": apiserver.ca_file() } }
        ],
        "users": [{ "name": "u", "user": user }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "x",
    })
    .to_string()
}

#[test]
fn nothing_secret_is_told_at_the_most_talkative() {
    let Some(binary) = binary() else { return };
    let (home, files) = (home(), home());
    let ours = Authority::new(files.path(), "ours");
    let (server, client) =
        (ours.sign("server", &Certificate::server()), ours.sign("client", &Certificate::client()));
    let apiserver =
        Apiserver::start(&files.path().join("apiserver.crt"), &Settings::with_offset(wall_ns() - boot_ns()))
            .expect("an apiserver");
    apiserver.trust(Trust::Everybody);
    apiserver.objects().put(Kind::Node, json!({ "metadata": { "name": NODE, "uid": "u-1" } }));
    let config = files.path().join("kubeconfig");
    fs::write(&config, kubeconfig(&apiserver, &json!({ "token": BEARER }))).expect("a kubeconfig");
    let volume = files.path().join("kubelet/pods/uid-pod/volumes/kubernetes.io~projected/access");
    fs::create_dir_all(&volume).expect("a volume");
    let bound = Bound {
        namespace: "default".into(),
        pod: "pod".into(),
        pod_uid: "uid-pod".into(),
        service_account: "default".into(),
        node: None,
    };
    let token =
        ApiServer::new(7).issue(&Ask { audience: None, seconds: 3607, bound }, wall_ns()).claims.jwt();
    let payload = Payload::from([("token".to_owned(), token.into_bytes())]);
    AtomicWriter::new(&volume, 1).write(&payload, wall_ns()).expect("a token");

    let mut secrets = vec![BEARER.to_owned(), MARK.to_owned()];
    secrets.extend(key_lines(&server).into_iter().chain(key_lines(&client)));
    assert!(secrets.len() >= 4 && secrets.iter().all(|secret| secret.len() > 8), "{secrets:?}");

    let mut command = run_json(&binary, home.path());
    command.env("TIMEJUMP_LOG", "trace");
    command.args(["--listen", "127.0.0.1:0", "--tls-ca"]).arg(&ours.certificate);
    command.arg("--tls-cert").arg(&server.certificate).arg("--tls-key").arg(&server.key);
    command.args(["--node-name", NODE, "--events", "--condition", "--kubeconfig"]).arg(&config);
    command.args(["--pki", "/nonexistent", "--kubelet-root"]).arg(files.path().join("kubelet"));
    command.args(["--apiserver", &apiserver.url(), "--apiserver-ca"]).arg(apiserver.ca_file());
    let mut daemon = Running::start(&mut command);
    let listeners = daemon.status().daemon.expect("a daemon").listeners;
    let of = |kind: &str| listeners.iter().find(|of| of.kind == kind).expect("a door").address.clone();
    let asked = Command::new(&binary)
        .env("TIMEJUMP_LOG", "trace")
        .args(["tokens", "--address", &of("tcp").replace("127.0.0.1", "https://localhost"), "--ca"])
        .arg(&ours.certificate)
        .arg("--cert")
        .arg(&client.certificate)
        .arg("--key")
        .arg(&client.key)
        .stdin(Stdio::null())
        .output()
        .expect("run timejump");
    assert!(asked.status.success(), "{asked:?}");
    let deadline = Deadline::after(PATIENCE);
    while apiserver.authorized() == 0 {
        assert!(!deadline.passed(), "its token was never shown: {}", daemon.stderr());
        sleep(Duration::from_millis(20));
    }
    let status = output_at(&binary, &home.path().join("timejump.sock"), &["status"]);
    for (name, text) in
        [("its answer", &asked.stdout), ("the client's log", &asked.stderr), ("the status", &status.stdout)]
    {
        holds_none(name, text, &secrets);
    }
    for path in ["/", "/metrics", "/status", "/healthz", "/readyz"] {
        holds_none(path, get(&of("http"), path).as_bytes(), &secrets);
    }
    let log = daemon.stderr();
    assert!(log.contains("TRACE"), "the log is as talkative as it can be: {log}");
    holds_none("the log", log.as_bytes(), &secrets);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&daemon.child),
        rustix::process::Signal::TERM,
    )
    .expect("SIGTERM");
    daemon.child.wait().expect("its end");
    let mut rest = Vec::new();
    daemon.output.read_to_end(&mut rest).expect("its output");
    holds_none("standard output", &rest, &secrets);
    holds_none("the log", daemon.stderr().as_bytes(), &secrets);
    let mut seen = 0;
    every_file(home.path(), &mut |path, text| {
        seen += 1;
        holds_none(&path.display().to_string(), text, &secrets);
    });
    assert!(seen > 0, "the store has files");
}

#[test]
fn what_is_said_of_broken_files_quotes_none_of_them() {
    let Some(binary) = binary() else { return };
    let home = home();
    let ours = Authority::new(home.path(), "ours");
    let server = ours.sign("server", &Certificate::server());
    let pem = fs::read_to_string(&server.key).expect("a key");
    let mut secrets = key_lines(&server);
    secrets.push(BEARER.to_owned());
    // Bytes that are printed as numbers are told as well.
    secrets.extend(key_lines(&server).iter().map(|line| {
        let numbers: Vec<_> = line.bytes().take(8).map(|byte| byte.to_string()).collect();
        numbers.join(", ")
    }));
    let apiserver = Apiserver::start(&home.path().join("apiserver.crt"), &Settings::with_offset(0))
        .expect("an apiserver");
    let file = home.path().join("broken");
    for (what, text) in [
        ("a user that is a token", kubeconfig(&apiserver, &json!(BEARER))),
        ("a token in a list", kubeconfig(&apiserver, &json!({ "token": [BEARER] }))),
        ("no YAML", format!("users:\n- name: u\n  user:\n    token: {BEARER}\n   : [\n")),
        ("a key that is a token", kubeconfig(&apiserver, &json!({ "client-key-data": BEARER }))),
    ] {
        fs::write(&file, text).expect("a file");
        let output = Command::new(&binary)
            .env("TIMEJUMP_LOG", "trace")
            .args(["nodes", "--kubeconfig"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("run timejump");
        assert!(!output.status.success(), "{what}: {output:?}");
        assert!(!output.stderr.is_empty(), "{what}");
        holds_none(what, &output.stdout, &secrets);
        holds_none(what, &output.stderr, &secrets);
    }
    let cut: String = pem.lines().take(2).collect::<Vec<_>>().join("\n");
    let broken = [
        ("a key in one line", pem.replace('\n', " ")),
        ("a key without its end", cut),
        (
            "a key with a strange beginning",
            pem.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE "),
        ),
        ("a key with a strange letter", pem.replacen("\nM", "\n!", 1)),
        ("a token", BEARER.to_owned()),
    ];
    let (binary, ours, server, secrets) = (&*binary, &*ours.certificate, &server, &*secrets);
    thread::scope(|scope| {
        for (what, text) in &broken {
            scope.spawn(move || told_of_doors(what, text, binary, ours, server, secrets));
        }
    });
}

/// Starts daemons with a broken file in the place of each that the door with TLS has.
fn told_of_doors(what: &str, text: &str, binary: &Path, ca: &Path, server: &Pair, secrets: &[String]) {
    let home = home();
    let file = home.path().join("broken");
    fs::write(&file, text).expect("a file");
    for wrong in ["--tls-key", "--tls-cert", "--tls-ca"] {
        let mut command = run_json(binary, home.path());
        command.env("TIMEJUMP_LOG", "trace").args(["--listen", "127.0.0.1:0"]);
        for (option, right) in
            [("--tls-key", &*server.key), ("--tls-cert", &*server.certificate), ("--tls-ca", ca)]
        {
            command.arg(option).arg(if option == wrong { &*file } else { right });
        }
        let mut daemon = Running::start(&mut command);
        let listeners = daemon.status().daemon.expect("a daemon").listeners;
        let tcp = listeners.iter().find(|of| of.kind == "tcp").expect("a door");
        assert!(tcp.state.starts_with("not listening: ") && tcp.state.contains("broken"), "{what}: {tcp:?}");
        holds_none(what, tcp.state.as_bytes(), secrets);
        holds_none(what, daemon.stderr().as_bytes(), secrets);
        daemon.stop();
    }
}
