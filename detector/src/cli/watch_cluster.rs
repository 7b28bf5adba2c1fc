//! `timejump watch --cluster`

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    exit::Failure,
    fleet::fleet_failure,
    print::{Print, colour},
    remote::block_on,
    watch::WatchArgs,
};
use crate::{
    deliver::{Message, OutputFormat, json_line_of, printable},
    fleet::{FleetTable, News, Wanted, cluster_client, follow_fleet},
};

/// News on their way. Whoever fills it waits: so memory is bounded, and a daemon says how much its consumer was too slow for.
const ON_THE_WAY: usize = 1024;
/// What is lost, or comes back, within so long is told together.
const GATHER: Duration = Duration::from_millis(300);
/// So many nodes are named in a line each.
const NAMED: usize = 5;

/// Follows all nodes.
pub(super) fn watch_cluster(args: &WatchArgs) -> Result<(), Failure> {
    block_on(async {
        let client = cluster_client(&args.fleet.access()).await.map_err(fleet_failure)?;
        let target = args.fleet.target();
        let empty = format!("no pod {} runs in namespace {}", target.selector, target.namespace);
        let wanted = Wanted { filter: args.filter(), from_the_oldest: args.from.is_some() };
        let (news, told) = mpsc::channel(ON_THE_WAY);
        let mut viewer = Viewer::new(args, empty);
        tokio::select! {
            followed = follow_fleet(client, target, wanted, news) => followed.map_err(fleet_failure),
            shown = viewer.show_all(told) => shown,
        }
    })
}

struct Viewer<'a> {
    args: &'a WatchArgs,
    empty: String,
    print: Print,
    left: Option<u64>,
    table: FleetTable,
    /// Nodes that were lost, and why, and those that are back; to be told then.
    turns: Turns,
}

#[derive(Default)]
struct Turns {
    lost: Vec<(Arc<str>, String)>,
    back: Vec<Arc<str>>,
    at: Option<Instant>,
}

impl<'a> Viewer<'a> {
    fn new(args: &'a WatchArgs, empty: String) -> Self {
        let table = FleetTable::new(colour(), !args.steps, []);
        Self { args, empty, print: Print::stdout(), left: args.limit, table, turns: Turns::default() }
    }

    async fn show_all(&mut self, mut told: mpsc::Receiver<News>) -> Result<(), Failure> {
        while self.left != Some(0) {
            tokio::select! {
                news = told.recv() => match news {
                    Some(news) => self.show(news)?,
                    None => break,
                },
                () = at(self.table.due()) => self.rows(false)?,
                () = at(self.turns.at) => self.turns.tell(),
            }
        }
        self.turns.tell();
        self.rows(true)
    }

    fn show(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Begun(nodes) => {
                match nodes.len() {
                    0 => tracing::warn!("{}; waiting for one", self.empty),
                    1 => tracing::info!("following 1 node"),
                    many => tracing::info!("following {many} nodes"),
                }
                let names = nodes.iter().map(|node| &**node);
                self.table = FleetTable::new(colour(), !self.args.steps, names);
                if self.args.output == OutputFormat::Human {
                    let head = self.table.head();
                    self.print.line(&head)?;
                }
            }
            News::Came(node) => tracing::info!("{} comes", printable(&node)),
            News::Went(node) => tracing::info!("{} goes", printable(&node)),
            News::Lost { node, why } => self.turns.add_lost(node, why),
            News::Back(node) => self.turns.add_back(node),
            News::Anew(node) => {
                let node = printable(&node);
                tracing::warn!("{node}: it has lost its store; what came meanwhile is not known");
            }
            News::Blind(trouble) => {
                let trouble = printable(&trouble.to_string());
                tracing::warn!("which nodes come and go cannot be seen: {trouble}");
            }
            News::Entry { node, message } => self.entry(&node, &message)?,
        }
        Ok(())
    }

    fn entry(&mut self, node: &Arc<str>, message: &Message) -> Result<(), Failure> {
        match self.args.output {
            OutputFormat::Json => self.print.line(&json_line_of(node, message))?,
            OutputFormat::Human => {
                for line in self.table.lines(node, message) {
                    self.print.line(&line)?;
                }
            }
        }
        if let (Message::Jump(_) | Message::Impact(_), Some(left)) = (message, &mut self.left) {
            *left -= 1;
        }
        Ok(())
    }

    fn rows(&mut self, is_end: bool) -> Result<(), Failure> {
        for row in self.table.over(is_end) {
            self.print.line(&row)?;
        }
        Ok(())
    }
}

impl Turns {
    fn add_lost(&mut self, node: Arc<str>, why: String) {
        self.at.get_or_insert_with(|| Instant::now() + GATHER);
        self.lost.push((node, why));
    }

    fn add_back(&mut self, node: Arc<str>) {
        self.at.get_or_insert_with(|| Instant::now() + GATHER);
        self.back.push(node);
    }

    /// A line for each node or, of many, one for all.
    fn tell(&mut self) {
        let Self { lost, back, .. } = std::mem::take(self);
        if lost.len() <= NAMED {
            for (node, why) in &lost {
                let (node, why) = (printable(node), printable(why));
                tracing::warn!("{node} cannot be reached: {why}; tried until it can");
            }
        } else if let Some((node, why)) = lost.first() {
            let (node, why, many) = (printable(node), printable(why), lost.len());
            tracing::warn!("{many} nodes cannot be reached, {node} among them: {why}; tried until they can");
        }
        if back.len() <= NAMED {
            for node in &back {
                tracing::info!("{} can be reached again", printable(node));
            }
        } else {
            tracing::info!("{} nodes can be reached again", back.len());
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
