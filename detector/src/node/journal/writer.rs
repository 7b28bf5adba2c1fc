//! Writes journal files for tests: as the format is described, without the hash tables, which nothing here reads.

use std::collections::HashMap;

const HEADER: usize = 272;

/// A journal file in the making.
pub(super) struct Journal {
    compact: bool,
    bytes: Vec<u8>,
    data: HashMap<Vec<u8>, usize>,
    /// Where each array of entries is, and how many entries it holds room for.
    arrays: Vec<(usize, usize)>,
    in_last: usize,
    entries: u64,
}

impl Journal {
    pub(super) fn new(compact: bool) -> Self {
        let bytes = vec![0; HEADER];
        Self { compact, bytes, data: HashMap::new(), arrays: Vec::new(), in_last: 0, entries: 0 }
    }

    /// An entry at these microseconds, with fields `NAME=text`.
    pub(super) fn entry(&mut self, boot: [u8; 16], realtime: u64, monotonic: u64, fields: &[&str]) {
        let mut items: Vec<usize> = fields.iter().map(|field| self.data(field.as_bytes(), 0)).collect();
        items.sort_unstable();
        self.entry_of(boot, realtime, monotonic, &items);
    }

    /// An entry whose fields are at these offsets.
    pub(super) fn entry_of(&mut self, boot: [u8; 16], realtime: u64, monotonic: u64, items: &[usize]) {
        self.entries += 1;
        let mut payload = Vec::new();
        for number in [self.entries, realtime, monotonic] {
            payload.extend(number.to_le_bytes());
        }
        payload.extend(boot);
        payload.extend(0x5555_u64.to_le_bytes());
        for item in items {
            self.offset(&mut payload, *item);
            if !self.compact {
                payload.extend(0x7777_u64.to_le_bytes());
            }
        }
        // An array is written before the entries it lists.
        if self.arrays.last().is_none_or(|(_, room)| self.in_last == *room) {
            let room = self.arrays.last().map_or(4, |(_, room)| room * 2);
            let width = if self.compact { 4 } else { 8 };
            let array = self.object(6, 0, &vec![0; 8 + room * width]);
            if let Some((last, _)) = self.arrays.last() {
                let at = last + 16;
                self.put(at, array as u64);
            }
            self.arrays.push((array, room));
            self.in_last = 0;
        }
        let entry = self.object(3, 0, &payload);
        let (array, _) = self.arrays[self.arrays.len() - 1];
        if self.compact {
            let at = array + 24 + 4 * self.in_last;
            self.bytes[at..at + 4].copy_from_slice(&u32::try_from(entry).unwrap().to_le_bytes());
        } else {
            self.put(array + 24 + 8 * self.in_last, entry as u64);
        }
        self.in_last += 1;
    }

    /// A data object of this content and these flags; the same again if there is one.
    pub(super) fn data(&mut self, content: &[u8], flags: u8) -> usize {
        if let Some(offset) = self.data.get(content) {
            return *offset;
        }
        let mut payload = vec![0; if self.compact { 56 } else { 48 }];
        payload.extend(content);
        let offset = self.object(1, flags, &payload);
        self.data.insert(content.to_vec(), offset);
        offset
    }

    /// The file in this state (0 offline, 1 online, 2 archived).
    pub(super) fn finish(mut self, state: u8) -> Vec<u8> {
        self.bytes[..8].copy_from_slice(b"LPKSHHRH");
        self.bytes[12] = if self.compact { 0b1_0100 } else { 0b0_1000 };
        self.bytes[16] = state;
        self.bytes[72..88].copy_from_slice(&[0xee; 16]);
        let (entries, first) = (self.entries, self.arrays.first().map_or(0, |(array, _)| *array as u64));
        for (at, number) in [(88, HEADER as u64), (152, entries), (160, entries), (168, 1), (176, first)] {
            self.put(at, number);
        }
        self.bytes
    }

    fn object(&mut self, kind: u8, flags: u8, payload: &[u8]) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let offset = self.bytes.len();
        self.bytes.extend([kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend((16 + payload.len() as u64).to_le_bytes());
        self.bytes.extend(payload);
        offset
    }

    fn offset(&self, payload: &mut Vec<u8>, offset: usize) {
        if self.compact {
            payload.extend(u32::try_from(offset).unwrap().to_le_bytes());
        } else {
            payload.extend((offset as u64).to_le_bytes());
        }
    }

    fn put(&mut self, at: usize, number: u64) {
        self.bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
}
