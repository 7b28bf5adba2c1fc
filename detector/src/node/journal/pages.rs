//! A file read here and there, with a bounded memory of what was read.
//!
//! It is not mapped: journald may cut a file short at any time, and touching what is gone would be a SIGBUS.

use std::{fs::File, io, os::unix::fs::FileExt};

const PAGE: usize = 32 << 10;
/// 2 MiB in all. An entry's new objects lie right before it, so nearly all is found here.
const SLOTS: usize = 64;
/// Each page is read so many times on average at most, which only a damaged file comes to.
const AGAIN: u64 = 32;

pub(super) struct Pages {
    file: File,
    length: u64,
    slots: Vec<Slot>,
    /// Pages that may still be read.
    budget: u64,
}

struct Slot {
    number: u64,
    bytes: Box<[u8]>,
    /// The last page has fewer.
    filled: usize,
}

/// Why bytes are not to be had.
#[derive(Debug)]
pub(super) enum Missing {
    /// They lie beyond the end.
    End,
    /// The system says so.
    Io(io::Error),
}

impl Pages {
    pub(super) fn new(file: File, length: u64) -> Self {
        let slots = (0..SLOTS).map(|_| Slot { number: u64::MAX, bytes: Box::default(), filled: 0 }).collect();
        Self { file, length, slots, budget: length / PAGE as u64 * AGAIN + 4_096 }
    }

    /// How long the file was when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `into` with what is at `offset`.
    pub(super) fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), Missing> {
        let end = offset.checked_add(into.len() as u64).filter(|end| *end <= self.length);
        end.ok_or(Missing::End)?;
        let (mut offset, mut into) = (offset, into);
        while !into.is_empty() {
            let within = usize::try_from(offset % PAGE as u64).map_err(|_| Missing::End)?;
            let page = self.page(offset / PAGE as u64)?;
            let bytes = page.get(within..).filter(|bytes| !bytes.is_empty()).ok_or(Missing::End)?;
            let taken = bytes.len().min(into.len());
            let (now, rest) = into.split_at_mut(taken);
            now.copy_from_slice(&bytes[..taken]);
            into = rest;
            offset += taken as u64;
        }
        Ok(())
    }

    fn page(&mut self, number: u64) -> Result<&[u8], Missing> {
        let index = usize::try_from(number % SLOTS as u64).unwrap_or(0);
        let slot = &mut self.slots[index];
        if slot.number != number {
            self.budget = self
                .budget
                .checked_sub(1)
                .ok_or_else(|| Missing::Io(io::Error::other("refers to and fro without end: damaged")))?;
            slot.number = u64::MAX;
            if slot.bytes.is_empty() {
                slot.bytes = vec![0; PAGE].into();
            }
            let start = number.saturating_mul(PAGE as u64);
            let mut filled = 0;
            while filled < PAGE {
                match self.file.read_at(&mut slot.bytes[filled..], start.saturating_add(filled as u64)) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Missing::Io(error)),
                }
            }
            slot.filled = filled;
            slot.number = number;
        }
        Ok(&slot.bytes[..slot.filled])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bytes_across_pages_and_none_beyond_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..3 * PAGE + 5).map(|at| u8::try_from(at % 251).unwrap()).collect();
        file.write_all(&content).unwrap();
        // It is told to be longer than it is, as one that is cut short meanwhile.
        let mut pages = Pages::new(file, content.len() as u64 + 10);
        for (offset, length) in [(0, 1), (PAGE - 3, 7), (PAGE - 3, 2 * PAGE + 8), (3 * PAGE, 5), (7, 0)] {
            let mut into = vec![0; length];
            pages.read(offset as u64, &mut into).unwrap();
            assert_eq!(into, content[offset..offset + length], "{length} at {offset}");
        }
        for offset in [content.len() as u64 - 1, content.len() as u64, u64::MAX - 1, u64::MAX] {
            assert!(matches!(pages.read(offset, &mut [0; 2]), Err(Missing::End)), "{offset}");
        }
    }

    #[test]
    fn to_and_fro_comes_to_an_end() {
        let file = tempfile::tempfile().unwrap();
        let length = (SLOTS + 1) * PAGE;
        file.set_len(length as u64).unwrap();
        let mut pages = Pages::new(file, length as u64);
        let far = (SLOTS * PAGE) as u64;
        let reads = (0..100_000).take_while(|turn| pages.read(far * (turn % 2), &mut [0; 8]).is_ok()).count();
        assert_eq!(reads, (SLOTS + 1) * 32 + 4_096);
        assert!(matches!(pages.read(0, &mut [0; 8]), Err(Missing::Io(_))));
    }
}
