//! What Kubernetes is told. The Kustomize tree (`deploy/kustomize`) is the one source; the Helm chart is made from it:
//! each component becomes a switch of the same name, each line marked `# value: NAME` a value of the chart.
//!
//! The source is YAML in the plain style that `yaml.rs` can find its way in without a parser, so that comments live on.

mod chart;
mod component;
mod rule;
mod values;
mod weave;
mod yaml;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use component::Component;

/// The source.
const KUSTOMIZE: &str = "deploy/kustomize";
/// What is made; nothing else lies there.
const CHART: &str = "deploy/helm/timejump";
/// Made as well: the one file of the Kustomize tree that is not written by hand.
const RULE: &str = "deploy/kustomize/components/prometheus-rule/prometheusrule.yaml";
const RULES: &str = "deploy/prometheus/timejump.rules.yaml";

/// Files by their path from the checkout's root.
type Files = BTreeMap<PathBuf, String>;

/// Writes what is made from the source, and removes from the chart what is made no more. Says what has changed.
pub fn write(root: &Path) -> Result<Vec<PathBuf>> {
    let differing = differing(root)?;
    for (path, text) in &differing {
        let full = root.join(path);
        match text {
            Some(text) => {
                fs::create_dir_all(full.parent().context("a file lies in a folder")?)?;
                fs::write(&full, text).with_context(|| format!("cannot write {}", full.display()))?;
            }
            None => {
                fs::remove_file(&full).with_context(|| format!("cannot remove {}", full.display()))?;
            }
        }
    }
    Ok(differing.into_keys().collect())
}

/// Fails if what is committed is not what would be made.
pub fn check(root: &Path) -> Result<()> {
    let differing: Vec<_> = differing(root)?.into_keys().map(|path| path.display().to_string()).collect();
    ensure!(differing.is_empty(), "run `cargo xtask manifests`: it would change {}", differing.join(", "));
    Ok(())
}

/// The files that are not as they would be made, with what they should hold; nothing: they should not be there.
fn differing(root: &Path) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let made = make(root)?;
    let mut differing: BTreeMap<_, _> = present(root, Path::new(CHART))?
        .into_iter()
        .filter(|path| !made.contains_key(path))
        .map(|path| (path, None))
        .collect();
    for (path, text) in made {
        if fs::read_to_string(root.join(&path)).ok().as_ref() != Some(&text) {
            differing.insert(path, Some(text));
        }
    }
    Ok(differing)
}

/// All files below a folder of the checkout.
fn present(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let full = root.join(folder);
    if !full.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&full).with_context(|| format!("cannot read {}", full.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            found.extend(present(root, &path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn make(root: &Path) -> Result<Files> {
    let rule = rule::make(&read(root, RULES)?);
    let base = base(root)?;
    let mut components = components(root)?;
    let with_rule = components.iter_mut().find(|component| component.name == "prometheus-rule");
    with_rule
        .context("there is no component prometheus-rule")?
        .resources
        .insert("prometheusrule.yaml".to_owned(), rule.clone());
    let mut files = chart::make(&base, &components).context("the chart cannot be made")?;
    files.insert(RULE.into(), rule);
    Ok(files)
}

fn read(root: &Path, path: impl AsRef<Path>) -> Result<String> {
    let path = root.join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The base's objects by file name. The namespace is left out: Helm makes it.
fn base(root: &Path) -> Result<BTreeMap<String, String>> {
    let folder = Path::new(KUSTOMIZE).join("base");
    let mut objects = BTreeMap::new();
    for path in present(root, &folder)? {
        let name = component::file_name(&path)?;
        if !["kustomization.yaml", "namespace.yaml"].contains(&&*name) {
            objects.insert(name, read(root, &path)?);
        }
    }
    Ok(objects)
}

/// All components, by name; on are those that the topmost kustomization names.
fn components(root: &Path) -> Result<Vec<Component>> {
    let kustomize = Path::new(KUSTOMIZE);
    let default = read(root, kustomize.join("kustomization.yaml"))?;
    let on = |name: &str| default.lines().any(|line| line.trim() == format!("- components/{name}"));
    let mut by_name: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in present(root, &kustomize.join("components"))? {
        let folder = path.parent().context("a file lies in a folder")?;
        by_name.entry(component::file_name(folder)?).or_default().push(path);
    }
    let mut components = Vec::new();
    for (name, paths) in by_name {
        let files = paths.iter().map(|path| Ok((component::file_name(path)?, read(root, path)?)));
        let files = files.collect::<Result<BTreeMap<_, _>>>()?;
        let on = on(&name);
        let component = Component::read(&name, on, files).with_context(|| format!("component {name}"))?;
        components.push(component);
    }
    if components.is_empty() {
        bail!("no components below {KUSTOMIZE}");
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn what_is_committed_is_what_is_made() {
        check(&root()).unwrap();
    }

    #[test]
    fn the_image_is_of_this_version() {
        let daemonset = read(&root(), "deploy/kustomize/base/daemonset.yaml").unwrap();
        let image = concat!("image: ghcr.io/timejump/timejump:", env!("CARGO_PKG_VERSION"), " ");
        assert!(daemonset.contains(image), "{image}");
    }
}
