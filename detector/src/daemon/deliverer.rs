//! The thread that takes the stream to places outside the node.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use super::{host::host_name, journal::Teller, worker::Worker};
use crate::{
    cluster::{Access, Cluster},
    deliver::{
        kube::{Condition, Events},
        otlp::{Collector, Origin, Otlp},
        outbox::{DeliveryReport, Sink, Source, deliver},
        stream::Hub,
    },
    privilege::Duty,
    store::{Delivery, Store},
};

/// Jumps within so long of one are heard as one.
const SETTLE: Duration = Duration::from_secs(1);

/// Where the stream is taken to.
#[derive(Clone, Debug, Default)]
pub struct DeliverySettings {
    /// How the apiserver is reached.
    pub access: Access,
    /// The name of this node's `Node`.
    pub node_name: String,
    /// Whether to tell of jumps and victims as Events.
    pub events: bool,
    /// Whether to keep the Node's condition.
    pub condition: bool,
    /// The OpenTelemetry collector to send it to.
    pub otlp: Option<Collector>,
}

/// What deliveries read from, and where they went on to.
#[derive(Clone, Debug)]
pub struct Stock {
    /// Hands entries out.
    pub hub: Arc<Hub>,
    /// Past entries.
    pub store: Arc<Mutex<Store>>,
    /// How far an earlier run had come.
    pub left: Vec<Delivery>,
    /// This boot.
    pub boot_id: Arc<str>,
    /// The position of the last entry of an earlier run.
    pub begins_after: u64,
}

/// The running thread.
#[derive(Debug)]
pub struct Deliverer {
    /// It hears of every jump.
    pub worker: Worker,
    /// How each delivery stands.
    pub reports: Vec<Arc<Mutex<DeliveryReport>>>,
}

impl Deliverer {
    /// Starts the thread; none if there is nothing for it to do.
    pub fn start(settings: &DeliverySettings, stock: Stock, teller: Teller) -> io::Result<Option<Self>> {
        if !settings.events && !settings.condition && settings.otlp.is_none() {
            return Ok(None);
        }
        let cluster = Cluster::new(settings.access.clone());
        let changed = Arc::new(Notify::new());
        let events = settings.events.then(|| Events::new(cluster.clone(), &settings.node_name));
        let condition = settings
            .condition
            .then(|| Condition::new(cluster.clone(), &settings.node_name, Arc::clone(&stock.boot_id)));
        let otlp = settings.otlp.clone().map(|collector| {
            let node_name = settings.node_name.clone();
            Otlp::new(
                collector,
                Origin { node_name, host_name: host_name(), boot_id: stock.boot_id.to_string() },
            )
        });
        let report = |sink: &str, place: String| Arc::new(Mutex::new(DeliveryReport::new(sink, place)));
        let of_events = events.as_ref().map(|events| report(events.name(), events.place()));
        let of_condition = condition.as_ref().map(|condition| report(Condition::NAME, condition.place()));
        let of_otlp = otlp.as_ref().map(|otlp| report(otlp.name(), otlp.place()));
        let reports = of_events.iter().chain(&of_condition).chain(&of_otlp).cloned().collect();
        let worker = Worker::start("deliverer", Duty::Node, async move |mut heard| {
            let events = stock.deliver(events.zip(of_events), &changed, &teller);
            let condition = async {
                if let (Some(condition), Some(report)) = (condition, of_condition) {
                    condition.keep(&stock.hub, &stock.store, &report, &changed).await;
                }
            };
            let otlp = stock.deliver(otlp.zip(of_otlp), &changed, &teller);
            // After a jump credentials and certificates are looked at anew; in a storm of them once in a while.
            let listen = async {
                while heard.recv().await.is_some() {
                    sleep(SETTLE).await;
                    while heard.try_recv().is_ok() {}
                    cluster.forget();
                    changed.notify_waiters();
                }
            };
            tokio::join!(events, condition, otlp, listen);
        })?;
        Ok(Some(Self { worker, reports }))
    }
}

impl Stock {
    /// Until the stream ends; nothing without a sink.
    async fn deliver<S: Sink>(
        &self,
        to: Option<(S, Arc<Mutex<DeliveryReport>>)>,
        changed: &Arc<Notify>,
        teller: &Teller,
    ) {
        if let Some((sink, report)) = to {
            let source = self.source(sink.name(), changed);
            deliver(sink, source, report, async |delivery| teller.delivered(delivery).await).await;
        }
    }

    fn source(&self, sink: &str, changed: &Arc<Notify>) -> Source {
        Source {
            hub: Arc::clone(&self.hub),
            store: Arc::clone(&self.store),
            left: self.left.iter().find(|delivery| delivery.sink == sink).cloned(),
            begins_after: self.begins_after,
            changed: Arc::clone(changed),
        }
    }
}
