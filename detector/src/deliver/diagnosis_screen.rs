//! A diagnosis for people: what is wrong, why, what to do, how sure.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Colour,
    human::{count, printable},
    victims::{victims, wrapped},
};
use crate::{
    clock::{DeltaNs, span},
    diagnose::{Certainty, Diagnosis, LARGE_NS, PastExcursion, PastJump, Step, is_problem},
    impact::{Confidence, Impact, Kind},
};

/// Jumps that are shown one by one.
const MOST_JUMPS: usize = 20;
/// Of each jump so many pieces of evidence are shown.
const MOST_EVIDENCE: usize = 6;
/// Lines that are not believed, and hints, that are shown.
const MOST_LINES: usize = 5;
/// Sources that could not be read and are named.
const MOST_UNSEEN: usize = 12;

/// The screen. One line where nothing is wrong and nothing was.
pub fn diagnosis_screen(diagnosis: &Diagnosis, colour: Colour) -> String {
    let mut text = headline(diagnosis, colour);
    let past = &diagnosis.past;
    // Small steps are what keeps a clock right.
    let small = past.jumps.iter().all(|jump| jump.guess.delta.magnitude() < LARGE_NS);
    let silent = small && past.disbelieved.is_empty();
    if !diagnosis.has_problems() && diagnosis.impacts.is_empty() && silent {
        return text;
    }
    let scene = &diagnosis.scene;
    let _ =
        writeln!(text, "{}", colour.faint(&format!("{}, {}", scene.present.wall.short(), scene.present_by)));
    wrong(&mut text, diagnosis, colour);
    why(&mut text, diagnosis, colour);
    to_do(&mut text, &diagnosis.steps, colour);
    how_sure(&mut text, diagnosis, colour);
    text
}

fn headline(diagnosis: &Diagnosis, colour: Colour) -> String {
    let scene = &diagnosis.scene;
    let host = printable(scene.host.as_deref().unwrap_or("this node"));
    if !diagnosis.has_problems() {
        let tokens: usize = scene.volumes.iter().map(|listed| listed.volume.tokens.len()).sum();
        let looked = [
            (tokens, "token"),
            (scene.facts.containers.len(), "container"),
            (scene.facts.certificates.len(), "certificate"),
        ];
        let looked: Vec<String> = looked.iter().map(|(n, what)| counted(*n, what)).collect();
        let past = match diagnosis.past.jumps.len() {
            0 => "no jump is known of".to_owned(),
            jumps => format!("{} of the past", counted(jumps, "jump")),
        };
        let unseen = scene.sources.iter().filter(|source| !source.seen).count();
        let unseen = if unseen == 0 { String::new() } else { format!("; {unseen} sources not seen") };
        let as_of = if scene.is_copy() {
            format!("as of {}, {}; ", scene.present.wall.short(), scene.present_by)
        } else {
            String::new()
        };
        let fine = colour.bold(&format!("{host}: nothing is wrong because of its clock"));
        return format!("{fine} ({as_of}{}; {past}{unseen})\n", looked.join(", "));
    }
    let mut wrong: Vec<String> = Vec::new();
    let problems: Vec<&Impact> = diagnosis.problems().collect();
    let of = |kinds: &[Kind]| {
        problems.iter().filter(|impact| kinds.iter().any(|kind| impact.kind == kind.word())).count()
    };
    let refused = of(&[Kind::TokenNotYetValid, Kind::TokenExpired]);
    if refused > 0 {
        let pods: BTreeSet<_> = problems
            .iter()
            .filter(|impact| impact.token().is_some())
            .map(|impact| (&impact.subject.namespace, &impact.subject.name))
            .collect();
        let are = if refused == 1 { "is" } else { "are" };
        wrong.push(format!("{} of {} {are} refused", counted(refused, "token"), counted(pods.len(), "pod")));
    }
    let stuck: BTreeSet<_> = problems
        .iter()
        .filter(|impact| {
            [Kind::KubeletCpuCacheStuck, Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen]
                .iter()
                .any(|kind| impact.kind == kind.word())
        })
        .map(|impact| impact.container_id())
        .collect();
    if !stuck.is_empty() {
        let stands = if stuck.len() == 1 { "stands" } else { "stand" };
        wrong.push(format!("{} {stands} still", counted(stuck.len(), "CPU rate")));
    }
    let certificates = of(&[Kind::CertificateNotYetValid, Kind::CertificateExpired]);
    if certificates > 0 {
        wrong.push(format!("{} out of date", counted(certificates, "certificate")));
    }
    if wrong.is_empty() && !problems.is_empty() {
        wrong.push(counted(problems.len(), "victim"));
    }
    let clock = match diagnosis.past.excursions.last().filter(|_| diagnosis.clock.is_empty()) {
        Some(excursion) => ended(excursion, diagnosis),
        None => diagnosis
            .clock
            .first()
            .map_or_else(|| "suffers from its clock".to_owned(), |problem| problem.message.clone()),
    };
    let wrong = if wrong.is_empty() { String::new() } else { format!("; {}", wrong.join(", ")) };
    let mut text = String::new();
    wrapped(&mut text, "", 2, &format!("{host}: {clock}{wrong}"));
    colour.alarm(text.trim_end()) + "\n"
}

/// `its clock was 55d 8h ahead for 5m, and came back 1d ago`.
fn ended(excursion: &PastExcursion, diagnosis: &Diagnosis) -> String {
    let side = if excursion.delta_ns.0 < 0 { "behind" } else { "ahead" };
    let far = span(excursion.delta_ns.magnitude());
    let lasted = if excursion.opened_by.is_some() {
        format!(" for {}", span(excursion.lasted_ns))
    } else {
        String::new()
    };
    let closed = diagnosis.past.jumps.iter().find(|jump| jump.number == excursion.closed_by);
    let back = closed.map_or_else(String::new, |jump| {
        if jump.after.has_lo() {
            format!(", and came back {} ago", span(diagnosis.now.0.saturating_sub(jump.guess.at.0)))
        } else {
            ", and has come back since".to_owned()
        }
    });
    format!("its clock was {far} {side}{lasted}{back}")
}

fn section(text: &mut String, name: &str, colour: Colour) {
    let _ = writeln!(text, "\n{}", colour.bold(name));
}

fn indented(text: &mut String, block: &str) {
    for line in block.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

fn wrong(text: &mut String, diagnosis: &Diagnosis, colour: Colour) {
    let (mut now, mut later): (Vec<Impact>, Vec<Impact>) =
        diagnosis.impacts.iter().cloned().partition(|impact| is_problem(impact, diagnosis.now));
    if diagnosis.scene.present.boot.is_none() {
        // Nobody knows when boot was: nothing is told as after it.
        now.iter_mut().chain(&mut later).for_each(|impact| impact.until_boot = None);
    }
    if diagnosis.has_problems() {
        section(text, "WHAT IS WRONG", colour);
        for problem in &diagnosis.clock {
            wrapped(text, "  ", 2, &problem.message);
        }
        indented(text, &victims(&now, colour));
    }
    if !later.is_empty() {
        section(text, "WHAT ELSE IS DIFFERENT, OR WILL BE", colour);
        indented(text, &victims(&later, colour));
    }
}

fn why(text: &mut String, diagnosis: &Diagnosis, colour: Colour) {
    let past = &diagnosis.past;
    section(text, "WHY", colour);
    if past.jumps.is_empty() {
        let _ = writeln!(text, "  Nothing that could be read tells of a jump.");
    } else {
        text.push_str(&drawing(&past.jumps));
    }
    let left_out = past.jumps.len().saturating_sub(MOST_JUMPS);
    if left_out > 0 {
        let _ = writeln!(text, "  {} more before these: -o json has them all", counted(left_out, "jump"));
    }
    for jump in &past.jumps[left_out..] {
        one_jump(text, jump, colour);
    }
    for excursion in &past.excursions {
        let (Some(opened), closed) = (excursion.opened_by, excursion.closed_by) else { continue };
        let side = if excursion.delta_ns.0 < 0 { "behind" } else { "ahead" };
        let far = span(excursion.delta_ns.magnitude());
        let _ = writeln!(
            text,
            "  from jump {opened} to {closed}: {far} {side}, for {}",
            span(excursion.lasted_ns)
        );
    }
    if !past.earlier.is_empty() {
        let _ = writeln!(text, "  in earlier boots, by the journal:");
        for jump in past.earlier.iter().rev().take(MOST_LINES) {
            let _ = writeln!(text, "    {}", printable(jump));
        }
        more(text, past.earlier.len(), MOST_LINES);
    }
    if !past.hints.is_empty() {
        let _ = writeln!(text, "  also said, of no jump that is known or too small to be seen elsewhere:");
        for hint in past.hints.iter().take(MOST_LINES) {
            wrapped(text, "    ", 6, &format!("{}: {}", hint.source, hint.quote));
        }
        more(text, past.hints.len(), MOST_LINES);
    }
    if !past.disbelieved.is_empty() {
        let _ = writeln!(text, "  {}", colour.warn("said, and not believed:"));
        for line in past.disbelieved.iter().take(MOST_LINES) {
            wrapped(text, "    ", 6, &format!("{}: {}", line.source, line.quote));
            wrapped(text, "      ", 6, &line.why);
        }
        more(text, past.disbelieved.len(), MOST_LINES);
    }
}

fn more(text: &mut String, all: usize, shown: usize) {
    if all > shown {
        let _ = writeln!(text, "    and {} more", all - shown);
    }
}

fn one_jump(text: &mut String, jump: &PastJump, colour: Colour) {
    let far = jump.guess.delta.short();
    let far = match jump.error_ns() {
        Some(error) if error <= 1_000_000 => jump.guess.delta.to_string(),
        Some(error) => format!("about {far} (within {})", span(error)),
        None => format!("at least {far}"),
    };
    let by = jump.by.as_ref().map_or_else(|| "by whom is not known".to_owned(), |by| format!("by {by}"));
    let sure = match jump.certainty {
        Certainty::Certain => colour.bold("certain"),
        Certainty::Likely => "likely".to_owned(),
        Certainty::Possible => colour.warn("possible"),
    };
    let _ = writeln!(
        text,
        "  {}  {far}  {sure}, {}",
        colour.bold(&format!("jump {}", jump.number)),
        printable(&by)
    );
    let _ = writeln!(text, "    {} → {}", jump.guess.before.short(), jump.guess.after.short());
    for sighting in jump.sightings.iter().take(MOST_EVIDENCE) {
        wrapped(text, "    - ", 6, &format!("{}: {}", sighting.source, sighting.quote));
    }
    more(text, jump.sightings.len(), MOST_EVIDENCE);
}

/// How far the clock was from where it first was, by the jumps.
fn drawing(jumps: &[PastJump]) -> String {
    // What fits, and can be told apart.
    let (Some(furthest), true) =
        (jumps.iter().map(|jump| jump.guess.delta.magnitude()).max(), jumps.len() <= 8)
    else {
        return String::new();
    };
    let mut levels: Vec<i64> = vec![0];
    let mut level = 0_i64;
    let mut steps = Vec::new();
    for jump in jumps {
        level = level.saturating_add(jump.guess.delta.0);
        // Back to within a hundredth is back.
        let near = levels.iter().find(|known| known.abs_diff(level) <= furthest / 100).copied();
        level = near.unwrap_or(level);
        if near.is_none() {
            levels.push(level);
        }
        steps.push(level);
    }
    levels.sort_unstable_by(|a, b| b.cmp(a));
    let labels: Vec<String> = levels.iter().map(|level| DeltaNs(*level).short()).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let (flat, mut text) = (10, String::new());
    let at = |level: i64| levels.iter().position(|known| *known == level).unwrap_or(0);
    let path: Vec<usize> = std::iter::once(0_i64).chain(steps.iter().copied()).map(at).collect();
    for (row, label) in labels.iter().enumerate() {
        let mut line = String::new();
        for (index, here) in path.iter().enumerate() {
            let stretch = if *here == row { '─' } else { ' ' };
            line.extend(std::iter::repeat_n(stretch, flat));
            if let Some(next) = path.get(index + 1) {
                let (top, bottom) = (here.min(next), here.max(next));
                line.push(match () {
                    () if here == next => stretch,
                    () if row == *here && row == *top => '┐',
                    () if row == *here => '┘',
                    () if row == *next && row == *top => '┌',
                    () if row == *next => '└',
                    () if row > *top && row < *bottom => '│',
                    () => ' ',
                });
            }
        }
        let _ = writeln!(text, "  {label:>width$} ┤{}", line.trim_end());
    }
    let mut numbers = String::new();
    for jump in jumps {
        let number = jump.number.to_string();
        let _ = write!(numbers, "{:>columns$}", number, columns = flat + 1);
    }
    let _ = writeln!(text, "  {:>width$}  {numbers}", "");
    text
}

fn to_do(text: &mut String, steps: &[Step], colour: Colour) {
    if steps.is_empty() {
        return;
    }
    section(text, "WHAT TO DO", colour);
    for (number, step) in (1..).zip(steps) {
        let number: u32 = number;
        wrapped(text, &format!("  {number}. "), 5, &step.what);
        for command in &step.commands {
            let _ = writeln!(text, "       {}", colour.bold(&printable(command)));
        }
        if let Some(caveat) = &step.caveat {
            wrapped(text, "     mind: ", 11, caveat);
        }
    }
}

fn how_sure(text: &mut String, diagnosis: &Diagnosis, colour: Colour) {
    section(text, "HOW SURE", colour);
    let scene = &diagnosis.scene;
    let observed = diagnosis.problems().filter(|impact| impact.confidence == Confidence::Observed).count();
    let all = diagnosis.problems().count();
    if all > 0 {
        let _ = writeln!(
            text,
            "  {observed} of {} seen on the node, the others follow from the rules for its versions",
            counted(all, "victim")
        );
    }
    for apiserver in &scene.clocks.apiservers {
        let stands = match (&apiserver.trouble, apiserver.ahead_ns) {
            (Some(trouble), _) => format!("could not be asked: {trouble}"),
            (None, Some(ahead)) => {
                format!("{} against the node's, within {}", DeltaNs(ahead).short(), span(apiserver.error_ns))
            }
            (None, None) => "not known".to_owned(),
        };
        wrapped(text, "  ", 4, &format!("apiserver {}: its clock {stands}", apiserver.url));
    }
    match scene.clocks.synchronised {
        Some(true) => text.push_str("  the kernel holds the clock synchronised\n"),
        Some(false) => text.push_str("  the kernel does not hold the clock synchronised\n"),
        None => {}
    }
    let unseen: Vec<_> = scene.sources.iter().filter(|source| !source.seen).collect();
    let seen = scene.sources.len() - unseen.len();
    let _ = writeln!(
        text,
        "  {} read{}",
        counted(seen, "source"),
        if unseen.is_empty() { "" } else { "; not seen:" }
    );
    for source in unseen.iter().take(MOST_UNSEEN) {
        wrapped(text, "    ", 6, &format!("{}: {}", source.name, source.state));
    }
    more(text, unseen.len(), MOST_UNSEEN);
}

fn counted(number: usize, what: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), what)
}
