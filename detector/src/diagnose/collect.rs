//! A bundle: what is needed to diagnose a node elsewhere, without what is nobody's business.
//!
//! Tokens go without their signatures, certificates without keys, logs without their text but for the lines that speak of the
//! clock, the journal as the entries around its jumps, wtmp without who logged in.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use tar::{Builder, EntryType, Header};

use super::{
    Bundle, Scene,
    bundle::{self, ContainerSeen, RuntimeSeen, SampleSeen},
    files::under,
};
use crate::node::{
    journal::{JournalReading, Moment},
    logs::{Words, reduce},
    wtmp,
};

/// A certificate's dates are in its first block; what follows may be a key.
const END: &str = "-----END CERTIFICATE-----";
/// Files that are read whole are no larger.
const LARGEST: u64 = 1 << 20;

/// Writes the bundle of a scene of this node, or of a copy.
pub fn collect(scene: &Scene, journal: &JournalReading, out: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    let of_node = bundle_of(scene);
    add(&mut tar, bundle::NAME, &serde_json::to_vec_pretty(&of_node)?)?;
    let root = &scene.root;
    for path in ["etc/hostname", "etc/localtime"] {
        if let Ok(content) = read(&root.join(path)) {
            add(&mut tar, path, &content)?;
        }
    }
    let logins = wtmp::read(&root.join("var/log/wtmp"));
    if !logins.records.is_empty() {
        add(&mut tar, "var/log/wtmp", &wtmp::write(&logins.records))?;
    }
    let words = Words::new();
    for log in scene.logs.iter().filter(|log| log.path.is_absolute()) {
        let mut content = Vec::new();
        // One that is gone meanwhile is left out.
        if reduce(&under(root, &log.path), &words, &mut content).is_ok() {
            add(&mut tar, &relative(&log.path), &content)?;
        }
    }
    if journal.entries > 0 {
        add(&mut tar, "var/log/journal/timejump/system.journal", &export(journal))?;
    }
    for certificate in &scene.facts.certificates {
        let text = read(&under(root, &certificate.path)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if let Some(end) = text.find(END) {
            let begin = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(0).min(end);
            let block = format!("{}\n", &text[begin..end + END.len()]);
            add(&mut tar, &relative(&certificate.path), block.as_bytes())?;
        }
    }
    volumes(&mut tar, scene)?;
    tar.into_inner()?.flush()
}

/// A path of the node as it is in the archive.
fn relative(path: &Path) -> String {
    path.display().to_string().trim_start_matches('/').to_owned()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if about.is_file() && about.len() <= LARGEST {
        fs::read(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "no file, or too large"))
    }
}

fn add<W: Write>(tar: &mut Builder<W>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content)
}

fn link<W: Write>(tar: &mut Builder<W>, path: &str, target: &str) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    tar.append_link(&mut header, path, target)
}

/// Each volume as kubelet lays it out, with tokens whose signature is empty.
fn volumes<W: Write>(tar: &mut Builder<W>, scene: &Scene) -> io::Result<()> {
    let root = scene.kubelet_root.clone().unwrap_or_default();
    for listed in &scene.volumes {
        let data = &listed.volume.data;
        if data.is_empty() {
            continue;
        }
        let volume = format!(
            "{}/pods/{}/volumes/kubernetes.io~projected/{}",
            relative(&root),
            listed.pod_uid,
            listed.name
        );
        for (file, claims) in &listed.volume.tokens {
            add(tar, &format!("{volume}/{data}/{file}"), claims.unsigned().as_bytes())?;
        }
        link(tar, &format!("{volume}/..data"), data)?;
    }
    Ok(())
}

fn bundle_of(scene: &Scene) -> Bundle {
    let facts = &scene.facts;
    Bundle {
        form: Bundle::form(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall_ns: i64::try_from(scene.present.wall.0).unwrap_or(i64::MAX),
        boottime_ns: scene.present.boot.unwrap_or_default().0,
        boot_id: scene.boot_id.clone(),
        host: scene.host.clone(),
        kernel: super::files::first_line(&scene.root, "proc/sys/kernel/osrelease"),
        clocks: scene.clocks.clone(),
        own_apiserver: scene.own_apiserver,
        kubelet_root: scene.kubelet_root.as_ref().map(|path| path.display().to_string()),
        kubelet_cert_dir: scene.kubelet_cert_dir.as_ref().map(|path| path.display().to_string()),
        kubelet: facts.kubelet.map(|kubelet| (kubelet.process.pid, kubelet.process.started.0)),
        kubelet_version: facts
            .kubelet
            .and_then(|kubelet| kubelet.version)
            .map(|version| (version.0, version.1)),
        runtime: facts.runtime.as_ref().map(RuntimeSeen::from),
        units: scene.units.clone(),
        containers: facts.containers.iter().map(ContainerSeen::from).collect(),
        samples: scene.samples.iter().map(SampleSeen::from).collect(),
        csi_pods: facts.csi_pods.iter().map(ToString::to_string).collect(),
        // wtmp goes along, and has its own.
        anchors: scene.anchors.iter().filter(|anchor| !anchor.source.starts_with('/')).cloned().collect(),
        sources: scene.sources.iter().filter(|source| !source.seen).cloned().collect(),
    }
}

/// The journal's witnesses of jumps in the form of `journalctl -o export`: each boot's first and last entry, those around
/// its jumps, and what was said of the clock.
fn export(journal: &JournalReading) -> Vec<u8> {
    let mut text = Vec::new();
    for boot in &journal.boots {
        let mut entries: Vec<(Moment, Option<&crate::node::journal::Record>)> =
            vec![(boot.first, None), (boot.last, None)];
        entries.extend(boot.changes.iter().flat_map(|change| [(change.before, None), (change.after, None)]));
        let told = journal.told.iter().filter(|record| record.boot_id == boot.boot_id);
        entries.extend(told.map(|record| (record.moment, Some(record))));
        entries.sort_by_key(|(moment, _)| moment.monotonic_ns);
        for (moment, record) in entries {
            entry(&mut text, &boot.boot_id, moment, record);
        }
    }
    text
}

fn entry(text: &mut Vec<u8>, boot_id: &str, moment: Moment, record: Option<&crate::node::journal::Record>) {
    let mut field = |name: &str, value: &str| {
        // A value of several lines would need another form: what speaks of clocks has one.
        let value: String = value.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
        text.extend_from_slice(format!("{name}={value}\n").as_bytes());
    };
    field("__REALTIME_TIMESTAMP", &(moment.wall.0 / 1000).to_string());
    field("__MONOTONIC_TIMESTAMP", &(moment.monotonic_ns / 1000).to_string());
    field("_BOOT_ID", boot_id);
    match record {
        None => field("MESSAGE", "-"),
        Some(record) => {
            if record.trusted {
                field("_COMM", &record.identifier);
            }
            let claimed = record.claimed.as_deref().or((!record.trusted).then_some(&*record.identifier));
            if let Some(claimed) = claimed {
                field("SYSLOG_IDENTIFIER", claimed);
            }
            if let Some(pid) = record.pid {
                field(if record.trusted { "_PID" } else { "SYSLOG_PID" }, &pid.to_string());
            }
            if !record.message.contains("eyJ") {
                field("MESSAGE", &record.message);
            }
        }
    }
    text.push(b'\n');
}
