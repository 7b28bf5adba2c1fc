//! Opening the database: new, old, damaged, unwritable.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Directory, DirectoryError, Left, Retention, Store, directory, with_suffix};

/// Version of `schema.sql`.
const VERSION: i64 = 4;

/// What leads to each version from the one before, in their order.
const UPGRADES: [(i64, &str); 3] = [
    (2, include_str!("upgrade-2.sql")),
    (3, include_str!("upgrade-3.sql")),
    (4, include_str!("upgrade-4.sql")),
];

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The database.
    #[error("cannot open the store {path}: {error}")]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// A later version wrote it.
    #[error(
        "the store {path} was written by a later version of timejump (schema {found}, this one knows {})",
        VERSION
    )]
    Later {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// It is damaged and cannot be moved out of the way.
    #[error("the store {path} is damaged and cannot be set aside: {error}")]
    SetAside {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Opens the database in `directory`, and tells what an earlier run left. A damaged one is set aside.
pub fn open(directory: &Directory, retention: Retention) -> Result<(Store, Left), OpenError> {
    let path = directory.database();
    let failed = |error| OpenError::Database { path: path.clone(), error };
    let connection = match sound(&path) {
        Ok(connection) => connection,
        Err(error) if is_damage(&error) => {
            let aside = set_aside(&path)?;
            tracing::error!(
                "the store {} is damaged ({error}); it is now {}, and a new one is begun: jumps of the past are in \
                 the old one only (sqlite3's .recover may get them back)",
                path.display(),
                aside.display()
            );
            sound(&path).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    match found {
        0 => create(&connection).map_err(failed)?,
        VERSION => {}
        1..VERSION => {
            let upgrades = UPGRADES.iter().filter(|(to, _)| *to > found).map(|(_, statements)| *statements);
            upgrade(&connection, &upgrades.collect::<String>()).map_err(failed)?;
        }
        found => return Err(OpenError::Later { path, found }),
    }
    let store = Store::new(connection, Some(path.clone()), retention).map_err(failed)?;
    let mut left = store.left().map_err(failed)?;
    left.deliveries = store.deliveries().map_err(failed)?;
    let (sequence, position) = directory.last_told();
    left.last_sequence = left.last_sequence.max(sequence);
    left.last_position = left.last_position.max(position);
    if left.last_impact == 0 {
        // Each impact took a position at least, so that no number is given again.
        left.last_impact = left.last_position;
    }
    if left.last_remedy == 0 {
        left.last_remedy = left.last_position;
    }
    Ok((store, left))
}

/// What an earlier run left in a directory that cannot be written to.
pub fn peek(directory: &Path) -> Option<Left> {
    read_only(directory)?.ok()?.left().ok()
}

/// The store in `directory`, to be read and not to be touched; nothing if there is none.
pub fn read_only(directory: &Path) -> Option<rusqlite::Result<Store>> {
    let path = directory::database(directory);
    if !path.exists() {
        return None;
    }
    let open = |name: &str| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(name, flags)?;
        Store::new(connection, None, Retention::default())
    };
    // Where not even its log may be written, it is read as it is.
    Some(open(&path.to_string_lossy()).or_else(|_| open(&format!("file:{}?immutable=1", path.display()))))
}

/// Opens and looks whether it is whole. Command lines are in there: it is for its owner alone. (SQLite gives its log the
/// same mode.)
fn sound(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
        tracing::debug!("mode of {}: {error}", path.display());
    }
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; \
         PRAGMA journal_size_limit = 4194304;",
    )?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(connection) } else { Err(damage(verdict)) }
}

/// One that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch("PRAGMA cache_size = -512;")?;
    Ok(connection)
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    upgrade(connection, include_str!("schema.sql"))
}

/// All or nothing.
fn upgrade(connection: &Connection, statements: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT;"))
}

fn damage(message: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(message))
}

/// Whether the file itself is broken, as opposed to what keeps us from it.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Moves a database out of the way, to the first free name.
fn set_aside(path: &Path) -> Result<PathBuf, OpenError> {
    let aside = (1..10_000)
        .map(|number| with_suffix(path, &format!(".damaged-{number}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| with_suffix(path, ".damaged"));
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::SetAside { path: path.to_owned(), error });
            }
            _ => {}
        }
    }
    Ok(aside)
}
