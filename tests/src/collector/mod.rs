//! An OpenTelemetry collector that is made up: OTLP logs over gRPC, with the moods of collectors. What deliveries to one are
//! tested against.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener as StdTcpListener},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
};
use timejump::deliver::locked;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};

/// What it does with requests.
#[derive(Debug, Clone, Default)]
pub enum Mood {
    /// It takes them.
    #[default]
    Take,
    /// It takes them, and takes so long.
    Slow(Duration),
    /// It takes all but the last so many records of each.
    RejectLast(usize),
    /// It refuses, with these details.
    Refuse(Code, Vec<u8>),
}

/// A record, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Of its resource.
    pub resource: Vec<KeyValue>,
    /// The record.
    pub record: LogRecord,
}

impl Received {
    /// An attribute that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.record.attributes, key)
    }

    /// An attribute that is a number.
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.record.attributes.iter().find(|known| known.key == key)?.value.as_ref()?.value.as_ref()? {
            Value::IntValue(number) => Some(*number),
            _ => None,
        }
    }

    /// An attribute of its resource.
    pub fn of_resource(&self, key: &str) -> Option<&str> {
        text(&self.resource, key)
    }

    /// For people.
    pub fn body(&self) -> Option<&str> {
        match self.record.body.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|known| known.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Mood>,
    received: Mutex<Vec<Received>>,
    rejected: Mutex<u64>,
    requests: Mutex<u64>,
}

/// A fake collector. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    life: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Collector {
    /// Serves at some port of this host.
    pub fn start() -> Result<Self> {
        let listener = StdTcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a port for the collector")?;
        let address = listener.local_addr()?;
        let mut collector = Self { address, shared: Arc::default(), life: None };
        collector.live(listener)?;
        Ok(collector)
    }

    /// As `--otlp` is told it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what it does with requests to come.
    pub fn behave(&self, mood: Mood) {
        *locked(&self.shared.mood) = mood;
    }

    /// It is gone: connections break, new ones are refused.
    pub fn down(&mut self) {
        if let Some((end, thread)) = self.life.take() {
            drop(end);
            let _ = thread.join();
        }
    }

    /// It is there again, at the same address.
    pub fn up(&mut self) -> Result<()> {
        if self.life.is_none() {
            self.live(StdTcpListener::bind(self.address).context("the collector's port")?)?;
        }
        Ok(())
    }

    /// What it took.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.shared.received).clone()
    }

    /// Records that it did not take.
    pub fn rejected(&self) -> u64 {
        *locked(&self.shared.rejected)
    }

    /// Requests that came.
    pub fn requests(&self) -> u64 {
        *locked(&self.shared.requests)
    }

    fn live(&mut self, listener: StdTcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let service = LogsServiceServer::new(Service(Arc::clone(&self.shared)));
        let thread = thread::Builder::new().name("collector".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let serving = Server::builder()
                    .add_service(service)
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    _ = serving => {}
                    // As if killed: nobody is told.
                    _ = ended => {}
                }
            });
        })?;
        self.life = Some((end, thread));
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.down();
    }
}

struct Service(Arc<Shared>);

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        *locked(&self.0.requests) += 1;
        let mood = locked(&self.0.mood).clone();
        let mut received: Vec<Received> = Vec::new();
        for logs in request.into_inner().resource_logs {
            let resource = logs.resource.map(|resource| resource.attributes).unwrap_or_default();
            let records = logs.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            received.extend(records.map(|record| Received { resource: resource.clone(), record }));
        }
        let mut response = ExportLogsServiceResponse::default();
        match mood {
            Mood::Take => {}
            Mood::Slow(long) => tokio::time::sleep(long).await,
            Mood::RejectLast(most) => {
                let rejected = most.min(received.len());
                received.truncate(received.len() - rejected);
                *locked(&self.0.rejected) += rejected as u64;
                response.partial_success = Some(ExportLogsPartialSuccess {
                    rejected_log_records: i64::try_from(rejected).unwrap_or(i64::MAX),
                    error_message: "these are not to our taste".into(),
                });
            }
            Mood::Refuse(code, details) => {
                return Err(Status::with_details(code, "not now", details.into()));
            }
        }
        locked(&self.0.received).extend(received);
        Ok(Response::new(response))
    }
}
