//! What was seen of a node's CPU statistics, as lines that can be kept.

use serde::{Deserialize, Serialize};

/// What the lines of a recording begin with, in whatever else is written.
pub const PREFIX: &str = "sample ";

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The runtime, first of all.
    Runtime {
        /// As it says itself.
        version: String,
        /// The version of CRI that it was asked by.
        cri: String,
    },
    /// The wall clock was stepped.
    Step {
        /// When, by the clock that counts from boot.
        boot_ns: i64,
        /// By how much.
        delta_ns: i64,
    },
    /// One container in one answer.
    Sample(Sample),
}

/// One container in one answer to `ListContainerStats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was asked, by the clock that counts from boot.
    pub boot_ns: i64,
    /// The same by the wall clock.
    pub wall_ns: i64,
    /// The pod's name.
    pub pod: String,
    /// The container's ID.
    pub container: String,
    /// `cpu.timestamp`, which is of the runtime's wall clock.
    pub timestamp_ns: i64,
    /// `cpu.usageCoreNanoSeconds`.
    pub usage_core_ns: Option<u64>,
    /// `cpu.usageNanoCores`.
    pub usage_nano_cores: Option<u64>,
}

impl Entry {
    /// Its line.
    pub fn line(&self) -> serde_json::Result<String> {
        Ok(format!("{PREFIX}{}", serde_json::to_string(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_null() {
        let entry = Entry::Sample(Sample {
            boot_ns: 1,
            wall_ns: 2,
            pod: "burn".into(),
            container: "c".into(),
            timestamp_ns: 3,
            usage_core_ns: Some(4),
            usage_nano_cores: None,
        });
        let line = entry.line().expect("JSON");
        assert_eq!(
            line,
            r#"sample {"kind":"sample","boot_ns":1,"wall_ns":2,"pod":"burn","container":"c","timestamp_ns":3,"usage_core_ns":4,"usage_nano_cores":null}"#
        );
        let read: Entry = serde_json::from_str(&line[PREFIX.len()..]).expect("JSON");
        assert_eq!(read, entry);
    }
}
