//! What a request is about, by its path and query.

use serde_json::Value;

use super::{Key, kind::Kind};

/// What a request is about.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
    pub(super) watch: bool,
    /// A watch's `resourceVersion`.
    pub(super) after: u64,
    /// `labelSelector` and `fieldSelector`: `key=value`.
    labels: Vec<(String, String)>,
    fields: Vec<(String, String)>,
}

impl Route {
    /// Nothing for a path that the fake does not know.
    pub(super) fn parse(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (version, rest) = match path.strip_prefix("/apis/") {
            Some(rest) => {
                let (group, rest) = rest.split_once('/')?;
                let (version, rest) = rest.split_once('/')?;
                (format!("{group}/{version}"), rest)
            }
            None => ("v1".to_owned(), path.strip_prefix("/api/v1/")?),
        };
        let parts: Vec<_> = rest.split('/').collect();
        let (namespace, parts) = match &parts[..] {
            ["namespaces", namespace, parts @ ..] if !parts.is_empty() => ((*namespace).to_owned(), parts),
            parts => (String::new(), parts),
        };
        let (resource, parts) = parts.split_first()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.resource() == *resource && kind.api_version() == version)?;
        let part = |index: usize| parts.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| decoded(value))
                .next_back()
                .unwrap_or_default()
        };
        Some(Self {
            kind,
            namespace,
            name: part(0),
            subresource: part(1),
            watch: matches!(&*parameter("watch"), "1" | "true"),
            after: parameter("resourceVersion").parse().unwrap_or(0),
            labels: selector(&parameter("labelSelector")),
            fields: selector(&parameter("fieldSelector")),
        })
    }

    /// `pods/eviction`
    pub(super) fn resource(&self) -> String {
        let resource = self.kind.resource();
        if self.subresource.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}/{}", self.subresource)
        }
    }

    /// Whether that object is asked for.
    pub(super) fn takes(&self, (kind, namespace, name): &Key, object: &Value) -> bool {
        *kind == self.kind
            && (self.namespace.is_empty() || self.namespace == *namespace)
            && self.labels.iter().all(|(key, value)| object["metadata"]["labels"][key] == **value)
            && self.fields.iter().all(|(key, value)| match &**key {
                "metadata.name" => name == value,
                "spec.nodeName" => object["spec"]["nodeName"] == **value,
                _ => true,
            })
    }
}

fn selector(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_start_matches('=').to_owned())).collect()
}

/// Without `%2F` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(code) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(code);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
