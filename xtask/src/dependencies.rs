//! A test of what dependencies may be: their licences, where they come from, and which must not be among them. By `deny.toml`, which is
//! cargo-deny's; that tool takes longer to compile than this takes to check, and its advisories want the network.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item};

use crate::{layout::Layout, process};

/// What `deny.toml` says.
struct Rules {
    licenses: Vec<String>,
    registries: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let file: DocumentMut = text.parse()?;
        let list = |table: &str, key: &str, word: fn(&toml_edit::Value) -> Option<&str>| {
            let list = file.get(table).and_then(|table| table.get(key)).and_then(Item::as_array);
            let list = list.with_context(|| format!("there is no list {key} in [{table}]"))?;
            let words = list.iter().map(|item| word(item).map(str::to_owned)).collect::<Option<Vec<_>>>();
            let words = words.with_context(|| format!("{key} in [{table}] has what is not understood"))?;
            ensure!(!words.is_empty(), "{key} in [{table}] is empty");
            anyhow::Ok(words)
        };
        Ok(Self {
            licenses: list("licenses", "allow", toml_edit::Value::as_str)?,
            registries: list("sources", "allow-registry", toml_edit::Value::as_str)?,
            banned: list("bans", "deny", |item| item.as_inline_table()?.get("crate")?.as_str())?,
        })
    }

    /// What is wrong with a package of `cargo metadata`, if something is.
    fn wrong_with(&self, package: &Value) -> Option<String> {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        let mut wrong = Vec::new();
        match package["license"].as_str() {
            None => wrong.push("it names no licence".to_owned()),
            Some(license) => match allowed(license, &self.licenses) {
                Ok(true) => {}
                Ok(false) => wrong.push(format!("licence {license}")),
                Err(error) => wrong.push(format!("licence {license}: {error}")),
            },
        }
        if self.banned.iter().any(|banned| banned == name) {
            wrong.push("it is banned".to_owned());
        }
        // The workspace's own have none.
        if let Some(source) = package["source"].as_str() {
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            if !self.registries.iter().any(|allowed| allowed == registry) {
                wrong.push(format!("it comes from {source}"));
            }
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let ours = package["source"].is_null() && dependency["path"].is_null();
            if ours && dependency["req"] == "*" {
                wrong.push(format!("it takes any version of {}", dependency["name"]));
            }
        }
        (!wrong.is_empty()).then(|| format!("  {name} {version}: {}", wrong.join("; ")))
    }
}

/// Whether an SPDX expression can be met by licences of this list. `/` is how crates once wrote `OR`.
fn allowed(expression: &str, licenses: &[String]) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, licenses)?;
    match words.next() {
        None => Ok(met),
        Some(word) => bail!("{word} is not expected there"),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, licenses: &[String]) -> Result<bool> {
    let mut met = all(words, licenses)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, licenses)?;
    }
    Ok(met)
}

fn all(words: &mut Words<'_>, licenses: &[String]) -> Result<bool> {
    let mut met = one(words, licenses)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, licenses)?;
    }
    Ok(met)
}

fn one(words: &mut Words<'_>, licenses: &[String]) -> Result<bool> {
    match words.next().context("it ends too soon")? {
        "(" => {
            let met = any(words, licenses)?;
            ensure!(words.next() == Some(")"), "a bracket is not closed");
            Ok(met)
        }
        word @ (")" | "AND" | "OR" | "WITH") => bail!("{word} is not expected there"),
        license => {
            let mut license = license.to_owned();
            if words.next_if_eq(&"WITH").is_some() {
                license = format!("{license} WITH {}", words.next().context("it ends too soon")?);
            }
            Ok(licenses.contains(&license))
        }
    }
}

#[test]
fn all_of_them_are_as_they_may_be() {
    let rules = rules();
    let mut cargo = process::cargo();
    cargo.current_dir(Layout::find().unwrap().root);
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_str(&process::stdout(&mut cargo).unwrap()).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    // Ours are six at most.
    assert!(packages.len() > 100, "cargo metadata knows too few dependencies: {}", packages.len());
    let wrong: Vec<_> = packages.iter().filter_map(|package| rules.wrong_with(package)).collect();
    assert!(wrong.is_empty(), "against deny.toml:\n{}", wrong.join("\n"));
}

fn rules() -> Rules {
    Rules::parse(include_str!("../../deny.toml")).unwrap()
}

#[test]
fn expressions() {
    let rules = rules();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT AND ISC", true),
        ("(GPL-3.0-only OR MIT) AND AGPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0 WITH Another-exception", false),
    ] {
        assert_eq!(allowed(expression, &rules.licenses).unwrap(), met, "{expression}");
    }
    for nonsense in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", ")"] {
        allowed(nonsense, &rules.licenses).unwrap_err();
    }
}

#[test]
fn what_is_wrong_is_named() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |name: &str, license: Value, source: Value, req: &str| {
        let dependency = json!({ "name": "any", "req": req });
        json!({
            "name": name, "version": "1.0.0", "license": license, "source": source, "dependencies": [dependency],
        })
    };
    let rules = rules();
    let wrong = |package: &Value| rules.wrong_with(package).unwrap_or_default();
    assert_eq!(wrong(&package("good", json!("MIT"), json!(registry), "*")), "");
    assert!(wrong(&package("a", json!("GPL-2.0"), json!(registry), "1")).contains("licence GPL-2.0"));
    assert!(wrong(&package("a", Value::Null, json!(registry), "1")).contains("no licence"));
    assert!(wrong(&package("openssl", json!("MIT"), json!(registry), "1")).contains("banned"));
    assert!(wrong(&package("a", json!("MIT"), json!("git+https://x"), "1")).contains("comes from git"));
    assert!(wrong(&package("ours", json!("MIT"), Value::Null, "*")).contains("any version"));
}
