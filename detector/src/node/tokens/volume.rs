//! One projected volume: what its `..data` leads to.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use jiff::{civil::DateTime, tz::TimeZone};

use super::{Claims, file};
use crate::clock::WallNs;

/// Directories below each other in a volume's data: `path: a/b/token`.
const DEEPEST: usize = 4;
/// Files looked at in a volume.
const MOST_FILES: usize = 256;
/// How often a volume that changes while it is read is read again.
const TRIES: usize = 3;

/// What is in a projected volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// The directory that `..data` leads to; empty: none yet.
    pub data: Arc<str>,
    /// When that was made, by the node's wall clock as it then was.
    pub stamp: Option<WallNs>,
    /// Its tokens, by the file's path within the volume.
    pub tokens: Vec<(Arc<str>, Arc<Claims>)>,
    /// What cannot be told of it.
    pub troubles: Vec<String>,
}

/// Reads the volume at `path`. What is wrong with it is told in it.
pub fn read_volume(path: &Path) -> Volume {
    let mut volume = Volume::default();
    for _ in 0..TRIES {
        volume = read_once(path);
        // Swapped meanwhile: half of what was read may be of before.
        let now = data(path);
        if now.is_ok_and(|now| *now == *volume.data) {
            break;
        }
    }
    volume
}

fn read_once(path: &Path) -> Volume {
    let data = match data(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Volume::default(),
        Err(error) => {
            return Volume { troubles: vec![format!("..data: {error}")], ..Volume::default() };
        }
    };
    let mut volume = Volume { stamp: stamp(&data), data: data.as_str().into(), ..Volume::default() };
    if volume.stamp.is_none() {
        volume.troubles.push(format!("..data leads to {data:?}, which is no time"));
    }
    let root = path.join(&data);
    let mut files = Vec::new();
    if let Err(error) = collect(&root, DEEPEST, &mut files) {
        volume.troubles.push(format!("{data}: {error}"));
    }
    files.sort();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
        match file::read(&file) {
            Ok(claims) => volume.tokens.push((name.into(), Arc::new(claims))),
            // Certificates and names are there as well.
            Err(error) if error.is_foreign() && !name.ends_with("token") => {}
            Err(error) if error.is_gone() => {}
            Err(error) => volume.troubles.push(format!("{name}: {error}")),
        }
    }
    volume
}

/// The name of the directory that `..data` leads to.
fn data(path: &Path) -> io::Result<String> {
    let target = fs::read_link(path.join("..data"))?;
    let name = target.to_str().map(str::to_owned);
    let mut components = target.components();
    match (name, components.next(), components.next()) {
        (Some(name), Some(Component::Normal(_)), None) => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it leads out of the volume")),
    }
}

fn collect(directory: &Path, deepest: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if deepest > 1 {
                collect(&entry.path(), deepest - 1, files)?;
            }
        } else if files.len() < MOST_FILES {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// `..2024_03_31_15_57_54.3867697203`: UTC, to the second (atomic_writer.go: `newTimestampDir`).
pub(super) fn stamp(name: &str) -> Option<WallNs> {
    let (time, _) = name.strip_prefix("..")?.split_once('.')?;
    let mut numbers = time.split('_').map(|part| part.parse::<i16>().ok());
    let mut next = || numbers.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let small = |number: i16| i8::try_from(number).ok();
    let time =
        DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0)
            .ok()?;
    let time = TimeZone::UTC.to_timestamp(time).ok()?;
    Some(WallNs(time.as_nanosecond()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn directories_are_named_after_the_time() {
        let want = WallNs(1_711_900_674_000_000_000);
        assert_eq!(stamp("..2024_03_31_15_57_54.3867697203"), Some(want));
        for bad in
            ["..data", "..2024_03_31_15_57_54", "2024_03_31_15_57_54.1", "..2024_13_31_15_57_54.1", "..", ""]
        {
            assert_eq!(stamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_volume_with_everything_that_can_be_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(read_volume(path), Volume::default(), "nothing yet");
        let data = "..2024_03_31_15_57_54.1";
        fs::create_dir_all(path.join(data).join("a/b")).unwrap();
        let claims = URL_SAFE_NO_PAD.encode(r#"{"iat":1,"exp":2,"kubernetes.io":{}}"#);
        let write = |name: &str, text: &[u8]| fs::write(path.join(data).join(name), text).unwrap();
        write("a/b/vault", format!("e30.{claims}.c2lnbmF0dXJl").as_bytes());
        write("token", b"opaque");
        write("broken", b"e30.!!.x");
        write("huge-token", &vec![b'a'; 100 << 10]);
        write("cut-token", format!("e30.{}.x", &claims[..20]).as_bytes());
        write("odd-token", b"\xff\xfe.\x00.");
        write("ca.crt", b"-----BEGIN CERTIFICATE-----");
        symlink("loop-token", path.join(data).join("loop-token")).unwrap();
        symlink(data, path.join("..data")).unwrap();
        let volume = read_volume(path);
        assert_eq!(volume.stamp, Some(WallNs(1_711_900_674_000_000_000)));
        assert_eq!(volume.tokens.len(), 1, "{volume:?}");
        assert_eq!(&*volume.tokens[0].0, "a/b/vault");
        let troubles = volume.troubles.join("\n");
        for want in [
            "token: not a JWT",
            "huge-token: larger than",
            "cut-token: its payload",
            "loop-token: ",
            "odd-token: not",
        ] {
            assert!(troubles.contains(want), "{want}: {troubles}");
        }
        assert!(!troubles.contains("c2ln") && !troubles.contains("ca.crt"), "{troubles}");
    }

    #[test]
    fn data_that_leads_out_is_not_followed() {
        for target in ["../../etc", "/etc", "a/b", ".."] {
            let directory = tempfile::tempdir().unwrap();
            symlink(target, directory.path().join("..data")).unwrap();
            let volume = read_volume(directory.path());
            assert!(volume.troubles[0].contains("leads out of the volume"), "{target}: {volume:?}");
        }
    }
}
