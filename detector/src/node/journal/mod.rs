//! What systemd's journal witnesses of the wall clock, read without systemd.
//!
//! Each entry carries both clocks as journald read them together, once a turn of its event loop (`write_to_journal`,
//! systemd's src/journal/journald-server.c). Their difference stays the same unless somebody steps the wall clock, or
//! the node sleeps: slewing moves both alike, as the kernel derives both from one timekeeper (`timekeeping_adjust`). So
//! where it differs between neighbours of one boot there was a jump, of that size.
//!
//! Three forms are read, told apart by their content: journal files, and what `journalctl -o export` and `-o json` write.
//! Nobody vouches for their content. Whatever is damaged, cut off or still being written gives what can be read of it.

mod binary;
mod data;
mod entries;
mod export;
mod files;
mod fold;
mod gather;
mod json;
mod pages;
mod told;
mod wanted;
#[cfg(test)]
mod writer;

use std::path::PathBuf;

pub use files::{PLACES, is_journal};
pub use wanted::{Speaker, Wanted};

use crate::clock::{DeltaNs, WallNs};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What the wall clock showed. To the µs.
    pub wall: WallNs,
    /// `CLOCK_MONOTONIC`, ns since the boot without the time asleep. To the µs.
    pub monotonic_ns: u64,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When journald took it down, which may be a little after it was said.
    pub moment: Moment,
    /// The boot it was said in, 32 hexadecimal digits.
    pub boot_id: String,
    /// The process's name if journald vouches for it (`_COMM`, 15 bytes at most), else what it calls itself.
    pub identifier: String,
    /// What it calls itself (`SYSLOG_IDENTIFIER`), if it does. Anybody may call himself anything.
    pub claimed: Option<String>,
    /// Whether journald knows who spoke, or it was the kernel. Root may speak in the kernel's name (`/dev/kmsg`).
    pub trusted: bool,
    /// The process.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: Option<u32>,
    /// Its program.
    pub exe: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
    /// The text, at most 1 KiB of it.
    pub message: String,
}

/// A change of the difference of both clocks between neighbouring entries of a boot: a jump, or a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The last entry before it.
    pub before: Moment,
    /// The first entry after it.
    pub after: Moment,
    /// How far the wall clock moved beyond what elapsed. Of several jumps in between: their sum.
    pub delta: DeltaNs,
    /// How far `delta` may be off, ns: journald reads the clocks one after the other, to the µs. That is the usual worst;
    /// a machine that stood still between the two readings makes it more.
    pub error_ns: u64,
    /// The kernel or systemd spoke of sleep right there: then `delta` is, or holds, the time asleep.
    pub suspended: bool,
}

/// What is known of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootReading {
    /// 32 hexadecimal digits.
    pub boot_id: String,
    /// The entry with the least monotonic time.
    pub first: Moment,
    /// The entry with the greatest.
    pub last: Moment,
    /// Entries read, those that are in two places twice.
    pub entries: u64,
    /// By monotonic time.
    pub changes: Vec<Change>,
}

/// What the journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalReading {
    /// The oldest first, by journald's own numbers and not by the wall clock, as far as there are any.
    pub boots: Vec<BootReading>,
    /// What was wanted, by boot and monotonic time: of each speaker the first and the last, and what was said around
    /// changes.
    pub told: Vec<Record>,
    /// What was wanted and is not in `told` because there is too much of it: by speaker, how many.
    pub left_out: Vec<(String, u64)>,
    /// What wanted speakers said and is not known, as it is compressed: 512 bytes or more.
    pub compressed: u64,
    /// Entries read.
    pub entries: u64,
    /// Which of the paths were read at least in part.
    pub read: Vec<PathBuf>,
    /// What could not be read and why, at most a hundred.
    pub troubles: Vec<String>,
}

/// Reads files of a journal, and directories of them two levels deep: `/var/log/journal` or a machine's directory there.
/// Takes the time that it takes to read them.
pub fn read(paths: &[PathBuf], wanted: &Wanted) -> JournalReading {
    let mut troubles = files::Troubles::default();
    let sources = files::find(paths, &mut troubles);
    let mut gathered = gather::Gathered::new(wanted);
    let mut read = Vec::new();
    for source in sources {
        gathered.begin();
        let entries = gathered.entries();
        if let Err(trouble) = source.read(&mut gathered) {
            troubles.add(&source.path, &trouble);
        }
        if gathered.entries() > entries {
            read.push(source.path);
        }
    }
    gathered.finish(read, troubles)
}

#[cfg(test)]
mod tests;
