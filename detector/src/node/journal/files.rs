//! Which files there are, and which form each has.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use memchr::memmem;
use rustix::fs::OFlags;

use super::{binary, export, gather::Gathered, json};
use crate::node::lines::Lines;

/// Where journald keeps its journals: the lasting one and that of this boot. In each a directory a machine.
pub const PLACES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Paths read at most. journald keeps a hundred (`SystemMaxFiles`), of each user as many.
const MOST_FILES: usize = 4_096;
/// Troubles kept.
const MOST_TROUBLES: usize = 100;

/// What could not be read and why, bounded.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    texts: Vec<String>,
    more: u64,
}

impl Troubles {
    pub(super) fn add(&mut self, path: &Path, what: &str) {
        self.say(format!("{}: {what}", path.display()));
    }

    pub(super) fn say(&mut self, what: String) {
        if self.texts.len() < MOST_TROUBLES - 1 {
            self.texts.push(what);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.texts.push(format!("{} troubles more", self.more));
        }
        self.texts
    }
}

/// A file that was there when it was looked for, and the form it has.
pub(super) struct Source {
    pub(super) path: PathBuf,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Binary { series: [u8; 16], number: u64 },
    Export,
    Json,
}

impl Source {
    /// Opens it again, so that no more than one is open at a time, and reads it to its end. An error says what could not
    /// be read.
    pub(super) fn read(&self, gathered: &mut Gathered) -> Result<(), String> {
        let (mut file, form) = open(&self.path)?;
        file.rewind().map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let lines = |file| Lines::new(BufReader::with_capacity(128 << 10, file));
        match form {
            Form::Binary { .. } => binary::read(file, length, gathered),
            Form::Export => export::read(&mut lines(file), gathered),
            Form::Json => json::read(&mut lines(file), gathered),
        }
    }
}

/// What is to be read, in the order it was written as far as that can be told beforehand.
pub(super) fn find(paths: &[PathBuf], troubles: &mut Troubles) -> Vec<Source> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { list(path, 2, &mut found, troubles) } else { found.push(path.clone()) }
    }
    found.truncate(MOST_FILES + 1);
    if found.len() > MOST_FILES {
        troubles.say(format!("more than {MOST_FILES} files: the others are not read"));
        found.truncate(MOST_FILES);
    }
    let mut sources = Vec::new();
    for path in found {
        match open(&path) {
            Ok((_, form)) => sources.push(Source { path, form }),
            Err(what) => troubles.add(&path, &what),
        }
    }
    // Files of one series by their first number; they hold no further numbers than the next one's first.
    sources.sort_by_key(|source| source.form);
    sources
}

/// Journal files in `directory`, and in those in it. A name's tilde marks what journald gave up as damaged.
fn list(directory: &Path, depth: usize, found: &mut Vec<PathBuf>, troubles: &mut Troubles) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return troubles.add(directory, &error.to_string()),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".journal") || name.ends_with(".journal~") {
            if found.len() <= MOST_FILES {
                found.push(path);
            }
        } else if depth > 1 && path.is_dir() {
            list(&path, depth - 1, found, troubles);
        }
    }
}

/// Whether a file begins as a journal does, in one of the forms that are read. Of JSON only if it has a field of journald's
/// own near its beginning: others log JSON as well.
pub fn is_journal(path: &Path) -> bool {
    let is_ours = |start: &[u8]| match recognise(start) {
        Ok(Form::Json) => memmem::find(start, b"\"_").is_some(),
        found => found.is_ok(),
    };
    begin(path).is_ok_and(|(_, start)| is_ours(&start))
}

/// Opens a file and tells its form from how it begins.
fn open(path: &Path) -> Result<(File, Form), String> {
    let (file, start) = begin(path).map_err(|error| error.to_string())?;
    Ok((file, recognise(&start)?))
}

/// Opens a file and reads how it begins.
fn begin(path: &Path) -> io::Result<(File, Vec<u8>)> {
    // Opening a named pipe would wait for whoever writes to it.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(nonblock).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    let mut start = Vec::new();
    (&file).take(256).read_to_end(&mut start)?;
    Ok((file, start))
}

fn recognise(start: &[u8]) -> Result<Form, String> {
    if start.is_empty() {
        return Err("is empty".into());
    }
    if let Some((series, number)) = binary::begins(start) {
        return Ok(Form::Binary { series, number });
    }
    let text = start.trim_ascii_start();
    if text.starts_with(b"{") {
        return Ok(Form::Json);
    }
    // A field's name, and then its text or, after a line's end, its length.
    let name = text.iter().take_while(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')).count();
    match text.get(name) {
        Some(b'=' | b'\n') if name > 0 => Ok(Form::Export),
        _ => Err("neither a journal file nor what `journalctl -o export` or `-o json` writes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_json_only_journalds_is_a_journal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        for (text, want) in [
            ("{\"__CURSOR\":\"s=1\"}\n", true),
            ("{ \"MESSAGE\" : \"a\", \"_PID\" : \"1\" }\n", true),
            ("__CURSOR=s=1\n", true),
            ("{\"kind\":\"Event\",\"stageTimestamp\":\"2024-02-06T05:16:46Z\"}\n", false),
            ("Feb  4 23:44:00 redhat79 systemd: x\n", false),
            ("", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(is_journal(&path), want, "{text}");
        }
        assert!(!is_journal(directory.path()));
    }

    #[test]
    fn forms_by_content() {
        let form = |start: &[u8]| recognise(start).ok();
        assert_eq!(form(b"{\"__CURSOR\":\"s=1\"}\n"), Some(Form::Json));
        assert_eq!(form(b"\n__CURSOR=s=1;i=2\n"), Some(Form::Export));
        assert_eq!(form(b"MESSAGE\n\x05\0\0\0"), Some(Form::Export));
        for other in
            [&b""[..], b"\n", b"Feb 06 00:02:33 node chronyd[9]: x\n", b"LPKSHHRH", b"\x1f\x8b\x08", b"=x"]
        {
            assert_eq!(form(other), None, "{other:?}");
        }
    }

    #[test]
    fn directories_two_levels_deep() {
        let root = tempfile::tempdir().unwrap();
        let machine = root.path().join("0123456789abcdef0123456789abcdef");
        fs::create_dir_all(machine.join("remote/deeper")).unwrap();
        for name in [
            "system.journal",
            "system@0.journal~",
            "notes.txt",
            "remote/far.journal",
            "remote/deeper/x.journal",
        ] {
            fs::write(machine.join(name), "{}\n").unwrap();
        }
        let names = |path: &Path| {
            let mut troubles = Troubles::default();
            let found = find(&[path.to_owned()], &mut troubles);
            assert!(troubles.finish().is_empty());
            let name = |source: Source| source.path.strip_prefix(path).unwrap().display().to_string();
            found.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(&machine), ["remote/far.journal", "system.journal", "system@0.journal~"]);
        assert_eq!(names(root.path()).len(), 2);
    }

    #[test]
    fn what_is_no_file_is_a_trouble_and_waits_for_nobody() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let mut troubles = Troubles::default();
        assert!(find(&[pipe, root.path().join("none")], &mut troubles).is_empty());
        let troubles = troubles.finish();
        assert!(troubles[0].ends_with("pipe: no regular file"), "{troubles:?}");
        assert!(troubles[1].contains("No such file"), "{troubles:?}");
    }

    #[test]
    fn troubles_are_bounded() {
        let mut troubles = Troubles::default();
        for number in 0..1_000 {
            troubles.say(number.to_string());
        }
        let troubles = troubles.finish();
        assert_eq!(troubles.len(), MOST_TROUBLES);
        assert_eq!(troubles.last().map(String::as_str), Some("901 troubles more"));
    }
}
