//! What is in a guest: our programs, busybox, if wanted more of Debian, and what its first process is to do.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{modules::Modules, tree::Tree};
use crate::{containerd, debian::Release, kernels::Unpacked, kubernetes, layout::Layout, rivals, userland};

/// The guest's first process.
const INIT: &str = "timejump-init";
/// What tests run in a guest.
pub const PROGRAMS: [&str; 2] = ["timejump", "timejump-guest"];
/// Modules that any guest may find of use. A hypervisor's clock is a PTP device; there is none without KVM.
const MODULES: [&str; 1] = ["ptp_kvm"];

const TWO_RELEASES: &str = "one guest cannot have the libraries of two releases";

/// What one guest is to have.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Program and arguments.
    pub command: &'a [String],
    /// Variables for it.
    pub environment: &'a [(String, String)],
    /// Files: path in the guest, and here.
    pub files: &'a [(String, PathBuf)],
    /// Files to copy back: path in the guest, and here.
    pub fetched: &'a [(String, PathBuf)],
    /// Modules beyond the usual.
    pub modules: &'a [String],
    /// Whether Debian's programs are wanted.
    pub userland: bool,
    /// Whether bpftrace and auditd are wanted.
    pub rivals: bool,
    /// The release whose containerd is wanted.
    pub containerd: Option<Release>,
    /// Whether components of Kubernetes are wanted.
    pub kubernetes: bool,
}

impl Wanted<'_> {
    /// Gathers all of it.
    pub(super) fn gather(&self, layout: &Layout, kernel: &Unpacked) -> Result<Tree> {
        let mut tree = Tree::new();
        for path in ["dev", "proc", "sys", "run", "tmp", "root", "etc", "var/log", "var/lib"] {
            tree.directory(path);
        }
        tree.bytes("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n");
        tree.bytes("etc/group", "root:x:0:\nnogroup:x:65534:\n");
        userland::busybox(layout, &mut tree)?;
        if self.userland {
            userland::debian(layout, &mut tree)?;
        }
        if let Some(release) = self.containerd {
            ensure!(!self.userland && !self.rivals, "{TWO_RELEASES}");
            containerd::install(layout, release, &mut tree)?;
        }
        if self.rivals {
            ensure!(!self.userland, "{TWO_RELEASES}");
            rivals::install(layout, &mut tree)?;
        }
        if self.kubernetes {
            kubernetes::install(&mut tree)?;
        }
        let init = layout.program(INIT)?;
        ensure!(init.exists(), "{} is missing: run `cargo xtask build` first", init.display());
        tree.copy("init", init);
        for name in PROGRAMS {
            let program = layout.program(name)?;
            // A guest may be wanted before they are: a command that needs one will say so.
            if program.exists() {
                tree.copy(&format!("usr/bin/{name}"), program);
            }
        }
        for (path, from) in self.files {
            tree.copy(path, from);
        }
        self.instruct(&mut tree, kernel)?;
        Ok(tree)
    }

    /// Tells the first process what to do.
    fn instruct(&self, tree: &mut Tree, kernel: &Unpacked) -> Result<()> {
        ensure!(!self.command.is_empty(), "a guest needs a command");
        let usual = MODULES.into_iter().chain(self.containerd.map(|_| containerd::MODULE));
        let names: Vec<_> = usual.map(str::to_owned).chain(self.modules.iter().cloned()).collect();
        let modules = Modules::of(&kernel.modules())?.install(&names, tree)?;
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fetched: Vec<_> = self.fetched.iter().map(|(path, _)| path.clone()).collect();
        for (file, items) in [
            ("argv", self.command),
            ("fetch", fetched.as_slice()),
            ("environ", environment.as_slice()),
            ("modules.order", modules.as_slice()),
        ] {
            let mut bytes = Vec::new();
            for item in items {
                ensure!(!item.contains('\0'), "a guest's arguments and variables cannot hold a NUL");
                bytes.extend_from_slice(item.as_bytes());
                bytes.push(0);
            }
            tree.bytes(&format!("timejump/{file}"), bytes);
        }
        Ok(())
    }
}
