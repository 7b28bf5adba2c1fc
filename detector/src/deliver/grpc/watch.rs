//! One consumer's stream, as the protocol has it.

use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tonic::Status;

use super::v1::{self, watch_response::Entry};
use crate::{
    clock::{Clocks, SystemClocks},
    deliver::stream::{Feed, Item},
};

/// Unless the consumer wishes otherwise.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// What no consumer may go below.
const LEAST_HEARTBEAT: Duration = Duration::from_secs(1);

/// The consumer's wish, made sound.
pub(super) fn heartbeat(wished_ms: u32) -> Duration {
    match wished_ms {
        0 => HEARTBEAT,
        ms => Duration::from_millis(ms.into()).max(LEAST_HEARTBEAT),
    }
}

/// Everything that `feed` has, and a sign of life whenever there is nothing.
pub(super) fn responses(
    feed: Feed,
    heartbeat: Duration,
) -> impl Stream<Item = Result<v1::WatchResponse, Status>> {
    unfold(Some(feed), move |feed| async move {
        let mut feed = feed?;
        loop {
            let (position, entry) = match tokio::time::timeout(heartbeat, feed.next()).await {
                Err(_) => match feed.position() {
                    Some(position) => {
                        let boottime_ns = SystemClocks.boottime_ns();
                        (position, Some(Entry::Heartbeat(v1::Heartbeat { boottime_ns })))
                    }
                    // An entry has just come.
                    None => continue,
                },
                Ok(Ok(Some(Item::Told(told)))) => (told.position, Entry::from_message(&told.message)),
                Ok(Ok(Some(Item::Lagged { missed, position }))) => {
                    let at = v1::LaggedAt::Consumer.into();
                    (position, Some(Entry::Lagged(v1::Lagged { missed, at })))
                }
                Ok(Ok(None)) => return None,
                Ok(Err(error)) => {
                    return Some((Err(Status::internal(format!("cannot read the store: {error}"))), None));
                }
            };
            if entry.is_some() {
                return Some((Ok(v1::WatchResponse { position, entry }), Some(feed)));
            }
        }
    })
}
