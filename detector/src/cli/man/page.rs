//! One manual page, in the language of man(7).

use std::collections::BTreeMap;

use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::prose::{self, Prose};
use crate::cli::exit;

/// User commands.
pub(super) const SECTION: &str = "1";

/// What a page is called: `timejump-watch`.
pub(super) fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page of a command that was built.
pub(super) fn page(command: &Command) -> String {
    let prose = prose::of(command.get_name());
    let mut page = Roff::new();
    let source = concat!("timejump ", env!("CARGO_PKG_VERSION"));
    let title = name(command).to_uppercase();
    page.control("TH", [title.as_str(), SECTION, prose::DATE, source, "timejump Manual"]);
    page.control("SH", ["NAME"]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.text([roman(format!("{} - {about}", name(command)))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text(synopsis(command));
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, prose.description);
    commands(&mut page, command);
    options(&mut page, command);
    table(&mut page, "EXIT STATUS", statuses(&prose));
    table(&mut page, "ENVIRONMENT", environment(command, &prose));
    table(&mut page, "FILES", prose.files.iter().map(|(file, what)| ((*file).to_owned(), *what)));
    examples(&mut page, prose.examples);
    see_also(&mut page, command, &prose);
    page.render()
}

/// Text in which what stands in backticks is to be typed, or was.
fn words(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(at, part)| if at % 2 == 0 { roman(part) } else { bold(part) })
        .collect()
}

fn paragraphs(page: &mut Roff, texts: &[&str]) {
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            page.control("PP", []);
        }
        page.text(words(text));
    }
}

fn value_names(arg: &Arg) -> String {
    arg.get_value_names().map_or_else(|| arg.get_id().to_string().to_uppercase(), |names| names.join(" "))
}

fn synopsis(command: &Command) -> Vec<Inline> {
    let mut line = vec![bold(command.get_bin_name().unwrap_or("timejump")), roman(" ")];
    if command.has_subcommands() {
        line.extend([italic("COMMAND"), roman(" ")]);
    }
    line.push(roman("["));
    line.push(italic("OPTION"));
    line.push(roman("]..."));
    for arg in command.get_opts().filter(|arg| arg.is_required_set()) {
        let long = arg.get_long().unwrap_or_default();
        line.extend([roman(" "), bold(format!("--{long}")), roman(" "), italic(value_names(arg))]);
    }
    for arg in command.get_positionals() {
        let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
        line.extend([roman(" "), roman(open), italic(value_names(arg)), roman(close)]);
    }
    line
}

fn commands(page: &mut Roff, command: &Command) {
    if !command.has_subcommands() {
        return;
    }
    page.control("SH", ["COMMANDS"]);
    for of in command.get_subcommands() {
        page.control("TP", []);
        page.text([bold(name(of)), roman(format!("({SECTION})"))]);
        page.text(words(&of.get_about().map(ToString::to_string).unwrap_or_default()));
    }
}

/// The arguments that people see, by the heading that they stand under in `--help`; those without one first.
fn options(page: &mut Roff, command: &Command) {
    let seen: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    let mut headings: Vec<Option<&str>> = vec![None];
    for arg in &seen {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    page.control("SH", ["OPTIONS"]);
    for heading in headings {
        if let Some(heading) = heading {
            page.control("SS", [heading]);
        }
        let below = seen.iter().filter(|arg| arg.get_help_heading() == heading);
        // Positional arguments come first, as on the command line's own screen.
        let (positional, others): (Vec<_>, Vec<_>) = below.partition(|arg| arg.is_positional());
        for arg in positional.into_iter().chain(others) {
            option(page, arg);
        }
    }
}

fn option(page: &mut Roff, arg: &Arg) {
    page.control("TP", []);
    let mut head = Vec::new();
    if let Some(short) = arg.get_short() {
        head.push(bold(format!("-{short}")));
    }
    if let Some(long) = arg.get_long() {
        if !head.is_empty() {
            head.push(roman(", "));
        }
        head.push(bold(format!("--{long}")));
    }
    if arg.is_positional() || arg.get_action().takes_values() {
        if !head.is_empty() {
            head.push(roman(" "));
        }
        head.push(italic(value_names(arg)));
    }
    page.text(head);
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut body = words(&full_stop(&help));
    if let Some(variable) = arg.get_env() {
        body.push(roman(" Else "));
        body.push(bold(variable.to_string_lossy()));
        body.push(roman("."));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        body.extend([roman(" Default: "), bold(defaults.join(",")), roman(".")]);
    }
    let mut values = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
    values.retain(|value| !value.is_hide_set());
    let told = values.iter().any(|value| value.get_help().is_some());
    if !told && !values.is_empty() {
        let names: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        body.extend(words(&format!(" One of {}.", names.join(", "))));
    }
    page.text(body);
    if told {
        page.control("RS", []);
        for value in &values {
            page.control("TP", []);
            page.text([bold(value.get_name())]);
            page.text(words(&full_stop(&value.get_help().map(ToString::to_string).unwrap_or_default())));
        }
        page.control("RE", []);
    }
}

/// Help has no full stop at its end; text that others follow needs one.
fn full_stop(text: &str) -> String {
    if text.is_empty() || text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// A section of things and what they mean; none if there are none.
fn table(page: &mut Roff, title: &str, rows: impl IntoIterator<Item = (String, &'static str)>) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return;
    }
    page.control("SH", [title]);
    for (head, what) in rows {
        page.control("TP", []);
        page.text([bold(head)]);
        page.text(words(what));
    }
}

/// What every command can end with, and what `prose` says of this one.
fn statuses(prose: &Prose) -> Vec<(String, &'static str)> {
    let mut statuses = BTreeMap::from([
        (exit::OK, "All is well."),
        (exit::USAGE, "The command line is wrong."),
        (exit::IO, "What was to be written cannot be written."),
    ]);
    statuses.extend(prose.statuses.iter().copied());
    statuses.into_iter().map(|(status, what)| (status.to_string(), what)).collect()
}

/// The variables of its options, what `prose` names besides, and what all commands heed.
fn environment(command: &Command, prose: &Prose) -> BTreeMap<String, &'static str> {
    let options = command.get_arguments().filter_map(|arg| {
        let variable = arg.get_env()?.to_string_lossy().into_owned();
        Some((variable, "What the option that names it is, where that is not given."))
    });
    let named = prose.environment.iter().chain(prose::ENVIRONMENT);
    options.chain(named.map(|(name, what)| ((*name).to_owned(), *what))).collect()
}

fn examples(page: &mut Roff, examples: &[(&str, &str)]) {
    if examples.is_empty() {
        return;
    }
    page.control("SH", ["EXAMPLES"]);
    for (at, (what, line)) in examples.iter().enumerate() {
        if at > 0 {
            page.control("PP", []);
        }
        if !what.is_empty() {
            page.text(words(what));
            page.control("PP", []);
        }
        page.control("RS", ["4"]);
        page.control("EX", []);
        page.text([roman(*line)]);
        page.control("EE", []);
        page.control("RE", []);
    }
}

fn see_also(page: &mut Roff, command: &Command, prose: &Prose) {
    page.control("SH", ["SEE ALSO"]);
    let own = if command.has_subcommands() {
        command.get_subcommands().map(|of| name(of).to_owned()).collect()
    } else {
        let others = prose.see.iter().map(|of| format!("timejump-{of}"));
        [vec!["timejump".to_owned()], others.collect()].concat()
    };
    let foreign = prose.see_foreign.iter().map(|(name, section)| ((*name).to_owned(), *section));
    let all = own.into_iter().map(|name| (name, SECTION)).chain(foreign).collect::<Vec<_>>();
    for (at, (name, section)) in all.iter().enumerate() {
        let comma = if at + 1 < all.len() { "," } else { "" };
        page.text([bold(name), roman(format!("({section}){comma}"))]);
    }
    page.control("PP", []);
    page.text([roman("Documents: "), italic(prose::DOCUMENTS)]);
}
