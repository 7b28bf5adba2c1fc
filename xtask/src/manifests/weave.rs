//! Patches of components, woven into the object that they change, as conditions of the template.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::{
    component::{Component, Operation},
    yaml::{self, Node},
};

/// The object's lines with every component's patch in it, in the components' order.
pub(super) fn weave(text: &str, components: &[Component]) -> Result<Vec<String>> {
    let lines: Vec<_> = text.lines().collect();
    let mut added: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    // By where they begin: what several components replace in the same way is replaced if any of them is on.
    let mut replaced: BTreeMap<usize, (Node, Vec<String>, Vec<String>)> = BTreeMap::new();
    for component in components {
        let on = format!(".Values.components.{}", component.value());
        for change in &component.patch {
            let node = Node::find(&lines, &change.path)?;
            let inside = node.indentation + 2;
            let given = match &change.operation {
                Operation::Append(value) => Some(item(value, inside)),
                Operation::Member(key, value) => Some(member(key, value, inside)),
                Operation::Replace(_) | Operation::Remove => None,
            };
            if let Some(given) = given {
                let at = added.entry(node.lines.end).or_default();
                at.push(format!("{}{{{{- if {on} }}}}", spaces(inside)));
                at.extend(given);
                at.push(format!("{}{{{{- end }}}}", spaces(inside)));
                continue;
            }
            let first = lines[node.lines.start];
            ensure!(
                yaml::indentation(first) == node.indentation,
                "{:?} begins a list's item: it cannot be replaced",
                change.path
            );
            let key = change.path.last().map(String::as_str).unwrap_or_default();
            let instead = match &change.operation {
                Operation::Replace(value) => member(key, value, node.indentation),
                _ => Vec::new(),
            };
            let (_, known, conditions) =
                replaced.entry(node.lines.start).or_insert_with(|| (node, instead.clone(), Vec::new()));
            if *known != instead {
                bail!("{:?} is replaced by {} and by another, in another way", change.path, component.name);
            }
            conditions.push(on.clone());
        }
    }
    let mut woven = Vec::new();
    let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
    for at in 0..=lines.len() {
        if let Some(indentation) = ends.remove(&at) {
            woven.push(format!("{}{{{{- end }}}}", spaces(indentation)));
        }
        woven.extend(added.remove(&at).unwrap_or_default());
        if let Some((node, instead, conditions)) = replaced.remove(&at) {
            let any = if conditions.len() == 1 {
                conditions[0].clone()
            } else {
                format!("or {}", conditions.join(" "))
            };
            let indent = spaces(node.indentation);
            if instead.is_empty() {
                woven.push(format!("{indent}{{{{- if not ({any}) }}}}"));
            } else {
                woven.push(format!("{indent}{{{{- if {any} }}}}"));
                woven.extend(instead);
                woven.push(format!("{indent}{{{{- else }}}}"));
            }
            ends.insert(node.lines.end, node.indentation);
        }
        woven.extend(lines.get(at).map(ToString::to_string));
    }
    Ok(woven)
}

pub(super) fn spaces(number: usize) -> String {
    " ".repeat(number)
}

/// A value as an item of a list.
fn item(value: &[String], indentation: usize) -> Vec<String> {
    let indent = spaces(indentation);
    let mark = |at: usize| if at == 0 { "- " } else { "  " };
    value.iter().enumerate().map(|(at, line)| format!("{indent}{}{line}", mark(at))).collect()
}

/// A value as a member of a mapping: on the line of its key, if it is no block.
fn member(key: &str, value: &[String], indentation: usize) -> Vec<String> {
    let indent = spaces(indentation);
    match value {
        [scalar] if !scalar.contains(": ") && !scalar.ends_with(':') && !scalar.starts_with("- ") => {
            vec![format!("{indent}{key}: {scalar}")]
        }
        block => {
            let lines = block.iter().map(|line| format!("{indent}  {line}"));
            [format!("{indent}{key}:")].into_iter().chain(lines).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn component(name: &str, patch: &str) -> Component {
        let files = [("kustomization.yaml", "# X.\n"), ("patch.yaml", patch)];
        let files: BTreeMap<_, _> = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        Component::read(name, false, files).unwrap()
    }

    const TEXT: &str = "a:\n  list:\n    - 1\n  token: false\n  # of caps\n  caps:\n    - x\nz: 1\n";

    #[test]
    fn weaves() {
        let one = component(
            "one-a",
            "- op: replace\n  path: /a/token\n  value: true\n- op: add\n  path: /a/list/-\n  value:\n    n: 2\n    m: 3\n",
        );
        let two = component(
            "two",
            "- op: replace\n  path: /a/token\n  value: true\n- op: remove\n  path: /a/caps\n- op: add\n  path: /a/more\n  \
             value:\n    k: v\n",
        );
        let want = "\
a:
  list:
    - 1
    {{- if .Values.components.oneA }}
    - n: 2
      m: 3
    {{- end }}
  {{- if or .Values.components.oneA .Values.components.two }}
  token: true
  {{- else }}
  token: false
  {{- end }}
  # of caps
  {{- if not (.Values.components.two) }}
  caps:
    - x
  {{- end }}
  {{- if .Values.components.two }}
  more:
    k: v
  {{- end }}
z: 1";
        assert_eq!(weave(TEXT, &[one, two]).unwrap().join("\n"), want);
    }

    #[test]
    fn refuses_what_contradicts() {
        let patch = |value: &str| format!("- op: replace\n  path: /a/token\n  value: {value}\n");
        let both = [component("one", &patch("true")), component("two", &patch("maybe"))];
        assert!(weave(TEXT, &both).unwrap_err().to_string().contains("is replaced by two and by another"));
        assert!(weave(TEXT, &[component("one", "- op: remove\n  path: /b\n")]).is_err());
    }
}
