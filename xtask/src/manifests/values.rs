//! What a chart's user can set: lines of the source that say so.
//!
//! - `key: default  # value: NAME` and `- --flag=default  # value: NAME`: a value, which the comment above is about;
//! - `key:  # value: NAME` and the block below it: likewise;
//! - `# items: NAME`: more items of a list, none by default.

use anyhow::{Context, Result, bail, ensure};

use super::{
    weave::spaces,
    yaml::{indentation, is_comment},
};

const VALUE: &str = "# value: ";
const ITEMS: &str = "# items: ";
/// Repository and tag are two values, and the tag is the chart's version unless it is set.
const IMAGE: &str = "image";

/// One value of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) name: String,
    /// What it is for.
    pub(super) about: Vec<String>,
    /// What it is unless it is set.
    pub(super) default: Default,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Default {
    Scalar(String),
    /// Lines without indentation but their own.
    Block(Vec<String>),
}

/// Takes the values out of an object's lines: what is left is a template.
pub(super) fn extract(lines: &[String], values: &mut Vec<Value>) -> Result<Vec<String>> {
    let mut template: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        if let Some(name) = line.trim_start().strip_prefix(ITEMS) {
            let about = comment_above(&mut template, indentation(line));
            enter(values, Value { name: name.to_owned(), about, default: Default::Scalar("[]".to_owned()) })?;
            let indent = spaces(indentation(line));
            template.push(format!("{indent}{{{{- with .Values.{name} }}}}"));
            template.push(format!("{indent}{{{{- toYaml . | nindent {} }}}}", indent.len()));
            template.push(format!("{indent}{{{{- end }}}}"));
            continue;
        }
        let Some((text, name)) = line.split_once(VALUE) else {
            template.push(line.clone());
            continue;
        };
        let text = text.trim_end();
        let about = comment_above(&mut template, indentation(line));
        let (default, lines_for_it) = if text.ends_with(':') {
            let inner = lines.get(at).map(|line| indentation(line)).unwrap_or_default();
            ensure!(inner > indentation(line), "{name}: nothing is inside it");
            let block = lines[at..].iter().take_while(|line| indentation(line) >= inner);
            let block: Vec<_> = block.map(|line| line[inner..].to_owned()).collect();
            at += block.len();
            let into = format!("{}{{{{- toYaml .Values.{name} | nindent {inner} }}}}", spaces(inner));
            (Default::Block(block), vec![text.to_owned(), into])
        } else {
            let (default, into) = scalar(text, name)?;
            (Default::Scalar(default), vec![into])
        };
        template.extend(lines_for_it);
        enter(values, Value { name: name.to_owned(), about, default })?;
    }
    Ok(template)
}

/// The default that a line gives, and the line with the value in its place.
fn scalar(text: &str, name: &str) -> Result<(String, String)> {
    let indent = spaces(indentation(text));
    if let Some((flag, default)) =
        text.trim_start().strip_prefix("- --").and_then(|flag| flag.split_once('='))
    {
        let into = format!("{indent}- {{{{ printf \"--{flag}=%v\" .Values.{name} | toJson }}}}");
        // Plain, a colon or a bracket could mean something else to YAML.
        let is_plain = !default.contains([':', '[', '{', '#', '*', '&']);
        return Ok((if is_plain { default.to_owned() } else { format!("{default:?}") }, into));
    }
    let (key, default) = text.split_once(": ").with_context(|| format!("{name}: neither key nor flag"))?;
    let value = if name == IMAGE {
        "printf \"%s:%s\" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)".to_owned()
    } else {
        format!(".Values.{name}")
    };
    Ok((default.trim().to_owned(), format!("{key}: {{{{ {value} | toJson }}}}")))
}

/// The comment just above the line that comes next, which moves to the values.
fn comment_above(template: &mut Vec<String>, at: usize) -> Vec<String> {
    let is_part = |line: &String| is_comment(line) && indentation(line) == at;
    let start = template.iter().rposition(|line| !is_part(line)).map_or(0, |last| last + 1);
    template.drain(start..).map(|line| line.trim_start().trim_start_matches('#').trim().to_owned()).collect()
}

/// The same value may be used in several places, with the same default.
fn enter(values: &mut Vec<Value>, value: Value) -> Result<()> {
    match values.iter().find(|known| known.name == value.name) {
        None if value.about.is_empty() => bail!("{}: no comment above says what it is for", value.name),
        None => values.push(value),
        Some(known) if known.default != value.default => {
            bail!("{}: {:?} here, {:?} elsewhere", value.name, value.default, known.default)
        }
        Some(_) => {}
    }
    Ok(())
}

impl Value {
    /// Its entry in `values.yaml`.
    pub(super) fn yaml(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.about.iter().map(|line| format!("# {line}")).collect();
        match &self.default {
            Default::Scalar(image) if self.name == IMAGE => {
                let repository = image.rsplit_once(':').map_or(&**image, |(repository, _)| repository);
                lines.push(format!("{IMAGE}:"));
                lines.push(format!("  repository: {repository}"));
                lines.push("  # Else the chart's appVersion.".to_owned());
                lines.push("  tag: \"\"".to_owned());
            }
            Default::Scalar(default) => lines.push(format!("{}: {default}", self.name)),
            Default::Block(block) => {
                lines.push(format!("{}:", self.name));
                lines.extend(block.iter().map(|line| format!("  {line}")));
            }
        }
        lines
    }

    /// What a JSON schema says of it.
    pub(super) fn schema(&self) -> serde_json::Value {
        let text = serde_json::json!({"type": "string"});
        let types = match &self.default {
            Default::Scalar(_) if self.name == IMAGE => {
                return serde_json::json!({
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"repository": text, "tag": text},
                });
            }
            Default::Scalar(default) if default.starts_with('[') => "array",
            Default::Scalar(default) if default.ends_with('%') => {
                return serde_json::json!({"type": ["integer", "string"]});
            }
            Default::Scalar(_) => "string",
            Default::Block(block) if block.first().is_some_and(|line| line.starts_with("- ")) => "array",
            Default::Block(_) => "object",
        };
        serde_json::json!({"type": types})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(String, Vec<Value>)> {
        let mut values = Vec::new();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let template = extract(&lines, &mut values)?;
        Ok((template.join("\n"), values))
    }

    #[test]
    fn takes_values_out() {
        let text = "\
a:
  # Of the list.

  # Of n.
  # More of it.
  n: 10% # value: n
  # Of s.
  s: # value: s
    x: 1
    # inside
    y: 2
  args:
    - run
    # Of h.
    - --h=a:1 # value: h
    # Of extra.
    # items: extra
  again: \"a:1\" # value: h";
        let want = "\
a:
  # Of the list.

  n: {{ .Values.n | toJson }}
  s:
    {{- toYaml .Values.s | nindent 4 }}
  args:
    - run
    - {{ printf \"--h=%v\" .Values.h | toJson }}
    {{- with .Values.extra }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  again: {{ .Values.h | toJson }}";
        let (template, values) = of(text).unwrap();
        assert_eq!(template, want);
        let yaml: Vec<_> = values.iter().flat_map(Value::yaml).collect();
        let want = "# Of n.\n# More of it.\nn: 10%\n# Of s.\ns:\n  x: 1\n  # inside\n  y: 2\n# Of h.\nh: \"a:1\"\n# Of \
                    extra.\nextra: []";
        assert_eq!(yaml.join("\n"), want);
        let types: Vec<_> = values.iter().map(|value| value.schema()["type"].to_string()).collect();
        assert_eq!(types, ["[\"integer\",\"string\"]", "\"object\"", "\"string\"", "\"array\""]);
    }

    #[test]
    fn an_image_has_two_values() {
        let (template, values) = of("# Which.\nimage: r.example/x/y:1.2 # value: image").unwrap();
        assert!(template.contains(".Values.image.tag | default .Chart.AppVersion"), "{template}");
        assert!(values[0].yaml().contains(&"  repository: r.example/x/y".to_owned()));
    }

    #[test]
    fn refuses_what_nobody_could_understand() {
        for text in
            ["a: 1 # value: a", "# A.\na: 1 # value: a\n# B.\nb: 2 # value: a", "# A.\na: # value: a\nb: 1"]
        {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
