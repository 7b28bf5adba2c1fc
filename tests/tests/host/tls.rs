//! Mutual TLS with certificates of every wrong kind, at both ends; and with dates that are wrong only because the clock jumped.

pub(crate) mod authority;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use timejump_tests::lines::Listener;
use timejump_tests::sys::clock::Deadline;

use crate::running::{PATIENCE, Running, binary, home, output_at, run_json};
use authority::{Authority, Kind, Pair};

const DAY_NS: i64 = 86_400_000_000_000;

fn address(listeners: &[Listener], kind: &str) -> String {
    let listener = listeners.iter().find(|of| of.kind == kind).expect("a listener of that kind");
    assert_eq!(listener.state, "listening", "{listeners:?}");
    listener.address.clone()
}

/// The client as people use it.
fn status(binary: &Path, host: &str, tcp: &str, ca: &Path, pair: &Pair) -> Output {
    let port = tcp.rsplit_once(':').expect("an address with a port").1;
    let mut command = Command::new(binary);
    command.args(["status", "-o", "json", "--address", &format!("https://{host}:{port}"), "--ca"]);
    command.arg(ca).arg("--cert").arg(&pair.certificate).arg("--key").arg(&pair.key);
    command.stdin(Stdio::null()).output().expect("run timejump")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_served(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"type\":\"status\""), "{output:?}");
}

fn is_refused(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

/// Waits until the daemon has said all of these in one line.
fn until_said(mut stderr: impl FnMut() -> String, words: &[&str]) {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let text = stderr();
        if text.lines().any(|line| words.iter().all(|word| line.contains(word))) {
            return;
        }
        assert!(!deadline.passed(), "{words:?} are in no line of {text}");
        sleep(Duration::from_millis(20));
    }
}

/// A daemon that shows `pair` and trusts `ca`.
fn daemon(binary: &Path, home: &Path, ca: &Path, pair: &Pair) -> (Running, String) {
    let mut command = run_json(binary, home);
    command.args(["--listen", "127.0.0.1:0", "--tls-ca"]).arg(ca);
    command.arg("--tls-cert").arg(&pair.certificate).arg("--tls-key").arg(&pair.key);
    let mut daemon = Running::start(&mut command);
    let listeners = daemon.status().daemon.expect("a daemon").listeners;
    let tcp = address(&listeners, "tcp");
    (daemon, tcp)
}

#[test]
fn consumers_are_refused_by_name_and_others_are_served_on() {
    let Some(binary) = binary() else { return };
    let home = home();
    let (ours, foreign) = (Authority::new(home.path(), "ours"), Authority::new(home.path(), "foreign"));
    let server = ours.sign("server", &Kind::server());
    let (mut daemon, tcp) = daemon(&binary, home.path(), &ours.certificate, &server);
    let right = ours.sign("right", &Kind::client());
    let right_is_let_in = || is_served(&status(&binary, "localhost", &tcp, &ours.certificate, &right));
    right_is_let_in();
    let wrong = [
        (
            foreign.sign("stranger", &Kind::client()),
            ["refuses our certificate", "stranger.crt", "not signed by the CA that the daemon trusts"],
            ["\"stranger\"", "is not signed by the CA of --tls-ca", "127.0.0.1"],
        ),
        (
            ours.sign("late", &Kind { days: (-60, -5), ..Kind::client() }),
            ["not valid by the daemon's clock", "it is good from", "not valid by that either"],
            ["\"late\"", "has expired at", "5d 0h ago by this machine's clock"],
        ),
        (
            ours.sign("early", &Kind { days: (5, 60), ..Kind::client() }),
            ["not valid by the daemon's clock", "it is good from", "not valid by that either"],
            ["\"early\"", "is not valid before", "by this machine's clock, which shows"],
        ),
        (
            ours.sign("server-only", &Kind::server()),
            ["refuses our certificate", "server-only.crt", "not made for clients"],
            ["\"server-only\"", "is not made for this end", "is refused"],
        ),
    ];
    for (pair, client, server) in &wrong {
        is_refused(&status(&binary, "localhost", &tcp, &ours.certificate, pair), client);
        until_said(|| daemon.stderr(), server);
        right_is_let_in();
    }
    let alert = without_certificate(&tcp, &ours.certificate);
    assert!(alert.contains("CertificateRequired"), "{alert}");
    until_said(|| daemon.stderr(), &["it shows no certificate"]);
    right_is_let_in();
    daemon.stop();
}

/// What a client hears that has no certificate.
fn without_certificate(tcp: &str, ca: &Path) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(tcp).expect("connect");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut stream = StreamOwned::new(connection, socket);
    let error = stream.read(&mut [0]).expect_err("nobody is served without a certificate");
    error.to_string()
}

#[test]
fn a_daemon_with_a_wrong_certificate_is_refused_by_name() {
    let Some(binary) = binary() else { return };
    let home = home();
    let (ours, foreign) = (Authority::new(home.path(), "ours"), Authority::new(home.path(), "foreign"));
    let client = ours.sign("client", &Kind::client());
    let dated = |from, to| Kind { days: (from, to), ..Kind::server() };
    let cases: [(&str, Pair, &[&str], &[&str]); 4] = [
        (
            "localhost",
            ours.sign("late", &dated(-60, -5)),
            &["the daemon's certificate has expired at", "5d 0h ago by this machine's clock, which shows"],
            &["late.crt", "this machine's clock shows"],
        ),
        (
            "localhost",
            ours.sign("early", &dated(5, 60)),
            &["the daemon's certificate is not valid before", "by this machine's clock, which shows"],
            &["early.crt", "this machine's clock shows"],
        ),
        (
            "127.0.0.1",
            ours.sign("elsewhere", &Kind { names: &["elsewhere.example"], ..Kind::server() }),
            &["the daemon's certificate is for", "elsewhere.example", "not for 127.0.0.1"],
            &["it refuses this daemon's certificate"],
        ),
        (
            "localhost",
            foreign.sign("foreign-server", &Kind::server()),
            &["the daemon's certificate is not signed by the CA of", "ours.ca.crt"],
            &["it does not trust who signed this daemon's certificate"],
        ),
    ];
    for (host, server, words, log) in &cases {
        let (mut daemon, tcp) = daemon(&binary, home.path(), &ours.certificate, server);
        is_refused(&status(&binary, host, &tcp, &ours.certificate, &client), words);
        until_said(|| daemon.stderr(), log);
        is_served(&output_at(&binary, &home.path().join("timejump.sock"), &["status", "-o", "json"]));
        daemon.stop();
    }
}

/// What the daemon serves, with jumps that are made up.
struct Feed {
    child: Child,
    errors: PathBuf,
    listeners: Vec<Listener>,
    jumps: u64,
}

impl Feed {
    fn start(home: &Path, ca: &Path, pair: &Pair) -> Self {
        let errors = home.join("feed.stderr");
        let mut command = Command::new(env!("CARGO_BIN_EXE_timejump-feed"));
        command.arg("--socket").arg(home.join("feed.sock"));
        command.args(["--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--tls-ca"]).arg(ca);
        command.arg("--tls-cert").arg(&pair.certificate).arg("--tls-key").arg(&pair.key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&errors).expect("a file for stderr"));
        let mut child = command.spawn().expect("start timejump-feed");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let first: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let listeners = serde_json::from_value(first["listeners"].clone()).expect("listeners");
        Self { child, errors, listeners, jumps: 0 }
    }

    /// Says that the clock jumped, and waits until that is told.
    fn jump(&mut self, days: i64) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{{\"delta_ns\":{}}}", days * DAY_NS).expect("it reads");
        self.jumps += 1;
        let last = format!("timejump_last_jump_sequence {}", self.jumps);
        let deadline = Deadline::after(PATIENCE);
        while !self.metrics().lines().any(|line| line == last) {
            assert!(!deadline.passed(), "the jump is never told: {}", self.stderr());
            sleep(Duration::from_millis(20));
        }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(&self.errors).expect("its stderr")
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(address(&self.listeners, "http")).expect("connect");
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: here\r\n\r\n").expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn while_a_jump_is_open_dates_are_judged_without_it_as_well() {
    let Some(binary) = binary() else { return };
    let home = home();
    let (ours, foreign) = (Authority::new(home.path(), "ours"), Authority::new(home.path(), "foreign"));
    let server = ours.sign("server", &Kind::server());
    let mut feed = Feed::start(home.path(), &ours.certificate, &server);
    let tcp = address(&feed.listeners, "tcp");
    let dated = |from, to| Kind { days: (from, to), ..Kind::client() };
    let past = ours.sign("past", &dated(-60, -50));
    let coming = ours.sign("coming", &dated(50, 60));
    let long_past = ours.sign("long-past", &dated(-200, -100));
    let stranger = foreign.sign("stranger", &dated(-60, -50));
    let ask = |pair: &Pair| status(&binary, "localhost", &tcp, &ours.certificate, pair);
    for pair in [&past, &coming, &long_past, &stranger] {
        is_refused(&ask(pair), &["refuses our certificate"]);
    }

    // Forward by 55 days, it is said: what has expired 50 days ago would still hold.
    feed.jump(55);
    is_served(&ask(&past));
    until_said(|| feed.stderr(), &["is let in", "\"past\"", "without the +55d 0h", "since jump 1"]);
    is_refused(&ask(&long_past), &["not valid by the daemon's clock"]);
    until_said(
        || feed.stderr(),
        &["\"long-past\"", "away by +55d 0h since jump 1, and without that it is not valid either"],
    );
    for pair in [&coming, &stranger] {
        is_refused(&ask(pair), &["refuses our certificate"]);
    }
    let metrics = feed.metrics();
    for line in [
        "timejump_tls_handshakes_total{result=\"accepted_without_jump\"} 1",
        "timejump_tls_handshakes_total{result=\"accepted\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    // Back: the excursion is over, and with it the leniency.
    feed.jump(-55);
    is_refused(&ask(&past), &["not valid by the daemon's clock"]);

    feed.jump(-55);
    is_served(&ask(&coming));
    is_refused(&ask(&past), &["not valid by the daemon's clock"]);
}
