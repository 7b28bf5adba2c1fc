//! How a delivery stands.

use serde::Serialize;

/// How a delivery stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeliveryReport {
    /// Which one, such as `kubernetes_events`.
    pub sink: String,
    /// Where to.
    pub place: String,
    /// `ok`, or what is wrong.
    pub state: String,
    /// What was told up to this position is where it belongs.
    pub position: u64,
    /// Requests that succeeded, since the daemon started.
    pub delivered: u64,
    /// Requests that will never succeed.
    pub given_up: u64,
    /// Requests that did not succeed yet.
    pub waiting: u64,
}

impl DeliveryReport {
    /// Of a delivery that begins.
    pub fn new(sink: &str, place: String) -> Self {
        Self { sink: sink.into(), place, state: "ok".into(), ..Self::default() }
    }

    /// Says whether there was trouble before.
    pub(in crate::deliver) fn succeeded(&mut self) -> bool {
        self.delivered += 1;
        let was = std::mem::replace(&mut self.state, "ok".into());
        was != "ok"
    }

    /// Says whether that is news.
    pub(in crate::deliver) fn failed(&mut self, why: &str) -> bool {
        let known = self.state == why;
        why.clone_into(&mut self.state);
        !known
    }
}
