//! Warnings that anybody on the network can cause: a few a minute, the others for whoever debugs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many in so long.
const MOST: u32 = 10;
const IN: Duration = Duration::from_mins(1);

/// Who counts.
#[derive(Debug, Default)]
pub(super) struct Sparing(Mutex<Option<(Instant, u32)>>);

impl Sparing {
    /// Says it: loudly if few were said of late.
    pub(super) fn warn(&self, what: &str) {
        match self.place() {
            Some(MOST) => tracing::warn!("{what} (more of this within the minute is told at level debug)"),
            Some(_) => tracing::warn!("{what}"),
            None => tracing::debug!("{what}"),
        }
    }

    /// Its number within the minute, if it is one of the few.
    fn place(&self) -> Option<u32> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) =
            counted.take().filter(|(since, _)| since.elapsed() < IN).unwrap_or((Instant::now(), 0));
        *counted = Some((since, count.saturating_add(1)));
        (count < MOST).then_some(count + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_a_minute() {
        let sparing = Sparing::default();
        let places = || (0..12).map_while(|_| sparing.place()).collect::<Vec<_>>();
        assert_eq!(places(), (1..=MOST).collect::<Vec<_>>());
        tokio::time::advance(IN / 2).await;
        assert!(places().is_empty());
        tokio::time::advance(IN / 2).await;
        assert_eq!(places().len(), 10);
    }
}
