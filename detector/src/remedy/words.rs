//! Remedies in words.

use super::{Action, Reason, Remediation};
use crate::impact::{Subject, command};

/// `restart kubelet`, `evict default/web-1`.
pub fn what(action: Action, subject: &Subject) -> String {
    let names = [subject.namespace.as_deref(), subject.name.as_deref()];
    let name: Vec<&str> = names.into_iter().flatten().collect();
    match action {
        Action::RestartKubelet => "restart kubelet".to_owned(),
        Action::EvictPod if name.is_empty() => "evict pods".to_owned(),
        Action::EvictPod => format!("evict {}", name.join("/")),
    }
}

/// What would be typed to do it; nothing for names that no shell should see.
pub fn command(action: Action, subject: &Subject, unit: Option<&str>) -> Option<String> {
    match action {
        Action::RestartKubelet => Some(command::restart(unit, "kubelet")),
        Action::EvictPod => command::delete_pod(subject.namespace.as_deref()?, subject.name.as_deref()?),
    }
}

impl Reason {
    /// Why, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::ClockMoved => "the clock has not held still for long enough",
            Self::ClockAway => {
                "the clock is away and may come back; nobody who keeps the time has found it right since it jumped"
            }
            Self::NotObserved => "the harm is foretold, and was not seen on this node",
            Self::RateLimit => "as much was done within the last hour as is allowed (--remedy-per-hour)",
            Self::CoolDown => "it failed a short while ago",
            Self::Lease => "it is another node's turn",
            Self::Apiserver => "the apiserver cannot be asked",
            Self::DisruptionBudget => "the pod's disruption budget does not allow it now",
            Self::Store => "the store cannot be written, so that what is done would not be remembered",
            Self::Correction => {
                "the jump put the clock right and ended no excursion: what a correction leaves behind is for people to look at"
            }
            Self::CauseUnknown => "it is not known which jump did the harm",
            Self::EndsSoon => "it is over within ten minutes anyway",
            Self::KindOff => "this kind of remedy is not wanted (--remedy-kinds)",
            Self::CsiMounts => {
                "pods here mount through CSI drivers, which a restart of kubelet may disturb, and no eviction is worth it"
            }
            Self::CsiUnknown => {
                "whether pods here mount through CSI drivers is not known, so kubelet is not restarted"
            }
            Self::NoKubelet => "no kubelet is seen on this node",
            Self::NoUnit => "kubelet is no service of systemd's here",
            Self::HoldsApiserver => {
                "an apiserver runs in the same service as kubelet, and would be restarted as well"
            }
            Self::BarePod => "nothing controls the pod: evicted, it would be gone for good",
            Self::StaticPod => "the pod is made by a file on this node: an eviction changes nothing",
            Self::OwnPod => "the pod is timejump's own",
            Self::SystemCritical => "the pod is critical to the system (--remedy-allow system-critical)",
            Self::JobPod => "the pod belongs to a Job, and its work would be lost",
            Self::OwnerUnknown => "what the pod's controller makes of an eviction is not known",
            Self::LocalData => {
                "the pod has an emptyDir, whose content would be lost (--remedy-allow local-data)"
            }
            Self::PodGone => "the pod is going, or another one by now",
            Self::NotNeeded => "what it was for is over",
            Self::Systemd => "systemd cannot be asked",
            Self::NotCured => "it was done, and what it was for is not over",
            Self::ClockJumped => "the clock jumped before it was seen whether it helped",
            Self::Interrupted => "timejump ended while it was being done",
            Self::GivenUp => "it failed too often; it is for people to look at",
        }
    }
}

impl Remediation {
    /// `restart kubelet`, `evict default/web-1`.
    pub fn what(&self) -> String {
        what(self.action, &self.subject)
    }
}
