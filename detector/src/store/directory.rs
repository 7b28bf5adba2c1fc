//! The state directory: who may write there, and the last number given, which outlives a damaged database.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

const DATABASE: &str = "timejump.db";
/// Locked while a daemon runs. Holds the number of the last jump that was told and the position of the last entry, twenty
/// digits each.
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
        database(&self.path)
    }

    /// The number of the last jump that was told, and the position of the last entry; 0 where that is not known.
    pub fn last_told(&self) -> (u64, u64) {
        let mut text = [0; 41];
        let read = self.lock.read_at(&mut text, 0).unwrap_or(0);
        let mut numbers = std::str::from_utf8(&text[..read]).unwrap_or("").split_ascii_whitespace();
        let mut next = || numbers.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        (next(), next())
    }

    /// Notes them. Of one length always, so that a full disk does not hinder it.
    pub fn note_last_told(&self, sequence: u64, position: u64) -> io::Result<()> {
        self.lock.write_all_at(format!("{sequence:020} {position:020}").as_bytes(), 0)
    }

    /// Whether the file that we hold locked is still where others would look for it.
    pub fn is_there(&self) -> bool {
        let found = fs::metadata(self.path.join(LOCK)).ok().map(|file| file.ino());
        found.is_some() && found == self.lock.metadata().ok().map(|file| file.ino())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where the database of a state directory is.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}
