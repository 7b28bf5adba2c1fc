use std::collections::BTreeSet;

use clap::Command;

use super::{command, page};

/// All pages with the commands that they are about.
fn pages() -> Vec<(Command, String)> {
    let command = command();
    let all = std::iter::once(&command).chain(command.get_subcommands());
    all.map(|of| (of.clone(), page::page(of))).collect()
}

/// What a page shows, without what is there to lay it out.
fn shown(page: &str) -> String {
    page.lines()
        .filter(|line| !line.starts_with(['.', '\'']) || line.starts_with(".TH"))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\fB", "")
        .replace("\\fI", "")
        .replace("\\fR", "")
        .replace("\\-", "-")
        .replace("\\*(Aq", "'")
}

fn sections(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix(".SH ")).map(|name| name.trim_matches('"')).collect()
}

/// The text of one section.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let parts: Vec<_> = page.split("\n.SH ").collect();
    let found = parts.iter().find(|part| part.lines().next().unwrap().trim_matches('"') == name);
    found.unwrap_or_else(|| panic!("no section {name}"))
}

#[test]
fn every_command_has_a_page_with_every_section() {
    let pages = pages();
    assert!(pages.len() > 10, "subcommands have pages");
    for (command, page) in &pages {
        let name = page::name(command);
        let sections = sections(page);
        let wanted = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "EXAMPLES",
            "SEE ALSO",
        ];
        let found: Vec<_> = sections.iter().filter(|section| wanted.contains(section)).copied().collect();
        assert_eq!(found, wanted, "{name}");
        let title = page.lines().find(|line| line.starts_with(".TH")).expect("a title").replace("\\-", "-");
        assert!(title.starts_with(&format!(".TH {} 1 ", name.to_uppercase())), "{title}");
        let described = section(page, "DESCRIPTION").lines().skip(1).any(|line| line.len() > 40);
        assert!(described, "{name} is not described");
    }
}

#[test]
fn every_option_is_in_its_page() {
    for (command, page) in &pages() {
        let name = page::name(command);
        let text = shown(section(page, "OPTIONS"));
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            if let Some(long) = arg.get_long() {
                let heads = text.lines().filter(|line| line.starts_with('-'));
                let found =
                    heads.filter(|line| line.split([' ', ',']).any(|word| word == format!("--{long}")));
                assert_eq!(found.count(), 1, "{name} --{long}:\n{text}");
            }
            if let Some(short) = arg.get_short() {
                assert!(text.contains(&format!("-{short}, ")), "{name} -{short}");
            }
            if arg.get_action().takes_values() {
                for value in arg.get_possible_values() {
                    assert!(text.contains(value.get_name()), "{name} {arg}: {}", value.get_name());
                }
            }
            if let Some(variable) = arg.get_env() {
                let variable = variable.to_str().expect("ASCII");
                assert!(shown(section(page, "ENVIRONMENT")).contains(variable), "{name}: {variable}");
            }
        }
    }
}

/// References go to pages that there are, and all statuses that somebody documents are in timejump's own page.
#[test]
fn pages_agree_with_each_other() {
    let pages = pages();
    let names: BTreeSet<_> = pages.iter().map(|(command, _)| page::name(command).to_owned()).collect();
    let statuses = |page: &str| -> BTreeSet<String> {
        let lines = section(page, "EXIT STATUS").lines();
        lines.filter_map(|line| Some(line.strip_prefix("\\fB")?.strip_suffix("\\fR")?.to_owned())).collect()
    };
    let own = statuses(&pages[0].1);
    assert_eq!(own, ["0", "1", "64", "69", "74", "77", "78"].map(String::from).into(), "{}", pages[0].1);
    for (command, page) in &pages {
        let name = page::name(command);
        let text = shown(section(page, "SEE ALSO"));
        for word in text.split([' ', '\n', '(']).filter(|word| word.starts_with("timejump-")) {
            assert!(names.contains(word) && word != name, "{name} refers to {word}");
        }
        assert!(statuses(page).is_subset(&own), "{name}");
        assert!(statuses(page).contains("0") && statuses(page).contains("64"), "{name}");
    }
}

/// What man(7) takes without a complaint: known requests alone, what is opened closed, nothing that ends in a blank.
#[test]
fn pages_are_well_formed() {
    for (command, page) in &pages() {
        let name = page::name(command);
        let mut open = Vec::new();
        let known = ["TH", "SH", "SS", "PP", "TP", "RS", "RE", "EX", "EE", "ie", "el", "br"];
        for (at, line) in page.lines().enumerate() {
            assert_eq!(line, line.trim_end(), "{name}:{}", at + 1);
            assert!(!line.is_empty() || open.last() == Some(&"EX"), "{name}:{}: an empty line", at + 1);
            let Some(request) = line.strip_prefix('.') else { continue };
            let request = request.split(' ').next().unwrap_or_default();
            assert!(known.contains(&request), "{name}:{}: {line}", at + 1);
            match request {
                "RS" | "EX" => open.push(request),
                "RE" => assert_eq!(open.pop(), Some("RS"), "{name}:{}", at + 1),
                "EE" => assert_eq!(open.pop(), Some("EX"), "{name}:{}", at + 1),
                "SH" | "SS" => assert!(open.is_empty(), "{name}:{}: {open:?} before {line}", at + 1),
                _ => {}
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
        assert!(!page.contains('`'), "{name}: an odd backtick");
    }
}
