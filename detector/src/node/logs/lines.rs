//! Lines of a file that may be anything, in bounded memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

/// What is beyond this of a line is dropped.
const LONGEST: usize = 64 << 10;
/// Of a file the last so many bytes are read: a node's day of logs, and more than that is of no use.
const MOST: u64 = 512 << 20;
const BUFFER: usize = 256 << 10;

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
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
        let mut lines = Self {
            reader: BufReader::with_capacity(BUFFER, file),
            line: Vec::new(),
            number: 0,
            cut: from > 0,
        };
        if lines.cut {
            // Half a line.
            lines.advance()?;
            lines.number = 0;
        }
        Ok(lines)
    }

    /// The next line, without its end, and its number, the first of what is read being 1; nothing at the end.
    pub fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        Ok(if self.advance()? { Some((self.number, &self.line)) } else { None })
    }

    /// Whether only the file's end is read.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let mut any = false;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(available.len());
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(&available[..taken.min(room)]);
            let used = taken + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        Ok(any)
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
        while let Some((number, line)) = lines.next().unwrap() {
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
