//! The Helm chart.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    CHART, Files, KUSTOMIZE,
    component::Component,
    values::{self, Default, Value},
    weave,
};

/// The object that components' patches are for.
const PATCHED: &str = "daemonset.yaml";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const ABOUT: &str = include_str!("chart/README.md");
const NOTES: &str = include_str!("chart/NOTES.txt");
const MADE: &str = "Made from deploy/kustomize by `cargo xtask manifests`: do not edit.";

/// All of its files.
pub(super) fn make(base: &BTreeMap<String, String>, components: &[Component]) -> Result<Files> {
    let mut values = Vec::new();
    let mut files = Files::new();
    for (name, text) in base {
        let lines = if name == PATCHED { weave::weave(text, components)? } else { lines(text) };
        let from = Path::new(KUSTOMIZE).join("base").join(name);
        let template = template(&from, &lines, None, &mut values)?;
        files.insert(path("templates").join(name), template);
    }
    for component in components {
        let folder = Path::new("components").join(&component.name);
        for (name, text) in &component.resources {
            let from = Path::new(KUSTOMIZE).join(&folder).join(name);
            let made = template(&from, &lines(text), Some(component), &mut values)?;
            files.insert(path("templates").join(&component.name).join(name), made);
        }
    }
    files.insert(path("templates/NOTES.txt"), NOTES.to_owned());
    files.insert(path("values.yaml"), values_yaml(components, &values));
    files.insert(path("values.schema.json"), schema(components, &values)?);
    files.insert(path("README.md"), readme(components, &values));
    files.insert(path("Chart.yaml"), chart_yaml());
    Ok(files)
}

fn path(file: &str) -> PathBuf {
    Path::new(CHART).join(file)
}

/// What is not the source's to say must not look like a template.
fn lines(text: &str) -> Vec<String> {
    let escape = |line: &str| {
        let line = line.replace("{{", "\u{1}").replace("}}", "\u{2}");
        line.replace('\u{1}', "{{ \"{{\" }}").replace('\u{2}', "{{ \"}}\" }}")
    };
    text.lines().map(escape).collect()
}

/// Objects as a template, there only if their component is on.
fn template(
    from: &Path,
    lines: &[String],
    component: Option<&Component>,
    values: &mut Vec<Value>,
) -> Result<String> {
    let body = values::extract(lines, values).with_context(|| from.display().to_string())?;
    let body =
        body.iter().map(|line| line.replace("namespace: timejump", "namespace: {{ .Release.Namespace }}"));
    let mut lines = vec![format!(
        "{{{{- /* Made from {} by `cargo xtask manifests`: do not edit. */ -}}}}",
        from.display()
    )];
    if let Some(component) = component {
        lines.push(format!("{{{{- if .Values.components.{} }}}}", component.value()));
        lines.extend(body);
        lines.push("{{- end }}".to_owned());
    } else {
        lines.extend(body);
    }
    Ok(joined(&lines))
}

/// Each with its newline.
fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn values_yaml(components: &[Component], values: &[Value]) -> String {
    let mut lines = vec![
        format!("# {MADE}"),
        String::new(),
        "# Parts of timejump. Each is a component of the Kustomize tree as well, by the same name;"
            .to_owned(),
        "# docs/kubernetes.md says what rights it brings.".to_owned(),
        "components:".to_owned(),
    ];
    for component in components {
        lines.extend(component.about.iter().map(|line| format!("  # {line}")));
        lines.push(format!("  {}: {}", component.value(), component.on));
    }
    for value in values {
        lines.push(String::new());
        lines.extend(value.yaml());
    }
    joined(&lines)
}

fn schema(components: &[Component], values: &[Value]) -> Result<String> {
    let switches: serde_json::Map<_, _> = components
        .iter()
        .map(|component| {
            (component.value(), json!({"type": "boolean", "description": component.about.join(" ")}))
        })
        .collect();
    let mut properties = serde_json::Map::new();
    let components = json!({"type": "object", "additionalProperties": false, "properties": switches});
    properties.insert("components".to_owned(), components);
    for value in values {
        let mut schema = value.schema();
        schema["description"] = value.about.join(" ").into();
        properties.insert(value.name.clone(), schema);
    }
    // Helm's own, for charts that have this one inside.
    properties.insert("global".to_owned(), json!({"type": "object"}));
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": MADE,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn readme(components: &[Component], values: &[Value]) -> String {
    let row = |name: &str, default: &str, about: &[String]| {
        format!("| `{name}` | `{default}` | {} |", about.join(" ").replace('|', "\\|"))
    };
    let mut lines = vec![
        format!("<!-- {MADE} -->"),
        ABOUT.to_owned(),
        "## Values\n\n| value | default | what |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for component in components {
        let name = format!("components.{}", component.value());
        lines.push(row(&name, &component.on.to_string(), &component.about));
    }
    for value in values {
        let default = match &value.default {
            Default::Scalar(default) => default,
            Default::Block(_) => "see values.yaml",
        };
        lines.push(row(&value.name, default, &value.about));
    }
    joined(&lines)
}

fn chart_yaml() -> String {
    format!(
        "# {MADE}\n\
         apiVersion: v2\n\
         name: timejump\n\
         description: Tells every jump of each node's wall clock, who did it, and what it spoils\n\
         type: application\n\
         version: {VERSION}\n\
         appVersion: \"{VERSION}\"\n\
         # Before 1.30 with components.apparmorAnnotation.\n\
         kubeVersion: \">=1.25.0-0\"\n\
         home: https://github.com/timejump/timejump\n\
         sources:\n  - https://github.com/timejump/timejump\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_template_is_none() {
        assert_eq!(lines("a: {{ $x }}"), ["a: {{ \"{{\" }} $x {{ \"}}\" }}"]);
    }
}
