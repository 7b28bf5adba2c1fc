//! A test of the repository's pages: each leads somewhere, names what is there, and can be reached from the README.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::layout::Layout;

/// Folders whose files a page may name in backticks, from the root.
const FOLDERS: [&str; 7] =
    ["deploy/", "detector/", "detector-common/", "detector-ebpf/", "docs/", "tests/", "xtask/"];
/// Where pages are that are read from the repository. Elsewhere they lie beside what they explain.
const READ: [&str; 2] = ["docs", "deploy"];

/// The pages there are, from the root.
fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = vec![PathBuf::from("README.md")];
    let mut folders = READ.map(PathBuf::from).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    Ok(pages)
}

/// Where links lead, outside of blocks of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    let lines = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !fence && !in_block
    });
    lines.flat_map(|line| line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)))
}

/// What a heading can be reached by, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        plain
    })
}

/// Paths of this repository that stand in backticks: without blanks, wildcards or what stands for something.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| {
        FOLDERS.iter().any(|folder| quoted.starts_with(folder))
            && quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    })
}

#[test]
fn every_page_leads_to_what_is_there() -> Result<()> {
    let root = Layout::find()?.root;
    let (mut wrong, mut reached) = (Vec::new(), BTreeSet::from([PathBuf::from("README.md")]));
    let pages = pages(&root)?;
    for page in &pages {
        let text = fs::read_to_string(root.join(page)).with_context(|| page.display().to_string())?;
        let here = page.parent().unwrap_or(Path::new(""));
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { plain(&here.join(file)) };
            let known = fragment.is_empty()
                || fs::read_to_string(root.join(&target)).is_ok_and(|text| anchors(&text).contains(fragment));
            if !root.join(&target).exists() || !known {
                wrong.push(format!("{}: {link}", page.display()));
            }
            reached.insert(target);
        }
        let gone = named(&text)
            .filter(|path| !root.join(path).exists() && !path.starts_with("tests/fuzz/artifacts"));
        wrong.extend(gone.map(|path| format!("{}: `{path}` is not there", page.display())));
    }
    let unreached = pages.iter().filter(|page| !reached.contains(*page));
    wrong.extend(unreached.map(|page| format!("{}: no page leads to it", page.display())));
    assert_eq!(wrong, Vec::<String>::new());
    assert!(reached.len() > 20, "few links were found: {reached:?}");
    Ok(())
}

#[test]
fn what_is_wrong_would_be_found() {
    let text = "# A `b`, c (d)\n[x](y.md#z) `docs/gone.md` `docs/*.md`\n```\n[no](no.md)\n```\n";
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d".to_owned()]));
    assert_eq!(links(text).collect::<Vec<_>>(), ["y.md#z"]);
    assert_eq!(named("`docs/gone.md` and `docs/*.md` of `x`").collect::<Vec<_>>(), ["docs/gone.md"]);
    assert_eq!(plain(Path::new("docs/../deploy/./x")), Path::new("deploy/x"));
}
