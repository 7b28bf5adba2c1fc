//! The streams of all nodes as one, while nodes come and go.
//!
//! Each node's stream goes on at its last position, whatever happened to its tunnel, its pod or the node: nothing of it is
//! lost or doubled. Between nodes there is no order but that in which entries come.

mod node;
mod roll;
mod table;

pub use table::FleetTable;

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use kube::{
    Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::Instant,
};

use self::{
    node::{Context, Place, follow},
    roll::{Change, Roll},
};
use super::{FleetError, Target};
use crate::{cluster::Trouble, deliver::Message, deliver::grpc::v1};

/// Tunnels that are opened at once.
const OPENING: usize = 10;
/// Trouble that comes again so late is another; the waits between tries are shorter.
const FORGOTTEN: Duration = Duration::from_mins(2);

/// What is wanted of each node.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Which entries.
    pub filter: v1::Filter,
    /// From the oldest on, instead of what happens from now on.
    pub from_the_oldest: bool,
}

/// What there is to tell.
#[derive(Debug)]
pub enum News {
    /// These nodes have a pod that runs; more may come.
    Begun(Vec<Arc<str>>),
    /// A node's pod runs.
    Came(Arc<str>),
    /// It does no longer.
    Went(Arc<str>),
    /// A node cannot be reached; that is tried until it can.
    Lost {
        /// Which.
        node: Arc<str>,
        /// Why.
        why: String,
    },
    /// It can be reached again.
    Back(Arc<str>),
    /// It has another store than before: where its stream went on is not known.
    Anew(Arc<str>),
    /// An entry of a node's stream.
    Entry {
        /// Whose.
        node: Arc<str>,
        /// What.
        message: Box<Message>,
    },
    /// The apiserver does not say which pods come and go.
    Blind(Trouble),
}

/// A task that ends with whoever holds this.
struct Follower {
    uid: String,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows all pods of `target` until nobody wants the news any longer. Ends with an error if there is no beginning.
pub async fn follow_fleet(
    client: Client,
    target: Target,
    wanted: Wanted,
    news: mpsc::Sender<News>,
) -> Result<(), FleetError> {
    let pods = target.pods(&client);
    let config = watcher::Config::default().labels(&target.selector);
    let mut events = pin!(watcher(pods.clone(), config).default_backoff());
    let context = Arc::new(Context {
        pods,
        port: target.port,
        wanted,
        opening: Semaphore::new(OPENING),
        news: news.clone(),
    });
    let mut roll = Roll::default();
    let mut followers: HashMap<Arc<str>, Follower> = HashMap::new();
    // Kept when a node goes: it may come again.
    let mut places: HashMap<Arc<str>, Arc<Place>> = HashMap::new();
    let (mut begun, mut blindness) = (false, Blindness::default());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = news.closed() => return Ok(()),
        };
        let changes = match event {
            None => return Ok(()),
            // Comes before anything was asked.
            Some(Ok(event @ watcher::Event::Init)) => {
                roll.take(event);
                continue;
            }
            Some(Ok(event)) => roll.take(event),
            Some(Err(error)) => {
                let trouble = trouble(&error);
                if !begun {
                    return Err(FleetError::Pods { namespace: target.namespace, trouble });
                }
                if blindness.is_news(&trouble) {
                    tell(&news, News::Blind(trouble)).await;
                }
                continue;
            }
        };
        let Some(changes) = changes else { continue };
        let is_first = !std::mem::replace(&mut begun, true);
        if is_first {
            let nodes = changes.iter().filter_map(|change| match change {
                Change::Runs(pod) => Some(pod.node.as_str().into()),
                Change::Gone(_) => None,
            });
            tell(&news, News::Begun(nodes.collect())).await;
        }
        for change in changes {
            match change {
                Change::Runs(pod) => {
                    let node: Arc<str> = pod.node.as_str().into();
                    let place = places.entry(Arc::clone(&node)).or_default();
                    place.set_ending(pod.ending);
                    if followers.get(&node).is_some_and(|known| known.uid == pod.uid) {
                        continue;
                    }
                    // The old one ends before the new one begins.
                    let known = followers.remove(&node).is_some();
                    let work = follow(Arc::clone(&node), pod.name, Arc::clone(place), Arc::clone(&context));
                    if !is_first && !known {
                        tell(&news, News::Came(Arc::clone(&node))).await;
                    }
                    followers.insert(node, Follower { uid: pod.uid, task: tokio::spawn(work) });
                }
                Change::Gone(node) => {
                    if let Some((node, _)) = followers.remove_entry(node.as_str()) {
                        tell(&news, News::Went(node)).await;
                    }
                }
            }
        }
    }
}

/// Trouble with seeing which pods there are. A watch that merely has to begin again is none; and that it goes on shows only
/// when a pod changes.
#[derive(Default)]
struct Blindness {
    last: Option<Instant>,
    told: Option<Trouble>,
}

impl Blindness {
    /// Whether to tell of it: at its second time, and once.
    fn is_news(&mut self, trouble: &Trouble) -> bool {
        let now = Instant::now();
        let before = self.last.replace(now);
        if before.is_none_or(|at| now - at > FORGOTTEN) {
            self.told = None;
            return false;
        }
        let known = self.told.replace(trouble.clone());
        known.as_ref() != Some(trouble)
    }
}

/// Nobody may want it any longer, which shows elsewhere.
async fn tell(news: &mpsc::Sender<News>, what: News) {
    let _ = news.send(what).await;
}

fn trouble(error: &watcher::Error) -> Trouble {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Trouble::from(error),
        watcher::Error::WatchError(status) => Trouble::from(&**status),
        watcher::Error::NoResourceVersion => Trouble::Unreachable(error.to_string()),
    }
}
