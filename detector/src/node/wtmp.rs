//! wtmp: when the node booted and was shut down, and when somebody set its clock.
//!
//! Records of glibc's `struct utmp` one after the other. It has 384 bytes where programs of 32 bits share the file
//! (x86, `__WORDSIZE_TIME64_COMPAT32`), and 400 with times of 64 bits elsewhere, on aarch64 for one. Which it is, the
//! content tells. `date` and its like of some distributions, and ntpd's helpers, write a record before and one after they
//! set the clock; systemd writes those of boot and shutdown.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

use crate::clock::WallNs;

/// Of a file this much is read, its end.
const MOST: u64 = 64 << 20;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// The node booted.
    Boot,
    /// It was shut down.
    Shutdown,
    /// The clock is about to be set: what it showed.
    OldTime,
    /// The clock was set: what it shows.
    NewTime,
}

/// A record of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    /// What it says.
    pub kind: LoginKind,
    /// What the wall clock showed. To the µs, if the writer was as exact.
    pub wall: WallNs,
}

/// What wtmp says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginReading {
    /// In the order they were written.
    pub records: Vec<LoginRecord>,
    /// Records of any kind.
    pub seen: u64,
    /// What could not be read and why.
    pub troubles: Vec<String>,
}

/// How a record is laid out.
#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    /// Where its time is.
    time: usize,
    /// Seconds and microseconds have so many bytes each.
    width: usize,
}

const SHARED: Layout = Layout { size: 384, time: 340, width: 4 };
const WIDE: Layout = Layout { size: 400, time: 344, width: 8 };

/// Reads a file, at most the last 64 MiB of it.
pub fn read(path: &Path) -> LoginReading {
    match read_end(path) {
        Ok((start, bytes)) => {
            let mut reading = parse(start, &bytes);
            for trouble in &mut reading.troubles {
                *trouble = format!("{}: {trouble}", path.display());
            }
            reading
        }
        Err(error) => {
            LoginReading { troubles: vec![format!("{}: {error}", path.display())], ..LoginReading::default() }
        }
    }
}

/// The records as a file of their own, which says nothing of anybody who logged in.
pub fn write(records: &[LoginRecord]) -> Vec<u8> {
    let layout = SHARED;
    let mut bytes = Vec::with_capacity(records.len() * layout.size);
    for LoginRecord { kind, wall } in records {
        let mut record = vec![0_u8; layout.size];
        let (number, user): (u8, &[u8]) = match kind {
            LoginKind::Shutdown => (1, b"shutdown"),
            LoginKind::Boot => (2, b"reboot"),
            LoginKind::NewTime => (3, b""),
            LoginKind::OldTime => (4, b""),
        };
        record[0] = number;
        record[8] = b'~';
        record[44..44 + user.len()].copy_from_slice(user);
        // Records have been read from such a file: their times fit, unless they are beyond 2038 on another machine.
        let micros = wall.0 / 1_000;
        let seconds = i32::try_from(micros.div_euclid(1_000_000)).unwrap_or(i32::MAX);
        let rest = i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0);
        record[layout.time..layout.time + 4].copy_from_slice(&seconds.to_le_bytes());
        record[layout.time + 4..layout.time + 8].copy_from_slice(&rest.to_le_bytes());
        bytes.extend_from_slice(&record);
    }
    bytes
}

/// Where the end of the file begins, and the end.
fn read_end(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    // Opening a named pipe would wait for whoever writes to it.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = File::options().read(true).custom_flags(nonblock).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    let start = about.len().saturating_sub(MOST);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok((start, bytes))
}

/// Reads what lies at `start` of a file. Pure.
fn parse(start: u64, bytes: &[u8]) -> LoginReading {
    let mut reading = LoginReading::default();
    if start > 0 {
        reading.troubles.push(format!("the first {start} bytes are not read"));
    }
    let records = |layout: Layout| {
        // Records lie at multiples of their size.
        let size = layout.size as u64;
        let skip = usize::try_from(start.next_multiple_of(size) - start).unwrap_or(usize::MAX);
        bytes.get(skip..).unwrap_or_default().chunks(layout.size)
    };
    let sound = |layout: Layout| {
        // Read at the wrong places much is zero, which is a record that says nothing.
        let says = |record: &&[u8]| record.len() == layout.size && record[0] != 0;
        records(layout).filter(says).filter(|record| read_record(layout, record).is_ok()).count()
    };
    let layout = if sound(WIDE) > sound(SHARED) { WIDE } else { SHARED };
    let (mut bad, mut cut) = (0_u64, 0);
    for record in records(layout) {
        if record.len() < layout.size {
            cut = record.len();
            continue;
        }
        match read_record(layout, record) {
            Ok(of_interest) => {
                reading.seen += 1;
                reading.records.extend(of_interest);
            }
            Err(NoRecord) => bad += 1,
        }
    }
    if bad > 0 {
        reading.troubles.push(format!("{bad} records make no sense"));
    }
    if cut > 0 {
        reading.troubles.push(format!("{cut} bytes at the end are no record"));
    }
    reading
}

struct NoRecord;

/// Nothing if it is of no interest.
fn read_record(layout: Layout, record: &[u8]) -> Result<Option<LoginRecord>, NoRecord> {
    let text = |at: usize| {
        let field = record.get(at..at + 32).ok_or(NoRecord)?;
        field.split(|byte| *byte == 0).next().ok_or(NoRecord)
    };
    let number = |at: usize| -> Result<i64, NoRecord> {
        let at = record.get(at..).ok_or(NoRecord)?;
        if layout.width == 4 {
            at.first_chunk().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).ok_or(NoRecord)
        } else {
            at.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)).ok_or(NoRecord)
        }
    };
    let kind = record.first_chunk().map(|bytes| i16::from_le_bytes(*bytes)).ok_or(NoRecord)?;
    let (line, user) = (text(8)?, text(44)?);
    let readable = |text: &[u8]| text.iter().all(|byte| !byte.is_ascii_control());
    let (seconds, micros) = (number(layout.time)?, number(layout.time + layout.width)?);
    // EMPTY to ACCOUNTING; the padding behind the kind is zero; no year beyond 9999.
    let sound = (0..=9).contains(&kind)
        && record.get(2..4) == Some(&[0; 2])
        && readable(line)
        && readable(user)
        && (0..253_402_300_800).contains(&seconds)
        && (0..1_000_000).contains(&micros);
    if !sound {
        return Err(NoRecord);
    }
    let kind = match kind {
        1 if line == b"~" && user == b"shutdown" => LoginKind::Shutdown,
        2 => LoginKind::Boot,
        3 => LoginKind::NewTime,
        4 => LoginKind::OldTime,
        _ => return Ok(None),
    };
    let wall = WallNs((i128::from(seconds) * 1_000_000 + i128::from(micros)) * 1_000);
    Ok(Some(LoginRecord { kind, wall }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As `utmpdump -r` of util-linux writes it on x86_64 from text.
    const REAL: &[u8] = include_bytes!("../../../tests/fixtures/journal/wtmp");

    fn record(layout: Layout, kind: i16, line: &str, user: &str, seconds: i64) -> Vec<u8> {
        let mut record = vec![0; layout.size];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        record[8..8 + line.len()].copy_from_slice(line.as_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record[layout.time..][..layout.width].copy_from_slice(&seconds.to_le_bytes()[..layout.width]);
        record[layout.time + layout.width] = 7;
        record
    }

    #[test]
    fn what_is_written_is_read_again_and_names_nobody() {
        let read = parse(0, &day(WIDE));
        assert!(read.records.len() >= 3, "{read:?}");
        let written = write(&read.records);
        assert_eq!(parse(0, &written).records, read.records);
        assert!(day(WIDE).windows(4).any(|window| window == b"root"));
        assert!(!written.windows(4).any(|window| window == b"root"));
    }

    fn day(layout: Layout) -> Vec<u8> {
        let records = [
            (2, "~", "reboot", 1_707_177_601),
            (1, "~", "runlevel", 1_707_177_602),
            (7, "pts/0", "root", 1_707_177_700),
            (4, "|", "date", 1_707_177_800),
            (3, "{", "date", 1_711_929_800),
            (8, "pts/0", "", 1_711_929_900),
            (1, "~", "shutdown", 1_711_930_000),
        ];
        records.iter().flat_map(|(kind, line, user, at)| record(layout, *kind, line, user, *at)).collect()
    }

    fn kinds(reading: &LoginReading) -> Vec<(LoginKind, i128)> {
        reading.records.iter().map(|record| (record.kind, record.wall.0 / 1_000_000_000)).collect()
    }

    const DAY: [(LoginKind, i128); 4] = [
        (LoginKind::Boot, 1_707_177_601),
        (LoginKind::OldTime, 1_707_177_800),
        (LoginKind::NewTime, 1_711_929_800),
        (LoginKind::Shutdown, 1_711_930_000),
    ];

    #[test]
    fn both_layouts_are_told_apart() {
        for layout in [SHARED, WIDE] {
            let reading = parse(0, &day(layout));
            assert_eq!(kinds(&reading), DAY);
            assert_eq!((reading.seen, reading.troubles.len()), (7, 0));
            assert_eq!(reading.records[0].wall.0 % 1_000_000_000, 7_000);
        }
    }

    #[test]
    fn a_real_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wtmp");
        fs::write(&path, REAL).unwrap();
        let reading = read(&path);
        assert_eq!(kinds(&reading), DAY);
        assert_eq!((reading.seen, reading.troubles.len()), (7, 0));
    }

    #[test]
    fn what_is_cut_off_or_garbage_is_a_trouble() {
        let mut cut = day(SHARED);
        cut.truncate(384 * 5 + 100);
        let reading = parse(0, &cut);
        assert_eq!(kinds(&reading), DAY[..3]);
        assert_eq!(reading.troubles, ["100 bytes at the end are no record"]);

        let mut garbage = day(SHARED);
        garbage[384..768].fill(0xa5);
        let reading = parse(0, &garbage);
        assert_eq!(kinds(&reading), DAY);
        assert_eq!(reading.troubles, ["1 records make no sense"]);

        let reading = parse(0, &[0xff; 1_000]);
        assert_eq!((reading.seen, reading.troubles.len()), (0, 2));
        assert_eq!(parse(0, &[]), LoginReading::default());
    }

    #[test]
    fn of_the_end_only_whole_records_are_read() {
        let day = day(WIDE);
        let reading = parse(10, &day[10..]);
        assert_eq!(kinds(&reading), DAY[1..]);
        assert_eq!(reading.troubles, ["the first 10 bytes are not read"]);
    }

    #[test]
    fn what_is_not_there_says_so() {
        let reading = read(Path::new("/nonexistent/wtmp"));
        assert!(reading.troubles[0].starts_with("/nonexistent/wtmp: "), "{:?}", reading.troubles);
        assert!(read(Path::new("/dev/null")).troubles[0].ends_with("no regular file"));
    }
}
