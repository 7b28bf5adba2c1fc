//! Volumes followed as they are written: the kernel's inotify, and writes as kubelet's.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;
use timejump::{
    clock::{Clocks as _, SystemClocks},
    node::tokens::{Change, Seen, Tree, TreeState, read_volume},
};
use timejump_tests::kubelet::{ApiServer, Ask, AtomicWriter, Bound, MARK, Payload};

const SECOND: i64 = 1_000_000_000;
/// What the clock shows at first.
const START: i64 = 1_780_000_000 * SECOND;
/// The kernel has told by then.
const QUIET: Duration = Duration::from_millis(50);
const VOLUME: &str = "kube-api-access-1";

/// A node's pods.
struct Pods {
    root: TempDir,
    apiserver: ApiServer,
    certificate: &'static [u8],
}

impl Pods {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("pods")).unwrap();
        Self { root, apiserver: ApiServer::new(0), certificate: b"-----BEGIN CERTIFICATE-----\n" }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn pod(&self, pod: &str) -> PathBuf {
        self.path().join("pods").join(pod)
    }

    fn volume(&self, pod: &str, volume: &str) -> PathBuf {
        self.pod(pod).join("volumes/kubernetes.io~projected").join(volume)
    }

    fn writer(&self, pod: &str, volume: &str) -> AtomicWriter {
        let path = self.volume(pod, volume);
        fs::create_dir_all(&path).unwrap();
        AtomicWriter::new(&path, 1)
    }

    fn payload(&mut self, pod: &str, wall_ns: i64) -> Payload {
        let bound = Bound {
            namespace: "default".into(),
            pod: format!("name-of-{pod}"),
            pod_uid: pod.into(),
            service_account: "default".into(),
            node: None,
        };
        let issued = self.apiserver.issue(&Ask { audience: None, seconds: 3607, bound }, wall_ns);
        Payload::from([
            ("token".to_owned(), issued.claims.jwt().into_bytes()),
            ("ca.crt".to_owned(), self.certificate.to_vec()),
            ("namespace".to_owned(), b"default".to_vec()),
        ])
    }

    /// A pod with a token is there.
    fn run(&mut self, pod: &str, wall_ns: i64) -> AtomicWriter {
        let mut writer = self.writer(pod, VOLUME);
        let payload = self.payload(pod, wall_ns);
        assert!(writer.write(&payload, wall_ns).unwrap());
        writer
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// All that has changed, once the kernel has no more to tell.
async fn changes(tree: &mut Tree) -> BTreeSet<Change> {
    let mut changed = BTreeSet::new();
    while tokio::time::timeout(QUIET, tree.told()).await.is_ok() {
        changed.extend(tree.take());
    }
    changed
}

fn change(pod: &str) -> BTreeSet<Change> {
    BTreeSet::from([Change { pod_uid: pod.into(), volume: VOLUME.into() }])
}

/// When the only token there was issued, s.
fn issued(seen: Option<&Seen>) -> i64 {
    let [(file, claims)] = &seen.unwrap().volume.tokens[..] else { panic!("{seen:?}") };
    assert_eq!(&**file, "token");
    i64::try_from(claims.issued.0).unwrap() / SECOND
}

#[test]
fn a_pod_comes_directory_by_directory() {
    run(async {
        let mut pods = Pods::new();
        let mut tree = Tree::open(pods.path());
        assert_eq!((tree.state(), tree.watches()), (&TreeState::Watched, 1));
        let mut path = pods.pod("a");
        for name in ["", "volumes", "kubernetes.io~projected"] {
            path = path.join(name);
            fs::create_dir(&path).unwrap();
            assert!(changes(&mut tree).await.is_empty(), "{name}");
        }
        assert_eq!(tree.watches(), 4);
        let before = SystemClocks.boottime_ns();
        pods.run("a", START);
        assert_eq!(changes(&mut tree).await, change("a"));
        let seen = tree.get("a", VOLUME);
        assert_eq!(issued(seen), START / SECOND);
        assert!(seen.unwrap().at.is_none_or(|at| at.0 >= before));
        assert_eq!(seen.unwrap().volume.stamp.unwrap().0, i128::from(START));
        assert_eq!(tree.watches(), 5);
    });
}

#[test]
fn what_comes_into_a_volume_that_was_empty_is_seen_to_come() {
    run(async {
        let mut pods = Pods::new();
        pods.writer("a", VOLUME);
        let mut tree = Tree::open(pods.path());
        assert_eq!(tree.get("a", VOLUME), Some(&Seen::default()));
        let before = SystemClocks.boottime_ns();
        pods.run("a", START);
        assert_eq!(changes(&mut tree).await, change("a"));
        let seen = tree.get("a", VOLUME).unwrap();
        assert!(seen.at.unwrap().0 >= before && seen.at.unwrap().0 <= SystemClocks.boottime_ns());
        assert_eq!(seen.swaps, 1);
    });
}

#[test]
fn refreshes_and_other_changes_are_seen() {
    run(async {
        let mut pods = Pods::new();
        let mut writer = pods.run("a", START);
        let mut tree = Tree::open(pods.path());
        let first = tree.get("a", VOLUME).unwrap();
        assert_eq!((first.at, first.swaps, issued(Some(first))), (None, 0, START / SECOND));
        // The same again is nothing.
        let mut payload = pods.payload("a", START + 3_000 * SECOND);
        let before = SystemClocks.boottime_ns();
        assert!(writer.write(&payload, START + 3_000 * SECOND).unwrap());
        assert!(!writer.write(&payload, START + 3_060 * SECOND).unwrap());
        assert_eq!(changes(&mut tree).await, change("a"));
        let second = tree.get("a", VOLUME).unwrap().clone();
        assert!(second.at.unwrap().0 >= before);
        assert_eq!((second.swaps, issued(Some(&second))), (1, START / SECOND + 3_000));
        // Another certificate: swapped, and the token is the same.
        payload.insert("ca.crt".to_owned(), b"-----BEGIN OTHER-----\n".to_vec());
        assert!(writer.write(&payload, START + 3_120 * SECOND).unwrap());
        assert_eq!(changes(&mut tree).await, change("a"));
        let third = tree.get("a", VOLUME).unwrap();
        assert_eq!((third.swaps, &third.volume.tokens), (2, &second.volume.tokens));
        assert!(third.volume.stamp > second.volume.stamp);
        // Several before anybody looks are seen as one.
        for minute in 1..=3 {
            let wall = START + (6_000 + minute * 60) * SECOND;
            writer.write(&pods.payload("a", wall), wall).unwrap();
        }
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 6_180);
        assert!(!format!("{tree:?}").contains(MARK), "no signature is kept");
    });
}

#[test]
fn pods_go() {
    run(async {
        let mut pods = Pods::new();
        let mut writer = pods.run("a", START);
        pods.run("b", START);
        let mut tree = Tree::open(pods.path());
        assert_eq!(tree.watches(), 9);
        fs::remove_dir_all(pods.pod("b")).unwrap();
        assert_eq!(changes(&mut tree).await, change("b"));
        assert_eq!((tree.get("b", VOLUME), tree.watches()), (None, 5));
        // Refreshed and gone before anybody looks.
        writer.write(&pods.payload("a", START + SECOND), START + SECOND).unwrap();
        fs::remove_dir_all(pods.pod("a")).unwrap();
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!((tree.all().count(), tree.watches(), tree.troubles()), (0, 1, vec![]));
        // It comes again.
        pods.run("a", START + 60 * SECOND);
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 60);
        assert_eq!(tree.watches(), 5);
    });
}

#[test]
fn directories_that_are_replaced_are_followed() {
    run(async {
        let mut pods = Pods::new();
        pods.run("a", START);
        let mut tree = Tree::open(pods.path());
        // A volume that is made anew in its place.
        let path = pods.volume("a", VOLUME);
        fs::remove_dir_all(&path).unwrap();
        let mut writer = pods.run("a", START + 60 * SECOND);
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 60);
        writer.write(&pods.payload("a", START + 120 * SECOND), START + 120 * SECOND).unwrap();
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 120);
        assert_eq!(tree.watches(), 5);
        // One that is moved away: what happens there is nobody's.
        let away = pods.path().join("away");
        fs::rename(&path, &away).unwrap();
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(tree.get("a", VOLUME), None);
        let mut elsewhere = AtomicWriter::new(&away, 2);
        elsewhere.write(&pods.payload("a", START + 180 * SECOND), START + 180 * SECOND).unwrap();
        changes(&mut tree).await;
        assert_eq!(tree.get("a", VOLUME), None);
        tree.rescan();
        assert_eq!(tree.watches(), 4);
        // And all pods at once.
        fs::remove_dir_all(pods.path().join("pods")).unwrap();
        changes(&mut tree).await;
        assert_eq!((tree.state(), tree.all().count()), (&TreeState::NoPods, 0));
        pods.run("c", START);
        assert_eq!(tree.rescan(), change("c"));
        assert_eq!(tree.state(), &TreeState::Watched);
    });
}

#[test]
fn many_volumes_at_once() {
    run(async {
        let mut pods = Pods::new();
        let mut tree = Tree::open(pods.path());
        let mut writers: Vec<_> = (0..300).map(|number| pods.run(&format!("pod-{number}"), START)).collect();
        assert_eq!(changes(&mut tree).await.len(), 300);
        assert_eq!((tree.all().count(), tree.watches()), (300, 1 + 4 * 300));
        for (number, writer) in writers.iter_mut().enumerate() {
            let wall = START + 3_000 * SECOND;
            writer.write(&pods.payload(&format!("pod-{number}"), wall), wall).unwrap();
        }
        assert_eq!(changes(&mut tree).await.len(), 300);
        assert!(tree.all().all(|(_, seen)| issued(Some(seen)) == START / SECOND + 3_000 && seen.swaps == 1));
    });
}

/// More swaps than the kernel keeps events of, and none of them read: two volumes in turn, or they would be one.
#[test]
fn lost_events_are_made_up_for() {
    run(async {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let limit: usize = limit.trim().parse().unwrap();
        if limit > 100_000 {
            println!("skipped: fs.inotify.max_queued_events is {limit}");
            return;
        }
        let mut pods = Pods::new();
        for pod in ["a", "b"] {
            pods.run(pod, START);
        }
        let mut tree = Tree::open(pods.path());
        for _ in 0..=limit / 2 {
            for pod in ["a", "b"] {
                let volume = pods.volume(pod, VOLUME);
                let data = fs::read_link(volume.join("..data")).unwrap();
                symlink(data, volume.join("..data_tmp")).unwrap();
                fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
            }
        }
        // These are the ones that are lost.
        fs::remove_dir_all(pods.pod("b")).unwrap();
        pods.run("c", START + 60 * SECOND);
        let mut writer = AtomicWriter::new(&pods.volume("a", VOLUME), 9);
        writer.write(&pods.payload("a", START + 60 * SECOND), START + 60 * SECOND).unwrap();
        changes(&mut tree).await;
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 60);
        assert_eq!(issued(tree.get("c", VOLUME)), START / SECOND + 60);
        assert_eq!(tree.get("b", VOLUME), None);
        // When they were swapped nobody knows.
        assert_eq!(tree.get("a", VOLUME).unwrap().at, None);
        // And goes on.
        writer.write(&pods.payload("a", START + 120 * SECOND), START + 120 * SECOND).unwrap();
        assert_eq!(changes(&mut tree).await, change("a"));
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND + 120);
        assert_eq!(tree.watches(), 9);
    });
}

/// A user namespace has a limit of its own, which whoever made it may set: this test again, in such a one.
#[test]
fn with_too_few_watches_it_looks() {
    let name = "tree::in_a_namespace_with_few_watches";
    let script = "echo 6 >/proc/sys/user/max_inotify_watches && exec \"$0\" --ignored --exact \"$1\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return println!("skipped: unshare: {error}"),
    };
    let told = String::from_utf8_lossy(&output.stdout);
    if !told.contains(name) {
        return println!("skipped: no user namespace: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(output.status.success(), "{told}");
}

#[test]
#[ignore = "wants few watches: with_too_few_watches_it_looks runs it"]
fn in_a_namespace_with_few_watches() {
    run(async {
        let mut pods = Pods::new();
        pods.run("a", START);
        let mut writer = pods.run("b", START);
        let mut tree = Tree::open(pods.path());
        let TreeState::Blind(why) = tree.state() else { panic!("{:?}", tree.state()) };
        assert!(why.contains("fs.inotify.max_user_watches"), "{why}");
        // What is there is known all the same.
        assert_eq!(issued(tree.get("a", VOLUME)), START / SECOND);
        assert_eq!(issued(tree.get("b", VOLUME)), START / SECOND);
        writer.write(&pods.payload("b", START + 60 * SECOND), START + 60 * SECOND).unwrap();
        changes(&mut tree).await;
        tree.rescan();
        assert_eq!(issued(tree.get("b", VOLUME)), START / SECOND + 60);
        // Where one goes another can be watched.
        fs::remove_dir_all(pods.pod("a")).unwrap();
        changes(&mut tree).await;
        tree.rescan();
        assert_eq!((tree.state(), tree.watches()), (&TreeState::Watched, 5));
    });
}

#[test]
fn what_is_wrong_is_told_of_the_volume() {
    run(async {
        let mut pods = Pods::new();
        pods.run("sound", START);
        let mut writer = pods.writer("a", VOLUME);
        let mut payload = pods.payload("a", START);
        payload.insert("huge-token".to_owned(), vec![b'a'; 1 << 20]);
        payload.insert("odd-token".to_owned(), b"\xff\xfe\x00".to_vec());
        payload.insert("deep/er/token".to_owned(), payload["token"].clone());
        writer.write(&payload, START).unwrap();
        let volume = pods.volume("a", VOLUME);
        let data = volume.join(fs::read_link(volume.join("..data")).unwrap());
        symlink("loop-token", data.join("loop-token")).unwrap();
        symlink("/etc/passwd", data.join("linked-token")).unwrap();
        mkfifoat(CWD, data.join("fifo-token"), Mode::RUSR).unwrap();
        fs::write(data.join("closed-token"), "a.b.c").unwrap();
        fs::set_permissions(data.join("closed-token"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::write(data.join(std::ffi::OsStr::from_bytes(b"\xffname-token")), "a.b.c").unwrap();
        fs::create_dir(pods.pod("b")).unwrap();
        fs::write(pods.pod("b").join("volumes"), "no directory").unwrap();
        fs::write(pods.pod("file"), "no directory").unwrap();
        for (pod, leads) in [("out", "../../../../.."), ("loop", "..data"), ("none", "..gone")] {
            fs::create_dir_all(pods.volume(pod, VOLUME)).unwrap();
            symlink(leads, pods.volume(pod, VOLUME).join("..data")).unwrap();
        }
        let tree = Tree::open(pods.path());
        assert_eq!(tree.state(), &TreeState::Watched);
        let of = |pod: &str| {
            let troubles = tree.troubles().into_iter().filter(|trouble| *trouble.pod_uid == *pod);
            troubles.map(|trouble| trouble.trouble).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(of("sound"), "");
        let told = of("a");
        for want in
            ["huge-token: larger", "odd-token: not a JWT", "loop-token: ", "linked-token: ", "fifo-token: "]
        {
            assert!(told.contains(want), "{want}: {told}");
        }
        assert!(told.contains("closed-token: "), "{told}");
        assert!(told.contains("name-token: "), "{told}");
        let tokens: Vec<&str> =
            tree.get("a", VOLUME).unwrap().volume.tokens.iter().map(|(file, _)| &**file).collect();
        assert_eq!(tokens, ["deep/er/token", "token"]);
        assert!(of("out").contains("leads out"), "{}", of("out"));
        assert!(!of("loop").is_empty() && !of("none").is_empty(), "{:?}", tree.troubles());
        let all = format!("{:?}{:?}", tree.troubles(), read_volume(&volume));
        assert!(!all.contains(MARK) && !all.contains("root:"), "nothing of what is in files: {all}");
    });
}
