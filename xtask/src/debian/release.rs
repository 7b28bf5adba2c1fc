//! The releases that packages are taken from.

use std::{fs, path::Path};

/// Where Debian's packages come from if the system names no mirror of its own.
const MIRROR: &str = "http://deb.debian.org/debian";
/// Where releases go when mirrors drop them.
const ARCHIVE: &str = "http://archive.debian.org/debian";

/// Which of a release's packages are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those that can be installed.
    Binaries,
    /// And those that they are built from, whose index is another 10 MB.
    SourcesToo,
}

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Release {
    /// 11
    Bullseye,
    /// 12
    Bookworm,
    /// 13
    Trixie,
    /// Unstable
    Sid,
}

impl Release {
    /// Its code name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// The release of the system itself, if it is one of these.
    pub fn of_system() -> Option<Self> {
        let about = fs::read_to_string("/etc/os-release").ok()?;
        let name = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
        [Self::Bullseye, Self::Bookworm, Self::Trixie, Self::Sid]
            .into_iter()
            .find(|release| release.name() == name.trim_matches('"'))
    }

    /// Contents for apt's `sources.list`, in the order in which they are to be tried: with security updates, without
    /// them (a mirror may lag behind its own index), and the archive.
    pub(super) fn sources(self, keyring: &Path, wanted: Wanted) -> Vec<String> {
        // An archived release is never signed anew, so its date says nothing. Only indexes of packages are read.
        let options = format!("signed-by={} lang=none check-valid-until=no", keyring.display());
        let name = self.name();
        let line = |mirror: &str, name: &str| {
            let binaries = format!("deb [{options} target=Packages] {mirror} {name} main\n");
            match wanted {
                Wanted::Binaries => binaries,
                Wanted::SourcesToo => {
                    binaries + &format!("deb-src [{options} target=Sources] {mirror} {name} main\n")
                }
            }
        };
        let release = |mirror: &str| line(mirror, name);
        let security = |mirror: &str| line(&format!("{mirror}-security"), &format!("{name}-security"));
        let mirror = system_mirror();
        if self == Self::Sid {
            return vec![release(&mirror)];
        }
        vec![
            release(&mirror) + &security(&mirror),
            release(&mirror),
            release(ARCHIVE) + &security(ARCHIVE),
            release(ARCHIVE),
        ]
    }
}

/// The mirror that the system itself uses.
fn system_mirror() -> String {
    let single = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let parts = parts.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default());
    let texts: Vec<_> = std::iter::once(single).chain(parts).collect();
    texts.iter().find_map(|text| mirror_in(text)).unwrap_or(MIRROR).to_owned()
}

/// The first Debian mirror of a sources list, of either format.
fn mirror_in(sources: &str) -> Option<&str> {
    sources
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter(|word| word.contains("://"))
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.ends_with("/debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_both_formats() {
        assert_eq!(
            mirror_in("# deb http://old.example/debian x main\ndeb [a=b] http://a.example/debian/ x main\n"),
            Some("http://a.example/debian")
        );
        assert_eq!(
            mirror_in("Types: deb\nURIs: https://b.example/debian\nSuites: x\n"),
            Some("https://b.example/debian")
        );
        assert_eq!(mirror_in("URIs: https://b.example/ubuntu\n"), None);
    }

    #[test]
    fn security_updates_come_from_beside_the_mirror() {
        let sources = Release::Bullseye.sources(Path::new("/k"), Wanted::Binaries);
        assert!(sources[0].contains("/debian bullseye main\n"));
        assert!(sources[0].contains("/debian-security bullseye-security main\n"));
        assert!(sources[2].contains(" http://archive.debian.org/debian-security bullseye-security main\n"));
        assert!(!sources.concat().contains("deb-src"));
        assert_eq!(Release::Sid.sources(Path::new("/k"), Wanted::Binaries).len(), 1);
    }

    #[test]
    fn sources_come_from_where_binaries_do() {
        let sources = Release::Bullseye.sources(Path::new("/k"), Wanted::SourcesToo);
        for list in sources {
            let places = |kind: &str| {
                let lines = list.lines().filter(|line| line.starts_with(kind));
                lines.filter_map(|line| line.split_once("] ")).map(|(_, place)| place).collect::<Vec<_>>()
            };
            assert_eq!(places("deb "), places("deb-src "));
        }
    }
}
