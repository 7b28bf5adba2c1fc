//! The objects that the fake keeps, and what it says to requests for them.
//!
//! # Faithful to
//! | what | whose |
//! |---|---|
//! | what is checked of Events, and in which words it is refused | a kube-apiserver 1.20.2 that was run, and `ValidateEvent` of later ones where they differ |
//! | series alone of an Event can change | later than 1.20 (`ValidateEventUpdate`) |
//! | strategic merge of a Node's conditions by `type`; stamps cut to seconds | run |
//! | `resourceVersion`: a PUT with an older one is a conflict, one that changes nothing moves none | run |
//! | evictions that a disruption budget forbids: 429 without `Retry-After` | run |
//! | a namespace that ends: 403 with the cause `NamespaceTerminating` | run |
//! | lists, and watches that begin after a `resourceVersion` | the API's conventions |
//!
//! # Not faithful
//! Selectors by labels with `=` alone; no field selectors but `metadata.name` and `spec.nodeName`; no defaulting; no admission.

mod event;
mod kind;
mod patch;
mod refusal;
mod route;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::sync::broadcast;

pub use self::kind::Kind;
pub(super) use self::watch::Frames;
use self::{refusal::Refusal, route::Route};

/// Changes that a watch may lag behind.
const CHANGES: usize = 4096;

type Key = (Kind, String, String);

/// What the fake keeps.
#[derive(Debug)]
pub struct Objects {
    version: u64,
    kept: BTreeMap<Key, Value>,
    log: Vec<Change>,
    changes: broadcast::Sender<Change>,
    /// Namespaces that are being deleted.
    ending: BTreeSet<String>,
    /// What nobody may: a verb and a resource.
    forbidden: BTreeSet<(String, String)>,
    /// Pods that a disruption budget keeps.
    budgeted: BTreeSet<(String, String)>,
    /// Whether Events of Nodes are taken in `kube-system` alone, as by 1.20.
    nodes_in_kube_system: bool,
    /// Requests that changed something, or would have: verb and path, and the status.
    history: Vec<(String, u16)>,
}

/// One change.
#[derive(Debug, Clone)]
struct Change {
    version: u64,
    /// `ADDED`, `MODIFIED`, `DELETED`.
    what: &'static str,
    key: Key,
    object: Value,
}

/// What is answered.
pub(super) enum Answer {
    Whole(u16, Value),
    Watch(Frames),
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            version: 1,
            kept: BTreeMap::new(),
            log: Vec::new(),
            changes: broadcast::channel(CHANGES).0,
            ending: BTreeSet::new(),
            forbidden: BTreeSet::new(),
            budgeted: BTreeSet::new(),
            nodes_in_kube_system: false,
            history: Vec::new(),
        }
    }
}

impl Objects {
    /// Puts an object there, as somebody else would.
    pub fn put(&mut self, kind: Kind, object: Value) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = (kind, text("namespace"), text("name"));
        self.set(key, object);
    }

    /// Takes one away, as somebody else would.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = (kind, namespace.to_owned(), name.to_owned());
        if let Some(object) = self.kept.remove(&key) {
            self.changed("DELETED", key, object);
        }
    }

    /// All of a kind.
    pub fn all(&self, kind: Kind) -> Vec<Value> {
        self.kept.iter().filter(|((of, ..), _)| *of == kind).map(|(_, object)| object.clone()).collect()
    }

    /// One of them.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.kept.get(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// A namespace begins to end.
    pub fn end_namespace(&mut self, name: &str) {
        self.ending.insert(name.to_owned());
    }

    /// Nobody may do that any more: `create`, `events`.
    pub fn forbid(&mut self, verb: &str, resource: &str) {
        self.forbidden.insert((verb.to_owned(), resource.to_owned()));
    }

    /// Everybody may do everything.
    pub fn allow(&mut self) {
        self.forbidden.clear();
    }

    /// A disruption budget keeps this pod, or lets it go.
    pub fn keep_pod(&mut self, namespace: &str, name: &str, keep: bool) {
        let pod = (namespace.to_owned(), name.to_owned());
        if keep {
            self.budgeted.insert(pod);
        } else {
            self.budgeted.remove(&pod);
        }
    }

    /// Events of Nodes are taken in `kube-system` alone, as by 1.20.
    pub fn want_nodes_in_kube_system(&mut self) {
        self.nodes_in_kube_system = true;
    }

    /// Requests that changed something, or would have: verb and path, and the status.
    pub fn history(&self) -> &[(String, u16)] {
        &self.history
    }

    /// What is said to a request.
    pub(super) fn answer(&mut self, method: &str, target: &str, kind: &str, body: &[u8]) -> Answer {
        let Some(route) = Route::parse(target) else {
            return Refusal::NoSuchPath.into();
        };
        let verb = match method {
            "GET" if route.watch => "watch",
            "GET" if route.name.is_empty() => "list",
            "GET" => "get",
            "POST" => "create",
            "PATCH" => "patch",
            "PUT" => "update",
            "DELETE" => "delete",
            _ => return Refusal::NoSuchMethod.into(),
        };
        let resource = route.resource();
        let answer = if self.forbidden.contains(&(verb.to_owned(), resource.clone())) {
            Err(Refusal::forbidden(verb, &route))
        } else {
            self.handle(verb, &route, kind, body)
        };
        let answer = answer.unwrap_or_else(Into::into);
        if !matches!(verb, "get" | "list" | "watch")
            && let Answer::Whole(status, _) = &answer
        {
            let path = target.split('?').next().unwrap_or_default();
            self.history.push((format!("{verb} {path}"), *status));
        }
        answer
    }

    fn handle(&mut self, verb: &str, route: &Route, kind: &str, body: &[u8]) -> Result<Answer, Refusal> {
        let key = (route.kind, route.namespace.clone(), route.name.clone());
        let sent =
            || serde_json::from_slice::<Value>(body).map_err(|error| Refusal::BadBody(error.to_string()));
        match (verb, &*route.subresource) {
            ("list", "") => Ok(Answer::Whole(200, self.list(route))),
            ("watch", "") => Ok(self.watch(route)),
            ("get", "" | "status") => Ok(Answer::Whole(200, self.found(&key, route)?.clone())),
            ("create", "") => self.create(route, sent()?),
            ("create", "eviction") => self.evict(&key, route, &sent()?),
            ("patch", "" | "status") => {
                let old = self.found(&key, route)?.clone();
                let new = patch::apply(route, kind, &old, &sent()?)?;
                self.update(&key, route, &old, new)
            }
            ("update", "" | "status") => {
                let old = self.found(&key, route)?.clone();
                let new = sent()?;
                if new["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() {
                    return Err(Refusal::invalid(
                        route,
                        "metadata.resourceVersion",
                        "must be specified for an update",
                    ));
                }
                self.update(&key, route, &old, new)
            }
            ("delete", "") => {
                let object = self.found(&key, route)?.clone();
                self.kept.remove(&key);
                self.changed("DELETED", key, object.clone());
                Ok(Answer::Whole(200, object))
            }
            _ => Err(Refusal::NoSuchMethod),
        }
    }

    fn list(&self, route: &Route) -> Value {
        let items: Vec<_> = self
            .kept
            .iter()
            .filter(|(key, object)| route.takes(key, object))
            .map(|(_, object)| object)
            .collect();
        json!({
            "kind": format!("{}List", route.kind.name()),
            "apiVersion": route.kind.api_version(),
            "metadata": { "resourceVersion": self.version.to_string() },
            "items": items,
        })
    }

    fn watch(&self, route: &Route) -> Answer {
        let since = self.log.iter().filter(|change| change.version > route.after);
        let there =
            since.filter(|change| route.takes(&change.key, &change.object)).map(Change::line).collect();
        Answer::Watch(watch::frames(there, self.changes.subscribe(), route.clone()))
    }

    fn create(&mut self, route: &Route, mut object: Value) -> Result<Answer, Refusal> {
        let of = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if !of.is_empty() && of != route.namespace {
            return Err(Refusal::OtherNamespace);
        }
        if self.ending.contains(&route.namespace) {
            return Err(Refusal::NamespaceEnds(Box::new(route.clone()), name_of(&object)));
        }
        if route.kind == Kind::Event {
            event::check_new(route, &object, self.nodes_in_kube_system)?;
        }
        let name = name_of(&object);
        let key = (route.kind, route.namespace.clone(), name.clone());
        if self.kept.contains_key(&key) {
            return Err(Refusal::AlreadyExists(Box::new(route.clone()), name));
        }
        object["metadata"]["namespace"] = route.namespace.clone().into();
        self.set(key.clone(), object);
        Ok(Answer::Whole(201, self.kept[&key].clone()))
    }

    fn update(&mut self, key: &Key, route: &Route, old: &Value, mut new: Value) -> Result<Answer, Refusal> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        new["metadata"]["namespace"] = old["metadata"]["namespace"].clone();
        if version(&new) != version(old) {
            return Err(Refusal::Conflict(Box::new(route.clone())));
        }
        if route.kind == Kind::Event {
            event::check_change(route, old, &new)?;
        }
        if new == *old {
            return Ok(Answer::Whole(200, new));
        }
        self.set(key.clone(), new);
        Ok(Answer::Whole(200, self.kept[key].clone()))
    }

    /// policy/v1, `pods/eviction`.
    fn evict(&mut self, key: &Key, route: &Route, eviction: &Value) -> Result<Answer, Refusal> {
        let pod = self.found(key, route)?.clone();
        if self.budgeted.contains(&(route.namespace.clone(), route.name.clone())) {
            return Err(Refusal::Disruption);
        }
        let wanted = eviction["deleteOptions"]["preconditions"]["uid"].as_str();
        if wanted.is_some_and(|uid| pod["metadata"]["uid"] != uid) {
            return Err(Refusal::Conflict(Box::new(route.clone())));
        }
        let dry = eviction["deleteOptions"]["dryRun"].as_array().is_some_and(|list| !list.is_empty());
        if !dry {
            self.kept.remove(key);
            self.changed("DELETED", key.clone(), pod);
        }
        let success =
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        Ok(Answer::Whole(201, success))
    }

    fn found(&self, key: &Key, route: &Route) -> Result<&Value, Refusal> {
        self.kept.get(key).ok_or_else(|| Refusal::NotFound(Box::new(route.clone())))
    }

    fn set(&mut self, key: Key, mut object: Value) {
        let what = if self.kept.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        object["kind"] = key.0.name().into();
        object["apiVersion"] = key.0.api_version().into();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("00000000-0000-4000-8000-{:012}", self.version).into();
        }
        self.kept.insert(key.clone(), object.clone());
        self.changed(what, key, object);
    }

    fn changed(&mut self, what: &'static str, key: Key, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if let Some(kept) = self.kept.get_mut(&key) {
            kept["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        }
        let change = Change { version: self.version, what, key, object };
        self.log.push(change.clone());
        // Nobody may be watching.
        let _ = self.changes.send(change);
    }
}

impl Change {
    /// One line of a watch.
    fn line(&self) -> Value {
        json!({ "type": self.what, "object": self.object })
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
