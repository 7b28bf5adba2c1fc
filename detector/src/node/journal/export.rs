//! What `journalctl -o export` writes (systemd's docs/JOURNAL_EXPORT_FORMATS.md): a field a line, `NAME=text`; or, if the
//! text has other bytes than printable ones, `NAME`, its length in 64 bits, little-endian, and the bytes. An empty line ends an
//! entry.

use std::io::BufRead;

use super::{
    data::MOST_TEXT,
    gather::{Gathered, Said, Stamp, id, speaks_of_sleep},
};
use crate::node::lines::Lines;

/// A field of interest is no longer, with its name.
const LONGEST: usize = MOST_TEXT + 64;

/// An entry as it comes in.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    pub(super) said: Said,
    /// What it says, at most 1 KiB of it.
    pub(super) message: Vec<u8>,
    pub(super) has_message: bool,
    /// Fields there are.
    fields: usize,
}

/// Reads a stream to its end. An error says what could not be read.
pub(super) fn read(lines: &mut Lines<impl BufRead>, gathered: &mut Gathered) -> Result<(), String> {
    let mut entry = Entry::default();
    let mut name = Vec::new();
    let mut damaged = 0_u64;
    let cut_off = loop {
        let Some(line) = lines.next(LONGEST)? else { break false };
        if line.bytes.is_empty() {
            entry.end(gathered);
            entry = Entry::default();
        } else if !line.ended {
            break true;
        } else if let Some(at) = memchr::memchr(b'=', line.bytes) {
            entry.field(&line.bytes[..at], &line.bytes[at + 1..]);
        } else if line.cut
            || !line.bytes.iter().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(byte))
        {
            damaged += 1;
        } else {
            name.clear();
            name.extend_from_slice(line.bytes);
            let Some(length) = lines.bytes(8, 8)?.and_then(|bytes| bytes.first_chunk()) else { break true };
            let length = u64::from_le_bytes(*length);
            let Some(text) = lines.bytes(length, LONGEST)? else { break true };
            entry.field(&name, text);
            // The line's end behind it.
            match lines.next(LONGEST)? {
                None => break true,
                Some(end) => damaged += u64::from(!end.bytes.is_empty()),
            }
        }
    };
    if cut_off {
        return Err("cut off in the middle of an entry".into());
    }
    // The last entry of what journalctl writes has its empty line too; of what was pasted it may not.
    entry.end(gathered);
    if damaged > 0 { Err(format!("damaged: {damaged} lines make no sense")) } else { Ok(()) }
}

impl Entry {
    pub(super) fn field(&mut self, name: &[u8], text: &[u8]) {
        self.fields += 1;
        let string = || Some(String::from_utf8_lossy(&text[..text.len().min(MOST_TEXT)]).into_owned());
        match name {
            b"__REALTIME_TIMESTAMP" => self.stamp.realtime_us = number(text).unwrap_or(0),
            b"__MONOTONIC_TIMESTAMP" => self.stamp.monotonic_us = number(text).unwrap_or(u64::MAX),
            b"_BOOT_ID" => self.stamp.boot = id(text).unwrap_or_default(),
            b"__CURSOR" => self.stamp.number = cursor(text),
            b"MESSAGE" => {
                self.message.clear();
                self.message.extend_from_slice(&text[..text.len().min(MOST_TEXT)]);
                self.has_message = true;
            }
            b"_COMM" => self.said.comm = string(),
            b"SYSLOG_IDENTIFIER" => self.said.claimed = string(),
            b"_TRANSPORT" => self.said.kernel = text == b"kernel",
            b"_PID" => self.said.pid = number(text).and_then(|pid| u32::try_from(pid).ok()),
            b"_UID" => self.said.uid = number(text).and_then(|uid| u32::try_from(uid).ok()),
            b"_EXE" => self.said.exe = string(),
            b"_SYSTEMD_UNIT" => self.said.unit = string(),
            _ => {}
        }
    }

    /// It is complete.
    pub(super) fn end(&mut self, gathered: &mut Gathered) {
        if self.fields == 0 {
            return;
        }
        let Some(seen) = gathered.see(&self.stamp) else { return };
        let comm = self.said.comm.as_deref();
        let sleeps = comm == Some("systemd-sleep");
        if sleeps || (self.said.kernel && speaks_of_sleep(&self.message)) {
            gathered.slept(seen);
        }
        let search = &gathered.search;
        let by_comm = comm.and_then(|comm| search.by_comm(comm.as_bytes()));
        let claimed = self.said.claimed.as_deref();
        let speaker = by_comm.or_else(|| claimed.and_then(|name| search.by_name(name.as_bytes())));
        if self.has_message && search.wants(speaker, &self.message) {
            let mut said = std::mem::take(&mut self.said);
            said.message = String::from_utf8_lossy(&self.message).into_owned();
            gathered.tell(seen, speaker, said);
        }
    }
}

/// The series and number in `s=…;i=…;b=…`, both hexadecimal.
pub(super) fn cursor(text: &[u8]) -> Option<([u8; 16], u64)> {
    let mut parts = text.split(|byte| *byte == b';');
    let series = id(parts.next()?.strip_prefix(b"s=")?)?;
    let number = std::str::from_utf8(parts.next()?.strip_prefix(b"i=")?).ok()?;
    Some((series, u64::from_str_radix(number, 16).ok()?))
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
