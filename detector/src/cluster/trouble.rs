//! What an apiserver's refusal means to whoever wanted something of it.

use std::time::Duration;

use kube::core::Status;

/// What a refusal means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 401: our own token is not accepted.
    Unauthorized,
    /// 403: we may not.
    Forbidden(String),
    /// 403: it goes to a namespace that is being deleted.
    NamespaceEnds(String),
    /// 404: there is no such object, or no such kind.
    NotFound(String),
    /// 409: it is there already.
    AlreadyExists,
    /// 409: somebody else changed it meanwhile.
    Conflict(String),
    /// 400, 405, 413, 415, 422: what was asked can never be.
    Invalid(String),
    /// 429 and whatever else says when to come again.
    Busy {
        /// For people.
        why: String,
        /// When to come again.
        after: Option<Duration>,
    },
    /// Everything else: no answer, or one that says nothing.
    Unreachable(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("the apiserver does not accept our token (401)"),
            Self::AlreadyExists => f.write_str("it is there already"),
            Self::Forbidden(why)
            | Self::NamespaceEnds(why)
            | Self::NotFound(why)
            | Self::Conflict(why)
            | Self::Invalid(why)
            | Self::Busy { why, .. }
            | Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl From<&kube::Error> for Trouble {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(&**status),
            other => Self::Unreachable(chain(other)),
        }
    }
}

impl From<&Status> for Trouble {
    fn from(status: &Status) -> Self {
        let why = || format!("{} ({})", status.message, status.code);
        let details = status.details.as_ref();
        let retry = details.map_or(0, |details| details.retry_after_seconds);
        let after = (retry > 0).then(|| Duration::from_secs(retry.into()));
        let ends = details
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"));
        match status.code {
            401 => Self::Unauthorized,
            403 if ends => Self::NamespaceEnds(why()),
            403 => Self::Forbidden(why()),
            404 => Self::NotFound(why()),
            409 if status.reason == "AlreadyExists" => Self::AlreadyExists,
            409 => Self::Conflict(why()),
            400 | 405 | 413 | 415 | 422 => Self::Invalid(why()),
            429 => Self::Busy { why: why(), after },
            _ if after.is_some() => Self::Busy { why: why(), after },
            _ => Self::Unreachable(why()),
        }
    }
}

/// An error with what it comes from: hyper's own say nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}
