//! The gRPC service: both versions of the API, one implementation, and its faults.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use prost::encoding::{WireType, encode_key, encode_varint};
use timejump::deliver::locked;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::Grpc,
};

use super::{
    answers::{Call, answer},
    codec::Raw,
    manners::{Fault, Manners},
    runtime::Api,
    shared::Shared,
};

/// A field number that no message of the API has.
const UNKNOWN_FIELD: u32 = 9_999;

/// Takes requests for any service, as a gRPC server does that knows two.
#[derive(Debug, Clone)]
pub(super) struct Cri(pub(super) Arc<Shared>);

impl Service<http::Request<Body>> for Cri {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method { shared: Arc::clone(&self.0), path: request.uri().path().to_owned() };
        Box::pin(async move { Ok(Grpc::new(Raw).unary(method, request).await) })
    }
}

/// What one request asks for.
struct Method {
    shared: Arc<Shared>,
    path: String,
}

impl Service<Request<Vec<u8>>> for Method {
    type Response = Response<Vec<u8>>;
    type Error = Status;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        Box::pin(async move { respond(&shared, &path, &request.into_inner()).await.map(Response::new) })
    }
}

async fn respond(shared: &Shared, path: &str, request: &[u8]) -> Result<Vec<u8>, Status> {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let api = Api::of_service(service);
    // Counted even if it is not served: a call is a call.
    shared.count(&format!("{}/{method}", api.map_or(service, |api| api.name())));
    let manners = calm(shared, method).await?;
    let api = api.filter(|api| locked(&shared.node).runtime.apis.serve(*api));
    let api = api.ok_or_else(|| Status::unimplemented(format!("unknown service {service}")))?;
    let vanished = manners.faults(method).any(|fault| *fault == Fault::Vanish);
    let call = Call { api, method: method.into() };
    let mut bytes = answer(&mut locked(&shared.node), &call, request, &manners.absurd, vanished)?;
    for fault in manners.faults(method) {
        spoil(&mut bytes, fault);
    }
    Ok(bytes)
}

/// Waits as long as the method's faults say, or fails.
async fn calm(shared: &Shared, method: &str) -> Result<Manners, Status> {
    let mut changes = shared.manners.subscribe();
    let manners = match changes.wait_for(|manners| !manners.hangs(method)).await {
        Ok(manners) => manners.clone(),
        Err(_) => return Err(Status::unavailable("the fake ends")),
    };
    for fault in manners.faults(method) {
        match fault {
            Fault::Slow(by) => tokio::time::sleep(*by).await,
            Fault::Error(code) => return Err(Status::new(*code, "an error that was asked for")),
            _ => {}
        }
    }
    Ok(manners)
}

fn spoil(bytes: &mut Vec<u8>, fault: &Fault) {
    match fault {
        // Wire type 7 does not exist.
        Fault::Garbage => *bytes = vec![0xff; 64],
        // Field 1 is a string here, and a message or a list of messages in most others.
        Fault::Wrong => *bytes = b"\x0a\x051.2.3\x12\x05wrong".to_vec(),
        Fault::Cut => bytes.truncate(bytes.len() / 2 + 1),
        Fault::Huge(more) => {
            encode_key(UNKNOWN_FIELD, WireType::LengthDelimited, bytes);
            encode_varint(u64::try_from(*more).unwrap_or_default(), bytes);
            bytes.resize(bytes.len() + more, 0);
        }
        Fault::Hang | Fault::Slow(_) | Fault::Error(_) | Fault::Vanish => {}
    }
}
