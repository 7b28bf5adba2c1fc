//! `timejump watch`

use std::time::Duration;

use clap::Args;

use super::{
    exit::{self, Failure},
    fleet::FleetArgs,
    print::{Print, colour},
    remote::{RemoteArgs, block_on, failure},
    select::SelectArgs,
    watch_cluster::watch_cluster,
};
use crate::deliver::{
    Crowds, JumpTable, Message, OutputFormat,
    grpc::{Client, ConnectError, v1},
    human_line, json_line,
    stream::Kinds,
};

/// A row for the rest of a burst comes after so long without another jump.
const BURST_OVER: Duration = Duration::from_secs(1);
/// How long to wait before a lost daemon is looked for again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Options of `timejump watch`.
#[derive(Clone, Debug, Args)]
#[command(mut_group("FleetArgs", |group| group.requires("cluster")))]
pub(super) struct WatchArgs {
    /// Follow all nodes of a cluster at once, each by a port-forward to its pod
    #[arg(long, conflicts_with_all = ["once", "address", "ca", "cert", "key"])]
    pub(super) cluster: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: OutputFormat,
    /// Begin with this jump of the past instead of the next one; 0: with the oldest, which is all that --cluster knows of
    #[arg(long, value_name = "SEQ")]
    pub(super) from: Option<u64>,
    /// End after so many entries
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// Only jumps, or only impacts
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// A row for each step of a burst
    #[arg(long)]
    pub(super) steps: bool,
    /// End when the daemon goes away, instead of waiting for it
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    // Last: its heading would stand above what follows.
    #[command(flatten)]
    pub(super) fleet: FleetArgs,
}

/// Half of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Jumps,
    Impacts,
}

impl WatchArgs {
    /// Which entries.
    pub(super) fn filter(&self) -> v1::Filter {
        let kinds = match self.only {
            None => Kinds::Both,
            Some(Only::Jumps) => Kinds::Jumps,
            Some(Only::Impacts) => Kinds::Impacts,
        };
        (&self.select.filter(kinds)).into()
    }
}

/// Follows the stream.
pub(super) fn watch(args: &WatchArgs) -> Result<(), Failure> {
    if args.cluster {
        if args.from.is_some_and(|from| from != 0) {
            let why = "--from N with --cluster: each node has numbers of its own; only 0, the oldest of each, is meant by all";
            return Err(Failure::new(exit::USAGE, why));
        }
        return watch_cluster(args);
    }
    block_on(async {
        let client = args.remote.connect().await.map_err(failure)?;
        let mut viewer = Viewer::new(args);
        viewer.follow(client).await
    })
}

struct Viewer<'a> {
    args: &'a WatchArgs,
    table: JumpTable,
    crowds: Crowds,
    print: Print,
    left: Option<u64>,
    /// Where to go on after a broken connection.
    position: Option<u64>,
}

impl<'a> Viewer<'a> {
    fn new(args: &'a WatchArgs) -> Self {
        let table = JumpTable::new(colour(), !args.steps);
        Self {
            args,
            table,
            crowds: Crowds::default(),
            print: Print::stdout(),
            left: args.limit,
            position: None,
        }
    }

    async fn follow(&mut self, mut client: Client) -> Result<(), Failure> {
        if self.args.output == OutputFormat::Human {
            let head = self.table.head();
            self.print.line(&head)?;
        }
        loop {
            let ended = self.follow_once(&mut client).await;
            match ended {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Ended::Output(error)) => return Err(error),
                Err(Ended::Stream(error)) if error.is_broken_connection() => {}
                Err(Ended::Stream(error)) => return Err(failure(error)),
            }
            if self.args.once {
                return Ok(());
            }
            tracing::warn!("the daemon went away; waiting for it to come back");
            client = self.reconnect().await;
            tracing::warn!("the daemon is back");
        }
    }

    async fn reconnect(&self) -> Client {
        loop {
            tokio::time::sleep(RECONNECT).await;
            match self.args.remote.connect().await {
                Ok(client) => return client,
                Err(error) => tracing::debug!("{error}"),
            }
        }
    }

    /// Until the stream ends (false) or enough has been seen (true).
    async fn follow_once(&mut self, client: &mut Client) -> Result<bool, Ended> {
        let mut stream = client.watch(self.request()).await.map_err(Ended::Stream)?;
        loop {
            if self.left == Some(0) {
                self.end_burst()?;
                return Ok(true);
            }
            let next = if self.table.is_due() {
                let Ok(next) = tokio::time::timeout(BURST_OVER, stream.next()).await else {
                    self.end_burst()?;
                    continue;
                };
                next
            } else {
                stream.next().await
            };
            let Some((position, message)) = next.map_err(Ended::Stream)? else {
                self.end_burst()?;
                return Ok(false);
            };
            self.position = Some(position);
            if let Some(message) = message {
                self.show(&message)?;
                if let (Message::Jump(_) | Message::Impact(_) | Message::Remedy(_), Some(left)) =
                    (&message, &mut self.left)
                {
                    *left -= 1;
                }
            }
        }
    }

    fn request(&self) -> v1::WatchRequest {
        let start = match (self.position, self.args.from) {
            (Some(position), _) => Some(v1::watch_request::Start::AfterPosition(position)),
            (None, Some(sequence)) => Some(v1::watch_request::Start::FromSequence(sequence)),
            (None, None) => None,
        };
        v1::WatchRequest { start, filter: Some(self.args.filter()), heartbeat_ms: 0 }
    }

    fn show(&mut self, message: &Message) -> Result<(), Ended> {
        if self.args.output == OutputFormat::Json {
            return self.print.line(&json_line(message)).map_err(Ended::Output);
        }
        match message {
            Message::Jump(jump) => {
                for row in self.table.rows(jump) {
                    self.print.line(&row).map_err(Ended::Output)?;
                }
            }
            Message::Impact(impact) => {
                self.end_burst()?;
                if let Some(line) = self.crowds.line(impact) {
                    self.print.line(&line).map_err(Ended::Output)?;
                }
            }
            other => {
                self.end_burst()?;
                self.print.line(&human_line(other)).map_err(Ended::Output)?;
            }
        }
        Ok(())
    }

    fn end_burst(&mut self) -> Result<(), Ended> {
        if self.args.output == OutputFormat::Human
            && let Some(row) = self.table.flush()
        {
            self.print.line(&row).map_err(Ended::Output)?;
        }
        Ok(())
    }
}

/// Why the stream is not followed any longer.
enum Ended {
    Stream(ConnectError),
    Output(Failure),
}
