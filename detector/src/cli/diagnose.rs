//! `timejump diagnose`

use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    exit::{self, Failure},
    node::{endpoint_from_environment, parse_apiserver, parse_version},
    print::{Print, colour},
    remote::block_on,
};
use crate::{
    clock::WallNs,
    deliver::{OutputFormat, diagnosis_lines, diagnosis_screen},
    diagnose::{Diagnosis, Live, Options, Scene, collect, diagnose, look_at_copy},
    node::{Version, cri::parse_endpoint, journal::JournalReading},
};

/// Options of `timejump diagnose`.
#[derive(Clone, Debug, Args)]
pub(super) struct DiagnoseArgs {
    /// How to print: human is one screen; json is a line for each finding, the last one sums up
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// A copy of a node's files, such as an unpacked bundle, instead of this node
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// One more journal or log to read, as a file; may be given more than once
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// kubelet's root directory. Else found by kubelet's command line, else where it usually is
    #[arg(long, value_name = "DIR")]
    kubelet_root: Option<PathBuf>,
    /// Where the control plane's certificates are, instead of the usual directories; may be given more than once
    #[arg(long, value_name = "DIR")]
    pki: Vec<PathBuf>,
    /// The container runtime's socket: a path, or unix:///path. Else found where kubelet and crictl find it
    #[arg(long, value_name = "SOCKET", conflicts_with = "root", value_parser = parse_endpoint)]
    cri_endpoint: Option<PathBuf>,
    /// Where cgroups are mounted; in a container, the host's
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/cgroup")]
    cgroups: PathBuf,
    /// kubelet's version, such as 1.20: one before 1.23 keeps CPU samples of its own whatever the runtime does
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    kubelet_version: Option<Version>,
    /// Whose clock judges tokens: https://HOST:PORT, once for each apiserver. Else that of kubelet's kubeconfig
    #[arg(long, value_name = "URL", conflicts_with = "root", value_parser = parse_apiserver)]
    apiserver: Vec<String>,
    /// Who must have signed the apiservers' certificates (PEM); else what pods are given for that
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    apiserver_ca: Option<PathBuf>,
    /// Where a daemon that ran here kept its store, as the node names it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/timejump")]
    state_dir: PathBuf,
    /// Do not look into a store: as if no daemon had ever run
    #[arg(long, conflicts_with = "state_dir")]
    no_store: bool,
    /// Also write a bundle: what is needed to diagnose this node elsewhere (tar xf FILE -C DIR; timejump diagnose --root DIR).
    /// No signatures, no keys, of logs only stamps and what speaks of the clock
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    collect: Option<PathBuf>,
    /// For a copy: the moment for which to judge, such as 2024-02-06T05:16:46Z; else when the bundle was made, else that of
    /// the logs' last line
    #[arg(long, value_name = "TIME", requires = "root", value_parser = parse_instant)]
    now: Option<WallNs>,
}

/// Says what is wrong because of the clock, why, and what to do.
pub(super) fn run(args: &DiagnoseArgs) -> Result<(), Failure> {
    let diagnosis = diagnosis(args)?;
    let mut print = Print::stdout();
    match args.output {
        OutputFormat::Human => print.text(&diagnosis_screen(&diagnosis, colour()))?,
        OutputFormat::Json => {
            for line in diagnosis_lines(&diagnosis) {
                print.line(&line)?;
            }
        }
    }
    if diagnosis.has_problems() { Err(Failure::problems()) } else { Ok(()) }
}

fn diagnosis(args: &DiagnoseArgs) -> Result<Diagnosis, Failure> {
    let options = Options {
        root: args.root.clone().unwrap_or_else(|| PathBuf::from("/")),
        journals: args.journal.clone(),
        kubelet_root: args.kubelet_root.clone(),
        pki: args.pki.clone(),
        state_dir: (!args.no_store).then(|| args.state_dir.clone()),
        now: args.now,
        cri_endpoint: args.cri_endpoint.clone().or_else(endpoint_from_environment),
        cgroups: args.cgroups.clone(),
        kubelet_version: args.kubelet_version,
        apiservers: args.apiserver.clone(),
        apiserver_ca: args.apiserver_ca.clone(),
    };
    for journal in &options.journals {
        if let Err(error) = fs::File::open(journal) {
            return Err(Failure::new(exit::USAGE, format!("{}: {error}", journal.display())));
        }
    }
    if args.root.is_some() {
        if !options.root.is_dir() {
            return Err(Failure::new(exit::USAGE, format!("{}: no directory", options.root.display())));
        }
        let scene = look_at_copy(&options).map_err(|error| Failure::new(exit::IO, error))?;
        return Ok(diagnose(scene));
    }
    block_on(async {
        let (mut live, scene) = Live::look(&options).await;
        let diagnosis = sampled(&mut live, scene).await;
        if let Some(path) = &args.collect {
            write_bundle(path, &diagnosis.scene, live.journal())
                .map_err(|error| Failure::new(exit::IO, format!("{}: {error}", path.display())))?;
        }
        Ok(diagnosis)
    })
}

/// Of this node, by what is usual.
pub(super) async fn here() -> Diagnosis {
    let options = Options {
        root: PathBuf::from("/"),
        journals: Vec::new(),
        kubelet_root: None,
        pki: Vec::new(),
        state_dir: Some(PathBuf::from("/var/lib/timejump")),
        now: None,
        cri_endpoint: endpoint_from_environment(),
        cgroups: PathBuf::from("/sys/fs/cgroup"),
        kubelet_version: None,
        apiservers: Vec::new(),
        apiserver_ca: None,
    };
    let (mut live, scene) = Live::look(&options).await;
    sampled(&mut live, scene).await
}

async fn sampled(live: &mut Live, scene: Scene) -> Diagnosis {
    let diagnosis = diagnose(scene);
    if !diagnosis.wants_samples() {
        return diagnosis;
    }
    let mut scene = diagnosis.scene;
    live.sample(&mut scene).await;
    diagnose(scene)
}

/// Whole or not at all, and for its owner alone.
fn write_bundle(path: &Path, scene: &Scene, journal: &JournalReading) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    let mut out = BufWriter::new(file);
    let written = collect(scene, journal, &mut out).and_then(|()| out.flush());
    match written.and_then(|()| fs::rename(&partial, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // What is left is of no use; that it cannot be removed changes nothing.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn parse_instant(text: &str) -> Result<WallNs, String> {
    let instant: jiff::Timestamp =
        text.parse().map_err(|_| "no time such as 2024-02-06T05:16:46Z".to_owned())?;
    Ok(WallNs(instant.as_nanosecond()))
}
