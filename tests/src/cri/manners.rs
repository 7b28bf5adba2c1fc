//! How the fake runtime misbehaves.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tonic::Code;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Door {
    /// It is served.
    #[default]
    Serve,
    /// It is accepted and never answered, and no call on another one either; served once the door is another.
    Hang,
    /// It is answered as a web server answers what it does not understand.
    NotGrpc,
    /// It is answered by bytes that are no protocol.
    Noise,
    /// It is closed at once.
    Close,
}

impl FromStr for Door {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not answered.
    Hang,
    /// It is answered later.
    Slow(Duration),
    /// Its answer is no protobuf.
    Garbage,
    /// Its answer is that of another method.
    Wrong,
    /// Its answer ends in the middle.
    Cut,
    /// Its answer is so many bytes longer, in a field that the client does not know.
    Huge(usize),
    /// It fails with this code.
    Error(Code),
    /// What it asks for by id is gone, though lists still have it.
    Vanish,
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    /// `hang`, `slow:MS`, `garbage`, `wrong`, `cut`, `huge:BYTES`, `error:CODE`, `vanish`.
    fn from_str(text: &str) -> Result<Self> {
        let (kind, argument) = text.split_once(':').unwrap_or((text, ""));
        Ok(match (kind, argument) {
            ("hang", "") => Self::Hang,
            ("slow", ms) => Self::Slow(Duration::from_millis(ms.parse().context("slow:MS")?)),
            ("garbage", "") => Self::Garbage,
            ("wrong", "") => Self::Wrong,
            ("cut", "") => Self::Cut,
            ("huge", bytes) => Self::Huge(bytes.parse().context("huge:BYTES")?),
            ("error", code) => Self::Error(parse_code(code).with_context(|| format!("error:{code}"))?),
            ("vanish", "") => Self::Vanish,
            _ => bail!("no fault: {text}"),
        })
    }
}

/// By its number, or as it is written in gRPC's documents: `UNAVAILABLE`.
fn parse_code(text: &str) -> Option<Code> {
    (0..=16).map(Code::from).find(|code| {
        let name = format!("{code:?}");
        text.parse() == Ok(i32::from(*code)) || name.eq_ignore_ascii_case(&text.replace('_', ""))
    })
}

/// A fault, and the method that has it; none: all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// As in `ListContainers`.
    pub method: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl FromStr for Faulty {
    type Err = anyhow::Error;

    /// `FAULT` or `METHOD=FAULT`.
    fn from_str(text: &str) -> Result<Self> {
        let (method, fault) =
            text.split_once('=').map_or((None, text), |(method, it)| (Some(method.into()), it));
        Ok(Self { method, fault: fault.parse()? })
    }
}

/// What is wrong with what lists and answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Absurd {
    /// Times before 1970.
    Negative,
    /// Times at the end of what an i64 holds.
    Max,
    /// Ids without a character.
    EmptyId,
    /// The same id for everything.
    OneId,
    /// A name of 10 MB, the first one's.
    LongName,
    /// No metadata and no labels.
    NoMetadata,
    /// A state that no version of the API has.
    NoState,
    /// Answers about one thing without that thing.
    Nothing,
}

impl FromStr for Absurd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// All of it. The default is a runtime that behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// For connections.
    pub door: Door,
    /// For calls.
    pub faults: Vec<Faulty>,
    /// For what is told.
    pub absurd: Vec<Absurd>,
}

impl Manners {
    /// What is wrong with calls of a method.
    pub(super) fn faults<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Fault> {
        let meant = move |faulty: &&Faulty| faulty.method.as_deref().is_none_or(|it| it == method);
        self.faults.iter().filter(meant).map(|faulty| &faulty.fault)
    }

    /// Whether calls of a method wait.
    pub(super) fn hangs(&self, method: &str) -> bool {
        self.door == Door::Hang || self.faults(method).any(|fault| *fault == Fault::Hang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let fault = |text: &str| text.parse::<Faulty>().unwrap();
        assert_eq!(fault("hang"), Faulty { method: None, fault: Fault::Hang });
        let unavailable = Faulty { method: Some("Version".into()), fault: Fault::Error(Code::Unavailable) };
        assert_eq!(fault("Version=error:UNAVAILABLE"), unavailable);
        assert_eq!(fault("Version=error:14"), unavailable);
        assert_eq!(fault("error:DEADLINE_EXCEEDED").fault, Fault::Error(Code::DeadlineExceeded));
        assert_eq!(fault("slow:20").fault, Fault::Slow(Duration::from_millis(20)));
        for nonsense in ["", "slow", "slow:x", "error:", "error:17", "error:NO", "hang:3", "Version="] {
            nonsense.parse::<Faulty>().unwrap_err();
        }
    }

    #[test]
    fn a_fault_is_for_its_method() {
        let manners = Manners { faults: vec!["Version=hang".parse().unwrap()], ..Manners::default() };
        assert!(manners.hangs("Version"));
        assert!(!manners.hangs("Status"));
        assert!(Manners { door: Door::Hang, ..Manners::default() }.hangs("Status"));
    }
}
