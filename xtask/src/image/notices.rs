//! The licences of what is linked into a program, as their authors wrote them: each text once, with all whom it is of.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use super::components::Component;

/// What names of such files begin with, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
const RULE: &str = "================================================================================\n";

/// All of it.
pub(super) fn text(components: &[Component]) -> Result<String> {
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::from("timejump contains:\n\n");
    for component in components.iter().filter(|component| !component.build_only) {
        let name = format!("{} {}", component.name, component.version);
        let license = component.license.as_deref().unwrap_or("see below");
        writeln!(list, "{name} ({license})")?;
        for text in licences(component)? {
            let whose = of.entry(text).or_default();
            if !whose.contains(&name) {
                whose.push(name.clone());
            }
        }
    }
    let mut by_owner: Vec<_> = of.into_iter().map(|(text, whose)| (whose, text)).collect();
    by_owner.sort();
    for (whose, text) in by_owner {
        write!(list, "\n{RULE}{}\n{RULE}\n{}\n", whose.join(", "), text.trim_matches('\n'))?;
    }
    Ok(list)
}

fn licences(component: &Component) -> Result<Vec<String>> {
    // Those of the workspace are beside this file in the image.
    let Some(folder) = component.folder.as_deref().filter(|_| component.purl.is_some()) else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() && is_licence(&path) {
            let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&text).replace("\r\n", "\n"));
        }
    }
    texts.sort();
    Ok(texts)
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
    NAMES.iter().any(|beginning| name.starts_with(beginning))
}
