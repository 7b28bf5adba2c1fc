//! The report of an incident, live: of the last one, or of `/?jump=N` or `/?excursion=N`.

use axum::{
    extract::{RawQuery, State},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{Html, IntoResponse, Response},
};

use crate::deliver::{
    Backend,
    report::{Incident, Medium, POLICY, Which, page},
};

/// Reads what the store has of it, within bounds and away from the thread that serves, and makes the page there too.
pub(super) async fn live(State(backend): State<Backend>, RawQuery(query): RawQuery) -> Response {
    let Some(which) = which(query.as_deref().unwrap_or_default()) else {
        return plain(StatusCode::BAD_REQUEST, "what is known here: /?jump=N and /?excursion=N");
    };
    let status = match backend.status().await {
        Ok(status) => status,
        Err(error) => return plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let incident = match backend.read(move |store| Incident::gather(store, which)).await {
        Ok(Some(incident)) => incident,
        Ok(None) => {
            return plain(StatusCode::NOT_FOUND, &format!("there is no {which} in the store, or no longer"));
        }
        Err(error) => {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot read the store: {error}"));
        }
    };
    let made = tokio::task::spawn_blocking(move || page(&incident, &status, Medium::Live)).await;
    match made {
        Ok(page) => (
            [
                (CONTENT_SECURITY_POLICY, POLICY),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (REFERRER_POLICY, "no-referrer"),
                (CACHE_CONTROL, "no-store"),
            ],
            Html(page),
        )
            .into_response(),
        // It fails only when the runtime ends, with nobody left to tell.
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn plain(status: StatusCode, words: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{words}\n")).into_response()
}

/// Which incident a query asks for; nothing if that is not to be understood.
fn which(query: &str) -> Option<Which> {
    if query.is_empty() {
        return Some(Which::Last);
    }
    let (name, number) = query.split_once('=')?;
    let number = number.parse().ok()?;
    match name {
        "jump" => Some(Which::Jump(number)),
        "excursion" => Some(Which::Excursion(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        for (query, want) in [
            ("", Some(Which::Last)),
            ("jump=7", Some(Which::Jump(7))),
            ("excursion=3", Some(Which::Excursion(3))),
            ("jump=", None),
            ("jump=-1", None),
            ("jump", None),
            ("x=1", None),
            ("jump=1&excursion=2", None),
        ] {
            assert_eq!(which(query), want, "{query}");
        }
    }
}
