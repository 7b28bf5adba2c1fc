//! What a node's files tell, of this node or of a copy of them. Read-only.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;

use super::SourceState;
use crate::{
    clock::WallNs,
    node::{
        Container, certificates, docker,
        logs::{self, Local, LogReading, Words},
        tokens::{self, Listed},
    },
};

/// Directories looked into for kubelet's, where a copy does not say where that is.
const MOST_DIRECTORIES: usize = 20_000;
/// How deep.
const DEEPEST: usize = 5;

/// What was found in files.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) host: Option<String>,
    pub(super) volumes: Vec<Listed>,
    pub(super) certificates: certificates::Found,
    pub(super) containers: Vec<Container>,
    pub(super) sources: Vec<SourceState>,
}

/// `path`, as the node names it, in the node's files at `root`.
pub(super) fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Reads everything but the logs.
pub(super) fn read(root: &Path, kubelet_root: &Path, cert_dir: Option<&Path>, pki: &[PathBuf]) -> Files {
    let mut files = Files { host: first_line(root, "etc/hostname"), ..Files::default() };
    let name = format!("token volumes ({})", kubelet_root.display());
    match tokens::list(&under(root, kubelet_root)) {
        Ok(volumes) => {
            let tokens: usize = volumes.iter().map(|listed| listed.volume.tokens.len()).sum();
            files
                .sources
                .push(SourceState::seen(name, format!("{} volumes, {tokens} tokens", volumes.len())));
            for listed in &volumes {
                for trouble in &listed.volume.troubles {
                    let what = format!("{}/{}", listed.pod_uid, listed.name);
                    files.sources.push(SourceState::unseen(what, trouble.clone()));
                }
            }
            files.volumes = volumes;
        }
        Err(error) => files.sources.push(SourceState::unseen(name, error.to_string())),
    }
    let usual = certificates::usual_pki();
    let pki = if pki.is_empty() { &usual } else { pki };
    files.certificates = certificates::find(root, kubelet_root, cert_dir, pki);
    let certificates = files.certificates.certificates.len();
    files.sources.push(match files.certificates.troubles.first() {
        None if certificates == 0 => SourceState::unseen("certificates", "none found"),
        None => SourceState::seen("certificates", format!("{certificates} read")),
        Some(trouble) => SourceState::unseen("certificates", trouble.clone()),
    });
    files.containers = docker::containers(root);
    files
}

/// Reads the logs: those of the node, and `more`, which may lie anywhere.
pub(super) fn read_logs(root: &Path, more: &[PathBuf], near: WallNs) -> (Vec<LogReading>, Vec<SourceState>) {
    let mut sources = Vec::new();
    let zone = zone(root);
    let known = zone.is_ok();
    let local = Local { zone: zone.unwrap_or(TimeZone::UTC), near };
    let words = Words::new();
    let (found, compressed) = logs::find(root);
    let here = found.into_iter().map(|path| (under(root, &path), path));
    let all: Vec<(PathBuf, PathBuf)> =
        here.chain(more.iter().map(|path| (path.clone(), path.clone()))).collect();
    let mut readings = Vec::new();
    for (path, name) in all {
        if !is_within(root, &path) && !more.contains(&path) {
            sources.push(SourceState::unseen(name.display().to_string(), "it leads out of the copy"));
            continue;
        }
        let reading = logs::scan(&path, &name, &local, &words);
        sources.push(of_log(&reading));
        readings.push(reading);
    }
    if readings.is_empty() {
        sources.push(SourceState::unseen("logs", "no text logs in /var/log"));
    }
    if !compressed.is_empty() {
        let names: Vec<_> = compressed.iter().map(|path| path.display().to_string()).collect();
        sources.push(SourceState::unseen("compressed logs", format!("not read: {}", names.join(", "))));
    }
    if !known && readings.iter().any(|reading| reading.local) {
        sources.push(SourceState::unseen(
            "time zone",
            "/etc/localtime cannot be read: stamps of logs in local time are taken for UTC",
        ));
    }
    (readings, sources)
}

/// Whether a file of a copy is of that copy: a link may lead to one of ours.
fn is_within(root: &Path, path: &Path) -> bool {
    let (root, path) = (root.canonicalize(), path.canonicalize());
    root.is_ok_and(|root| path.is_ok_and(|path| path.starts_with(root)))
}

fn of_log(reading: &LogReading) -> SourceState {
    let name = reading.path.display().to_string();
    if let Some(trouble) = &reading.trouble {
        return SourceState::unseen(name, trouble.clone());
    }
    let span = reading
        .span
        .map_or_else(String::new, |(first, last)| format!(", {} to {}", first.short(), last.short()));
    let cut = if reading.cut { ", its end only" } else { "" };
    let left_out = match reading.left_out {
        0 => String::new(),
        left_out => format!(", {left_out} findings left out"),
    };
    SourceState::seen(name, format!("{} lines{span}{cut}{left_out}", reading.lines))
}

/// The node's time zone, by its own files, else by ours: zones are the same everywhere.
fn zone(root: &Path) -> io::Result<TimeZone> {
    let localtime = root.join("etc/localtime");
    let target = fs::read_link(&localtime).ok();
    let theirs = target.as_ref().map(|target| under(root, target));
    let data = theirs
        .and_then(|path| fs::read(path).ok())
        .map_or_else(|| fs::read(&localtime), Ok)
        .or_else(|error| target.as_ref().map_or(Err(error), fs::read))?;
    TimeZone::tzif("local", &data).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The first line of a small file.
pub(super) fn first_line(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty() && line.len() < 256)
}

/// kubelet's root directory in a copy: where it usually is, else wherever there are pods with token volumes.
pub(super) fn find_kubelet_root(root: &Path) -> Option<PathBuf> {
    let has_pods = |path: &Path| under(root, path).join("pods").is_dir();
    let usual = tokens::USUAL_ROOTS.iter().map(PathBuf::from).find(|path| has_pods(path));
    usual.or_else(|| {
        let mut waiting = vec![(root.to_path_buf(), 0)];
        let mut looked_at = 0;
        while let Some((directory, depth)) = waiting.pop() {
            looked_at += 1;
            if looked_at > MOST_DIRECTORIES {
                return None;
            }
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if entry.file_name() == "pods" && holds_volumes(&entry.path()) {
                    let found = directory.strip_prefix(root).ok()?;
                    return Some(Path::new("/").join(found));
                }
                if depth < DEEPEST {
                    waiting.push((entry.path(), depth + 1));
                }
            }
        }
        None
    })
}

fn holds_volumes(pods: &Path) -> bool {
    let entries = fs::read_dir(pods).into_iter().flatten().flatten();
    entries.take(64).any(|pod| pod.path().join("volumes/kubernetes.io~projected").is_dir())
}

/// Whether an apiserver runs on the node, as far as files tell.
pub(super) fn has_apiserver(root: &Path, logs: &[LogReading]) -> bool {
    let by_log = logs.iter().any(|log| {
        log.path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("kube-apiserver") || name.starts_with("apiserver")
        })
    });
    by_log || root.join("etc/kubernetes/manifests/kube-apiserver.yaml").is_file()
}
