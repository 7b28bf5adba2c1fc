//! Impacts for people, as they come: of many victims alike the first few, and that there are more.

use std::collections::BTreeMap;

use super::human::impact_line;
use crate::impact::{Confidence, Impact, State};

/// So many of a crowd are named.
const NAMED: u64 = 3;
/// Crowds remembered.
const MOST: usize = 1000;

/// How many were told of each crowd.
#[derive(Debug)]
pub struct Crowds {
    told: BTreeMap<(u64, String, State, Confidence), u64>,
    most: usize,
}

impl Default for Crowds {
    fn default() -> Self {
        Self::of_at_most(MOST)
    }
}

impl Crowds {
    /// Remembers at most so many.
    pub fn of_at_most(most: usize) -> Self {
        Self { told: BTreeMap::new(), most }
    }

    /// What to print of `impact`; nothing if it is one of many.
    pub fn line(&mut self, impact: &Impact) -> Option<String> {
        if self.told.len() >= self.most {
            self.told.clear();
        }
        let crowd = (impact.jump, impact.kind.clone(), impact.state, impact.confidence);
        let told = self.told.entry(crowd).or_default();
        *told += 1;
        match *told - 1 {
            before if before < NAMED => Some(impact_line(impact)),
            NAMED => Some(format!(
                "     #{} → and more, {} as well: `timejump show {}` has all",
                impact.jump, impact.kind, impact.jump
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impact::{Remedy, Subject};

    fn impact(id: u64, confidence: Confidence) -> Impact {
        Impact {
            id,
            jump: 7,
            boot_id: "b".into(),
            kind: "probes_suspended".into(),
            subject: Subject::node(),
            from: None,
            until: None,
            from_boot: None,
            until_boot: None,
            state: State::Open,
            confidence,
            remedy: Remedy::Wait,
            message: "m".into(),
            evidence: serde_json::json!({}),
        }
    }

    #[test]
    fn of_many_the_first_few() {
        let mut crowds = Crowds::default();
        let lines: Vec<_> =
            (1..=200).filter_map(|id| crowds.line(&impact(id, Confidence::Predicted))).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].ends_with("and more, probes_suspended as well: `timejump show 7` has all"));
        assert!(crowds.line(&impact(1, Confidence::Observed)).is_some(), "another standing is news");
    }
}
