//! Reads a token's file, and of it no more than header and payload.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, openat};
use zeroize::Zeroizing;

use super::{Claims, ClaimsError};

/// Larger ones are none: apiservers refuse headers that long.
const MOST_BYTES: usize = 64 << 10;
/// So much is read at once, and so much of a signature can be read along with the end of a payload. It is overwritten.
const CHUNK: usize = 512;

/// Why a file tells nothing of a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not a regular file")]
    NotAFile,
    #[error("larger than {} KiB", MOST_BYTES >> 10)]
    Large,
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl FileError {
    /// The file is something else, and rightly so.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Claims(ClaimsError::NotJwt | ClaimsError::Foreign))
    }

    /// It was there a moment ago.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The claims of the token in the file `path`. The signature is not kept, and what of it was read is overwritten.
pub(super) fn read(path: &Path) -> Result<Claims, FileError> {
    // Neither a link nor a pipe may keep us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(FileError::NotAFile);
    }
    let text = unsigned(file)?;
    let mut parts = text.split(|byte| *byte == b'.');
    let (Some(_header), Some(payload), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(ClaimsError::NotJwt.into());
    };
    Ok(Claims::decode(payload)?)
}

/// What is before the second dot, and the dot. Stops at the first byte that no JWT has.
fn unsigned(mut file: impl Read) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut text = Zeroizing::new(Vec::with_capacity(4 * CHUNK));
    let mut chunk = Zeroizing::new([0_u8; CHUNK]);
    let mut dots = 0;
    loop {
        let length = file.read(chunk.as_mut_slice())?;
        for byte in &chunk[..length] {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'.')) {
                return Ok(text);
            }
            text.push(*byte);
            dots += u8::from(*byte == b'.');
            if dots == 2 {
                return Ok(text);
            }
        }
        if length == 0 {
            return Ok(text);
        }
        if text.len() > MOST_BYTES {
            return Err(FileError::Large);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn nothing_after_the_second_dot_is_kept() {
        for (text, want) in [
            ("head.claims.signature", "head.claims."),
            ("head.claims.", "head.claims."),
            ("head.claims", "head.claims"),
            ("-----BEGIN CERTIFICATE-----\n", "-----BEGIN"),
            ("", ""),
        ] {
            assert_eq!(unsigned(text.as_bytes()).unwrap().as_slice(), want.as_bytes(), "{text}");
        }
        let long = vec![b'a'; MOST_BYTES + CHUNK];
        assert!(matches!(unsigned(long.as_slice()), Err(FileError::Large)));
    }

    #[test]
    fn files_that_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        symlink(&path, &path).unwrap();
        assert!(matches!(read(&path), Err(FileError::Io(_))), "a loop");
        fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap_err().is_gone());
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR).unwrap();
        assert!(matches!(read(&path), Err(FileError::NotAFile)), "a pipe");
        fs::remove_file(&path).unwrap();
        for (text, foreign) in [("opaque", true), ("a.b.c", false), ("\u{fffd}", true), ("e30.e30.x", true)] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap_err().is_foreign(), foreign, "{text}");
        }
    }
}
