//! The state directory: who may write there, and the last number given, which outlives a damaged database.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

const DATABASE: &str = "timejump.db";
/// Locked while a daemon runs. Holds the number of the last jump that was told, as twenty digits.
const LOCK: &str = "timejump.lock";

/// The state directory, held against other daemons for as long as this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be made.
    #[error("cannot make the state directory {path}: {error}")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its lock cannot be opened.
    #[error("cannot write to the state directory: {path}: {error}")]
    Lock {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another daemon holds it.
    #[error("another timejump uses the state directory {0}")]
    Taken(PathBuf),
}

impl Directory {
    /// Makes it if need be, and takes it.
    pub fn take(path: &Path) -> Result<Self, DirectoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| DirectoryError::Make { path: path.to_owned(), error })?;
        let file = path.join(LOCK);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(|error| DirectoryError::Lock { path: file.clone(), error })?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(Errno::WOULDBLOCK) => Err(DirectoryError::Taken(path.to_owned())),
            Err(error) => Err(DirectoryError::Lock { path: file, error: error.into() }),
        }
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The number of the last jump that was told; 0 where that is not known.
    pub fn last_told(&self) -> u64 {
        let mut digits = [0; 20];
        let read = self.lock.read_at(&mut digits, 0).unwrap_or(0);
        std::str::from_utf8(&digits[..read]).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Notes the number of the last jump that was told. Of one length always, so that a full disk does not hinder it.
    pub fn note_last_told(&self, sequence: u64) -> io::Result<()> {
        self.lock.write_all_at(format!("{sequence:020}").as_bytes(), 0)
    }
}

/// Where the database of a state directory is.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}
