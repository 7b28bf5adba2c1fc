//! A watch: one line for each change, as long as the client wants.

use std::{convert::Infallible, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Change, route::Route};

/// The frames of the answer's body.
pub(in super::super) type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// What is there already, then what comes.
pub(super) fn frames(there: Vec<Value>, changes: Receiver<Change>, route: Route) -> Frames {
    let first = stream::iter(there.into_iter().map(|line| line_of(&line)));
    let then = stream::unfold((changes, route), |(mut changes, route)| async move {
        loop {
            match changes.recv().await {
                Ok(change) if route.takes(&change.key, &change.object) => {
                    return Some((line_of(&change.line()), (changes, route)));
                }
                Ok(_) => {}
                // As an apiserver does whose watcher is too slow.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            }
        }
    });
    Box::pin(first.chain(then).map(|line| Ok(Frame::data(line))))
}

fn line_of(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
