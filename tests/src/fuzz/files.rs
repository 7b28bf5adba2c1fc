//! Files that other programs write as they please: read as files, since that is what is read.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};
use timejump::node::journal::{self, BootReading, Wanted};
use timejump::node::wtmp;

/// Of a message 1 KiB is read; what of that is no UTF-8 is told by three bytes each.
const LONGEST_MESSAGE: usize = 3 * 1024;
/// Seconds of a time in the layout that [`wtmp::write`] writes.
const SHARED_LAYOUT: std::ops::RangeInclusive<i128> = i32::MIN as i128..=i32::MAX as i128;

/// A journal in any of its forms: what is said of a boot is in order, and follows from the entries that are named for it.
pub fn journal(bytes: &[u8]) {
    let wanted = Wanted::default();
    let read = |path: &Path| {
        let mut reading = journal::read(&[PathBuf::from(path)], &wanted);
        // That is the same file at each reading, and another one for whoever opens it anew.
        reading.read.clear();
        reading
    };
    as_file(bytes, |path| {
        let reading = read(path);
        assert!(reading.troubles.len() <= 101, "{}", reading.troubles.len());
        assert!(reading.boots.iter().map(|boot| boot.entries).sum::<u64>() <= reading.entries);
        assert!(reading.told.iter().all(|record| record.message.len() <= LONGEST_MESSAGE));
        reading.boots.iter().for_each(boot);
        assert_eq!(reading, read(path), "read again it says the same");
    });
}

fn boot(boot: &BootReading) {
    assert!(boot.first.monotonic_ns <= boot.last.monotonic_ns, "{boot:?}");
    for change in &boot.changes {
        let elapsed = i128::from(change.after.monotonic_ns) - i128::from(change.before.monotonic_ns);
        assert!(elapsed >= 0, "{change:?}");
        let moved = change.after.wall.0 - change.before.wall.0 - elapsed;
        // No clock of a kernel's goes as far as that.
        let told = moved.clamp(i64::MIN.into(), i64::MAX.into());
        assert!(told == i128::from(change.delta.0), "{change:?}");
    }
    let times: Vec<_> = boot.changes.iter().map(|change| change.before.monotonic_ns).collect();
    assert!(times.is_sorted(), "{boot:?}");
}

/// Records of boots and of set clocks: no more than there are, and those that fit are the same once written.
pub fn login_records(bytes: &[u8]) {
    let reading = as_file(bytes, wtmp::read);
    assert!(reading.records.len() as u64 <= reading.seen, "{reading:?}");
    let mut records = reading.records;
    records.retain(|record| SHARED_LAYOUT.contains(&record.wall.0.div_euclid(1_000_000_000)));
    if !records.is_empty() {
        assert_eq!(as_file(&wtmp::write(&records), wtmp::read).records, records);
    }
}

/// Has `read` read a file of these bytes, which is in memory.
fn as_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let file = memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("memory");
    let mut left = bytes;
    while !left.is_empty() {
        let written = rustix::io::write(&file, left).expect("room");
        left = &left[written..];
    }
    read(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
}
