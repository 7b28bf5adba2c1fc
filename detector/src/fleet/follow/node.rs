//! One node's stream, for as long as its pod is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::{
    super::tunnel::{TunnelError, connect},
    News, Wanted,
};
use crate::deliver::{
    Message,
    grpc::{Watching, v1, v1::watch_request::Start},
};

/// How long it may take until the first response is there.
const OPEN: Duration = Duration::from_secs(10);
/// How often a quiet node says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A tunnel through which nothing comes for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The first wait before a tunnel is made anew, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// What all nodes have in common.
pub(super) struct Context {
    pub(super) pods: Api<Pod>,
    pub(super) port: u16,
    pub(super) wanted: Wanted,
    pub(super) opening: Semaphore,
    pub(super) news: mpsc::Sender<News>,
}

/// Where a node's stream is; outlives its pods.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Of the last entry that was handed on, and 1; 0: none was.
    after: AtomicU64,
    ending: AtomicBool,
}

impl Place {
    fn position(&self) -> Option<u64> {
        self.after.load(Ordering::Relaxed).checked_sub(1)
    }

    fn set_position(&self, position: u64) {
        self.after.store(position.saturating_add(1), Ordering::Relaxed);
    }

    /// Whether its pod is being deleted: that it does not answer then is no news.
    pub(super) fn set_ending(&self, ending: bool) {
        self.ending.store(ending, Ordering::Relaxed);
    }
}

/// Follows until it is aborted.
pub(super) async fn follow(node: Arc<str>, pod: String, place: Arc<Place>, context: Arc<Context>) {
    let mut follower = Follower { node, pod, place, context, lost: false, failures: 0 };
    loop {
        let why = follower.follow_once().await;
        follower.failures += 1;
        // A tunnel that broke is made anew without a word, if that is all it takes.
        if follower.failures > 1 && !follower.lost && !follower.place.ending.load(Ordering::Relaxed) {
            follower.lost = true;
            follower.tell(News::Lost { node: Arc::clone(&follower.node), why }).await;
        } else {
            tracing::debug!("{}: {why}", follower.node);
        }
        let wait = BACKOFF.0.saturating_mul(1 << (follower.failures - 1).min(8)).min(BACKOFF.1);
        sleep(wait).await;
    }
}

struct Follower {
    node: Arc<str>,
    pod: String,
    place: Arc<Place>,
    context: Arc<Context>,
    /// It was told that it cannot be reached.
    lost: bool,
    /// In a row.
    failures: u32,
}

impl Follower {
    /// Until the stream breaks; says why it did.
    async fn follow_once(&mut self) -> String {
        let opened = {
            let Ok(_turn) = self.context.opening.acquire().await else { return String::new() };
            timeout(OPEN, self.open()).await
        };
        let (mut stream, mut next) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("no answer within {} s", OPEN.as_secs()),
        };
        self.failures = 0;
        if std::mem::take(&mut self.lost) {
            self.tell(News::Back(Arc::clone(&self.node))).await;
        }
        if self.place.position().is_some_and(|position| next.0 < position) {
            self.tell(News::Anew(Arc::clone(&self.node))).await;
        }
        loop {
            let (position, message) = next;
            if let Some(message) = message {
                let message = Box::new(message);
                self.tell(News::Entry { node: Arc::clone(&self.node), message }).await;
            }
            // Nothing can come between: whoever is aborted has either handed it on and noted that, or neither.
            self.place.set_position(position);
            next = match timeout(SILENCE, stream.next()).await {
                Ok(Ok(Some(next))) => next,
                Ok(Ok(None)) => return "its daemon ended".to_owned(),
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("not a word for {} s", SILENCE.as_secs()),
            };
        }
    }

    /// The stream and its first response.
    async fn open(&self) -> Result<(Watching, (u64, Option<Message>)), TunnelError> {
        let mut reached = connect(&self.context.pods, &self.pod, self.context.port).await?;
        let mut client = reached.client.clone();
        let begin = async {
            let mut stream = client.watch(self.request()).await?;
            let first = stream.next().await?;
            Ok((stream, first))
        };
        match reached.ask(begin).await? {
            (stream, Some(first)) => Ok((stream, first)),
            (_, None) => Err(TunnelError::Broken("it ended".to_owned())),
        }
    }

    fn request(&self) -> v1::WatchRequest {
        let start = match self.place.position() {
            Some(position) => Some(Start::AfterPosition(position)),
            None => self.context.wanted.from_the_oldest.then_some(Start::FromSequence(0)),
        };
        v1::WatchRequest {
            start,
            filter: Some(self.context.wanted.filter.clone()),
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
        }
    }

    async fn tell(&self, news: News) {
        // Whoever would read it has gone, and all ends.
        let _ = self.context.news.send(news).await;
    }
}
