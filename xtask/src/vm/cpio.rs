//! The archive format that kernels unpack into their first file system: cpio, "newc".

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
/// The kernel pads everything to this.
const ALIGNMENT: usize = 4;

/// Writes an archive, member by member.
#[derive(Debug)]
pub(super) struct Writer<W> {
    inner: W,
    inode: u32,
}

impl<W: Write> Writer<W> {
    /// An empty archive.
    pub(super) fn new(inner: W) -> Self {
        Self { inner, inode: 0 }
    }

    /// A folder; those above it must come first.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.member(path, DIRECTORY | 0o755, &[])
    }

    /// A file that anyone may read and run.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) -> io::Result<()> {
        self.member(path, FILE | 0o755, contents)
    }

    /// A symbolic link.
    pub(super) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.member(path, SYMLINK | 0o777, target.as_bytes())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.member("TRAILER!!!", 0, &[])?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn member(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(contents.len())
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is 4 GiB or more")))?;
        let name_size = path.len() + 1;
        // inode, mode, uid, gid, links, mtime, size, device ×2, special device ×2, size of the name, checksum
        let fields =
            [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, u32::try_from(name_size).unwrap_or(0), 0];
        let header =
            fields.iter().fold(String::from("070701"), |header, field| format!("{header}{field:08x}"));
        self.inner.write_all(header.as_bytes())?;
        self.inner.write_all(path.as_bytes())?;
        self.inner.write_all(&[0])?;
        self.pad(header.len() + name_size)?;
        self.inner.write_all(contents)?;
        self.pad(contents.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        let zeroes = written.next_multiple_of(ALIGNMENT) - written;
        self.inner.write_all(&[0; ALIGNMENT][..zeroes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_aligned() {
        let mut writer = Writer::new(Vec::new());
        writer.directory("a").unwrap();
        writer.file("a/b", b"vwxyz").unwrap();
        writer.symlink("c", "a/b").unwrap();
        let archive = writer.finish().unwrap();
        assert_eq!(archive.len() % 4, 0);
        let starts: Vec<_> =
            archive.windows(6).enumerate().filter(|(_, w)| w == b"070701").map(|(i, _)| i % 4).collect();
        assert_eq!(starts, [0; 4]);
        // header 110, name "a/b\0" 4, two zeroes, then the contents
        let at = archive.windows(4).position(|w| w == b"a/b\0").unwrap();
        assert_eq!(&archive[at + 4..at + 13], b"\0\0vwxyz\0\0");
    }
}
