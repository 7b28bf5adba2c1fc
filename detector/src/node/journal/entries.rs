//! The entries of a journal file one after the other: by its chain of arrays and, where that is broken, by going from
//! object to object. journald only ever appends, so offsets rise: what does not is damage, and no loop is possible.

use std::io;

use super::{
    binary::{Header, Layout, number, number32},
    pages::{Missing, Pages},
};

const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;
/// What lies before an array's items: the object's header and where the next array is.
const ARRAY: u64 = 24;
/// Items read at once.
const BATCH: u64 = 512;
/// So many that are none, and the chain is given up.
const MOST_BAD: u64 = 10_000;
/// An object's header.
const SMALLEST: u64 = 16;

/// What comes next.
pub(super) enum Next {
    /// An entry, all of it within the file.
    Entry { offset: u64, size: u64 },
    /// There is no more.
    End,
    /// The file cannot be read.
    Failed(io::Error),
}

pub(super) struct Entries {
    layout: Layout,
    /// Entries that are none or not whole.
    pub(super) bad: u64,
    /// Entries that were found behind a broken chain.
    pub(super) found: u64,
    /// The next array.
    array: u64,
    /// Where the array ends that is being read: the next one lies behind.
    array_end: u64,
    /// Of this array: where the next batch is, and how many items are left.
    items_at: u64,
    items_left: u64,
    batch: Vec<u8>,
    batch_at: usize,
    /// The end of the last entry.
    past: u64,
    /// The chain is broken.
    pub(super) scan: bool,
}

impl Entries {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            layout: header.layout,
            bad: 0,
            found: 0,
            array: header.entry_array,
            array_end: header.arena,
            items_at: 0,
            items_left: 0,
            batch: Vec::new(),
            batch_at: 0,
            past: header.arena,
            scan: false,
        }
    }

    pub(super) fn next(&mut self, pages: &mut Pages) -> Next {
        loop {
            let found = if self.scan { self.scanned(pages) } else { self.listed(pages) };
            match found {
                Ok(Some(next)) => return next,
                Ok(None) => {}
                Err(Missing::End) if self.scan => return Next::End,
                Err(Missing::End) => {
                    self.scan = true;
                }
                Err(Missing::Io(error)) => return Next::Failed(error),
            }
        }
    }

    /// The next entry of the chain; nothing if what came was none.
    fn listed(&mut self, pages: &mut Pages) -> Result<Option<Next>, Missing> {
        let width = if self.layout.compact { 4 } else { 8 };
        if self.batch_at >= self.batch.len() {
            if self.items_left == 0 {
                if self.array == 0 {
                    return Ok(Some(Next::End));
                }
                self.next_array(pages, width)?;
                return Ok(None);
            }
            let items = self.items_left.min(BATCH);
            let bytes = usize::try_from(items * width).map_err(|_| Missing::End)?;
            self.batch.resize(bytes, 0);
            self.batch_at = 0;
            pages.read(self.items_at, &mut self.batch).inspect_err(|_| self.batch.clear())?;
            self.items_at += items * width;
            self.items_left -= items;
        }
        let offset = if self.layout.compact {
            u64::from(number32(&self.batch, self.batch_at))
        } else {
            number(&self.batch, self.batch_at)
        };
        self.batch_at += if self.layout.compact { 4 } else { 8 };
        if offset == 0 {
            // An array has room for entries to come; behind such an array there is none.
            return if self.array == 0 { Ok(Some(Next::End)) } else { Err(Missing::End) };
        }
        match object(pages, offset, self.past) {
            Ok((ENTRY, size)) => {
                self.past = offset + size;
                Ok(Some(Next::Entry { offset, size }))
            }
            Ok(_) | Err(Missing::End) => {
                self.bad += 1;
                if self.bad < MOST_BAD { Ok(None) } else { Err(Missing::End) }
            }
            Err(missing) => Err(missing),
        }
    }

    fn next_array(&mut self, pages: &mut Pages, width: u64) -> Result<(), Missing> {
        let offset = self.array;
        let mut link = [0; 8];
        let mut fixed = [0; 16];
        object_within(offset, self.array_end)?;
        pages.read(offset, &mut fixed)?;
        pages.read(offset + 16, &mut link)?;
        let size = number(&fixed, 8);
        if fixed[0] != ENTRY_ARRAY || size < ARRAY {
            return Err(Missing::End);
        }
        // It may be cut off: what is left of it is read.
        let end = offset.checked_add(size).ok_or(Missing::End)?;
        self.items_left = (end.min(pages.length()).saturating_sub(offset + ARRAY)) / width;
        self.items_at = offset + ARRAY;
        self.array = if end > pages.length() { 0 } else { number(&link, 0) };
        self.array_end = end;
        Ok(())
    }

    /// The next entry behind the last one, from object to object.
    fn scanned(&mut self, pages: &mut Pages) -> Result<Option<Next>, Missing> {
        let offset = self.past.checked_next_multiple_of(8).ok_or(Missing::End)?;
        let (kind, size) = object(pages, offset, self.past)?;
        self.past = offset + size;
        if kind != ENTRY {
            return Ok(None);
        }
        self.found += 1;
        Ok(Some(Next::Entry { offset, size }))
    }
}

/// The kind and size of the object at `offset`, which lies whole between `from` and the file's end.
fn object(pages: &mut Pages, offset: u64, from: u64) -> Result<(u8, u64), Missing> {
    object_within(offset, from)?;
    let mut fixed = [0; 16];
    pages.read(offset, &mut fixed)?;
    let size = number(&fixed, 8);
    let end = offset.checked_add(size).ok_or(Missing::End)?;
    if size < SMALLEST || end > pages.length() || (fixed[0] == ENTRY && size < 64) {
        return Err(Missing::End);
    }
    Ok((fixed[0], size))
}

fn object_within(offset: u64, from: u64) -> Result<(), Missing> {
    if offset.is_multiple_of(8) && offset >= from && offset <= u64::MAX - 64 {
        Ok(())
    } else {
        Err(Missing::End)
    }
}
