//! What is on the node: its container runtime and kubelet, pods and containers, what they do with the CPU, its
//! certificates; and the clock of the apiserver that it works for.

pub mod apiserver;
pub mod certificates;
mod class;
mod cpu;
pub mod cri;
pub mod docker;
mod facts;
pub mod journal;
pub mod kubelet_log;
mod lines;
pub mod logs;
mod look;
pub mod process;
pub mod summary;
pub mod tokens;
pub mod wtmp;
pub(crate) mod x509;

pub use certificates::{Certificate, CertificateRole};
pub use class::{StatsClass, Version};
pub use cpu::CpuTimes;
pub use facts::{
    Container, ContainerState, Cpu, Judge, JudgeSource, Kubelet, NodeFacts, Pod, Process, RateSource, Runtime,
};
pub use look::{Node, Places, RuntimeState};
