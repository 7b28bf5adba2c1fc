//! What a shipped program is made of: the crates that are linked into it and into the eBPF object, and what is in it that is no
//! crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{arch::Arch, layout::Layout, process};

/// The programs' packages; the second is embedded in the first.
const PROGRAMS: [&str; 2] = ["timejump", "detector-ebpf"];
/// The crate that brings SQLite along.
const SQLITE: &str = "libsqlite3-sys";

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// As SPDX has it, if its author says.
    pub(super) license: Option<String>,
    /// SHA-256 of the archive that it was taken from.
    pub(super) checksum: Option<String>,
    /// Its address as package managers have it, unless it is part of this workspace.
    pub(super) purl: Option<String>,
    pub(super) source: Option<String>,
    /// Whether it only made code of other components, at build time.
    pub(super) build_only: bool,
    /// Where it is unpacked.
    pub(super) folder: Option<PathBuf>,
    /// What it is made of itself, by reference.
    pub(super) uses: BTreeSet<String>,
}

impl Component {
    /// What others call it within one list.
    pub(super) fn reference(&self) -> String {
        self.purl.clone().unwrap_or_else(|| reference(&self.name, &self.version, false))
    }
}

fn reference(name: &str, version: &str, published: bool) -> String {
    if published { format!("pkg:cargo/{name}@{version}") } else { format!("timejump:{name}@{version}") }
}

/// All of them, by name.
pub(super) fn find(layout: &Layout, arch: Arch, program: &[u8]) -> Result<Vec<Component>> {
    let linked = listed(layout, arch, "normal,no-proc-macro")?;
    let all = listed(layout, arch, "normal")?;
    let checksums = checksums(layout)?;
    let metadata = metadata(layout, arch)?;
    let mut components = Vec::new();
    let mut by_id = BTreeMap::new();
    for package in array(&metadata["packages"]) {
        let (name, version) = (text(&package["name"])?, text(&package["version"])?);
        let key = (name.to_owned(), version.to_owned());
        if !all.contains(&key) {
            continue;
        }
        let published = package["source"].is_string();
        by_id.insert(text(&package["id"])?.to_owned(), reference(name, version, published));
        components.push(Component {
            license: package["license"]
                .as_str()
                .map(|license| license.replace('/', " OR ").replace("  ", " ")),
            checksum: checksums.get(&key).cloned(),
            purl: published.then(|| reference(name, version, true)),
            source: package["repository"].as_str().map(str::to_owned),
            build_only: !linked.contains(&key),
            folder: Path::new(text(&package["manifest_path"])?).parent().map(Path::to_owned),
            uses: BTreeSet::new(),
            name: key.0,
            version: key.1,
        });
    }
    for node in array(&metadata["resolve"]["nodes"]) {
        let Some(whose) = node["id"].as_str().and_then(|id| by_id.get(id)) else { continue };
        let linked = array(&node["deps"])
            .filter(|dependency| array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()));
        let uses = linked.filter_map(|dependency| by_id.get(dependency["pkg"].as_str()?)).cloned().collect();
        if let Some(component) = components.iter_mut().find(|component| component.reference() == *whose) {
            component.uses = uses;
        }
    }
    add_sqlite(&mut components)?;
    components.extend(no_crates(program));
    components.sort_by_key(Component::reference);
    Ok(components)
}

/// What cargo's own resolver says goes into the programs: names and versions.
fn listed(layout: &Layout, arch: Arch, edges: &str) -> Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for program in PROGRAMS {
        let tree = process::stdout(
            process::cargo()
                .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
                .args(["-p", program, "-e", edges, "--target", arch.target])
                .current_dir(&layout.root),
        )?;
        found.extend(tree.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        }));
    }
    Ok(found)
}

fn metadata(layout: &Layout, arch: Arch) -> Result<Value> {
    let metadata = process::stdout(
        process::cargo()
            .args(["metadata", "--locked", "--format-version=1", "--filter-platform", arch.target])
            .current_dir(&layout.root),
    )?;
    serde_json::from_str(&metadata).context("cargo metadata printed something else than JSON")
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo metadata lacks a name")
}

/// The checksums in Cargo.lock, by name and version.
fn checksums(layout: &Layout) -> Result<BTreeMap<(String, String), String>> {
    let path = layout.root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(lock.split("[[package]]").filter_map(locked).collect())
}

fn locked(package: &str) -> Option<((String, String), String)> {
    let field = |name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).map(str::to_owned)
    };
    Some(((field("name")?, field("version")?), field("checksum")?))
}

/// SQLite is C, in one file, within a crate.
fn add_sqlite(components: &mut Vec<Component>) -> Result<()> {
    let Some(bundle) = components.iter_mut().find(|component| component.name == SQLITE) else {
        return Ok(());
    };
    let header = bundle.folder.as_deref().unwrap_or(Path::new("")).join("sqlite3/sqlite3.h");
    let header = fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    let version = header
        .lines()
        .find_map(|line| {
            line.strip_prefix("#define SQLITE_VERSION ")?.trim().strip_prefix('"')?.strip_suffix('"')
        })
        .context("sqlite3.h names no version")?;
    let sqlite = Component {
        license: Some("blessing".to_owned()),
        source: Some("https://sqlite.org/src".to_owned()),
        ..apart("sqlite", version)
    };
    bundle.uses.insert(sqlite.reference());
    components.push(sqlite);
    Ok(())
}

/// What compilers put into every program: they leave their names there.
fn no_crates(program: &[u8]) -> Vec<Component> {
    let mut found = Vec::new();
    if let Some(version) = after(program, b"rustc version ") {
        found.push(Component {
            license: Some("MIT OR Apache-2.0".to_owned()),
            source: Some("https://github.com/rust-lang/rust".to_owned()),
            ..apart("rust-std", &version)
        });
    }
    if let Some(version) = after(program, b"GNU C Library ") {
        found.push(Component {
            license: Some("LGPL-2.1-or-later".to_owned()),
            source: Some("https://sourceware.org/git/glibc.git".to_owned()),
            ..apart("glibc", &version)
        });
    }
    found
}

fn apart(name: &str, version: &str) -> Component {
    Component {
        name: name.to_owned(),
        version: version.to_owned(),
        license: None,
        checksum: None,
        purl: Some(format!("pkg:generic/{name}@{version}")),
        source: None,
        build_only: false,
        folder: None,
        uses: BTreeSet::new(),
    }
}

/// The first version that follows these words in a program.
fn after(program: &[u8], words: &[u8]) -> Option<String> {
    let at = program.windows(words.len()).position(|window| window == words)? + words.len();
    let text = &program[at..program.len().min(at + 80)];
    let text = String::from_utf8_lossy(text.split(|byte| matches!(byte, 0 | b'\n')).next()?).into_owned();
    let version =
        text.split([' ', '(', ')', ',']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_locked_packages() {
        let package = "\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"registry\"\nchecksum = \"00ff\"\n";
        assert_eq!(locked(package), Some((("a".into(), "1.2.3".into()), "00ff".into())));
        assert_eq!(locked("\nname = \"ours\"\nversion = \"0.1.0\"\n"), None);
    }

    #[test]
    fn finds_what_compilers_say_of_themselves() {
        let program = b"\0rustc version 1.95.0 (f2d3ce0bd 2026-03-21)\0x\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable\n\0";
        assert_eq!(after(program, b"rustc version ").as_deref(), Some("1.95.0"));
        assert_eq!(after(program, b"GNU C Library ").as_deref(), Some("2.36-9+deb12u14"));
        assert_eq!(after(program, b"clang version "), None);
    }
}
