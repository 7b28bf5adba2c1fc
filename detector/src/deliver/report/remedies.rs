//! What to do, in order, with the commands to type.

use maud::{Markup, html};

use super::{incident::Incident, words::telling};
use crate::{
    deliver::Status,
    impact::{Confidence, Remedy, State, command},
};

/// Pods that are named.
const PODS: usize = 20;

/// One remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    title: &'static str,
    why: &'static str,
    commands: Vec<String>,
    /// What it mends, and how many of each.
    mends: Vec<(String, u64)>,
    /// Pods that are not named.
    more: u64,
}

/// The remedies, if there are any.
pub(super) fn remedies(incident: &Incident, status: &Status) -> Markup {
    let steps: Vec<Step> = [Remedy::RestartKubelet, Remedy::DeletePod, Remedy::RestartRuntime, Remedy::Wait]
        .into_iter()
        .filter_map(|remedy| step(incident, status, remedy))
        .collect();
    let csi = csi_pods(incident, status);
    html! {
        @if !steps.is_empty() {
            section aria-labelledby="remedies" {
                h2 id="remedies" { "What to do" }
                ol class="remedies" {
                    @for step in &steps {
                        li {
                            h3 { (step.title) }
                            p { (step.why) }
                            @if !step.commands.is_empty() {
                                pre class="commands" tabindex="0" { code { (step.commands.join("\n")) } }
                            }
                            @if step.more > 0 { p class="fold" { "and " (step.more) " more" } }
                            p class="mends" {
                                "For: "
                                @for (n, (title, count)) in step.mends.iter().enumerate() {
                                    @if n > 0 { "; " }
                                    (title) " (" (count) ")"
                                }
                            }
                        }
                    }
                }
                @if csi > 0 {
                    p class="caveat" {
                        b { "Mind the mounts. " }
                        (csi) @if csi == 1 { " pod" } @else { " pods" }
                        " of this node mount volumes through CSI drivers, which a restart of kubelet may disturb. Deleting \
                         the pods that suffer is the safer way."
                    }
                }
                p class="note" { "timejump does nothing of this by itself, unless it is run with --remedy." }
            }
        }
    }
}

fn step(incident: &Incident, status: &Status, remedy: Remedy) -> Option<Step> {
    let lasts = |state, confidence| state == State::Open && confidence != Confidence::Refuted;
    let mut mends: Vec<(String, u64)> = Vec::new();
    for crowd in &incident.crowds {
        if crowd.remedy == remedy && lasts(crowd.state, crowd.confidence) {
            let title = telling(&crowd.kind).title;
            match mends.iter_mut().find(|(known, _)| known == title) {
                Some((_, count)) => *count += crowd.impacts,
                None => mends.push((title.to_owned(), crowd.impacts)),
            }
        }
    }
    if mends.is_empty() {
        return None;
    }
    let (title, why, commands, more) = match remedy {
        Remedy::RestartKubelet => (
            "Restart kubelet",
            "It forgets its tokens and its CPU samples, and takes new ones within two minutes. Containers go on running.",
            vec![command::restart(None, "kubelet")],
            0,
        ),
        Remedy::DeletePod => {
            let (commands, more) = deletions(incident);
            (
                "Delete the pods",
                "Their controllers make new ones, with new tokens, times and names.",
                commands,
                more,
            )
        }
        Remedy::RestartRuntime => (
            "Restart the container runtime",
            "It forgets its CPU samples. Containers go on running.",
            runtime_service(status).map(|usual| command::restart(None, usual)).into_iter().collect(),
            0,
        ),
        Remedy::Wait | Remedy::None => {
            ("Wait", "It ends by itself, when the clock has caught up.", Vec::new(), 0)
        }
    };
    Some(Step { title, why, commands, mends, more })
}

/// A command for each pod, and how many impacts are of pods that are not known here.
fn deletions(incident: &Incident) -> (Vec<String>, u64) {
    let mut commands: Vec<String> = Vec::new();
    let mut hidden = 0;
    for impact in &incident.impacts {
        let open = impact.state == State::Open && impact.confidence != Confidence::Refuted;
        let (Some(namespace), Some(name)) = (&impact.subject.namespace, &impact.subject.name) else {
            continue;
        };
        if impact.remedy != Remedy::DeletePod || !open {
            continue;
        }
        if let Some(command) = command::delete_pod(namespace, name)
            && !commands.contains(&command)
        {
            commands.push(command);
        }
    }
    for crowd in &incident.crowds {
        if crowd.remedy == Remedy::DeletePod && crowd.state == State::Open {
            hidden = hidden.max(crowd.pods);
        }
    }
    commands.truncate(PODS);
    let shown = u64::try_from(commands.len()).unwrap_or(u64::MAX);
    (commands, hidden.saturating_sub(shown))
}

/// By the name that the runtime gives itself.
fn runtime_service(status: &Status) -> Option<&'static str> {
    let runtime = status.daemon.as_ref()?.node.runtime.as_ref();
    runtime.map_or(Some("containerd"), |runtime| command::runtime_service(&runtime.name))
}

/// Pods that mount through CSI drivers: as the impacts say, or as the daemon knows now.
fn csi_pods(incident: &Incident, status: &Status) -> u64 {
    let said = incident.impacts.iter().filter_map(|impact| impact.evidence.get("csi_pods")?.as_u64()).max();
    let known = status.daemon.as_ref().map_or(0, |daemon| daemon.credentials.csi_pods);
    said.unwrap_or(0).max(known)
}
