//! What is on the node: its container runtime and kubelet, pods and containers, what they do with the CPU.

mod class;
mod facts;

pub use class::{StatsClass, Version};
pub use facts::{Container, ContainerState, Cpu, Kubelet, NodeFacts, Pod, Process, Runtime};
