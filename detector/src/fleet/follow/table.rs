//! The entries of many nodes in one table, as they come: a column for the node before those of one node's table.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::deliver::{Colour, Crowds, JumpTable, Message, human_line, printable, shortened};

/// Columns for names of nodes, at most; a longer one loses its middle.
const NODE: usize = 20;
/// Columns for who did it. With the longest names the table takes 120.
const BY: usize = 27;
/// A row for the rest of a burst comes after so long without another jump of it.
const BURST_OVER: Duration = Duration::from_secs(1);
/// Crowds remembered of each node.
const CROWDS: usize = 100;

/// The table.
#[derive(Debug)]
pub struct FleetTable {
    colour: Colour,
    merge: bool,
    width: usize,
    nodes: HashMap<Arc<str>, Lines>,
}

/// Of one node.
#[derive(Debug)]
struct Lines {
    table: JumpTable,
    crowds: Crowds,
    /// When a row for the rest of a burst is due.
    due: Option<Instant>,
}

impl FleetTable {
    /// Merges bursts if `merge`. As wide as the names that are known.
    pub fn new<'a>(colour: Colour, merge: bool, names: impl IntoIterator<Item = &'a str>) -> Self {
        let longest = names.into_iter().map(|name| name.chars().count()).max();
        let width = longest.unwrap_or(NODE).clamp("NODE".len(), NODE);
        Self { colour, merge, width, nodes: HashMap::new() }
    }

    /// The head.
    pub fn head(&self) -> String {
        let node = self.colour.bold(&format!("{:<width$}  ", "NODE", width = self.width));
        node + &JumpTable::new(self.colour, self.merge).head()
    }

    /// The lines for one more entry of `node`.
    pub fn lines(&mut self, node: &Arc<str>, message: &Message) -> Vec<String> {
        let lines = self.nodes.entry(Arc::clone(node)).or_insert_with(|| Lines {
            table: JumpTable::new(self.colour, self.merge).with_by(BY),
            crowds: Crowds::of_at_most(CROWDS),
            due: None,
        });
        let mut rows = Vec::new();
        match message {
            Message::Jump(jump) => rows.extend(lines.table.rows(jump)),
            Message::Impact(impact) => {
                rows.extend(lines.table.flush());
                rows.extend(lines.crowds.line(impact));
            }
            other => {
                rows.extend(lines.table.flush());
                rows.push(human_line(other));
            }
        }
        lines.due = lines.table.is_due().then(|| Instant::now() + BURST_OVER);
        rows.iter().flat_map(|row| beside(node, self.width, row)).collect()
    }

    /// When [`Self::over`] should be asked; nothing if there is nothing to come.
    pub fn due(&self) -> Option<Instant> {
        self.nodes.values().filter_map(|lines| lines.due).min()
    }

    /// The rows for bursts that are over; of all, if this is the end.
    pub fn over(&mut self, is_end: bool) -> Vec<String> {
        let now = Instant::now();
        let mut rows = Vec::new();
        for (node, lines) in &mut self.nodes {
            if lines.due.is_some_and(|due| is_end || due <= now) {
                lines.due = None;
                rows.extend(lines.table.flush().iter().flat_map(|row| beside(node, self.width, row)));
            }
        }
        rows
    }
}

/// Each line with the node's name before it.
fn beside<'a>(node: &'a str, width: usize, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let name = shortened(&printable(node), width);
    text.lines().map(move |line| format!("{name:<width$}  {line}"))
}
