//! What a cluster would be told: by the real kustomize, by the real helm, as objects that the schemas of Kubernetes know.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{file, provided};

pub const KUSTOMIZE: &str = "deploy/kustomize";
const CHART: &str = "deploy/helm/timejump";
const NAMESPACE: &str = "timejump";
/// The first that knows all that the base says, and the newest that the schemas are had of.
pub const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// Objects by kind and name.
pub type Objects = BTreeMap<(String, String), Value>;

/// What renders and what judges.
pub struct Tools {
    kustomize: PathBuf,
    helm: PathBuf,
    python: PathBuf,
}

impl Tools {
    pub fn provided() -> Option<Self> {
        Some(Self {
            kustomize: provided("TIMEJUMP_KUSTOMIZE")?,
            helm: provided("TIMEJUMP_HELM")?,
            python: provided("TIMEJUMP_MANIFESTS_PYTHON")?,
        })
    }

    /// What `kubectl apply -k deploy/kustomize` would apply.
    pub fn kustomize_default(&self) -> String {
        output(Command::new(&self.kustomize).arg("build").arg(file(KUSTOMIZE)), "").expect("it builds")
    }

    /// The base with these components.
    pub fn kustomize(&self, components: &[&str]) -> String {
        let tree = TempDir::new().expect("a folder");
        copy(&file(KUSTOMIZE), tree.path());
        let components_of_it = components.iter().map(|component| format!("  - ../components/{component}\n"));
        let kustomization =
            "resources:\n  - ../base\ncomponents:\n".to_owned() + &components_of_it.collect::<String>();
        let own = tree.path().join("own");
        fs::create_dir(&own).expect("a folder");
        fs::write(own.join("kustomization.yaml"), kustomization).expect("a file");
        output(Command::new(&self.kustomize).arg("build").arg(&own), "")
            .unwrap_or_else(|error| panic!("{components:?}: {error}"))
    }

    /// The chart with exactly these components on, and more options for helm.
    pub fn helm(&self, components: &[&str], options: &[&str]) -> Result<String, String> {
        let mut command = self.chart("template");
        for component in all_components() {
            let on = components.contains(&&*component);
            command.args(["--set", &format!("components.{}={on}", value(&component))]);
        }
        output(command.args(options), "")
    }

    /// The chart as it is.
    pub fn helm_default(&self) -> String {
        output(&mut self.chart("template"), "").expect("it renders")
    }

    pub fn helm_lint(&self) -> Result<String, String> {
        output(Command::new(&self.helm).args(["lint", "--strict"]).arg(file(CHART)), "")
    }

    fn chart(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.helm);
        command.args([verb, "timejump"]).arg(file(CHART)).args(["--namespace", NAMESPACE]);
        // Of a cluster that is none.
        command.args(["--kube-version", VERSIONS[1]]);
        command
    }

    /// The objects of each text, if the schemas of these versions know them. Of no versions: whatever they are.
    pub fn judge(&self, texts: &[String], versions: &[&str]) -> Result<Vec<Objects>, String> {
        let judge = file("tests/python/manifests.py");
        let texts = serde_json::to_string(texts).expect("JSON");
        let lists = output(Command::new(&self.python).arg(judge).args(versions), &texts)?;
        let lists: Vec<Vec<Value>> = serde_json::from_str(&lists).expect("lists of objects");
        Ok(lists.into_iter().map(by_name).collect())
    }

    /// The objects of a text, unjudged.
    pub fn objects(&self, text: String) -> Objects {
        self.judge(&[text], &[]).expect("YAML").remove(0)
    }
}

fn by_name(list: Vec<Value>) -> Objects {
    let named = |object: Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ((text(&object["kind"]), text(&object["metadata"]["name"])), object)
    };
    let count = list.len();
    let objects: Objects = list.into_iter().map(named).collect();
    assert_eq!(objects.len(), count, "two objects of one kind and name");
    objects
}

/// Names of folders, in order.
pub fn all_components() -> Vec<String> {
    let folder = file(KUSTOMIZE).join("components");
    let entries =
        fs::read_dir(&folder).expect("components").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// As the chart calls it: `pod-monitor` is `podMonitor`.
fn value(component: &str) -> String {
    let mut name = String::new();
    let mut after_dash = false;
    for c in component.chars() {
        if c != '-' {
            name.push(if after_dash { c.to_ascii_uppercase() } else { c });
        }
        after_dash = c == '-';
    }
    name
}

/// The DaemonSet's container.
pub fn container(objects: &Objects) -> &Value {
    &pod(objects)["containers"][0]
}

/// The DaemonSet's pods.
pub fn pod(objects: &Objects) -> &Value {
    &objects[&("DaemonSet".to_owned(), "timejump".to_owned())]["spec"]["template"]["spec"]
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// Standard output; where the program fails, what it says.
pub fn output(command: &mut Command, input: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        // One that fails early does not read all of it.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        child.wait_with_output().expect("output")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stdout) + &text(&output.stderr))
    }
}
