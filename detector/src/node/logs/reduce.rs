//! A log without what is nobody's business: of each line its stamp, and the text of those that speak of the clock.

use std::{
    io::{self, Write},
    path::Path,
};

use memchr::memmem;

use super::{Lines, Words, audit, scan, stamp};

/// Of a line that is kept.
const LONGEST: usize = 512;

/// Writes what of the log at `path` is needed to find jumps in it. Lines with the stamp of the one before are left out unless
/// they say something.
pub fn reduce(path: &Path, words: &Words, out: &mut impl Write) -> io::Result<()> {
    let mut lines = Lines::open(path)?;
    let mut last = Vec::new();
    while let Some((_, line)) = lines.read()? {
        if speaks(line, words) {
            out.write_all(&line[..line.len().min(LONGEST)])?;
            out.write_all(b"\n")?;
            last.clear();
        } else if let Some(stamp) = stamp::text(line)
            && stamp != last
        {
            out.write_all(&stamp)?;
            out.write_all(b" -\n")?;
            last = stamp;
        }
    }
    Ok(())
}

/// Whether a line says something of the clock, of kubelet's cache or of a start. What looks like a token is not kept for that.
fn speaks(line: &[u8], words: &Words) -> bool {
    let has_token = memmem::find(line, b"eyJ").is_some();
    !has_token && (words.read(line).is_some() || scan::is_of_program(line) || audit::call(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_words_that_matter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let text = "Feb  4 23:44:00 redhat79 sshd[1]: password is hunter2\n\
                    Feb  4 23:44:00 redhat79 sshd[1]: and again\n\
                    Feb  4 23:44:00 redhat79 systemd: Time has been changed\n\
                    I0204 23:44:01.123456    3245 x.go:1] token=eyJhbGciOi.x.y\n\
                    E0204 23:44:02.5 1 x.go:1] zero or negative interval (1 - 2) eyJhbGciOi.x.y\n\
                    time=\"2024-02-04T15:44:03.5Z\" level=info msg=\"starting containerd\" version=1.6.20\n\
                    type=SYSCALL msg=audit(1707061440.123:45): exe=\"/bin/secret\"\n\
                    {\"kind\":\"Event\",\"stageTimestamp\":\"2024-02-04T15:44:05.763385Z\",\"user\":\"x\"}\n\
                    no stamp, and a secret\n";
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        reduce(&path, &Words::new(), &mut out).unwrap();
        let want = "Feb  4 23:44:00 -\n\
                    Feb  4 23:44:00 redhat79 systemd: Time has been changed\n\
                    I0204 23:44:01.123456 -\n\
                    I0204 23:44:02.5 -\n\
                    time=\"2024-02-04T15:44:03.5Z\" level=info msg=\"starting containerd\" version=1.6.20\n\
                    1707061440.123 -\n\
                    2024-02-04T15:44:05.763385Z -\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
