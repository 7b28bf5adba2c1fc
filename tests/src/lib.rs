//! Tests that need a clock of their own: the scenarios that run inside a virtual machine, the harness that drives
//! `timejump run` there, and what the host needs to boot those machines and read their results.
//!
//! Everything that can step a clock takes a [`guard::InGuest`], which exists only inside such a machine.
//! [`feed`], [`cri`], [`kubelet`] and [`apiserver`] need none: they make jumps, container runtimes, token volumes and apiservers
//! up.

pub mod actor;
pub mod apiserver;
pub mod bench;
pub mod cgroup;
pub mod cli;
pub mod cluster;
pub mod collector;
pub mod cri;
pub mod daemon;
pub mod demo;
pub mod diagnosis;
pub mod feed;
pub mod fuzz;
pub mod guard;
pub mod idle;
pub mod kubelet;
pub mod lines;
pub mod node;
pub mod ntp;
pub mod random;
pub mod referee;
pub mod report;
pub mod role;
pub mod runner;
pub mod scenario;
pub mod stage;
pub mod step;
pub mod suite;
pub mod sys;
pub mod systemd;
