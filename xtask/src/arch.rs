//! The one place that knows processors by name.

use anyhow::{Context, Result};

/// One processor family, by the names that each tool has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arch {
    /// `bpf_target_arch` of the eBPF crates, and the name in Rust's target.
    pub rust: &'static str,
    /// Target of everything that runs in user space.
    pub target: &'static str,
    /// Debian's name.
    pub debian: &'static str,
    /// Where Debian keeps this family's libraries.
    pub multiarch: &'static str,
    /// Emulator, and how to make it a machine with four serial ports; none, if there are no guests for this one.
    pub machine: Option<Machine>,
}

/// How to emulate a machine of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Program.
    pub qemu: &'static str,
    /// Argument of `-M`.
    pub model: &'static str,
    /// Debian package that holds the program.
    pub package: &'static str,
    /// The kernel's name for the first serial port.
    pub console: &'static str,
}

const KNOWN: [Arch; 2] = [
    Arch {
        rust: "x86_64",
        target: "x86_64-unknown-linux-gnu",
        debian: "amd64",
        multiarch: "x86_64-linux-gnu",
        machine: Some(Machine {
            qemu: "qemu-system-x86_64",
            model: "pc",
            package: "qemu-system-x86",
            console: "ttyS0",
        }),
    },
    Arch {
        rust: "aarch64",
        target: "aarch64-unknown-linux-gnu",
        debian: "arm64",
        multiarch: "aarch64-linux-gnu",
        machine: None,
    },
];

impl Arch {
    /// The family that this program was built for.
    pub fn host() -> Result<Self> {
        let name = std::env::consts::ARCH;
        KNOWN
            .into_iter()
            .find(|arch| arch.rust == name)
            .with_context(|| format!("timejump is not built for {name}: add it to xtask/src/arch.rs"))
    }

    /// How to emulate it.
    pub fn machine(&self) -> Result<Machine> {
        self.machine.with_context(|| format!("there are no virtual machines for {} yet", self.rust))
    }

    /// Name of the variable by which cargo takes flags for the user-space target alone.
    pub fn rustflags_variable(&self) -> String {
        format!("CARGO_TARGET_{}_RUSTFLAGS", self.target.to_uppercase().replace('-', "_"))
    }
}
