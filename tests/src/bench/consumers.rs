//! Those who follow the stream, each over a connection of its own; all on one thread.

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use timejump::deliver::Message;
use timejump::deliver::grpc::v1::WatchRequest;
use timejump::deliver::grpc::{Address, Client, Watching};
use tokio::sync::oneshot;

use super::board::Board;
use crate::sys::clock::boot_ns;

/// No sign of life while anything is measured.
const HEARTBEAT_MS: u32 = 3_600_000;

/// Running consumers; they leave when dropped.
#[derive(Debug)]
pub struct Consumers {
    end: Option<End>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "dropping them is what ends the thread")]
enum End {
    Followers(oneshot::Sender<()>),
    Stuck(mpsc::Sender<()>),
}

impl Consumers {
    /// `count` that note what comes, in the columns from `first` on. Returns once all follow.
    pub fn follow(address: &Address, count: usize, board: &Arc<Board>, first: usize) -> Result<Self> {
        let (end, ended) = oneshot::channel();
        let board = Arc::clone(board);
        Self::start(address, count, End::Followers(end), move |runtime, watchings| {
            for (number, watching) in watchings.into_iter().enumerate() {
                runtime.spawn(follow(watching, Arc::clone(&board), first + number));
            }
            // Ends with an error, since nothing is sent.
            let _ = runtime.block_on(ended);
        })
    }

    /// `count` that stand still as a stopped process does: their sockets are not read.
    pub fn stuck(address: &Address, count: usize) -> Result<Self> {
        let (end, ended) = mpsc::channel::<()>();
        Self::start(address, count, End::Stuck(end), move |_, watchings| {
            let _ = ended.recv();
            drop(watchings);
        })
    }

    fn start(
        address: &Address,
        count: usize,
        end: End,
        live: impl FnOnce(&tokio::runtime::Runtime, Vec<Watching>) + Send + 'static,
    ) -> Result<Self> {
        let address = address.clone();
        let (ready, started) = mpsc::channel();
        let thread = thread::Builder::new().name("consumers".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let watchings = runtime.block_on(async {
                let mut watchings = Vec::new();
                for _ in 0..count {
                    let mut client = Client::connect(&address, None).await?;
                    let request = WatchRequest { heartbeat_ms: HEARTBEAT_MS, ..WatchRequest::default() };
                    watchings.push(client.watch(request).await?);
                }
                anyhow::Ok(watchings)
            })?;
            ready.send(())?;
            live(&runtime, watchings);
            Ok(())
        })?;
        let mut consumers = Self { end: Some(end), thread: Some(thread) };
        if started.recv().is_err() {
            consumers.join()?;
            bail!("the consumers ended before they followed");
        }
        Ok(consumers)
    }

    fn join(&mut self) -> Result<()> {
        drop(self.end.take());
        let thread = self.thread.take().context("joined once")?;
        thread.join().unwrap_or_else(|_| bail!("the consumers panicked"))
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        // Joined already if they could not start.
        let _ = self.join();
    }
}

async fn follow(mut watching: Watching, board: Arc<Board>, column: usize) {
    // Whoever waits for what does not come any more says so.
    while let Ok(Some((_, message))) = watching.next().await {
        let at = boot_ns();
        match message {
            Some(Message::Jump(jump)) => board.came(column, jump.sequence, at),
            Some(Message::Lagged(missed)) => board.lost(missed, at),
            _ => {}
        }
    }
}
