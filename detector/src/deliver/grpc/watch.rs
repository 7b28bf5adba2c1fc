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

/// A sign of life with where the stream begins, so that whoever loses the connection at once can go on from there; then
/// everything that `feed` has, and a sign of life whenever there is nothing.
pub(super) fn responses(
    feed: Feed,
    heartbeat: Duration,
) -> impl Stream<Item = Result<v1::WatchResponse, Status>> {
    unfold((Some(feed), true), move |(feed, is_first)| async move {
        let mut feed = feed?;
        if is_first {
            let response = v1::WatchResponse { position: feed.begins_after(), entry: Some(sign_of_life()) };
            return Some((Ok(response), (Some(feed), false)));
        }
        loop {
            let (position, entry) = match tokio::time::timeout(heartbeat, feed.next()).await {
                Err(_) => match feed.position() {
                    Some(position) => (position, Some(sign_of_life())),
                    // An entry has just come.
                    None => continue,
                },
                Ok(Ok(Some(Item::Told(told)))) => {
                    (feed.go_on_after(told.position), Entry::from_message(&told.message))
                }
                Ok(Ok(Some(Item::Lagged { missed, position }))) => {
                    let at = v1::LaggedAt::Consumer.into();
                    (position, Some(Entry::Lagged(v1::Lagged { missed, at })))
                }
                Ok(Ok(None)) => return None,
                Ok(Err(error)) => {
                    return Some((
                        Err(Status::internal(format!("cannot read the store: {error}"))),
                        (None, false),
                    ));
                }
            };
            if entry.is_some() {
                return Some((Ok(v1::WatchResponse { position, entry }), (Some(feed), false)));
            }
        }
    })
}

fn sign_of_life() -> Entry {
    Entry::Heartbeat(v1::Heartbeat { boottime_ns: SystemClocks.boottime_ns() })
}
