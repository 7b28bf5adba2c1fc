//! kubelet's own word on its cache: `zero or negative interval (new - cached)`.
//!
//! One line a container and poll, from `getAndUpdateContainerUsageNanoCores`
//! (pkg/kubelet/stats/cri_stats_provider.go), the same text in all versions. Both numbers are stamps in ns since 1970;
//! their difference is the exact time that is left.

use std::{
    ffi::OsString,
    fmt,
    io::SeekFrom,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
    time::Duration,
};

use rustix::fs::OFlags;
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncSeekExt, BufReader},
    process::{Child, Command},
    time::sleep,
};

use super::{Process, process};
use crate::clock::WallNs;

const TEXT: &str = "zero or negative interval (";
/// Of a log's past that is read: at the moment of a jump the lines of the last poll are within it.
const PAST: u64 = 64 << 10;
/// How often a file is looked at for more, while it is followed.
const LOOK: Duration = Duration::from_secs(1);
/// No line of interest is longer.
const LONGEST: usize = 64 << 10;

/// What such a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckLine {
    /// The stamp of the sample that was refused.
    pub new: WallNs,
    /// The stamp that the cache is stuck at.
    pub cached: WallNs,
}

/// Reads a line; nothing if it says something else, or cannot be true.
pub fn parse(line: &str) -> Option<StuckLine> {
    let (_, rest) = line.split_once(TEXT)?;
    let (numbers, _) = rest.split_once(')')?;
    let (new, cached) = numbers.split_once(" - ")?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|ns| *ns > 0).map(|ns| WallNs(ns.into()));
    let (new, cached) = (number(new)?, number(cached)?);
    (new <= cached).then_some(StuckLine { new, cached })
}

/// Where kubelet logs to, as the operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogOption {
    /// Where its standard error goes.
    #[default]
    Find,
    /// The journal.
    Journal,
    /// A file.
    File(PathBuf),
    /// It is not to be read.
    None,
}

impl FromStr for LogOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Find,
            "journal" => Self::Journal,
            "none" => Self::None,
            path if path.starts_with('/') => Self::File(path.into()),
            _ => return Err("neither auto, journal, none nor an absolute path".into()),
        })
    }
}

/// Where kubelet logs to, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// A file, as kubelet sees it or as we do.
    File(PathBuf),
    /// The journal.
    Journal,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Journal => f.write_str("journal"),
            Self::Unreadable(why) => write!(f, "not read: {why}"),
        }
    }
}

impl LogSource {
    /// Looks where `kubelet` logs to.
    pub fn find(option: &LogOption, kubelet: Option<Process>) -> Self {
        match (option, kubelet) {
            (LogOption::None, _) => Self::Unreadable("--kubelet-log none".into()),
            (LogOption::File(path), _) => Self::File(path.clone()),
            (LogOption::Journal, _) => Self::Journal,
            (LogOption::Find, None) => Self::Unreadable("no kubelet is seen here".into()),
            (LogOption::Find, Some(kubelet)) => match process::descriptor_target(kubelet, 2) {
                // Standard error of a service is a socket to the journal.
                Ok(target) if target.to_string_lossy().starts_with("socket:") => Self::Journal,
                Ok(target) if target.is_absolute() && !target.starts_with("/dev") => {
                    let root = PathBuf::from(format!("/proc/{}/root", kubelet.pid));
                    Self::File(root.join(target.strip_prefix("/").unwrap_or(&target)))
                }
                Ok(target) => Self::Unreadable(format!("kubelet writes to {}", target.display())),
                Err(error) => Self::Unreadable(format!("where kubelet writes to: {error}")),
            },
        }
    }
}

/// Reads the log's end and what is added to it.
pub struct Follower {
    from: From,
    line: Vec<u8>,
    has_read: bool,
}

enum From {
    File { path: PathBuf, inode: u64, reader: BufReader<File> },
    Journal { reader: BufReader<tokio::process::ChildStdout>, _child: Child },
}

impl Follower {
    /// Begins. An error says what could not be read.
    pub async fn open(source: &LogSource, kubelet: Option<Process>) -> Result<Self, String> {
        let from = match source {
            LogSource::Unreadable(why) => return Err(why.clone()),
            LogSource::File(path) => {
                open_file(path, PAST).await.map_err(|error| format!("{}: {error}", path.display()))?
            }
            LogSource::Journal => open_journal(kubelet).map_err(|error| format!("journalctl: {error}"))?,
        };
        Ok(Self { from, line: Vec::new(), has_read: false })
    }

    /// The next line that speaks of a stuck cache. Nothing when the log has ended for good. May be dropped and called
    /// again.
    pub async fn next(&mut self) -> Option<StuckLine> {
        loop {
            let read = match &mut self.from {
                From::File { reader, .. } => read_line(reader, &mut self.line).await,
                From::Journal { reader, .. } => read_line(reader, &mut self.line).await,
            };
            match read {
                Ok(true) => {
                    self.has_read = true;
                    let line = String::from_utf8_lossy(&self.line);
                    let found = parse(&line);
                    self.line.clear();
                    if found.is_some() {
                        return found;
                    }
                }
                Ok(false) => self.wait_for_more().await?,
                Err(_) => return None,
            }
        }
    }

    /// Whether there was any line at all.
    pub fn has_read(&self) -> bool {
        self.has_read
    }

    /// At the end of a file: waits, and opens it anew if it was rotated.
    async fn wait_for_more(&mut self) -> Option<()> {
        let From::File { path, inode, reader } = &mut self.from else { return None };
        sleep(LOOK).await;
        let position = reader.stream_position().await.ok()?;
        let rotated =
            std::fs::metadata(&*path).is_ok_and(|file| file.ino() != *inode || file.len() < position);
        if rotated {
            self.from = open_file(&path.clone(), u64::MAX).await.ok()?;
            self.line.clear();
        }
        Some(())
    }
}

async fn open_file(path: &Path, past: u64) -> std::io::Result<From> {
    // Opening a named pipe would wait for whoever writes to it, and reading from it would take what is meant for others.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = File::options().read(true).custom_flags(nonblock).open(path).await?;
    let about = file.metadata().await?;
    if !about.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "no regular file"));
    }
    file.seek(SeekFrom::Start(about.len().saturating_sub(past))).await?;
    Ok(From::File { path: path.to_owned(), inode: about.ino(), reader: BufReader::new(file) })
}

fn open_journal(kubelet: Option<Process>) -> std::io::Result<From> {
    let mut command = Command::new("journalctl");
    command.args(["--boot", "--follow", "--lines=200", "--output=cat", "--quiet"]);
    command.arg(match kubelet {
        Some(kubelet) => OsString::from(format!("_PID={}", kubelet.pid)),
        None => OsString::from("--unit=kubelet"),
    });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    Ok(From::Journal { reader: BufReader::new(output), _child: child })
}

/// Adds to `line` up to its end. `false`: there is no more for now, or for good. What is beyond [`LONGEST`] is dropped.
async fn read_line(
    reader: &mut (impl AsyncRead + Unpin + AsyncBufReadExt),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(false);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(available.len());
        let room = LONGEST.saturating_sub(line.len());
        line.extend_from_slice(&available[..taken.min(room)]);
        let used = taken + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const OLD: &str = "E0601 08:06:36.140694     308 cri_stats_provider.go:691] failed updating cpu usage nano core: zero \
                       or negative interval (1780301196037014460 - 1785053185341880250)";
    const NEW: &str = "E0206 00:10:00.000000    1234 cri_stats_provider.go:910] \"Failed updating cpu usage nano core\" \
                       err=\"zero or negative interval (1707196606940341356 - 1711900953406532664)\"";

    #[test]
    fn lines_of_old_and_new_kubelets() {
        let stuck = |new, cached| Some(StuckLine { new: WallNs(new), cached: WallNs(cached) });
        assert_eq!(parse(OLD), stuck(1_780_301_196_037_014_460, 1_785_053_185_341_880_250));
        assert_eq!(parse(NEW), stuck(1_707_196_606_940_341_356, 1_711_900_953_406_532_664));
        for other in [
            "",
            "zero or negative interval",
            "zero or negative interval (1 - 2",
            "zero or negative interval (5 - 2)",
            "zero or negative interval (-5 - 2)",
            "zero or negative interval (99999999999999999999 - 99999999999999999999)",
            "zero or negative interval (a - b)",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_followed_through_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet.log");
        let mut file = std::fs::File::create(&path).unwrap();
        writeln!(file, "I0601 something else\n{OLD}\n{}", "x".repeat(3 * LONGEST)).unwrap();
        let mut follower = Follower::open(&LogSource::File(path.clone()), None).await.unwrap();
        // The first lines lie before what is read of the past.
        writeln!(file, "{NEW}").unwrap();
        let line = follower.next().await.unwrap();
        assert_eq!(line.cached, WallNs(1_711_900_953_406_532_664));
        write!(file, "{}", &OLD[..40]).unwrap();
        let half = tokio::time::timeout(Duration::from_secs(3), follower.next()).await;
        assert!(half.is_err(), "half a line is none");
        writeln!(file, "{}", &OLD[40..]).unwrap();
        assert_eq!(follower.next().await.unwrap().cached, WallNs(1_785_053_185_341_880_250));
        std::fs::rename(&path, directory.path().join("kubelet.log.1")).unwrap();
        std::fs::write(&path, format!("{NEW}\n")).unwrap();
        assert_eq!(follower.next().await.unwrap().cached, WallNs(1_711_900_953_406_532_664));
    }

    #[tokio::test]
    async fn what_cannot_be_read_says_why() {
        let missing = LogSource::File("/nonexistent/kubelet.log".into());
        let error = Follower::open(&missing, None).await.err().unwrap();
        assert!(error.starts_with("/nonexistent/kubelet.log: "), "{error}");
        assert_eq!(LogSource::find(&LogOption::Find, None).to_string(), "not read: no kubelet is seen here");
        assert_eq!("journal".parse(), Ok(LogOption::Journal));
        assert!("kubelet.log".parse::<LogOption>().is_err());
    }
}
