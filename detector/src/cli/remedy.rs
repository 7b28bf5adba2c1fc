//! Which remedies the daemon carries out.

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    cluster::ClusterArgs,
    exit::{self, Failure},
    select::parse_duration,
};
use crate::{
    daemon::RemedySettings,
    remedy::{Action, Allowances, Mode, Policy},
};

/// Which remedies to carry out.
#[derive(Clone, Debug, Args)]
pub(super) struct RemedyArgs {
    /// Carry out remedies for what an excursion of the clock has left behind: not at all; say what would be done; or do it
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    remedy: RemedyMode,
    /// What may be done
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = RemedyKind::ALL, value_name = "KINDS")]
    remedy_kinds: Vec<RemedyKind>,
    /// Only once the clock has held still for so long
    #[arg(long, default_value = "5m", value_parser = parse_duration, value_name = "TIME")]
    remedy_still_for: Duration,
    /// At most so many within an hour on this node; a restart of kubelet is one, and so is each pod
    #[arg(long, default_value_t = 3, value_name = "N")]
    remedy_per_hour: u32,
    /// Evict pods that are left alone by default
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHICH")]
    remedy_allow: Vec<RemedyAllow>,
    /// Act without a Lease, for a node that has no apiserver to ask: nobody then sees to it that one node acts at a time, and
    /// no pod is evicted
    #[arg(long)]
    remedy_without_lease: bool,
    /// The D-Bus address of the bus that systemd is on [default: unix:path=/run/dbus/system_bus_socket]
    #[arg(long, value_name = "ADDRESS")]
    remedy_dbus: Option<String>,
    /// The namespace of the Lease by which one node at a time carries out remedies
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// Whether to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum RemedyMode {
    /// No remedies
    #[default]
    Off,
    /// All but the act itself
    DryRun,
    /// The act as well
    Act,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RemedyKind {
    /// Restart kubelet, by systemd; containers go on running
    RestartKubelet,
    /// Evict the pods that suffer, where kubelet is not to be restarted
    Evict,
}

impl RemedyKind {
    pub(super) const ALL: [Self; 2] = [Self::RestartKubelet, Self::Evict];

    pub(super) fn action(self) -> Action {
        match self {
            Self::RestartKubelet => Action::RestartKubelet,
            Self::Evict => Action::EvictPod,
        }
    }
}

/// Pods that are left alone by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RemedyAllow {
    /// Pods of the priority classes of the system
    SystemCritical,
    /// Pods with an emptyDir, whose content is lost
    LocalData,
}

pub(super) fn allowances(allowed: &[RemedyAllow]) -> Allowances {
    Allowances {
        system_critical: allowed.contains(&RemedyAllow::SystemCritical),
        local_data: allowed.contains(&RemedyAllow::LocalData),
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl RemedyArgs {
    /// An error where nobody could see to it that one node acts at a time.
    pub(super) fn settings(&self, cluster: &ClusterArgs) -> Result<RemedySettings, Failure> {
        let mode = match self.remedy {
            RemedyMode::Off => return Ok(RemedySettings::default()),
            RemedyMode::DryRun => Mode::DryRun,
            RemedyMode::Act => Mode::Act,
        };
        let delivery = cluster.settings();
        let mut kinds: BTreeSet<Action> = self.remedy_kinds.iter().map(|kind| kind.action()).collect();
        let namespace = if self.remedy_without_lease {
            kinds.remove(&Action::EvictPod);
            None
        } else {
            if delivery.node_name.is_empty() || self.namespace.is_none() {
                let what = "--remedy needs --node-name and --namespace, for the Lease by which one node at a time acts; \
                            or --remedy-without-lease";
                return Err(Failure::new(exit::USAGE, what));
            }
            self.namespace.clone()
        };
        Ok(RemedySettings {
            policy: Some(Policy {
                mode,
                kinds,
                still_for_ns: nanoseconds(self.remedy_still_for),
                per_hour: Some(self.remedy_per_hour),
                allowed: allowances(&self.remedy_allow),
                by_hand: false,
            }),
            access: delivery.access,
            node_name: delivery.node_name,
            namespace,
            dbus: self.remedy_dbus.clone(),
            ..RemedySettings::default()
        })
    }
}
