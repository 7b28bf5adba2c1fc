//! Token volumes: the real binary on trees that kubelet would not make, beside apiservers that are made up.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use timejump_tests::apiserver::{Apiserver, Manner, Settings};
use timejump_tests::kubelet::{ApiServer, Ask, AtomicWriter, Bound, MARK, Payload};
use timejump_tests::sys::SECOND;
use timejump_tests::sys::clock::{Deadline, boot_ns, wall_ns};

use crate::node::Daemon;
use crate::running::{PATIENCE, binary, home};

fn jwt(pod: &str, issued_ns: i64) -> String {
    let bound = Bound {
        namespace: "default".into(),
        pod: pod.into(),
        pod_uid: format!("uid-{pod}"),
        service_account: "default".into(),
        node: None,
    };
    ApiServer::new(7).issue(&Ask { audience: None, seconds: 3607, bound }, issued_ns).claims.jwt()
}

fn write(root: &Path, pod: &str, file: &str, text: &[u8]) {
    let volume = root.join("pods").join(format!("uid-{pod}")).join("volumes/kubernetes.io~projected/access");
    fs::create_dir_all(&volume).expect("as the test has it");
    let payload = Payload::from([(file.to_owned(), text.to_vec())]);
    AtomicWriter::new(&volume, 1).write(&payload, wall_ns()).expect("as the test has it");
}

fn until(daemon: &Daemon, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let lines = daemon.lines(&["tokens", "-o", "json"]);
        if fits(&lines) {
            return lines;
        }
        assert!(!deadline.passed(), "{what}: {lines:?}");
        sleep(Duration::from_millis(50));
    }
}

fn state_of(lines: &[Value], pod: &str) -> Option<String> {
    let token = lines.iter().find(|line| line["pod"]["name"] == pod)?;
    token["state"].as_str().map(str::to_owned)
}

/// All that a process may write to, and more: what a core dump would hold.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("as the test has it");
    let file = File::open(format!("/proc/{pid}/mem")).expect("as the test has it");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) =
            line.split(' ').next().expect("as the test has it").split_once('-').expect("as the test has it");
        let [from, to] =
            [from, to].map(|address| u64::from_str_radix(address, 16).expect("as the test has it"));
        let mut part = vec![0; usize::try_from(to - from).expect("as the test has it")];
        if file.read_exact_at(&mut part, from).is_ok() {
            all.extend(part);
        }
    }
    all
}

fn has(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn every_kind_of_token_file_is_told_and_no_signature_stays() {
    let Some(binary) = binary() else { return };
    let home = home();
    let root = home.path().join("kubelet");
    write(&root, "sound", "token", jwt("sound", wall_ns()).as_bytes());
    write(&root, "ahead", "other-name", jwt("ahead", wall_ns() + 86_400 * SECOND).as_bytes());
    write(&root, "opaque", "token", b"opaque");
    write(&root, "cut", "token", &jwt("cut", wall_ns()).as_bytes()[..150]);
    write(&root, "huge", "token", &vec![b'a'; 1 << 20]);
    write(&root, "bytes", "token", b"\xff\xfe\x00.\xff.\xff");
    let access = |pod: &str| root.join(format!("pods/uid-{pod}/volumes/kubernetes.io~projected/access"));
    fs::create_dir_all(access("loop")).expect("as the test has it");
    symlink("..data", access("loop").join("..data")).expect("as the test has it");
    fs::create_dir_all(access("out")).expect("as the test has it");
    symlink("../../../../../../../../etc", access("out").join("..data")).expect("as the test has it");
    fs::create_dir_all(root.join("pods/uid-none")).expect("as the test has it");
    let words = ["--kubelet-root", &root.to_string_lossy(), "--pki", "/nonexistent"].map(str::to_owned);
    let daemon = Daemon::start(&binary, home, &words.each_ref().map(String::as_str));
    let lines = until(&daemon, "two tokens", |lines| lines.len() == 3);
    assert_eq!(state_of(&lines, "sound").as_deref(), Some("accepted"));
    assert_eq!(state_of(&lines, "ahead").as_deref(), Some("not_yet_valid"));
    let troubles = lines[0]["troubles"].to_string();
    for pod in ["opaque", "cut", "huge", "bytes", "loop", "out"] {
        assert!(troubles.contains(&format!("uid-{pod} access")), "{pod}: {troubles}");
    }
    // Replaced, as kubelet does it: seen at once.
    write(&root, "ahead", "other-name", jwt("ahead", wall_ns()).as_bytes());
    until(&daemon, "the refresh", |lines| state_of(lines, "ahead").as_deref() == Some("accepted"));
    fs::remove_dir_all(root.join("pods/uid-sound")).expect("as the test has it");
    let lines = until(&daemon, "the pod's end", |lines| lines.len() == 2);
    assert_eq!(lines[1]["refreshes"], 1, "{lines:?}");
    let screen = daemon.ask(&["tokens"]);
    assert!(screen.lines().all(|line| line.chars().count() <= 120), "{screen}");
    let memory = memory(daemon.pid());
    assert!(has(&memory, "uid-ahead"), "the search finds what is there");
    assert!(!has(&memory, MARK), "a signature is in its memory");
    let status = daemon.ask(&["status", "-o", "json"]);
    assert!(!status.contains(MARK) && !screen.contains(MARK), "{status}{screen}");
}

#[test]
fn apiservers_judge_each_on_its_own_and_what_is_wrong_with_them_is_said() {
    let Some(binary) = binary() else { return };
    let home = home();
    let root = home.path().join("kubelet");
    write(&root, "pod", "token", jwt("pod", wall_ns()).as_bytes());
    let offset = wall_ns() - boot_ns();
    let ca = home.path().join("ca.crt");
    let sound = Apiserver::start(&ca, &Settings::with_offset(offset)).expect("as the test has it");
    let mut words: Vec<String> = ["--kubelet-root", &root.to_string_lossy()].map(str::to_owned).to_vec();
    words.extend(["--pki", "/nonexistent", "--apiserver-interval", "1s"].map(str::to_owned));
    words.extend(["--apiserver-ca".to_owned(), ca.display().to_string()]);
    // By another CA, and so none of this cluster's.
    let foreign = Apiserver::start(&home.path().join("other.crt"), &Settings::with_offset(offset))
        .expect("as the test has it");
    for url in [sound.url(), foreign.url(), "https://127.0.0.1:1".to_owned()] {
        words.extend(["--apiserver".to_owned(), url]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let daemon = Daemon::start(&binary, home, &words);
    let judge = |lines: &[Value], url: &str| -> Value {
        let judges = lines[0]["judges"].as_array().cloned().unwrap_or_default();
        judges.into_iter().find(|judge| judge["name"] == url).unwrap_or_default()
    };
    let lines = until(&daemon, "a clock", |lines| judge(lines, &sound.url())["source"] == "date_header");
    let ahead = judge(&lines, &sound.url())["ahead_ns"].as_i64().expect("as the test has it");
    assert!(ahead.abs() < 2 * SECOND, "{lines:?}");
    let lines = until(&daemon, "who does not answer", |lines| {
        let state = |url: &str| judge(lines, url)["state"].to_string();
        state("https://127.0.0.1:1").contains("refused") && !state(&foreign.url()).contains("not asked")
    });
    let trouble = judge(&lines, &foreign.url())["state"].to_string();
    assert!(trouble.contains("signed") || trouble.contains("issuer"), "{trouble}");
    assert_eq!(state_of(&lines, "pod").as_deref(), Some("accepted"));
    // Stepped back by itself: the token comes from its future.
    sound.step(-7200 * SECOND);
    until(&daemon, "a refusal", |lines| state_of(lines, "pod").as_deref() == Some("not_yet_valid"));
    sound.step(7200 * SECOND);
    until(&daemon, "its end", |lines| state_of(lines, "pod").as_deref() == Some("accepted"));
    sound.behave(Manner::Hang);
    until(&daemon, "its silence", |lines| judge(lines, &sound.url())["state"] != "answers");
    assert_eq!((sound.authorized(), foreign.authorized()), (0, 0), "nobody is told who asks");
}
