//! Docker's own files about its containers: what `docker inspect` shows, where nobody can be asked.

use std::{fs, io::Read as _, path::Path};

use serde::Deserialize;

use super::{Container, ContainerState, Pod};
use crate::clock::{BootNs, WallNs};

/// Containers read.
const MOST: usize = 4096;
/// A container's configuration is some KiB.
const LARGEST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Created")]
    created: String,
    #[serde(rename = "State", default)]
    state: State,
    #[serde(rename = "Config", default)]
    given: Labelled,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
    started_at: String,
    finished_at: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Labelled {
    labels: std::collections::HashMap<String, String>,
}

/// The containers of pods that Docker has at `root`, sandboxes left out. What cannot be read is left out as well.
pub fn containers(root: &Path) -> Vec<Container> {
    let entries = fs::read_dir(root.join("var/lib/docker/containers")).into_iter().flatten().flatten();
    entries.take(MOST).filter_map(|entry| read(&entry.path().join("config.v2.json"))).collect()
}

fn read(path: &Path) -> Option<Container> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    let Config { id, created, state, given } = serde_json::from_slice(&text).ok()?;
    // Labels of kubelet's (pkg/kubelet/types/labels.go) and of dockershim's.
    let label = |name: &str| given.labels.get(name).cloned();
    if label("io.kubernetes.docker.type").as_deref() == Some("podsandbox") {
        return None;
    }
    Some(Container {
        id: id.into(),
        name: label("io.kubernetes.container.name")?,
        attempt: label("annotation.io.kubernetes.container.restartCount")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0),
        pod: Pod {
            namespace: label("io.kubernetes.pod.namespace")?,
            name: label("io.kubernetes.pod.name")?,
            uid: label("io.kubernetes.pod.uid")?,
        },
        state: if state.running { ContainerState::Running } else { ContainerState::Exited },
        created: time(&created)?,
        started: time(&state.started_at),
        finished: time(&state.finished_at).filter(|_| !state.running),
        born: BootNs(0),
        cpu: None,
    })
}

/// Nothing for what never was: year 1.
fn time(text: &str) -> Option<WallNs> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    (instant.as_nanosecond() > 0).then(|| WallNs(instant.as_nanosecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_knows() {
        let root = tempfile::tempdir().unwrap();
        let write = |id: &str, text: &str| {
            let directory = root.path().join("var/lib/docker/containers").join(id);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("config.v2.json"), text).unwrap();
        };
        let config = |kind: &str| {
            json!({
                "ID": "c1", "Created": "2024-03-31T16:00:00.5Z",
                "State": {"Running": true, "StartedAt": "2024-03-31T16:00:01Z", "FinishedAt": "0001-01-01T00:00:00Z"},
                "Config": {"Labels": {
                    "io.kubernetes.docker.type": kind, "io.kubernetes.container.name": "c",
                    "io.kubernetes.pod.namespace": "n", "io.kubernetes.pod.name": "p", "io.kubernetes.pod.uid": "u",
                }},
            })
            .to_string()
        };
        write("c1", &config("container"));
        write("c2", &config("podsandbox"));
        write("c3", "{");
        write("c4", r#"{"ID":"c4","Created":"yesterday","Config":{"Labels":{}}}"#);
        let found = containers(root.path());
        let [container] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&*container.pod.name, container.runs()), ("p", true));
        assert_eq!(container.started, Some(WallNs(1_711_900_801_000_000_000)));
        assert_eq!(container.finished, None);
    }
}
