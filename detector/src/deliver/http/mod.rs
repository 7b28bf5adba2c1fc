//! What is asked over HTTP: by machines metrics, health and status; by people the report of the last incident.

mod metrics;
mod report;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

use super::{Backend, Message, json_line, locked};
use crate::clock::{BootNs, Clocks, SystemClocks};

/// All that is served.
pub fn router(backend: Backend) -> Router {
    Router::new()
        .route("/", get(report::live))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(backend)
}

async fn metrics(State(backend): State<Backend>) -> impl IntoResponse {
    let status = backend.status().await;
    let tally = locked(&backend.tally).clone();
    let now = BootNs(SystemClocks.boottime_ns());
    match metrics::exposition(status.ok().as_ref(), &tally, now) {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, "text/plain; charset=utf-8")],
            format!("{error}\n"),
        ),
    }
}

/// Alive: the capture answers. Whoever restarts on this mends a capture that hangs.
async fn healthz(State(backend): State<Backend>) -> (StatusCode, String) {
    match backend.status().await {
        Ok(_) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// Ready: jumps are captured and the stream can be followed. A store in trouble is no reason to send consumers away.
async fn readyz(State(backend): State<Backend>) -> (StatusCode, String) {
    let status = match backend.status().await {
        Ok(status) => status,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    };
    let listeners = status.daemon.map(|daemon| daemon.listeners).unwrap_or_default();
    let stream = listeners.iter().filter(|listener| listener.kind != "http");
    if stream.clone().any(|listener| listener.state == "listening") {
        (StatusCode::OK, format!("ok: capturing by {}\n", status.rung))
    } else {
        let why: Vec<_> =
            stream.map(|listener| format!("{}: {}", listener.address, listener.state)).collect();
        (StatusCode::SERVICE_UNAVAILABLE, format!("nobody can follow the stream: {}\n", why.join("; ")))
    }
}

async fn status(State(backend): State<Backend>) -> impl IntoResponse {
    match backend.status().await {
        Ok(status) => (
            StatusCode::OK,
            [(CONTENT_TYPE, "application/json")],
            json_line(&Message::Status(Box::new(status))) + "\n",
        ),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(CONTENT_TYPE, "text/plain; charset=utf-8")],
            format!("{error}\n"),
        ),
    }
}
