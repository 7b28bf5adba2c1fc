//! The proof of being inside a disposable guest, without which no clock can be stepped.
//!
//! Two independent marks are asked for. Both can be seen without any privilege, so that an unprivileged child can prove
//! it again for itself, and a machine that somebody uses has neither:
//! - the kernel was booted with the word `timejump.guest=1`, which only `cargo xtask vm` puts there;
//! - the root file system is the kernel's initial one, in memory: nothing outlives this machine.

use std::fs;

/// The word on the kernel's command line.
pub const COMMAND_LINE_WORD: &str = "timejump.guest=1";

/// `f_type` of a procfs: a directory that merely looks like `/proc` proves nothing.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// `f_type` of the two file systems that the kernel unpacks an initramfs into.
const INITRAMFS_MAGICS: [u64; 2] = [0x8584_58f6, 0x0102_1994];

/// Proof that this process runs in a guest whose clock may be stepped. [`InGuest::prove`] alone makes one.
#[derive(Debug)]
pub struct InGuest(());

/// Why this is no guest.
#[derive(Debug)]
pub struct NotInGuest(String);

impl std::fmt::Display for NotInGuest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not inside a timejump guest, so no clock will be touched: {}", self.0)
    }
}

impl std::error::Error for NotInGuest {}

impl InGuest {
    /// Looks for both marks.
    pub fn prove() -> Result<Self, NotInGuest> {
        if file_system("/proc")? != PROC_SUPER_MAGIC {
            return Err(NotInGuest("/proc is no procfs".into()));
        }
        let path = "/proc/cmdline";
        let command_line = fs::read_to_string(path).map_err(|e| NotInGuest(format!("{path}: {e}")))?;
        judge(&command_line, file_system("/")?).map(|()| Self(()))
    }
}

fn file_system(path: &str) -> Result<u64, NotInGuest> {
    let kind = rustix::fs::statfs(path).map_err(|e| NotInGuest(format!("{path}: {e}")))?.f_type;
    u64::try_from(kind).map_err(|e| NotInGuest(format!("{path}: {e}")))
}

/// The rule itself, apart from where its two inputs come from.
fn judge(command_line: &str, root_file_system: u64) -> Result<(), NotInGuest> {
    if !command_line.split_ascii_whitespace().any(|word| word == COMMAND_LINE_WORD) {
        return Err(NotInGuest(format!("the kernel's command line lacks the word {COMMAND_LINE_WORD}")));
    }
    if !INITRAMFS_MAGICS.contains(&root_file_system) {
        return Err(NotInGuest(format!("/ is no initramfs but a file system of type {root_file_system:#x}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: u64 = 0xef53;

    #[test]
    fn both_marks_are_needed() {
        let with_word = "console=ttyS0 timejump.guest=1 quiet\n";
        for initramfs in INITRAMFS_MAGICS {
            assert!(judge(with_word, initramfs).is_ok());
            assert!(judge("console=ttyS0 quiet\n", initramfs).is_err());
        }
        assert!(judge(with_word, EXT4).is_err());
    }

    #[test]
    fn the_word_must_stand_alone() {
        for line in ["timejump.guest=10", "xtimejump.guest=1", "timejump.guest=0", "a=timejump.guest=1", ""] {
            assert!(judge(line, INITRAMFS_MAGICS[0]).is_err(), "{line:?} passed");
        }
    }

    #[test]
    fn the_machine_that_runs_this_test_is_no_guest() {
        let refusal = InGuest::prove().expect_err("unit tests never run in a guest");
        assert!(refusal.to_string().contains("no clock will be touched"), "{refusal}");
    }
}
