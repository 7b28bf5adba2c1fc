//! Which runtime the fake passes for.

use std::str::FromStr;

use clap::ValueEnum;

use super::stats::StatsKind;

/// A version of the runtime API. The messages that are answered here have the same tags in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `runtime.v1`.
    V1,
    /// `runtime.v1alpha2`.
    V1alpha2,
}

impl Api {
    /// As Version tells it, and calls are counted by.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1alpha2 => "v1alpha2",
        }
    }

    /// By the gRPC service's name.
    pub(super) fn of_service(service: &str) -> Option<Self> {
        match service {
            "runtime.v1.RuntimeService" => Some(Self::V1),
            "runtime.v1alpha2.RuntimeService" => Some(Self::V1alpha2),
            _ => None,
        }
    }
}

/// The versions served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Apis {
    /// Only `runtime.v1`.
    V1,
    /// Only `runtime.v1alpha2`.
    V1alpha2,
    /// Either.
    Both,
}

impl Apis {
    pub(super) fn serve(self, api: Api) -> bool {
        match self {
            Self::Both => true,
            Self::V1 => api == Api::V1,
            Self::V1alpha2 => api == Api::V1alpha2,
        }
    }
}

/// A runtime as it is found on nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// containerd 1.5.
    #[value(name = "containerd-1.5")]
    Containerd15,
    /// containerd 1.7.
    #[value(name = "containerd-1.7")]
    Containerd17,
    /// containerd 2.1.
    #[value(name = "containerd-2.1")]
    Containerd21,
    /// containerd 2.3.
    #[value(name = "containerd-2.3")]
    Containerd23,
    /// containerd 2.4.
    #[value(name = "containerd-2.4")]
    Containerd24,
    /// CRI-O.
    CriO,
    /// cri-dockerd, which passes itself off as docker.
    CriDockerd,
    /// One that nobody knows.
    Unknown,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// What Version says, and how stats are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `runtime_name`.
    pub name: String,
    /// `runtime_version`.
    pub version: String,
    /// The versions of the API that are served.
    pub apis: Apis,
    /// How it gets at rates.
    pub stats: StatsKind,
}

impl From<Profile> for Runtime {
    fn from(profile: Profile) -> Self {
        let (name, version, apis, stats) = match profile {
            Profile::Containerd15 => ("containerd", "v1.5.18", Apis::V1alpha2, StatsKind::None),
            Profile::Containerd17 => ("containerd", "v1.7.24", Apis::Both, StatsKind::Baseline),
            Profile::Containerd21 => ("containerd", "v2.1.4", Apis::V1, StatsKind::Baseline),
            Profile::Containerd23 => ("containerd", "v2.3.0", Apis::V1, StatsKind::Blip),
            Profile::Containerd24 => ("containerd", "v2.4.0-beta.0", Apis::V1, StatsKind::Frozen),
            Profile::CriO => ("cri-o", "1.30.0", Apis::V1, StatsKind::Garbage),
            Profile::CriDockerd => ("docker", "20.10.24", Apis::Both, StatsKind::None),
            Profile::Unknown => ("boxes", "0.0.1", Apis::V1, StatsKind::None),
        };
        Self { name: name.into(), version: version.into(), apis, stats }
    }
}

impl Runtime {
    pub(super) fn is_docker(&self) -> bool {
        self.name == "docker"
    }
}
