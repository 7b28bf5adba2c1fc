//! What Events are called. An object's name is a lowercase RFC 1123 subdomain of at most 253 characters.

use crate::impact::Subject;

/// Longest part of the name that is the object's own: the rest takes less than 100.
const LONGEST: usize = 150;

/// Of a jump: the node's name, the boot, the jump's number.
pub(super) fn of_jump(node: &str, boot_id: &str, sequence: u64) -> String {
    format!("{}.{}-{sequence}", own(node), short(boot_id))
}

/// Of what a jump does to an object; `over`: that it is over.
pub(super) fn of_victim(
    object: &str,
    boot_id: &str,
    jump: u64,
    kind: &str,
    subject: &Subject,
    over: bool,
) -> String {
    let kind = kind.replace('_', "-");
    let uid = subject.uid.as_deref().map(short).filter(|uid| !uid.is_empty());
    let uid = uid.map(|uid| format!("-{uid}")).unwrap_or_default();
    let over = if over { "-over" } else { "" };
    format!("{}.{}-{jump}-{}{uid}{over}", own(object), short(boot_id), clean(&kind))
}

/// Of a stage of a remedy, by its reason.
pub(super) fn of_remedy(object: &str, boot_id: &str, id: u64, reason: &str) -> String {
    format!("{}.{}-remedy-{id}-{}", own(object), short(boot_id), clean(reason))
}

/// `TokenNotYetValid` for `token_not_yet_valid`.
pub(super) fn reason(kind: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    kind.split('_').map(capital).collect()
}

/// Enough of an id to tell it from others.
fn short(id: &str) -> String {
    clean(&id.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>())
}

fn own(name: &str) -> String {
    let name = clean(name);
    let name = name.get(..LONGEST).unwrap_or(&name).trim_matches(['-', '.']);
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

/// What a name may not have becomes a hyphen; no part of it is empty, begins or ends with one.
fn clean(text: &str) -> String {
    let parts = text.split('.').map(|part| {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        part.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}
