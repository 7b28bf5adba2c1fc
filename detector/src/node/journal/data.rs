//! What an entry's fields mean, as far as it is of interest.
//!
//! An entry refers to its fields, and equal fields of all entries are one object. So most of what an entry refers to was
//! looked at before, and is remembered by its offset; what is new lies right before the entry.

use super::{
    binary::{Layout, number, number32},
    gather::{Said, speaks_of_sleep},
    pages::{Missing, Pages},
    wanted::Search,
};

const DATA: u8 = 1;
/// XZ, LZ4, ZSTD.
const COMPRESSED: u8 = 0b111;
/// Fields looked at of an entry (`ENTRY_FIELD_COUNT_MAX` of systemd).
const MOST_ITEMS: u64 = 1_024;
/// Places of the memory at most, 1.5 MiB: a power of two.
const REMEMBERED: u64 = 1 << 16;
/// Of a file, for so many bytes there is a place.
const BYTES_A_PLACE: u64 = 512;
/// Looked at to know what a field is.
const START: usize = 96;
/// A message of which nothing is known.
pub(super) const MESSAGE: Meaning = Meaning::Message(Heard { wanted: false, sleep: false });
/// Kept of a message, bytes.
pub(super) const MOST_TEXT: usize = 1_024;

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Other,
    Compressed,
    Kernel,
    /// `_COMM` of the speaker of this index, if it is one.
    Comm(Option<u16>),
    /// `_COMM=systemd-sleep`, which no wanted speaker is.
    Sleep(Option<u16>),
    Claimed(Option<u16>),
    Message(Heard),
    Pid,
    Uid,
    Exe,
    Unit,
}

/// What a message says, whoever says it. Remembered, so that one which comes again and again is read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// It is wanted of anybody.
    pub(super) wanted: bool,
    /// It speaks of sleep, if the kernel says so.
    pub(super) sleep: bool,
}

/// What an entry says of itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Notes {
    pub(super) comm: Option<usize>,
    pub(super) claimed: Option<usize>,
    pub(super) kernel: bool,
    pub(super) sleeps: bool,
    pub(super) message: Option<(u64, Heard)>,
    pub(super) compressed: bool,
}

pub(super) struct Fields {
    layout: Layout,
    remembered: Vec<(u64, Meaning)>,
    items: Vec<u8>,
    text: Vec<u8>,
    /// Of this entry: what means something, and where it is.
    means: Vec<(Meaning, u64)>,
}

impl Fields {
    pub(super) fn new(layout: Layout, length: u64) -> Self {
        let places = (length / BYTES_A_PLACE).clamp(1, REMEMBERED).next_power_of_two();
        let remembered = vec![(0, Meaning::Other); usize::try_from(places).unwrap_or(1)];
        Self { layout, remembered, items: Vec::new(), text: Vec::new(), means: Vec::new() }
    }

    /// Looks at the items of an entry: `size` bytes at `offset`.
    pub(super) fn of_entry(
        &mut self,
        pages: &mut Pages,
        search: &Search,
        offset: u64,
        size: u64,
    ) -> Result<Notes, Missing> {
        let width = if self.layout.compact { 4 } else { 16 };
        let bytes = size.min(MOST_ITEMS * width) / width * width;
        self.items.resize(usize::try_from(bytes).map_err(|_| Missing::End)?, 0);
        pages.read(offset, &mut self.items)?;
        self.means.clear();
        let mut notes = Notes::default();
        let mut at = 0;
        while at < self.items.len() {
            let item = if self.layout.compact {
                u64::from(number32(&self.items, at))
            } else {
                number(&self.items, at)
            };
            at += if self.layout.compact { 4 } else { 16 };
            let meaning = self.meaning(pages, search, item)?;
            match meaning {
                Meaning::Other => continue,
                Meaning::Compressed => notes.compressed = true,
                Meaning::Kernel => notes.kernel = true,
                Meaning::Comm(speaker) => notes.comm = notes.comm.or(speaker.map(usize::from)),
                Meaning::Sleep(speaker) => {
                    notes.comm = notes.comm.or(speaker.map(usize::from));
                    notes.sleeps = true;
                }
                Meaning::Claimed(speaker) => notes.claimed = notes.claimed.or(speaker.map(usize::from)),
                Meaning::Message(heard) => notes.message = Some((item, heard)),
                Meaning::Pid | Meaning::Uid | Meaning::Exe | Meaning::Unit => {}
            }
            self.means.push((meaning, item));
        }
        Ok(notes)
    }

    /// What the object at `offset` is. One that is none means nothing.
    fn meaning(&mut self, pages: &mut Pages, search: &Search, offset: u64) -> Result<Meaning, Missing> {
        let place = usize::try_from((offset >> 3) % self.remembered.len() as u64).unwrap_or(0);
        let (remembered, meaning) = self.remembered[place];
        if remembered == offset {
            return Ok(meaning);
        }
        let meaning = match self.payload(pages, offset, START) {
            Ok(Some(whole)) => match recognise(&self.text, whole, search) {
                Meaning::Message(_) => Meaning::Message(self.heard(pages, search, offset)?),
                meaning => meaning,
            },
            Ok(None) => Meaning::Compressed,
            Err(Missing::End) => Meaning::Other,
            Err(missing) => return Err(missing),
        };
        self.remembered[place] = (offset, meaning);
        Ok(meaning)
    }

    fn heard(&mut self, pages: &mut Pages, search: &Search, offset: u64) -> Result<Heard, Missing> {
        let text = self.text(pages, offset, MESSAGE)?;
        Ok(Heard { wanted: search.wants(None, text), sleep: speaks_of_sleep(text) })
    }

    /// Reads what is in a data object, at most `most` bytes of it, into `text`. Whether that is all; nothing if it is
    /// compressed.
    fn payload(&mut self, pages: &mut Pages, offset: u64, most: usize) -> Result<Option<bool>, Missing> {
        let before = if self.layout.compact { 72 } else { 64 };
        let mut fixed = [0; 16];
        pages.read(offset, &mut fixed)?;
        let length = number(&fixed, 8).checked_sub(before).ok_or(Missing::End)?;
        if fixed[0] != DATA || !offset.is_multiple_of(8) {
            return Err(Missing::End);
        }
        if fixed[1] & COMPRESSED != 0 {
            return Ok(None);
        }
        let taken = usize::try_from(length).unwrap_or(usize::MAX).min(most);
        self.text.resize(taken, 0);
        let at = offset.checked_add(before).ok_or(Missing::End)?;
        pages.read(at, &mut self.text)?;
        Ok(Some(taken as u64 == length))
    }

    /// The text of the field at `offset`, without its name.
    pub(super) fn text(
        &mut self,
        pages: &mut Pages,
        offset: u64,
        meaning: Meaning,
    ) -> Result<&[u8], Missing> {
        let name = meaning.name().len();
        self.payload(pages, offset, name + MOST_TEXT)?;
        Ok(self.text.get(name..).unwrap_or_default())
    }

    /// All that is told of the entry that was looked at last.
    pub(super) fn said(&mut self, pages: &mut Pages, message: u64) -> Result<Said, Missing> {
        let mut said = Said { message: self.string(pages, message, MESSAGE)?, ..Said::default() };
        for (meaning, offset) in std::mem::take(&mut self.means) {
            let mut string = || self.string(pages, offset, meaning);
            match meaning {
                Meaning::Comm(_) | Meaning::Sleep(_) => said.comm = Some(string()?),
                Meaning::Claimed(_) => said.claimed = Some(string()?),
                Meaning::Kernel => said.kernel = true,
                Meaning::Pid => said.pid = string()?.parse().ok(),
                Meaning::Uid => said.uid = string()?.parse().ok(),
                Meaning::Exe => said.exe = Some(string()?),
                Meaning::Unit => said.unit = Some(string()?),
                Meaning::Other | Meaning::Compressed | Meaning::Message(_) => {}
            }
        }
        Ok(said)
    }

    fn string(&mut self, pages: &mut Pages, offset: u64, meaning: Meaning) -> Result<String, Missing> {
        Ok(String::from_utf8_lossy(self.text(pages, offset, meaning)?).into_owned())
    }
}

impl Meaning {
    /// What a field of this meaning begins with.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Other | Self::Compressed => b"",
            Self::Kernel => b"_TRANSPORT=kernel",
            Self::Comm(_) | Self::Sleep(_) => b"_COMM=",
            Self::Claimed(_) => b"SYSLOG_IDENTIFIER=",
            Self::Message(_) => b"MESSAGE=",
            Self::Pid => b"_PID=",
            Self::Uid => b"_UID=",
            Self::Exe => b"_EXE=",
            Self::Unit => b"_SYSTEMD_UNIT=",
        }
    }
}

/// What a field is that begins so, `whole` if that is all of it.
fn recognise(start: &[u8], whole: bool, search: &Search) -> Meaning {
    let index = |speaker: Option<usize>| speaker.and_then(|speaker| u16::try_from(speaker).ok());
    let after = |of: Meaning| start.strip_prefix(of.name());
    if let Some(comm) = after(Meaning::Comm(None)) {
        let speaker = index(search.by_comm(comm).filter(|_| whole));
        return if comm == b"systemd-sleep" { Meaning::Sleep(speaker) } else { Meaning::Comm(speaker) };
    }
    if let Some(name) = after(Meaning::Claimed(None)) {
        return Meaning::Claimed(index(search.by_name(name).filter(|_| whole)));
    }
    if start == Meaning::Kernel.name() && whole {
        return Meaning::Kernel;
    }
    let others = [MESSAGE, Meaning::Pid, Meaning::Uid, Meaning::Exe, Meaning::Unit];
    others.into_iter().find(|of| start.starts_with(of.name())).unwrap_or(Meaning::Other)
}
