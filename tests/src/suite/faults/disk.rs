//! A disk that stops answering for a while, and one whose power is cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::mount::{UnmountFlags, unmount};

use crate::cli::Cli;
use crate::daemon::{Daemon, Options};
use crate::lines::{Jump, Line};
use crate::random::Random;
use crate::referee;
use crate::report::Expect;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::suite::store::{cli, is_a_chain};
use crate::sys::clock::{Deadline, boot_ns};

/// Bytes of the disk.
const SIZE: u64 = 32 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the kernel writes back what nobody has asked for, hundredths of a second; 0 is never.
const WRITEBACK: &str = "/proc/sys/vm/dirty_writeback_centisecs";

/// A file system in a file: what is in the file is on the disk, and nothing else is.
struct Disk {
    image: PathBuf,
    mounted: Option<PathBuf>,
}

fn run(words: &[&str]) -> Result<()> {
    let output = Command::new(words[0]).args(&words[1..]).output().with_context(|| words.join(" "))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", words.join(" "));
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path of text")
}

impl Disk {
    fn make(image: PathBuf) -> Result<Self> {
        fs::File::create(&image)?.set_len(SIZE)?;
        run(&["mke2fs", "-F", text(&image)?])?;
        Ok(Self { image, mounted: None })
    }

    /// All that would be left of it if its power were cut now.
    fn cut(&self, image: PathBuf) -> Result<Self> {
        fs::copy(&self.image, &image)?;
        Ok(Self { image, mounted: None })
    }

    fn mount(&mut self, at: &Path) -> Result<()> {
        fs::create_dir_all(at)?;
        run(&["mount", "-t", "ext4", "-o", "loop", text(&self.image)?, text(at)?])?;
        self.mounted = Some(at.to_owned());
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Still in use if the daemon did not end, which is told already.
        if let Some(at) = self.mounted.take() {
            let _ = unmount(&at, UnmountFlags::DETACH);
        }
        let _ = fs::remove_file(&self.image);
    }
}

fn at(home: &Path, expect: Expect) -> Options {
    Options { home: Some(home.to_owned()), expect, ..Options::default() }
}

fn store_state(cli: &Cli) -> Result<String> {
    Ok(cli.status()?.daemon.context("a daemon's status")?.store.state)
}

/// It takes nothing for a while: that is told, and once it answers all that happened meanwhile is told and stored.
pub(in crate::suite) fn hangs(stage: &Stage) -> Result<()> {
    let home = stage.bench.dir.join("hangs");
    fs::create_dir_all(&home)?;
    let kept = home.join("state");
    let mut disk = Disk::make(home.join("disk"))?;
    disk.mount(&kept)?;
    let expect = Expect { may_alarm: &["store", "store_recovered"], ..Expect::default() };
    let mut daemon = stage.daemon_with(&at(&home, expect))?;
    let cli = cli(stage, &daemon);
    let begin = referee::wall_offset()?;
    Way::ClockSettime.perform(&stage.guest, seconds(10))?;
    daemon.next_jump()?;
    // The state directory's, which is all that the daemon writes to.
    run(&["fsfreeze", "--freeze", text(&kept)?])?;
    let hung = while_it_hangs(stage, &mut daemon, &cli);
    run(&["fsfreeze", "--unfreeze", text(&kept)?])?;
    hung?;
    for sequence in 2..=4 {
        ensure!(daemon.next_jump()?.sequence == sequence, "in their order");
    }
    waits_for(&mut daemon, "store_recovered")?;
    ensure!(store_state(&cli)? == "ok", "it answers again: {}", store_state(&cli)?);
    let history = cli.history(&[])?;
    ensure!(history.len() == 4, "each once: {history:?}");
    is_a_chain(&history, begin, referee::wall_offset()?)?;
    daemon.stop()?.has_jumps(4)
}

fn while_it_hangs(stage: &Stage, daemon: &mut Daemon, cli: &Cli) -> Result<()> {
    for way in [Way::AdjtimexNano, Way::ClockSettime, Way::AdjtimexNano] {
        way.perform(&stage.guest, -seconds(3))?;
        sleep(Duration::from_millis(200));
    }
    waits_for(daemon, "store")?;
    let said = store_state(cli)?;
    ensure!(said.contains("has taken nothing for"), "{said}");
    Ok(())
}

fn waits_for(daemon: &mut Daemon, alarm: &str) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    while !daemon.lines()?.iter().any(|line| matches!(line, Line::Alarm { kind, .. } if kind == alarm)) {
        ensure!(!deadline.passed(), "no alarm {alarm}");
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Its power is cut at random: whatever was told is in the history of the next start, and the account goes on from there.
pub(in crate::suite) fn power_cut(stage: &Stage) -> Result<()> {
    let usual = fs::read_to_string(WRITEBACK).context(WRITEBACK)?;
    // Only what was asked for gets there.
    fs::write(WRITEBACK, "0").context(WRITEBACK)?;
    let result = (1..=2).try_for_each(|round| cut_at_random(stage, round));
    fs::write(WRITEBACK, usual.trim()).context(WRITEBACK)?;
    result
}

fn cut_at_random(stage: &Stage, round: u32) -> Result<()> {
    let home = stage.bench.dir.join(format!("cut-{round}"));
    fs::create_dir_all(&home)?;
    let kept = home.join("state");
    let mut disk = Disk::make(home.join("disk"))?;
    disk.mount(&kept)?;
    let mut daemon = stage.daemon_with(&at(&home, Expect::default()))?;
    let begin = referee::wall_offset()?;
    let mut random = Random(boot_ns().unsigned_abs());
    let jumps = 10 + random.below(30);
    for number in 1..=jumps {
        let size = seconds(1) + i64::try_from(number)?;
        Way::AdjtimexNano.perform(&stage.guest, if number % 2 == 0 { -size } else { size })?;
        if random.below(3) == 0 {
            daemon.next_jump()?;
        }
        sleep(Duration::from_micros(random.below(20_000)));
    }
    let told = daemon.jumps_so_far()?;
    daemon.kill()?;
    println!("power cut after {jumps} jumps, {} of which were told", told.len());
    let mut left = disk.cut(home.join("left"))?;
    drop(disk);
    left.mount(&kept)?;

    let daemon = stage.daemon_with(&at(&home, Expect::default()))?;
    let history = cli(stage, &daemon).history(&[])?;
    is_a_chain(&history, begin, referee::wall_offset()?)?;
    for jump in &told {
        let same = |stored: &Jump| {
            (stored.sequence, stored.delta_ns, stored.boottime_ns)
                == (jump.sequence, jump.delta_ns, jump.boottime_ns)
        };
        ensure!(history.iter().any(same), "told, but not on the disk: {jump:?}");
    }
    daemon.stop().map(drop)
}
