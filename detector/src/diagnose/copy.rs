//! A copy of a node's files, taken earlier or elsewhere.

use std::path::PathBuf;

use super::{
    Bundle, BundleError, Options, Present, Scene, SourceState,
    files::{self, Files, under},
    from_files, witnesses,
};
use crate::{
    clock::{BootNs, Clocks, OffsetNs, SystemClocks, WallNs},
    ledger::Timeline,
    node::{
        Container, Judge, JudgeSource, NodeFacts, Process, Runtime, StatsClass,
        cri::Sample,
        journal::JournalReading,
        logs::LogReading,
        tokens::{USUAL_ROOTS, csi_pods_by_directory},
    },
};

/// Looks at the copy at `options.root`.
pub(super) fn look(options: &Options) -> Result<Scene, BundleError> {
    let root = &options.root;
    let bundle = Bundle::read(root)?;
    let given = options.kubelet_root.clone();
    let told = bundle.as_ref().and_then(|bundle| bundle.kubelet_root.clone()).map(PathBuf::from);
    let kubelet_root = given.or(told).or_else(|| files::find_kubelet_root(root));
    let place = kubelet_root.clone().unwrap_or_else(|| PathBuf::from(USUAL_ROOTS[0]));
    let cert_dir = bundle.as_ref().and_then(|bundle| bundle.kubelet_cert_dir.clone()).map(PathBuf::from);
    let mut files = files::read(root, &place, cert_dir.as_deref(), &options.pki);
    let taken = bundle.as_ref().map(|bundle| WallNs(bundle.wall_ns.into()));
    let (journals, more) = witnesses::journals(&options.journals);
    let journal = witnesses::read_journal(root, &journals);
    let known = options.now.or(taken).or_else(|| latest_stamp(&files)).or_else(|| last_entry(&journal));
    let near = known.unwrap_or_else(today);
    let (mut logs, mut read) = files::read_logs(root, &more, near);
    if known.is_none()
        && let Some(dated) = dated(&logs)
    {
        // Some lines name no year: others do.
        (logs, read) = files::read_logs(root, &more, dated);
    }
    files.sources.extend(read);
    let (wall, present_by) = match (options.now, taken) {
        (Some(now), _) => (now, "as given".to_owned()),
        (None, Some(taken)) => (taken, "when the bundle was made".to_owned()),
        (None, None) => match last_entry(&journal) {
            Some(last) => (last, "by the journal's last entry".to_owned()),
            None => last_line(&logs).unwrap_or((near, "by its newest file".to_owned())),
        },
    };
    // With another moment than the bundle's, what the boot clock showed then is not known.
    let boot = bundle.as_ref().filter(|_| options.now.is_none()).map(|bundle| BootNs(bundle.boottime_ns));
    let present = Present { wall, boot };
    let own_apiserver =
        bundle.as_ref().is_some_and(|bundle| bundle.own_apiserver) || files::has_apiserver(root, &logs);
    let mut facts = NodeFacts {
        containers: files.containers,
        certificates: files.certificates.certificates,
        csi_pods: csi_pods_by_directory(&under(root, &place)),
        ..NodeFacts::default()
    };
    let mut samples = Vec::new();
    let mut judges = Vec::new();
    if let Some(bundle) = &bundle {
        files.sources.extend(bundle.sources.iter().cloned());
        facts.runtime = bundle.runtime.as_ref().map(Runtime::from);
        facts.kubelet = bundle.kubelet();
        facts.containers.extend(bundle.containers.iter().map(Container::from));
        facts.csi_pods.extend(bundle.csi_pods.iter().map(|uid| uid.as_str().into()));
        let since = |process: Option<Process>| process.map(|process| process.started).unwrap_or_default();
        facts.kubelet_since = since(facts.kubelet.map(|kubelet| kubelet.process));
        facts.runtime_since = since(facts.runtime.as_ref().and_then(|runtime| runtime.process));
        samples = bundle.samples.iter().map(Sample::from).collect();
        judges = judges_of(bundle, present);
    } else {
        files.sources.push(SourceState::unseen(
            "live state",
            "clocks, apiserver and container runtime of then are not in the copy",
        ));
        facts.runtime =
            runtime_by_log(&logs).or_else(|| (!facts.containers.is_empty()).then(|| runtime("docker", "")));
    }
    let mut sightings = from_files::of_volumes(&files.volumes, wall);
    sightings.extend(from_files::of_containers(&facts.containers, wall));
    let mut scene = Scene {
        host: bundle.as_ref().and_then(|bundle| bundle.host.clone()).or(files.host),
        root: root.clone(),
        present,
        present_by,
        boot_id: bundle.as_ref().and_then(|bundle| bundle.boot_id.clone()),
        clocks: bundle.as_ref().map(|bundle| bundle.clocks.clone()).unwrap_or_default(),
        facts,
        judges,
        own_apiserver,
        kubelet_root,
        kubelet_cert_dir: cert_dir,
        volumes: files.volumes,
        logs,
        sightings,
        samples,
        units: bundle.as_ref().map(|bundle| bundle.units.clone()).unwrap_or_default(),
        anchors: bundle.map(|bundle| bundle.anchors).unwrap_or_default(),
        sources: files.sources,
        ..Scene::default()
    };
    witnesses::add(&mut scene, &journal, options.state_dir.as_deref());
    Ok(scene)
}

/// The wall clock of the last entry of the last boot.
fn last_entry(journal: &JournalReading) -> Option<WallNs> {
    journal.boots.last().map(|boot| boot.last.wall)
}

fn today() -> WallNs {
    WallNs(SystemClocks.realtime_ns().into())
}

fn latest_stamp(files: &Files) -> Option<WallNs> {
    let volumes = files.volumes.iter().filter_map(|listed| listed.volume.stamp);
    volumes.chain(files.containers.iter().map(|container| container.created)).max()
}

/// An instant with a year that is in the logs: the end of one whose stamps have years, or what kubelet says of its cache.
fn dated(logs: &[LogReading]) -> Option<WallNs> {
    let ends = logs.iter().filter(|log| !log.yearless).filter_map(|log| Some(log.span?.1));
    ends.chain(logs.iter().flat_map(|log| &log.stuck).map(|seen| seen.last.new)).max()
}

/// The moment of the last line of all logs. What a log's clock came back from is no present: of logs that are silent since,
/// the last line is from before.
fn last_line(logs: &[LogReading]) -> Option<(WallNs, String)> {
    let backs = |log: &LogReading| {
        log.turnings.iter().filter(|turning| turning.to < turning.from && !turning.lone).count()
    };
    let most = logs.iter().map(backs).max()?;
    let recent = logs.iter().filter(|log| backs(log) == most);
    let last = recent.filter_map(|log| Some((log.span?.1, log)));
    let (wall, log) = last.max_by_key(|(wall, _)| *wall)?;
    Some((wall, format!("by the last line of {}", log.path.display())))
}

fn runtime(name: &str, version: &str) -> Runtime {
    Runtime {
        class: StatsClass::of(name, version),
        name: name.to_owned(),
        version: version.to_owned(),
        api: String::new(),
        endpoint: PathBuf::new(),
        process: None,
    }
}

fn runtime_by_log(logs: &[LogReading]) -> Option<Runtime> {
    let mut starts = logs.iter().flat_map(|log| &log.starts);
    let last = starts.rfind(|start| start.program == "containerd")?;
    Some(runtime("containerd", last.version.as_deref().unwrap_or_default()))
}

/// The apiservers' clocks, as they were asked when the bundle was made.
fn judges_of(bundle: &Bundle, present: Present) -> Vec<Judge> {
    let Some(boot) = present.boot else { return Vec::new() };
    let seen = bundle.clocks.apiservers.iter().filter_map(|apiserver| {
        let offset =
            i64::try_from(present.wall.0 - i128::from(boot.0)).ok()?.checked_add(apiserver.ahead_ns?)?;
        Some(Judge {
            name: apiserver.url.clone(),
            source: JudgeSource::DateHeader,
            timeline: Timeline::new(OffsetNs(offset)),
            error_ns: apiserver.error_ns,
            seen: boot,
        })
    });
    seen.collect()
}
