//! YAML by lines, in the one style that our own manifests keep to: two spaces deeper for what is inside, lists too.

use std::ops::Range;

use anyhow::{Context, Result};

/// The spaces that a line begins with.
pub(super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Neither comment nor empty.
fn is_content(line: &str) -> bool {
    !line.trim().is_empty() && !is_comment(line)
}

/// A node: its lines, from that with its key on, and the indentation of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) lines: Range<usize>,
    pub(super) indentation: usize,
}

impl Node {
    /// What is at `path`, which names keys and indices of lists.
    pub(super) fn find(lines: &[impl AsRef<str>], path: &[String]) -> Result<Self> {
        let lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
        let mut within = 0..lines.len();
        let mut node = None;
        for (depth, key) in path.iter().enumerate() {
            let indentation = 2 * depth;
            let index = key.parse().ok();
            let start = match index {
                Some(index) => within.clone().filter(|&at| is_item(lines[at], indentation)).nth(index),
                None => within.clone().find(|&at| key_at(lines[at], indentation) == Some(key)),
            };
            let start = start.with_context(|| format!("there is no {key} of {path:?}"))?;
            let end = end(&lines, start, within.end, indentation);
            // An item's first key stands on its very line.
            within = if index.is_some() { start..end } else { start + 1..end };
            node = Some(Self { lines: start..end, indentation });
        }
        node.context("an empty path")
    }
}

fn is_item(line: &str, at: usize) -> bool {
    is_content(line) && indentation(line) == at && line.trim_start().starts_with("- ")
}

/// The key that a line gives at this indentation, be it the first of a list's item.
fn key_at(line: &str, at: usize) -> Option<&str> {
    let begins_item = at >= 2 && is_item(line, at - 2);
    if !is_content(line) || (indentation(line) != at && !begins_item) {
        return None;
    }
    line.get(at..)?.split_once(':').map(|(key, _)| key)
}

/// Where a node ends that starts at `start`. Comments before what follows belong to that.
fn end(lines: &[&str], start: usize, limit: usize, at: usize) -> usize {
    let next = (start + 1..limit).find(|&line| is_content(lines[line]) && indentation(lines[line]) <= at);
    let mut end = next.unwrap_or(limit);
    while end > start + 1 && !is_content(lines[end - 1]) && indentation(lines[end - 1]) <= at {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# head
a:
  b:
    - c: 1
      d:
        - x
        # last in d
      # of e
      e: 2
    # of the second
    - c: 3
      d: [y]
  # of f
  f: 4
";

    fn found(path: &str) -> Result<Node> {
        let lines: Vec<_> = TEXT.lines().collect();
        Node::find(&lines, &path.split('/').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn finds_nodes() {
        for (path, lines, indentation) in [
            ("a", 1..14, 0),
            ("a/b", 2..12, 2),
            ("a/b/0", 3..9, 4),
            ("a/b/0/c", 3..4, 6),
            ("a/b/0/d", 4..7, 6),
            ("a/b/0/e", 8..9, 6),
            ("a/b/1", 10..12, 4),
            ("a/b/1/d", 11..12, 6),
            ("a/f", 13..14, 2),
        ] {
            assert_eq!(found(path).unwrap(), Node { lines, indentation }, "{path}");
        }
        for path in ["b", "a/c", "a/b/2", "a/b/1/e", "a/b/0/x"] {
            assert!(found(path).is_err(), "{path}");
        }
    }
}
