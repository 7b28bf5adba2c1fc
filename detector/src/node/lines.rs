//! A stream line by line, each bounded.

use std::io::{BufRead, ErrorKind};

use memchr::memchr;

pub(in crate::node) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Bytes read so far.
    pub(in crate::node) read: u64,
}

/// A line, or what there is of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::node) struct Line<'a> {
    /// Without its end.
    pub(in crate::node) bytes: &'a [u8],
    /// It is longer than that.
    pub(in crate::node) cut: bool,
    /// It has an end. The last line of a stream that was cut off has none.
    pub(in crate::node) ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(in crate::node) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), read: 0 }
    }

    /// The next line, at most `most` bytes of it. Nothing at the end.
    pub(in crate::node) fn next(&mut self, most: usize) -> Result<Option<Line<'_>>, String> {
        self.line.clear();
        let (mut any, mut cut, mut ended) = (false, false, false);
        while !ended {
            let available = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            any = true;
            let end = memchr(b'\n', available);
            let taken = end.unwrap_or(available.len());
            let room = most.saturating_sub(self.line.len()).min(taken);
            self.line.extend_from_slice(&available[..room]);
            cut |= room < taken;
            ended = end.is_some();
            let used = taken + usize::from(ended);
            self.read += used as u64;
            self.reader.consume(used);
        }
        Ok(any.then_some(Line { bytes: &self.line, cut, ended }))
    }

    /// The next `length` bytes, at most `most` of them; the others are passed over. Nothing if there are fewer.
    pub(in crate::node) fn bytes(&mut self, length: u64, most: usize) -> Result<Option<&[u8]>, String> {
        self.line.clear();
        let mut left = length;
        while left > 0 {
            let available = match self.reader.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(available.len());
            let room = most.saturating_sub(self.line.len()).min(taken);
            self.line.extend_from_slice(&available[..room]);
            self.read += taken as u64;
            left -= taken as u64;
            self.reader.consume(taken);
        }
        Ok(Some(&self.line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_and_bytes_bounded() {
        let text = b"one\n\ntwo is longer\n12345678\nlast".as_slice();
        let mut lines = Lines::new(BufReader::with_capacity(3, text));
        let line = |bytes, cut, ended| Some(Line { bytes, cut, ended });
        assert_eq!(lines.next(8).unwrap(), line(b"one", false, true));
        assert_eq!(lines.next(8).unwrap(), line(b"", false, true));
        assert_eq!(lines.next(8).unwrap(), line(b"two is l", true, true));
        assert_eq!(lines.bytes(8, 4).unwrap(), Some(&b"1234"[..]));
        assert_eq!(lines.next(8).unwrap(), line(b"", false, true));
        assert_eq!(lines.next(8).unwrap(), line(b"last", false, false));
        assert_eq!(lines.next(8).unwrap(), None);
        assert_eq!(lines.bytes(1, 4).unwrap(), None);
        assert_eq!(lines.read, text.len() as u64);
    }
}
