//! kubelet's `AtomicWriter` (pkg/volume/util/atomic_writer.go): the same calls in the same order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use jiff::Timestamp;

use crate::random::Random;

/// The link that is swapped.
const DATA: &str = "..data";
/// What it is swapped with.
const NEW_DATA: &str = "..data_tmp";

/// Files by their paths within the volume.
pub type Payload = BTreeMap<String, Vec<u8>>;

/// Writes one volume.
#[derive(Debug)]
pub struct AtomicWriter {
    volume: PathBuf,
    random: Random,
}

impl AtomicWriter {
    /// One for the volume at `volume`, which must be there. `seed`: of the digits in its directories' names.
    pub fn new(volume: &Path, seed: u64) -> Self {
        Self { volume: volume.to_owned(), random: Random(seed) }
    }

    /// The volume.
    pub fn volume(&self) -> &Path {
        &self.volume
    }

    /// Makes `payload` what is in the volume, while the node's wall clock shows `wall_ns`. Whether anything was done: not if
    /// it is that already.
    pub fn write(&mut self, payload: &Payload, wall_ns: i64) -> io::Result<bool> {
        let old = match fs::read_link(self.volume.join(DATA)) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let outdated = match &old {
            Some(old) => files(&self.volume.join(old))?,
            None => BTreeSet::new(),
        };
        if let Some(old) = &old
            && !differs(payload, &self.volume.join(old), &outdated)
        {
            return Ok(false);
        }
        let directory = self.make_directory(wall_ns)?;
        let path = self.volume.join(&directory);
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        for (name, bytes) in payload {
            let file = path.join(name);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&file, bytes)?;
            fs::set_permissions(&file, Permissions::from_mode(0o644))?;
        }
        let new = self.volume.join(NEW_DATA);
        symlink(&directory, &new)?;
        fs::rename(&new, self.volume.join(DATA))?;
        self.link_user_paths(payload)?;
        let wanted = first_components(payload.keys().map(Path::new));
        for gone in first_components(outdated.iter().map(PathBuf::as_path)).difference(&wanted) {
            fs::remove_file(self.volume.join(gone))?;
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.volume.join(old))?;
        }
        Ok(true)
    }

    /// Go's `os.MkdirTemp`: a random number of 32 bits, another if there is such a one.
    fn make_directory(&mut self, wall_ns: i64) -> io::Result<String> {
        let time = Timestamp::from_nanosecond(wall_ns.into()).map_err(io::Error::other)?;
        let time = time.strftime("..%Y_%m_%d_%H_%M_%S.").to_string();
        loop {
            let name = format!("{time}{}", self.random.next() >> 32);
            match fs::create_dir(self.volume.join(&name)) {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn link_user_paths(&self, payload: &Payload) -> io::Result<()> {
        for name in first_components(payload.keys().map(Path::new)) {
            let link = self.volume.join(&name);
            if link.symlink_metadata().is_err() {
                symlink(Path::new(DATA).join(&name), link)?;
            }
        }
        Ok(())
    }
}

/// Whether anything is not as it is in `directory`.
fn differs(payload: &Payload, directory: &Path, there: &BTreeSet<PathBuf>) -> bool {
    payload.iter().any(|(name, bytes)| fs::read(directory.join(name)).ok().as_ref() != Some(bytes))
        || there.iter().any(|name| name.to_str().is_none_or(|name| !payload.contains_key(name)))
}

fn first_components<'a>(paths: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
    let first = paths.filter_map(|path| match path.components().next()? {
        Component::Normal(first) => Some(PathBuf::from(first)),
        _ => None,
    });
    first.collect()
}

/// The files under `directory`, by their paths in it.
fn files(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut left = vec![PathBuf::new()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(directory.join(&next))? {
            let entry = entry?;
            let path = next.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}
