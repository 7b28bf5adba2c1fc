//! No apiserver wants a storm: requests one after the other, a few at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Requests at once after a quiet time; client-go's recorder lets as many through (`defaultSpamBurst`).
const BURST: u32 = 25;
/// From then on one in so long.
const EACH: Duration = Duration::from_millis(100);

/// Lets requests through, no faster than that.
#[derive(Debug)]
pub(super) struct Pace {
    /// When there will have been none for so long that all of a burst is allowed.
    full: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { full: Instant::now() }
    }

    /// Returns when the next one may go.
    pub(super) async fn next(&mut self) {
        let now = Instant::now();
        let full = self.full.max(now) + EACH;
        if let Some(early) = full.duration_since(now).checked_sub(EACH * BURST) {
            sleep_until(now + early).await;
        }
        self.full = full;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_by_one() {
        let mut pace = Pace::new();
        let began = Instant::now();
        for _ in 0..BURST {
            pace.next().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            pace.next().await;
        }
        let took = began.elapsed();
        assert!((EACH * 20..EACH * 21).contains(&took), "{took:?}");
        tokio::time::sleep(Duration::from_mins(1)).await;
        let later = Instant::now();
        for _ in 0..BURST {
            pace.next().await;
        }
        assert_eq!(later.elapsed(), Duration::ZERO);
    }
}
