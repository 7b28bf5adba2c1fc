//! Standard output of the daemon: a consumer of the stream that loses nothing.
//!
//! A thread of its own, for whoever reads it may stop to. Where it falls behind the hub's queue, it goes on from the store.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    Message, Output, locked,
    stream::{Filter, Hub, Item, Subscription},
};
use crate::{
    privilege::{self, Duty},
    store::Store,
};

/// Entries queued; beyond, they are read from the store.
const CAPACITY: usize = 4096;
/// Entries read from the store at once.
const PAGE: u32 = 256;
/// How long a reader that does not read is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The printing thread.
#[derive(Debug)]
pub struct Printer {
    last: Arc<Mutex<Option<Message>>>,
    failed: watch::Receiver<Option<io::ErrorKind>>,
    done: mpsc::Receiver<io::Result<()>>,
    thread: JoinHandle<()>,
}

impl Printer {
    /// Begins to print what `hub` hands out from now on. Quiet jumps are left out unless `all`.
    pub fn start<W: Write + Send + 'static>(
        hub: &Arc<Hub>,
        store: &Arc<Mutex<Store>>,
        output: Output<W>,
        all: bool,
    ) -> io::Result<Self> {
        let last = Arc::new(Mutex::new(None));
        let (failure, failed) = watch::channel(None);
        let (finished, done) = mpsc::channel();
        let subscription = hub.subscribe_to_everything(CAPACITY);
        let mut press = Press {
            position: subscription.since(),
            store: Arc::clone(store),
            filter: if all { Filter::everything() } else { Filter::default() },
            output,
        };
        let at_end = Arc::clone(&last);
        let thread = thread::Builder::new().name("printer".into()).spawn(move || {
            privilege::narrow(Duty::Tell);
            let result = press.run(&subscription, &at_end);
            if let Err(error) = &result {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    tracing::error!("standard output: {error}; nothing more is printed, all else goes on");
                }
                let _ = failure.send(Some(error.kind()));
            }
            let _ = finished.send(result);
        })?;
        Ok(Self { last, failed, done, thread })
    }

    /// Completes when whoever read has gone; else never.
    pub async fn reader_is_gone(&mut self) {
        let gone = |failed: &Option<io::ErrorKind>| *failed == Some(io::ErrorKind::BrokenPipe);
        if self.failed.wait_for(gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What to print after all the rest.
    pub fn set_last(&self, message: Message) {
        *locked(&self.last) = Some(message);
    }

    /// Waits until all is printed. The hub must be closed.
    pub fn finish(self) -> io::Result<()> {
        match self.done.recv_timeout(PATIENCE) {
            Ok(result) => {
                let _ = self.thread.join();
                result
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "whoever reads standard output does not")),
        }
    }
}

struct Press<W> {
    /// All up to here was printed.
    position: u64,
    store: Arc<Mutex<Store>>,
    filter: Filter,
    output: Output<W>,
}

impl<W: Write> Press<W> {
    fn run(&mut self, subscription: &Subscription, last: &Mutex<Option<Message>>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        while let Some(item) = runtime.block_on(subscription.next()) {
            match item {
                Item::Told(told) if told.message.is_stored() && told.position <= self.position => {}
                Item::Told(told) => {
                    self.print(&told.message)?;
                    self.position = told.position;
                }
                Item::Lagged { position, .. } => self.catch_up(position)?,
            }
            if subscription.is_empty() {
                self.output.flush()?;
            }
        }
        if let Some(message) = locked(last).take() {
            self.output.tell(&message)?;
        }
        self.output.flush()
    }

    fn print(&mut self, message: &Message) -> io::Result<()> {
        match message {
            Message::Jump(jump) if !self.filter.lets_jump(jump) => Ok(()),
            message => self.output.tell(message),
        }
    }

    /// Prints what the queue had no room for, up to `position`.
    fn catch_up(&mut self, position: u64) -> io::Result<()> {
        while self.position < position {
            let page = {
                let store = locked(&self.store);
                store.entries(self.position, PAGE).unwrap_or_else(|error| {
                    tracing::warn!("cannot read the store: {error}");
                    Vec::new()
                })
            };
            let before = self.position;
            for (at, kept) in page.into_iter().filter(|(at, _)| *at <= position) {
                self.skip_to(at - 1)?;
                self.print(&kept.into())?;
                self.position = at;
            }
            if self.position == before {
                self.skip_to(position)?;
            }
        }
        Ok(())
    }

    /// What is in neither queue nor store is told to be missing.
    fn skip_to(&mut self, position: u64) -> io::Result<()> {
        if position > self.position {
            self.output.tell(&Message::Lagged(position - self.position))?;
            self.position = position;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deliver::{OutputFormat, stream::Told, tests::jump},
        store::{Kept, Retention},
    };

    /// A reader that stands still until told to go on.
    struct Gate {
        open: mpsc::Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Open for good once the sender is gone.
            let _ = self.open.recv();
            self.seen.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stood_still_still_gets_everything() {
        let hub = Hub::new(1, 0);
        let store = Arc::new(Mutex::new(Store::in_memory(Retention::default()).unwrap()));
        let (open, closed) = mpsc::channel();
        let seen = Arc::default();
        let gate = Gate { open: closed, seen: Arc::clone(&seen) };
        let printer = Printer::start(&hub, &store, Output::new(OutputFormat::Json, gate), true).unwrap();
        let count = 3 * u64::try_from(CAPACITY).unwrap();
        for position in 1..=count {
            let jump = jump(position, 5);
            store.lock().unwrap().append(&[(position, Kept::Jump(jump.clone(), None))], None).unwrap();
            hub.publish(&Arc::new(Told { position, message: Message::Jump(jump) }));
        }
        printer.set_last(Message::Lagged(77));
        hub.close();
        drop(open);
        printer.finish().unwrap();
        let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        let sequences: Vec<u64> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_u64())
            .collect();
        assert_eq!(sequences, (1..=count).collect::<Vec<_>>());
        assert_eq!(text.lines().last().unwrap(), r#"{"type":"lagged","missed":77,"at":"consumer"}"#);
    }
}
