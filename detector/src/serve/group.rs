//! A group, by name or number.

use std::{fs, str::FromStr};

/// A group that may use the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// By its number.
    Id(u32),
    /// By its name.
    Name(String),
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) if text.is_empty() => Err("empty".to_owned()),
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl Group {
    /// Its number, by `/etc/group`. The binary is static and has no other name service.
    pub(super) fn id(&self) -> Result<u32, String> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Name(name) => {
                let text =
                    fs::read_to_string("/etc/group").map_err(|error| format!("/etc/group: {error}"))?;
                find(&text, name).ok_or_else(|| format!("there is no group {name} in /etc/group"))
            }
        }
    }
}

fn find(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_and_number() {
        let text = "root:x:0:\nadm:x:4:syslog\nbroken\ntime:x:nonsense:\n";
        assert_eq!(find(text, "adm"), Some(4));
        assert_eq!(find(text, "ad"), None);
        assert_eq!(find(text, "time"), None);
        assert_eq!("4".parse(), Ok(Group::Id(4)));
        assert_eq!("adm".parse(), Ok(Group::Name("adm".into())));
        "".parse::<Group>().unwrap_err();
    }
}
