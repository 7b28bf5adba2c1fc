//! What is found on a node.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use timejump::actor::workload;
use timejump::node::cri::parse_endpoint;
use timejump::node::process::flag;
use timejump::node::tokens::{Claims, list};

/// A cgroup's path: ids have their forms, whatever stands around them.
pub fn cgroup_path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = workload(&text);
    if let Some(id) = &found.container_id {
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    if let Some(uid) = &found.pod_uid {
        assert_eq!(uid.bytes().filter(u8::is_ascii_hexdigit).count(), 32, "{uid}");
    }
    if let Some(unit) = &found.unit {
        assert!(text.contains(unit.as_str()) && !unit.contains('/'), "{unit}");
    }
}

/// A token's payload: an error is one of a few texts and quotes nothing.
pub fn claims(payload: &[u8]) {
    match Claims::decode(payload) {
        Ok(claims) => assert!(claims.ttl_s() >= 0 && claims.due() >= claims.issued, "{claims:?}"),
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 64 && told.is_ascii(), "{told}");
        }
    }
}

/// A process's command line: a flag's value is a part of it.
pub fn command_line(bytes: &[u8]) {
    let words: Vec<_> =
        bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    for name in ["--root-dir", "--container-runtime-endpoint", "--config"] {
        if let Some(value) = flag(&words, name) {
            assert!(words.iter().any(|word| word.ends_with(value)), "{value:?}");
        }
    }
    if let Some(word) = words.first()
        && let Err(error) = parse_endpoint(word)
    {
        assert!(!error.is_empty(), "an error says something");
    }
}

/// Names of directories below kubelet's, made for once: those that are none of its kind are passed over, and none is doubled.
pub fn directory_name(bytes: &[u8]) {
    let name: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, 0 | b'/')).take(200).collect();
    if name.is_empty() || name == b"." || name == b".." {
        return;
    }
    let Ok(root) = tempfile::tempdir() else { return };
    let name = OsStr::from_bytes(&name);
    for path in [root.path().join("pods").join(name), in_a_pod(root.path()).join(name)] {
        assert!(fs::create_dir_all(&path).is_ok(), "a directory of any name can be made");
    }
    let listed = list(root.path());
    let Ok(listed) = listed else { panic!("what was just made can be listed: {listed:?}") };
    let paths: BTreeSet<_> = listed.iter().map(|listed| &listed.path).collect();
    assert!(paths.len() == listed.len() && paths.iter().all(|path| path.is_dir()), "{listed:?}");
}

fn in_a_pod(root: &Path) -> PathBuf {
    root.join("pods/99f2d27a-8527-4e20-ac33-000000000000/volumes/kubernetes.io~projected")
}
