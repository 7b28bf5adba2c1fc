//! The one place that knows processors by name.

use anyhow::{Context, Result};
use goblin::elf::header::{EM_AARCH64, EM_X86_64};

/// One processor family, by the names that each tool has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arch {
    /// `bpf_target_arch` of the eBPF crates, and the name in Rust's target.
    pub rust: &'static str,
    /// Target of everything that runs in user space.
    pub target: &'static str,
    /// Debian's name.
    pub debian: &'static str,
    /// Where Debian keeps this family's libraries; what its cross compilers' names begin with.
    pub multiarch: &'static str,
    /// Debian's packages that compile C for it on machines of other families.
    pub cross: [&'static str; 2],
    /// Whether its C library relocates itself from the short form of relocations.
    pub packs_relocations: bool,
    /// The machine in the head of its ELF files.
    pub elf: u16,
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

/// All that timejump is built for.
pub const KNOWN: [Arch; 2] = [
    Arch {
        rust: "x86_64",
        target: "x86_64-unknown-linux-gnu",
        debian: "amd64",
        multiarch: "x86_64-linux-gnu",
        cross: ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
        packs_relocations: true,
        elf: EM_X86_64,
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
        cross: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        packs_relocations: true,
        elf: EM_AARCH64,
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

    /// Whether programs for it run on this machine as they are.
    pub fn is_host(&self) -> bool {
        self.rust == std::env::consts::ARCH
    }

    /// How to emulate it.
    pub fn machine(&self) -> Result<Machine> {
        self.machine.with_context(|| format!("there are no virtual machines for {} yet", self.rust))
    }

    /// Name of the variable by which cargo takes flags for the user-space target alone.
    pub fn rustflags_variable(&self) -> String {
        self.cargo_variable("RUSTFLAGS")
    }

    /// Name of the variable by which cargo takes the linker for the user-space target.
    pub fn linker_variable(&self) -> String {
        self.cargo_variable("LINKER")
    }

    fn cargo_variable(&self, what: &str) -> String {
        format!("CARGO_TARGET_{}_{what}", self.target.to_uppercase().replace('-', "_"))
    }

    /// Name of a variable by which build scripts that compile C take it for the user-space target alone: `CC`, `CFLAGS`.
    pub fn c_variable(&self, what: &str) -> String {
        format!("{what}_{}", self.target.replace('-', "_"))
    }
}
