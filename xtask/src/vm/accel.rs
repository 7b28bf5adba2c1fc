//! How a guest's processors are made.

use std::{fs, fs::OpenOptions, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{guest::Guest, life::Outcome};
use crate::{keep, layout::Layout};

/// How long a kernel that works at all may take under KVM.
const PROBE: Duration = Duration::from_secs(15);

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Wish {
    /// KVM where it works, or else TCG.
    #[default]
    Auto,
    /// The processor's own virtualisation.
    Kvm,
    /// Emulation: slow, works anywhere.
    Tcg,
}

/// What a guest runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    /// The processor's own virtualisation.
    Kvm,
    /// Emulation.
    Tcg,
}

impl Accel {
    /// The emulator's arguments.
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // One thread for all processors: with one each, a processor may run an instruction that another has just
            // patched (fentry hooks are patched into running code), and the guest dies of an int3 that nobody set.
            Self::Tcg => ["-accel", "tcg,thread=single", "-cpu", "max"],
        }
    }

    /// As files and figures have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// Settles what a guest runs with. A nested KVM may open and yet not run a stock kernel, so it is tried once.
    pub(super) fn choose(wish: Wish, guest: &Guest, layout: &Layout) -> Result<Self> {
        match wish {
            Wish::Kvm => return Ok(Self::Kvm),
            Wish::Tcg => return Ok(Self::Tcg),
            Wish::Auto => {}
        }
        if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Ok(Self::Tcg);
        }
        let memory = memory(guest, layout);
        let folder = memory.parent().context("the memory of probes has no folder")?;
        let _lock = keep::lock(folder)?;
        if let Ok(known) = fs::read_to_string(&memory) {
            return Ok(if known.trim() == Self::Kvm.name() { Self::Kvm } else { Self::Tcg });
        }
        let probe = guest.clone().command(["true"]).accel(Wish::Kvm).timeout(PROBE);
        let works =
            matches!(probe.run(layout, &mut std::io::sink(), &mut std::io::sink()), Ok(Outcome::Exited(0)));
        let accel = if works { Self::Kvm } else { Self::Tcg };
        eprintln!("xtask: kernel {} runs with {} from now on (tried once)", guest.kernel(), accel.name());
        fs::write(&memory, accel.name()).with_context(|| format!("cannot write {}", memory.display()))?;
        Ok(accel)
    }
}

fn memory(guest: &Guest, layout: &Layout) -> PathBuf {
    layout.vm().join("accel").join(guest.kernel().name())
}
