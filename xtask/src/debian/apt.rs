//! apt with state of its own: the system's package lists, cache and sources are neither read nor written.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::{Release, release::Wanted};
use crate::{arch::Arch, keep, layout::Layout, process};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The packages of one release.
#[derive(Debug)]
pub struct Archive {
    release: Release,
    arch: Arch,
    folder: PathBuf,
    /// Held against other processes that would write the same files.
    _lock: File,
}

impl Archive {
    /// Gives `work` the release's packages. It is called again with the next source if it fails with one.
    pub fn with<T>(layout: &Layout, release: Release, work: impl Fn(&Self) -> Result<T>) -> Result<T> {
        Self::with_wanted(layout, release, Arch::host()?, Wanted::Binaries, work)
    }

    /// The same with the release's packages for machines of another family.
    pub fn with_arch<T>(
        layout: &Layout,
        release: Release,
        arch: Arch,
        work: impl Fn(&Self) -> Result<T>,
    ) -> Result<T> {
        Self::with_wanted(layout, release, arch, Wanted::Binaries, work)
    }

    /// The same, with packages of sources.
    pub fn with_sources<T>(
        layout: &Layout,
        release: Release,
        work: impl Fn(&Self) -> Result<T>,
    ) -> Result<T> {
        Self::with_wanted(layout, release, Arch::host()?, Wanted::SourcesToo, work)
    }

    fn with_wanted<T>(
        layout: &Layout,
        release: Release,
        arch: Arch,
        wanted: Wanted,
        work: impl Fn(&Self) -> Result<T>,
    ) -> Result<T> {
        let keyring = Path::new(KEYRING);
        let archive = Self::prepare(layout, release, arch, keyring)?;
        let mut failures = Vec::new();
        for sources in release.sources(keyring, wanted) {
            // The index is always fetched anew: what an older one names may be gone from the mirror.
            match archive.update(&sources).and_then(|()| work(&archive)) {
                Ok(done) => return Ok(done),
                Err(failure) => failures.push(format!("{failure:#}")),
            }
        }
        bail!("nothing worked with Debian {}; is there a network?\n{}", release.name(), failures.join("\n"))
    }

    fn prepare(layout: &Layout, release: Release, arch: Arch, keyring: &Path) -> Result<Self> {
        for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
            ensure!(
                process::find(tool).is_some(),
                "{tool} is missing: Debian's packages can be fetched on Debian and its relatives only"
            );
        }
        ensure!(
            keyring.exists(),
            "{KEYRING} is missing, so that Debian's signatures cannot be checked: install debian-archive-keyring"
        );
        let name = if arch.is_host() {
            release.name().to_owned()
        } else {
            format!("{}-{}", release.name(), arch.debian)
        };
        let folder = layout.vm().join("apt").join(name);
        let lock = keep::lock(&folder)?;
        let archive = Self { release, arch, folder, _lock: lock };
        archive.configure()?;
        Ok(archive)
    }

    fn configure(&self) -> Result<()> {
        for folder in ["empty", "lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let at = self.folder.display();
        let arch = self.arch.debian;
        // Nothing is installed as far as this apt knows. It stays one user: what it writes is ours, not the system's.
        let configuration = format!(
            r#"#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::Cache "{at}/cache";
Dir::Etc::SourceList "{at}/sources.list";
Dir::Etc::SourceParts "{at}/empty";
Dir::Etc::PreferencesParts "{at}/empty";
Dir::Etc::Preferences "{at}/no-preferences";
Dir::State::Lists "{at}/lists";
Dir::State::status "{at}/status";
"#
        );
        fs::write(self.folder.join("apt.conf"), configuration)?;
        fs::write(self.folder.join("status"), "")?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--config-file").arg(self.folder.join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command
    }

    fn update(&self, sources: &str) -> Result<()> {
        fs::write(self.folder.join("sources.list"), sources)?;
        // Without the option a failed download is a mere warning.
        self.get(&["update", "--error-on=any"], &self.folder)
    }

    /// Runs apt-get. Of what it says, its errors alone are worth telling.
    fn get(&self, words: &[&str], folder: &Path) -> Result<()> {
        let output = self.command("apt-get").arg("-q").args(words).current_dir(folder).output();
        let output = output.context("cannot start apt-get")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let errors: Vec<_> = said.lines().filter(|line| line.starts_with("E: ")).collect();
            bail!("apt-get {} failed: {}", words[0], errors.join("; "));
        }
        Ok(())
    }

    /// The packages and what they depend on, as far as `follow` says: real names, first alternatives.
    pub fn closure(&self, roots: &[&str], follow: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut fresh: BTreeSet<String> = roots.iter().map(ToString::to_string).collect();
        while !fresh.is_empty() {
            // A level at a time: each start of apt reads the whole index.
            let stanzas =
                process::stdout(self.command("apt-cache").args(["show", "--no-all-versions"]).args(&fresh))
                    .with_context(|| format!("Debian {} lacks packages", self.release.name()))?;
            seen.append(&mut fresh);
            let depends = stanzas.lines().filter_map(|line| line.strip_prefix("Depends: ")).flat_map(names);
            fresh.extend(depends.filter(|name| follow(name) && !seen.contains(*name)).map(str::to_owned));
        }
        Ok(seen.into_iter().collect())
    }

    /// Fetches packages and unpacks them over each other into a folder, which is emptied before.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let debs = self.folder.join("debs");
        // What an interrupted or failed run left behind is not trusted.
        for folder in [into, &debs] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder)?;
        }
        let words: Vec<_> = std::iter::once("download").chain(packages.iter().map(String::as_str)).collect();
        self.get(&words, &debs)?;
        for deb in fs::read_dir(&debs)? {
            process::quiet(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(into))?;
        }
        fs::remove_dir_all(&debs).context("cannot clean up")
    }

    /// Fetches a package's sources as their authors released them and unpacks them into a folder, which is emptied before.
    /// Debian's own changes are left out.
    pub fn unpack_upstream(&self, source: &str, into: &Path) -> Result<()> {
        let fetched = self.folder.join("sources");
        for folder in [into, &fetched] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder)?;
        }
        self.get(&["source", "--download-only", source], &fetched)?;
        let files = fs::read_dir(&fetched)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let upstream = files.iter().find(|file| file.to_string_lossy().contains(".orig.tar."));
        let upstream = upstream.with_context(|| format!("the sources of {source} have no orig.tar"))?;
        let mut tar = Command::new("tar");
        tar.arg("--extract")
            .arg("--strip-components=1")
            .arg("--directory")
            .arg(into)
            .arg("--file")
            .arg(upstream);
        process::quiet(&mut tar)?;
        fs::remove_dir_all(&fetched).context("cannot clean up")
    }
}

/// The names in a `Depends` field: of alternatives the first, without version or architecture.
fn names(depends: &str) -> impl Iterator<Item = &str> {
    depends
        .split(',')
        .filter_map(|alternatives| alternatives.split('|').next())
        .filter_map(|first| first.split_whitespace().next())
        .filter_map(|name| name.split(':').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dependencies() {
        let depends =
            "libc6 (>= 2.34), perl:any, dracut | initramfs-tools (>= 0.1), linux-base-7 (= 7.2.13-1)";
        assert_eq!(names(depends).collect::<Vec<_>>(), ["libc6", "perl", "dracut", "linux-base-7"]);
        assert_eq!(names("").count(), 0);
    }
}
