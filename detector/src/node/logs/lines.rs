//! Lines of a file that may be anything, in bounded memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

use crate::node::lines;

/// What is beyond this of a line is dropped.
const LONGEST: usize = 64 << 10;
/// Of a file the last so many bytes are read: a node's day of logs, and more than that is of no use.
const MOST: u64 = 512 << 20;
const BUFFER: usize = 256 << 10;

/// The lines of a file.
pub struct Lines {
    reader: lines::Lines<BufReader<File>>,
    number: u64,
    cut: bool,
}

impl Lines {
    /// Those of a regular file. Anything else is an error: reading from a pipe would take what is meant for others.
    pub fn open(path: &Path) -> io::Result<Self> {
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let mut file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        let from = about.len().saturating_sub(MOST);
        file.seek(SeekFrom::Start(from))?;
        let reader = BufReader::with_capacity(BUFFER, file);
        let mut lines = Self { reader: lines::Lines::new(reader), number: 0, cut: from > 0 };
        if lines.cut {
            // Half a line.
            lines.read()?;
            lines.number = 0;
        }
        Ok(lines)
    }

    /// The next line, without its end, and its number, the first of what is read being 1; nothing at the end.
    pub fn read(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let line = self.reader.next(LONGEST).map_err(io::Error::other)?;
        self.number += u64::from(line.is_some());
        Ok(line.map(|line| (self.number, line.bytes)))
    }

    /// Whether only the file's end is read.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length_and_no_pipes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, format!("a\n\n{}\nlast", "x".repeat(LONGEST * 5))).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        let mut read = Vec::new();
        while let Some((number, line)) = lines.read().unwrap() {
            read.push((number, line.len()));
        }
        assert_eq!(read, [(1, 1), (2, 0), (3, LONGEST), (4, 4)]);
        assert!(!lines.is_cut());
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        assert!(Lines::open(&pipe).is_err());
        assert!(Lines::open(directory.path()).is_err());
    }
}
