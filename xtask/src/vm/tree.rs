//! The guest's files, gathered before they are written out.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};

use super::cpio;

/// Folders that are links in Debian, so that a file has one place however its package spells it.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

#[derive(Debug, Clone)]
enum Node {
    Directory,
    Copy(PathBuf),
    Bytes(Vec<u8>),
    Symlink(String),
}

/// A tree of files; what is put in later replaces what was there.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// A root directory with nothing but the links that Debian has in its own.
    pub fn new() -> Self {
        let mut tree = Self::default();
        for name in MERGED {
            tree.directory(&format!("usr/{name}"));
            tree.nodes.insert(name.to_owned(), Node::Symlink(format!("usr/{name}")));
        }
        tree
    }

    /// An empty folder.
    pub fn directory(&mut self, path: &str) {
        self.insert(path, Node::Directory);
    }

    /// A copy of a file of this machine.
    pub fn copy(&mut self, path: &str, from: impl Into<PathBuf>) {
        self.insert(path, Node::Copy(from.into()));
    }

    /// A file with given contents.
    pub fn bytes(&mut self, path: &str, contents: impl Into<Vec<u8>>) {
        self.insert(path, Node::Bytes(contents.into()));
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, target: impl Into<String>) {
        self.insert(path, Node::Symlink(target.into()));
    }

    /// Whether there is anything by that name.
    pub fn contains(&self, path: &str) -> bool {
        self.nodes.contains_key(&normal(path))
    }

    fn insert(&mut self, path: &str, node: Node) {
        let path = normal(path);
        for (slash, _) in path.match_indices('/') {
            self.nodes.entry(path[..slash].to_owned()).or_insert(Node::Directory);
        }
        self.nodes.insert(path, node);
    }

    /// How many bytes its files have.
    pub fn size(&self) -> Result<u64> {
        let size = |node: &Node| match node {
            Node::Directory | Node::Symlink(_) => Ok(0),
            Node::Bytes(contents) => Ok(contents.len() as u64),
            Node::Copy(from) => {
                Ok(fs::metadata(from).with_context(|| format!("cannot look at {}", from.display()))?.len())
            }
        };
        self.nodes.values().map(size).sum()
    }

    /// Writes the tree as the archive that a kernel takes.
    pub fn write(&self, to: impl Write) -> Result<()> {
        let mut archive = cpio::Writer::new(to);
        // In the map's order a folder precedes what is in it.
        for (path, node) in &self.nodes {
            add(&mut archive, path, node).with_context(|| format!("cannot put {path} into the guest"))?;
        }
        archive.finish().context("cannot write the guest's files")?;
        Ok(())
    }
}

fn add(archive: &mut cpio::Writer<impl Write>, path: &str, node: &Node) -> io::Result<()> {
    match node {
        Node::Directory => archive.directory(path),
        Node::Copy(from) => {
            let contents =
                fs::read(from).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", from.display())))?;
            archive.file(path, &contents)
        }
        Node::Bytes(contents) => archive.file(path, contents),
        Node::Symlink(target) => archive.symlink(path, target),
    }
}

/// Without the first slash, and below `usr` where Debian has merged folders.
fn normal(path: &str) -> String {
    let path = path.trim_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) { format!("usr/{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_place() {
        let mut tree = Tree::new();
        tree.bytes("/bin/a", "1");
        tree.bytes("usr/bin/a", "2");
        assert!(tree.contains("/bin/a"));
        assert_eq!(tree.nodes.values().filter(|node| matches!(node, Node::Bytes(_))).count(), 1);
        let paths: Vec<_> = tree.nodes.keys().cloned().collect();
        let position = |path| paths.iter().position(|p| p == path).unwrap();
        assert!(position("usr") < position("usr/bin") && position("usr/bin") < position("usr/bin/a"));
    }
}
