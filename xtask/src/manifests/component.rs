//! A component of the Kustomize tree: objects of its own, and a JSON patch (RFC 6902) of the DaemonSet.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};

use super::yaml;

const KUSTOMIZATION: &str = "kustomization.yaml";
const PATCH: &str = "patch.yaml";

/// A folder of `components/`.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: String,
    /// What it is for: the comment at the head of its kustomization.
    pub(super) about: Vec<String>,
    /// Whether it is part of what most clusters want.
    pub(super) on: bool,
    /// Its objects by file name.
    pub(super) resources: BTreeMap<String, String>,
    pub(super) patch: Vec<Change>,
}

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) operation: Operation,
    /// Keys and indices; of what is added to a list, without the `-`.
    pub(super) path: Vec<String>,
}

/// What a patch does. Lines have no indentation but their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// One more item of a list.
    Append(Vec<String>),
    /// One more member, by name, of a mapping.
    Member(String, Vec<String>),
    Replace(Vec<String>),
    Remove,
}

impl Component {
    pub(super) fn read(name: &str, on: bool, mut files: BTreeMap<String, String>) -> Result<Self> {
        let kustomization = files.remove(KUSTOMIZATION).with_context(|| format!("no {KUSTOMIZATION}"))?;
        let about: Vec<_> = kustomization
            .lines()
            .map_while(|line| line.strip_prefix('#'))
            .map(|line| line.trim().to_owned())
            .collect();
        ensure!(!about.is_empty(), "{KUSTOMIZATION} does not begin with what the component is for");
        let patch = files.remove(PATCH).map_or(Ok(Vec::new()), |text| changes(&text));
        let patch = patch.with_context(|| PATCH.to_owned())?;
        Ok(Self { name: name.to_owned(), about, on, resources: files, patch })
    }

    /// As the chart names it: `pod-monitor` is `podMonitor`.
    pub(super) fn value(&self) -> String {
        let mut words = self.name.split('-');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (initial, rest) = word.split_at(word.len().min(1));
            name + &initial.to_ascii_uppercase() + rest
        })
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{} has no name", path.display()))?.to_owned())
}

fn changes(text: &str) -> Result<Vec<Change>> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("- ")).map(|(at, _)| at);
    let starts: Vec<_> = starts.chain([lines.len()]).collect();
    starts.windows(2).map(|bounds| change(&lines[bounds[0]..bounds[1]])).collect()
}

/// `- op: …`, `  path: …`, `  value: …`, in this order.
fn change(lines: &[&str]) -> Result<Change> {
    let field = |at: usize, name: &str| {
        let line = lines.get(at).with_context(|| format!("no {name} after {:?}", lines.first()))?;
        let value = line.get(2..).and_then(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok::<_, anyhow::Error>(value.with_context(|| format!("{line:?} is not {name}"))?.trim())
    };
    let operation = field(0, "op")?;
    let path = field(1, "path")?;
    let mut path: Vec<_> = path.split('/').skip(1).map(|key| key.replace("~1", "/")).collect();
    let value = || {
        let scalar = field(2, "value")?;
        let block = lines[3..].iter().map(|line| line.get(4..).unwrap_or_default().to_owned());
        let lines: Vec<_> = if scalar.is_empty() { block.collect() } else { vec![scalar.to_owned()] };
        ensure!(lines.first().is_some_and(|line| !yaml::is_comment(line)), "{path:?}: begin with the value");
        Ok(lines)
    };
    let operation = match operation {
        "add" => {
            let value = value()?;
            match path.pop().context("an empty path")? {
                end if end == "-" => Operation::Append(value),
                key => Operation::Member(key, value),
            }
        }
        "replace" => Operation::Replace(value()?),
        "remove" => Operation::Remove,
        other => bail!("{other}: not add, replace or remove"),
    };
    Ok(Change { operation, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_patch() {
        let text = "# why\n- op: add\n  path: /a/0/b/-\n  value: --x\n- op: add\n  path: /a/c\n  value:\n    d: 1\n    \
                    # e\n    f:\n      - 2\n- op: replace\n  path: /g~1h\n  value: true\n- op: remove\n  path: /i\n";
        let path = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let block = path(&["d: 1", "# e", "f:", "  - 2"]);
        let want = [
            (Operation::Append(path(&["--x"])), path(&["a", "0", "b"])),
            (Operation::Member("c".to_owned(), block), path(&["a"])),
            (Operation::Replace(path(&["true"])), path(&["g/h"])),
            (Operation::Remove, path(&["i"])),
        ];
        assert_eq!(changes(text).unwrap(), want.map(|(operation, path)| Change { operation, path }));
        for bad in ["- op: move\n  path: /a\n", "- op: add\n  value: 1\n", "- op: add\n  path: /a\n"] {
            assert!(changes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_values() {
        let file = |text: &str| BTreeMap::from([(KUSTOMIZATION.to_owned(), text.to_owned())]);
        let named = |name| Component::read(name, true, file("# A.\n# B.\nkind: x\n")).unwrap();
        assert_eq!(named("pod-monitor").value(), "podMonitor");
        assert_eq!(named("k3s").value(), "k3s");
        assert_eq!(named("k3s").about, ["A.", "B."]);
        assert!(Component::read("x", true, file("kind: x\n")).is_err());
    }
}
