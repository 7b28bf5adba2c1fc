//! Takes the stream to a collector.

use std::{fs, io, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
};
use prost::Message as _;
use tonic::{
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri},
};

use super::{
    record::record,
    resource::{Origin, scope},
    verdict,
};
use crate::{
    clock::{Clocks, SystemClocks, WallNs},
    deliver::{
        outbox::{Refusal, Sink},
        stream::Told,
    },
};

/// How long a connection may take, and an answer.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// A request is no larger, in bytes: collectors take 4 MiB unless told otherwise.
const LARGEST: usize = 1 << 20;

/// Where a collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    uri: Uri,
    ca: Option<PathBuf>,
}

/// Why that cannot be a collector's address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectorError {
    /// No URL of these.
    #[error("neither http://HOST:PORT nor https://HOST:PORT")]
    NoUrl,
    /// It would be shown wherever the address is.
    #[error("an address has no user or password in it")]
    Secret,
    /// gRPC has its own paths.
    #[error(
        "OTLP over gRPC has no path: http://HOST:4317 (4318 and /v1/logs are OTLP over HTTP, which is not spoken here)"
    )]
    Path,
    /// Whom to trust is not guessed.
    #[error("https needs --otlp-ca FILE: who must have signed the collector's certificate")]
    NoCa,
}

impl FromStr for Collector {
    type Err = CollectorError;

    fn from_str(text: &str) -> Result<Self, CollectorError> {
        let uri: Uri = text.parse().map_err(|_| CollectorError::NoUrl)?;
        let authority = uri.authority().ok_or(CollectorError::NoUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
            return Err(CollectorError::NoUrl);
        }
        if authority.as_str().contains('@') {
            return Err(CollectorError::Secret);
        }
        if !matches!(uri.path_and_query().map(PathAndQuery::as_str), None | Some("" | "/")) {
            return Err(CollectorError::Path);
        }
        Ok(Self { uri, ca: None })
    }
}

impl Collector {
    /// With whom its certificate must be signed by.
    pub fn trusting(self, ca: Option<PathBuf>) -> Result<Self, CollectorError> {
        if ca.is_none() && self.is_https() {
            return Err(CollectorError::NoCa);
        }
        Ok(Self { ca, ..self })
    }

    fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// A connection that is made when it is needed, and made anew when it broke.
    fn channel(&self) -> Result<Channel, String> {
        let mut endpoint = Endpoint::from(self.uri.clone()).connect_timeout(PATIENCE.0).timeout(PATIENCE.1);
        if let Some(ca) = self.ca.as_ref().filter(|_| self.is_https()) {
            let named = |error: io::Error| format!("{}: {error}", ca.display());
            let pem = fs::read(ca).map_err(named)?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint = endpoint.tls_config(tls).map_err(|error| format!("{}: {error}", ca.display()))?;
        }
        Ok(endpoint.connect_lazy())
    }
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

/// Takes the stream to a collector.
#[derive(Debug)]
pub struct Otlp {
    collector: Collector,
    origin: Origin,
    client: Option<LogsServiceClient<Channel>>,
}

impl Otlp {
    /// Connects to nobody yet.
    pub fn new(collector: Collector, origin: Origin) -> Self {
        Self { collector, origin, client: None }
    }

    fn request(&self, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, schema_url: String::new() }];
        let resource = Some(self.origin.resource());
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { resource, scope_logs, schema_url: String::new() }],
        }
    }
}

impl Sink for Otlp {
    /// The records say it all.
    type State = ();
    type Write = ExportLogsServiceRequest;

    fn name(&self) -> &'static str {
        "otlp_logs"
    }

    fn place(&self) -> String {
        self.collector.to_string()
    }

    fn plan(&self, (): &mut (), batch: &[Arc<Told>]) -> Vec<ExportLogsServiceRequest> {
        let observed = WallNs(SystemClocks.realtime_ns().into());
        let (mut requests, mut records, mut bytes) = (Vec::new(), Vec::new(), 0);
        for record in batch.iter().filter_map(|told| record(told, observed, &self.origin.boot_id)) {
            let length = record.encoded_len();
            if bytes + length > LARGEST && !records.is_empty() {
                requests.push(self.request(std::mem::take(&mut records)));
                bytes = 0;
            }
            bytes += length;
            records.push(record);
        }
        if !records.is_empty() {
            requests.push(self.request(records));
        }
        requests
    }

    async fn write(&mut self, request: &ExportLogsServiceRequest) -> Result<(), Refusal> {
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let channel = self.collector.channel().map_err(Refusal::not_now)?;
                none.insert(LogsServiceClient::new(channel))
            }
        };
        let sent = request.resource_logs.iter().flat_map(|logs| &logs.scope_logs);
        let sent = sent.map(|logs| logs.log_records.len()).sum();
        match client.export(request.clone()).await {
            Ok(response) => verdict::of_response(response.get_ref(), sent),
            Err(status) => {
                // The next one reads the CA's certificate anew.
                self.client = None;
                Err(verdict::of_status(&status))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actor::Actor,
        deliver::{Message, tests::jump},
        ledger::Jump,
    };

    #[test]
    fn addresses() {
        let good: Collector = "http://otel:4317".parse().unwrap();
        assert_eq!(good.to_string(), "http://otel:4317");
        assert!(good.trusting(None).is_ok());
        for (bad, why) in [
            ("otel:4317", CollectorError::NoUrl),
            ("", CollectorError::NoUrl),
            ("ftp://otel", CollectorError::NoUrl),
            ("http://user:secret@otel:4317", CollectorError::Secret),
            ("http://otel:4318/v1/logs", CollectorError::Path),
        ] {
            assert_eq!(bad.parse::<Collector>(), Err(why), "{bad}");
        }
        let tls: Collector = "https://otel:4317/".parse().unwrap();
        assert_eq!(tls.clone().trusting(None), Err(CollectorError::NoCa));
        assert!(tls.trusting(Some("/ca.crt".into())).is_ok());
    }

    #[test]
    fn large_batches_are_sent_in_parts() {
        let sink = Otlp::new("http://otel:4317".parse().unwrap(), Origin::default());
        let actor = Actor { cmdline: Some("x".repeat(10_000)), ..Actor::default() };
        let batch: Vec<_> = (1..=256)
            .map(|position| {
                let message = Message::Jump(Jump { actor: actor.clone(), ..jump(position, 5) });
                Arc::new(Told { position, message })
            })
            .collect();
        let requests = sink.plan(&mut (), &batch);
        assert!(requests.len() >= 3 && requests.iter().all(|it| it.encoded_len() < 2 * LARGEST));
        let records = |it: &ExportLogsServiceRequest| it.resource_logs[0].scope_logs[0].log_records.len();
        assert_eq!(requests.iter().map(records).sum::<usize>(), 256);
    }
}
