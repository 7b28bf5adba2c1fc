//! A container runtime that is made up: serves the CRI on a Unix socket, for a node of pods and containers that do not
//! exist, with the faults of the real runtimes and others. What whoever asks runtimes is tested against.
//!
//! No clock is touched: the fake reads the machine's clocks, or ones that stand still, with an offset of its own that
//! [`Fake::jump`] changes.
//!
//! # Faithful to
//! | what | whose |
//! |---|---|
//! | no `usageNanoCores` at all | containerd up to 1.5; cri-dockerd `core/stats_linux.go` |
//! | the rate since the last ListContainerStats, with its poison | containerd 1.6 to 2.2 `container_stats_list.go`, `getUsageNanoCores` |
//! | the collector, ordered by a monotonic clock | containerd 2.3 `internal/cri/server/stats_collector.go`, `internal/cri/store/stats/timed_store.go` |
//! | the same, ordered by the wall clock | containerd 2.4.0-beta.0, the same files |
//! | the rate by any interval, and each sample replaced | CRI-O `internal/lib/stats/stats_server.go`, `updateUsageNanoCores` |
//! | ContainerStats without a rate, which moves no baseline | containerd `container_stats.go` |
//! | `CpuUsage.timestamp` is the runtime's wall clock at the call | containerd `services/tasks/local.go`, CRI-O `internal/config/cgmgr/stats_linux.go` |
//! | what has exited is listed without CPU; CRI-O leaves it out | the same |
//! | no started_at or finished_at that does not apply; reasons | containerd `container_status.go` |
//! | ids by a beginning that is the only one; filters | containerd `container_list.go` |
//! | lists in whole seconds, `Unknown` for what is not found | cri-dockerd, as the kubelet's dockershim before it (from memory) |
//!
//! # Not faithful
//! Lists are in the order of creation, where containerd's are in none. A counter that falls gives 0, as containerd has it
//! from 1.6.36, 1.7.22 and 2.0 on; a huge number before is not played. There are no stats of sandboxes. A hanging call is
//! answered with `DEADLINE_EXCEEDED` by the server as well once the client's deadline is over, if it sent one; a hanging
//! door never answers. `Garbage` converts floats as amd64 does.

mod absurd;
mod answers;
mod clock;
mod codec;
mod command;
mod manners;
mod names;
mod node;
mod runtime;
mod server;
mod service;
mod settings;
mod shared;
mod stats;
#[cfg(test)]
mod tests;

pub use clock::{Clock, Now};
pub use command::Command;
pub use manners::{Absurd, Door, Fault, Faulty, Manners};
pub use node::{Container, NewContainer, Node, Pod};
pub use runtime::{Api, Apis, Profile, Runtime};
pub use settings::{Ages, Settings};
pub use shared::Calls;
pub use stats::StatsKind;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard},
};

use anyhow::{Context, Result};
use timejump::deliver::locked;

use server::Life;
use shared::Shared;

/// A fake runtime. It ends when it is dropped.
#[derive(Debug)]
pub struct Fake {
    socket: PathBuf,
    shared: Arc<Shared>,
    life: Option<Life>,
}

impl Fake {
    /// Serves at `socket`, whatever was there.
    pub fn start(socket: &Path, settings: &Settings) -> Result<Self> {
        let shared = Arc::new(Shared::new(settings));
        let mut fake = Self { socket: socket.into(), shared, life: None };
        fake.up().with_context(|| format!("serving at {}", socket.display()))?;
        Ok(fake)
    }

    /// Where it serves.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The node behind it, to look at or to change. No call is answered while this is held.
    pub fn node(&self) -> MutexGuard<'_, Node> {
        locked(&self.shared.node)
    }

    /// Steps its wall clock.
    pub fn jump(&self, by: i64) {
        self.node().jump(by);
    }

    /// Lets time pass on its clocks.
    pub fn pass(&self, ns: i64) {
        self.node().pass(ns);
    }

    /// Changes how it misbehaves, for calls that wait as well.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        self.shared.manners.send_modify(change);
    }

    /// The process is gone: connections break, the socket is no more.
    pub fn down(&mut self) {
        if let Some(life) = self.life.take() {
            life.end();
        }
    }

    /// It is there again, and remembers containers but no rates.
    pub fn up(&mut self) -> io::Result<()> {
        if self.life.is_none() {
            self.node().restart();
            self.life = Some(Life::begin(&self.socket, Arc::clone(&self.shared))?);
        }
        Ok(())
    }

    /// Both.
    pub fn restart(&mut self) -> io::Result<()> {
        self.down();
        self.up()
    }

    /// The calls that came, since the start or since they were last forgotten.
    pub fn calls(&self) -> Calls {
        locked(&self.shared.calls).clone()
    }

    /// How often a method was called, by either API.
    pub fn called(&self, method: &str) -> u64 {
        let calls = locked(&self.shared.calls);
        calls.iter().filter(|(call, _)| call.rsplit('/').next() == Some(method)).map(|(_, times)| times).sum()
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        *locked(&self.shared.connections)
    }

    /// Counts anew.
    pub fn forget_calls(&self) {
        locked(&self.shared.calls).clear();
        *locked(&self.shared.connections) = 0;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.down();
    }
}
