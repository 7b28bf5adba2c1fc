//! Journal files as journald writes them (systemd's docs/JOURNAL_FILE_FORMAT.md; its src/libsystemd/sd-journal,
//! `journal-def.h`). All numbers are little-endian; objects begin at multiples of eight.

use std::fs::File;

use super::{
    data::{Fields, MESSAGE},
    entries::{Entries, Next},
    gather::{Gathered, Stamp},
    pages::{Missing, Pages},
};

const SIGNATURE: &[u8] = b"LPKSHHRH";
/// The header of the first version; what came later lies behind.
const HEADER: usize = 208;
/// XZ, LZ4, keyed hash, ZSTD: they concern what is not read here. Compact: offsets of 32 bits.
const KNOWN: u32 = 0b1_1111;
const COMPACT: u32 = 0b1_0000;
/// What lies before an entry's items.
const ENTRY: usize = 64;

/// The form of objects in this file.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) compact: bool,
}

/// What the header says.
pub(super) struct Header {
    pub(super) layout: Layout,
    unknown: u32,
    online: bool,
    series: [u8; 16],
    /// Where objects begin.
    pub(super) arena: u64,
    entries: u64,
    head_number: u64,
    /// The first array of entries; 0 if there is none.
    pub(super) entry_array: u64,
}

/// Whether a file that begins so is a journal file: the number of its series, and of its first entry.
pub(super) fn begins(start: &[u8]) -> Option<([u8; 16], u64)> {
    let header = header(start)?;
    Some((header.series, header.head_number))
}

fn header(start: &[u8]) -> Option<Header> {
    let start = start.get(..HEADER).filter(|start| start.starts_with(SIGNATURE))?;
    let unknown = number32(start, 12) & !KNOWN;
    Some(Header {
        layout: Layout { compact: number32(start, 12) & COMPACT != 0 },
        unknown,
        online: start[16] == 1,
        series: start[72..88].try_into().ok()?,
        arena: number(start, 88),
        entries: number(start, 152),
        head_number: number(start, 168),
        entry_array: number(start, 176),
    })
}

/// Reads all entries of a file. An error says what could not be read.
pub(super) fn read(file: File, length: u64, gathered: &mut Gathered) -> Result<(), String> {
    let mut pages = Pages::new(file, length);
    let mut start = [0; HEADER];
    let header = match pages.read(0, &mut start) {
        Ok(()) => header(&start).ok_or("no journal file")?,
        Err(missing) => return Err(missing.to_string()),
    };
    if header.unknown != 0 {
        return Err(format!("of a form that is not known: incompatible flags {:#x}", header.unknown));
    }
    let mut fields = Fields::new(header.layout, length);
    let mut entries = Entries::new(&header);
    let mut read = 0_u64;
    let mut stopped = None;
    loop {
        let (offset, size) = match entries.next(&mut pages) {
            Next::Entry { offset, size } => (offset, size),
            Next::End => break,
            Next::Failed(error) => {
                stopped = Some(error);
                break;
            }
        };
        match entry(&mut pages, offset, size, header.series, &mut fields, gathered) {
            Ok(()) => read += 1,
            Err(Missing::End) => entries.bad += 1,
            Err(Missing::Io(error)) => {
                stopped = Some(error);
                break;
            }
        }
    }
    let of = header.entries;
    if let Some(error) = stopped {
        return Err(format!("{read} of {of} entries read: {error}"));
    }
    // While journald writes to it there may be more or fewer than its header says.
    let short = read < of && (entries.scan || !header.online);
    if entries.bad > 0 || entries.found > 0 || short {
        let scanned = if entries.found > 0 { ", some of them found without its index" } else { "" };
        return Err(format!("damaged or cut off: {read} of {of} entries read{scanned}"));
    }
    Ok(())
}

fn entry(
    pages: &mut Pages,
    offset: u64,
    size: u64,
    series: [u8; 16],
    fields: &mut Fields,
    gathered: &mut Gathered,
) -> Result<(), Missing> {
    let mut fixed = [0; ENTRY];
    pages.read(offset, &mut fixed)?;
    let stamp = Stamp {
        boot: fixed[40..56].try_into().map_err(|_| Missing::End)?,
        realtime_us: number(&fixed, 24),
        monotonic_us: number(&fixed, 32),
        number: Some((series, number(&fixed, 16))),
    };
    let Some(seen) = gathered.see(&stamp) else { return Ok(()) };
    let notes =
        fields.of_entry(pages, &gathered.search, offset + ENTRY as u64, size.saturating_sub(ENTRY as u64))?;
    if notes.sleeps || (notes.kernel && notes.message.is_some_and(|(_, heard)| heard.sleep)) {
        gathered.slept(seen);
    }
    let speaker = notes.comm.or(notes.claimed);
    let Some((message, heard)) = notes.message else {
        if notes.compressed && speaker.is_some() {
            gathered.compressed();
        }
        return Ok(());
    };
    let wanted = heard.wanted
        || (speaker.is_some() && gathered.search.wants(speaker, fields.text(pages, message, MESSAGE)?));
    if wanted {
        let said = fields.said(pages, message)?;
        gathered.tell(seen, speaker, said);
    }
    Ok(())
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::End => f.write_str("cut off"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// The number of 64 bits at `at`; 0 where there is none.
pub(super) fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The number of 32 bits at `at`; 0 where there is none.
pub(super) fn number32(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
