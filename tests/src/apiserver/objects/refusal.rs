//! Refusals, in an apiserver's words.

use serde_json::{Value, json};

use super::{Answer, route::Route};

/// Why something is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    NoSuchPath,
    NoSuchMethod,
    BadBody(String),
    OtherNamespace,
    NotFound(Box<Route>),
    AlreadyExists(Box<Route>, String),
    Conflict(Box<Route>),
    NamespaceEnds(Box<Route>, String),
    /// A disruption budget.
    Disruption,
    Forbidden(String),
    Invalid(String, Vec<Value>),
}

impl Refusal {
    pub(super) fn forbidden(verb: &str, route: &Route) -> Self {
        let group = route.kind.api_version().split_once('/').map_or("", |(group, _)| group);
        let place = if route.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", route.namespace)
        };
        let what = format!("{}{}", route.kind.qualified(), quoted(&route.name));
        Self::Forbidden(format!(
            "{what} is forbidden: User \"system:serviceaccount:timejump:timejump\" cannot {verb} resource \"{}\" in API \
             group \"{group}\" {place}",
            route.resource()
        ))
    }

    pub(super) fn invalid(route: &Route, field: &str, why: &str) -> Self {
        let message = format!("{} \"{}\" is invalid: {field}: {why}", route.kind.name(), route.name);
        Self::Invalid(message, vec![json!({ "reason": "FieldValueInvalid", "message": why, "field": field })])
    }

    fn parts(self) -> (u16, &'static str, String, Vec<Value>) {
        match self {
            Self::NoSuchPath => {
                (404, "NotFound", "the server could not find the requested resource".to_owned(), Vec::new())
            }
            Self::NoSuchMethod => (
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource".to_owned(),
                Vec::new(),
            ),
            Self::BadBody(why) => (400, "BadRequest", why, Vec::new()),
            Self::OtherNamespace => (
                400,
                "BadRequest",
                "the namespace of the provided object does not match the namespace sent on the request"
                    .to_owned(),
                Vec::new(),
            ),
            Self::NotFound(route) => {
                let message = format!("{}{} not found", route.kind.qualified(), quoted(&route.name));
                (404, "NotFound", message, Vec::new())
            }
            Self::AlreadyExists(route, name) => (
                409,
                "AlreadyExists",
                format!("{} \"{name}\" already exists", route.kind.qualified()),
                Vec::new(),
            ),
            Self::Conflict(route) => (
                409,
                "Conflict",
                format!(
                    "Operation cannot be fulfilled on {}{}: the object has been modified; please apply your changes to \
                     the latest version and try again",
                    route.kind.qualified(),
                    quoted(&route.name)
                ),
                Vec::new(),
            ),
            Self::NamespaceEnds(route, name) => (
                403,
                "Forbidden",
                format!(
                    "{} \"{name}\" is forbidden: unable to create new content in namespace {} because it is being \
                     terminated",
                    route.kind.qualified(),
                    route.namespace
                ),
                vec![json!({
                    "reason": "NamespaceTerminating",
                    "message": format!("namespace {} is being terminated", route.namespace),
                    "field": "metadata.namespace",
                })],
            ),
            Self::Disruption => (
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
                vec![json!({
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget pdb needs 2 healthy pods and has 2 currently",
                })],
            ),
            Self::Forbidden(message) => (403, "Forbidden", message, Vec::new()),
            Self::Invalid(message, causes) => (422, "Invalid", message, causes),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let (code, reason, message, causes) = refusal.parts();
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        });
        if !causes.is_empty() {
            status["details"] = json!({ "causes": causes });
        }
        Self::Whole(code, status)
    }
}

fn quoted(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" \"{name}\"") }
}
