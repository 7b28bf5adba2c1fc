//! What jumps do to service-account tokens: real jumps, real inotify, real mounts, and an apiserver with a clock of its own.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::Value;

use crate::cli::Cli;
use crate::daemon::{Daemon, Options};
use crate::diagnosis::Diagnosis;
use crate::kubelet::MARK;
use crate::kubelet::live::{PODS, VOLUMES, uid};
use crate::kubelet::rig::{Rig, TOKENS, tokens};
use crate::lines::Impact;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::SECOND;
use crate::sys::clock::Deadline;

const EXCURSION_NS: i64 = seconds(55 * 86_400);
const HOUR_NS: i64 = seconds(3600);
/// How long the daemon may take to tell what must come.
const TELLING: Duration = Duration::from_secs(30);
/// A pod that comes while the daemon runs.
const LATE: &str = "late";

/// The incident: ahead with the apiserver, tokens are replaced, back; kubelet restarted. Then each clock alone. What was in the
/// tokens' signatures is nowhere afterwards.
pub(super) fn token_incident(stage: &Stage) -> Result<()> {
    let limit = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Core, limit)?;
    let core = stage.bench.dir.join("core");
    fs::write("/proc/sys/kernel/core_pattern", core.to_string_lossy().as_bytes())?;
    let mut rig = Rig::start(stage, Path::new("/data/kube/kubelet"))?;
    let mut daemon = start_daemon(&rig)?;
    rig.together(EXCURSION_NS)?;
    daemon.next_jump()?;
    until("the jump's Event", || rig.events("ClockJumped").len() == 1)?;
    condition_is("True", &rig)?;
    rig.all_issued_after(rig.apiserver.wall_ns() - seconds(60))?;
    rig.renew_own_token()?;
    refused_after_the_way_back(&mut rig, &mut daemon)?;
    cured_by_a_restart(&mut rig, &mut daemon)?;
    rig.renew_own_token()?;
    told_to_the_cluster(&rig)?;
    node_alone(&mut rig, &mut daemon)?;
    apiserver_alone(&mut rig, &mut daemon)?;
    daemon.abort()?;
    no_signature_anywhere(&stage.bench.dir, &core)
}

fn refused_after_the_way_back(rig: &mut Rig<'_>, daemon: &mut Daemon) -> Result<()> {
    rig.together(-EXCURSION_NS)?;
    daemon.next_jump()?;
    let wanted = |impact: &&Impact| impact.kind == "token_not_yet_valid" && impact.confidence == "observed";
    let told = of_all(daemon, "six tokens refused", wanted)?;
    for impact in &told {
        let nbf = impact.evidence["not_before"].as_str().context("nbf")?.to_owned();
        ensure!(impact.jump == 2 && impact.remedy == "restart_kubelet", "{impact:?}");
        ensure!(impact.evidence["minted_after_jump"] == 1, "{impact:?}");
        ensure!(impact.evidence["minted_before_jump"] == 2, "{impact:?}");
        ensure!(impact.evidence["judge"] == "date_header", "{impact:?}");
        let claims = rig.claims()?;
        let claims =
            claims.iter().find(|claims| claims.not_before.to_string() == nbf).context("its claims")?;
        let accepted = i64::try_from(claims.not_before.0)? - 60 * SECOND - rig.apiserver.offset();
        let until = impact.until_boottime_ns.context("an end")?;
        ensure!((until - accepted).abs() < SECOND, "{until} is not {accepted}: {impact:?}");
    }
    let whole =
        daemon.wait_for_impact("the excursion", TELLING, 0, |impact| impact.kind == "token_excursion")?;
    ensure!(whole.evidence["tokens"] == TOKENS && whole.evidence["pods"] == PODS.len(), "{whole:?}");
    ensure!(whole.message.contains("55d 0h ahead"), "{whole:?}");
    let tokens = tokens(&cli(rig, daemon))?;
    let refused = tokens.iter().filter(|token| token["state"] == "not_yet_valid").count();
    ensure!((refused, tokens.len()) == (TOKENS, TOKENS), "{tokens:?}");
    println!("{}", cli(rig, daemon).output(&["tokens"])?);
    let diagnosis = diagnosis(rig)?;
    let observed =
        diagnosis.problems("token_not_yet_valid").filter(|impact| impact["confidence"] == "observed");
    ensure!(diagnosis.status == 1 && observed.count() == TOKENS, "{diagnosis:?}");
    // By the volumes' own stamps alone: that it went back, and by at least so much.
    let [back] = diagnosis.jumps()[..] else { anyhow::bail!("{diagnosis:?}") };
    ensure!((-EXCURSION_NS - HOUR_NS..-EXCURSION_NS + HOUR_NS).contains(&back), "{diagnosis:?}");
    Ok(())
}

/// The daemon's own token is refused, too, from when it reads it anew after the way back: what it has to tell then waits until
/// kubelet has given it another.
fn told_to_the_cluster(rig: &Rig<'_>) -> Result<()> {
    // Of recoveries there are others as well, from before.
    until("all Events", || {
        rig.events("ClockJumped").len() == 2
            && rig.events("TokenNotYetValid").len() == PODS.len()
            && rig.events("ClockJumpRecovered").len() >= PODS.len()
    })?;
    let jumps = rig.events("ClockJumped");
    let note = |event: &Value| event["note"].as_str().unwrap_or_default().to_owned();
    for (jump, sign) in jumps.iter().zip(["+", "-"]) {
        let note = note(jump);
        ensure!(note.starts_with(&format!("The wall clock jumped by {sign}5")), "{note}");
        ensure!(note.contains(" (exactly), from 20") && note.contains(" of timejump-guest["), "{note}");
        println!("{note}");
    }
    let refused = rig.events("TokenNotYetValid");
    ensure!(refused.len() == PODS.len(), "one for each pod: {refused:?}");
    for pod in PODS {
        let of = refused.iter().find(|event| event["regarding"]["uid"] == uid(pod));
        let event = of.with_context(|| format!("no Event of {pod}: {refused:?}"))?;
        ensure!(event["regarding"]["kind"] == "Pod" && event["type"] == "Warning", "{event}");
        ensure!(event["metadata"]["namespace"] == event["regarding"]["namespace"], "{event}");
        ensure!(note(event).contains("remedy: restart kubelet"), "{event}");
        println!("{}", note(event));
    }
    let refusals = rig.apiserver.objects().history().iter().filter(|(_, status)| *status >= 400).count();
    ensure!(refusals == 0, "an Event was not as it must be: {:?}", rig.apiserver.objects().history());
    condition_is("False", rig)
}

fn condition_is(status: &str, rig: &Rig<'_>) -> Result<()> {
    let is_so = || rig.condition().is_some_and(|condition| condition["status"] == status);
    until("the Node's condition", is_so).with_context(|| format!("not {status}: {:?}", rig.condition()))
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Deadline::after(2 * TELLING);
    while !is_so() {
        ensure!(!deadline.passed(), "{what}: not within {:?}", 2 * TELLING);
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What somebody finds who comes when all is over, and finds no daemon.
fn diagnosis(rig: &Rig<'_>) -> Result<Diagnosis> {
    let root = rig.root.to_str().context("a path of text")?;
    let arguments = ["--kubelet-root", root, "--apiserver", &rig.apiserver.url()];
    Diagnosis::make(&rig.stage.bench.timejump, &arguments)
}

fn cured_by_a_restart(rig: &mut Rig<'_>, daemon: &mut Daemon) -> Result<()> {
    rig.restart_kubelet(LATE)?;
    let wanted = |impact: &&Impact| impact.kind == "token_not_yet_valid" && impact.state == "resolved";
    for impact in of_all(daemon, "six tokens accepted again", wanted)? {
        ensure!(impact.evidence["ended"] == "token_refreshed", "{impact:?}");
    }
    // The new pod's volumes were seen as directories, then mounted over, then written to.
    let deadline = Deadline::after(TELLING);
    loop {
        let tokens = tokens(&cli(rig, daemon))?;
        let of_late = tokens.iter().filter(|token| token["pod"]["name"] == LATE).count();
        if of_late == VOLUMES.len() {
            ensure!(tokens.iter().all(|token| token["state"] == "accepted"), "{tokens:?}");
            let diagnosis = diagnosis(rig)?;
            ensure!(diagnosis.status == 0 && diagnosis.jumps().is_empty(), "{diagnosis:?}");
            return Ok(());
        }
        ensure!(!deadline.passed(), "a pod that came later is not followed: {tokens:?}");
        sleep(Duration::from_millis(50));
    }
}

/// kubelet replaces tokens an hour late: those of ten minutes expire before, the others go stale.
fn node_alone(rig: &mut Rig<'_>, daemon: &mut Daemon) -> Result<()> {
    let line = daemon.lines()?.len();
    Way::ClockSettime.perform(&rig.stage.guest, -HOUR_NS)?;
    daemon.next_jump()?;
    for pod in PODS {
        let expires = daemon.wait_for_impact("what will expire", TELLING, line, |impact| {
            impact.kind == "token_expired" && impact.message.contains("from ") && is_of(impact, pod)
        })?;
        ensure!(expires.jump == 3 && expires.evidence["file"] == VOLUMES[1].1, "{expires:?}");
        ensure!(expires.confidence == "predicted", "it has not come to that yet: {expires:?}");
    }
    daemon.wait_for_impact("what will be stale", TELLING, line, |impact| impact.kind == "token_stale")?;
    let refused = daemon.impacts(line).find(|impact| impact.kind == "token_not_yet_valid");
    ensure!(refused.is_none(), "the apiserver has not moved: {refused:?}");
    Way::ClockSettime.perform(&rig.stage.guest, HOUR_NS)?;
    daemon.next_jump()?;
    for pod in PODS {
        let over = daemon.wait_for_impact("its end", TELLING, line, |impact| {
            impact.kind == "token_expired" && impact.state == "resolved" && is_of(impact, pod)
        })?;
        ensure!(over.evidence["ended"] == "clock_stepped", "{over:?}");
    }
    Ok(())
}

fn apiserver_alone(rig: &mut Rig<'_>, daemon: &mut Daemon) -> Result<()> {
    let line = daemon.lines()?.len();
    rig.step_apiserver(-2 * HOUR_NS)?;
    for pod in PODS {
        let refused = daemon.wait_for_impact("a refusal", TELLING, line, |impact| {
            impact.kind == "token_not_yet_valid" && is_of(impact, pod)
        })?;
        ensure!(refused.jump == 0, "no jump of this node did it: {refused:?}");
    }
    rig.step_apiserver(2 * HOUR_NS)?;
    for pod in PODS {
        daemon.wait_for_impact("its end", TELLING, line, |impact| {
            impact.kind == "token_not_yet_valid" && impact.state == "resolved" && is_of(impact, pod)
        })?;
    }
    Ok(())
}

fn is_of(impact: &Impact, pod: &str) -> bool {
    impact.evidence["token"].as_str().is_some_and(|token| token.contains(&uid(pod)))
}

/// Waits until there is such an impact of each token.
fn of_all(daemon: &mut Daemon, what: &str, wanted: impl Fn(&&Impact) -> bool) -> Result<Vec<Impact>> {
    let mut found = Vec::new();
    for pod in PODS {
        for (name, _) in VOLUMES {
            let of_token = |impact: &Impact| {
                let in_volume = |token: &str| token.contains(&format!("{}/{name}/", uid(pod)));
                wanted(&impact) && impact.evidence["token"].as_str().is_some_and(in_volume)
            };
            found.push(daemon.wait_for_impact(what, TELLING, 0, of_token)?);
        }
    }
    Ok(found)
}

/// Neither what the daemon wrote, nor its store, nor its memory holds a token's signature.
fn no_signature_anywhere(directory: &Path, core: &Path) -> Result<()> {
    let has = |text: &[u8], part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
    let dumped = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let dumped = dumped.filter(|path| path.to_string_lossy().starts_with(&*core.to_string_lossy())).count();
    ensure!(dumped == 1, "{dumped} core dumps at {}", core.display());
    let (mut left, mut files, mut told) = (vec![directory.to_owned()], 0, false);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        } else if path.is_file() {
            let text = fs::read(&path)?;
            files += 1;
            told |= path.to_string_lossy().contains("core") && has(&text, VOLUMES[0].0);
            ensure!(!has(&text, MARK), "a token's signature is in {}", path.display());
        }
    }
    ensure!(told && files > 3, "of {files} files none is a memory with tokens in it");
    Ok(())
}

/// A daemon on this node, which knows the apiserver's clock.
fn start_daemon(rig: &Rig<'_>) -> Result<Daemon> {
    let mut arguments: Vec<_> = rig.options().into();
    arguments.extend(rig.cluster_options()?);
    let daemon = rig.stage.daemon_with(&Options { arguments, ..Options::default() })?;
    rig.clock_is_known(&cli(rig, &daemon))?;
    Ok(daemon)
}

fn cli(rig: &Rig<'_>, daemon: &Daemon) -> Cli {
    Cli { timejump: rig.stage.bench.timejump.clone(), socket: daemon.socket() }
}
