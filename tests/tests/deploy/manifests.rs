//! The Kustomize tree and the Helm chart tell a cluster the same, and it would take it.

use std::process::Command;

use serde_json::{Value, json};
use timejump_tests::node::own_pod::{self, How};

use crate::{
    cluster::{KUSTOMIZE, Objects, Tools, VERSIONS, all_components, container, output, pod},
    provided, text,
};

/// Before `appArmorProfile`.
const OLD: &str = "1.25";

fn names(components: &[String]) -> Vec<&str> {
    components.iter().map(String::as_str).collect()
}

/// The objects of the chart with these components.
fn with(tools: &Tools, components: &[&str]) -> Objects {
    tools.objects(tools.helm(components, &[]).unwrap_or_else(|error| panic!("{components:?}: {error}")))
}

#[test]
fn kustomize_and_helm_say_the_same_and_the_schemas_know_it() {
    let Some(tools) = Tools::provided() else { return };
    let all = all_components();
    let each = all.iter().map(|component| vec![&**component]);
    let selections: Vec<_> = [vec![], names(&all)].into_iter().chain(each).collect();
    let kustomized = selections.iter().map(|components| tools.kustomize(components));
    let kustomized: Vec<_> = [tools.kustomize_default()].into_iter().chain(kustomized).collect();
    let helmed = selections.iter().map(|components| tools.helm(components, &[]).expect("it renders"));
    let helmed: Vec<_> = [tools.helm_default()].into_iter().chain(helmed).collect();
    let count = kustomized.len();
    let mut kustomized = tools.judge(&[kustomized, helmed].concat(), &VERSIONS).expect("all of it is known");
    let helmed = kustomized.split_off(count);
    for (at, (mut kustomized, helmed)) in kustomized.into_iter().zip(helmed).enumerate() {
        let what = at.checked_sub(1).map(|at| &selections[at]);
        // Helm makes it itself.
        let namespace =
            kustomized.remove(&("Namespace".to_owned(), "timejump".to_owned())).expect("a Namespace");
        assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
        let keys = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&kustomized), keys(&helmed), "{what:?}");
        for (name, object) in &kustomized {
            assert_eq!(object, &helmed[name], "{what:?}: {name:?}");
        }
    }
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    let Some(tools) = Tools::provided() else { return };
    tools.helm_lint().expect("a clean chart");
}

#[test]
fn older_clusters_are_told_otherwise() {
    let Some(tools) = Tools::provided() else { return };
    let error = tools.judge(&[tools.kustomize(&[])], &[OLD]).expect_err("it has no such field");
    assert!(error.contains("appArmorProfile"), "{error}");
    // What is Prometheus's operator's does not go by the version of Kubernetes.
    let of_operator = ["pod-monitor", "service-monitor", "prometheus-rule"];
    let mut all = all_components();
    all.retain(|component| !of_operator.contains(&&**component));
    let objects = tools.judge(&[tools.kustomize(&names(&all))], &[OLD]).expect("it knows all of it");
    let daemonset = &objects[0][&("DaemonSet".to_owned(), "timejump".to_owned())];
    let annotations = &daemonset["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["container.apparmor.security.beta.kubernetes.io/timejump"], "unconfined");
}

/// So that the checks above would see it.
#[test]
fn the_schemas_refuse_what_is_unknown() {
    let Some(tools) = Tools::provided() else { return };
    let (plain, monitored) = (tools.kustomize(&["network-policy"]), tools.kustomize(&["pod-monitor"]));
    for (yaml, right, wrong) in [
        (&plain, "hostPID: true", "hostPid: true"),
        (&plain, "podSelector:", "podSelektor:"),
        (&monitored, "targetLabel: instance", "targetLable: instance"),
    ] {
        assert!(yaml.contains(right), "{right}");
        let error = tools.judge(&[yaml.replace(right, wrong)], &VERSIONS[..1]).expect_err(wrong);
        assert!(error.contains(", by "), "{wrong}: {error}");
    }
}

#[test]
fn values_are_used() {
    let Some(tools) = Tools::provided() else { return };
    let options =
        "--set=kubeletRoot=/data/kubelet,image.tag=9.9,extraArgs={--min-forward=5ms},http=[::]:9868";
    let yaml = tools.helm(&[], &[options, "--set=capabilities={SYS_ADMIN}"]).expect("it renders");
    let objects = tools.objects(yaml);
    let (pod, container) = (pod(&objects), container(&objects));
    let args = container["args"].as_array().expect("arguments");
    for argument in ["--kubelet-root=/data/kubelet", "--min-forward=5ms", "--http=[::]:9868"] {
        assert!(args.contains(&argument.into()), "{argument}: {args:?}");
    }
    let named = |list: &Value| {
        list.as_array().and_then(|list| list.iter().find(|item| item["name"] == "kubelet").cloned())
    };
    assert_eq!(named(&container["volumeMounts"]).expect("a mount")["mountPath"], "/data/kubelet");
    assert_eq!(named(&pod["volumes"]).expect("a volume")["hostPath"]["path"], "/data/kubelet");
    assert_eq!(container["image"], "ghcr.io/timejump/timejump:9.9");
    assert_eq!(container["securityContext"]["capabilities"]["add"], json!(["SYS_ADMIN"]));
    for bad in ["components.evnts=true", "components.events=1", "tolerations=x", "kubeletroot=/x"] {
        let error = tools.helm(&[], &["--set", bad]).expect_err(bad);
        assert!(error.contains("values don't meet the specifications of the schema"), "{bad}: {error}");
    }
}

/// An own release in another namespace is whole.
#[test]
fn no_namespace_is_left_behind() {
    let Some(tools) = Tools::provided() else { return };
    let all = all_components();
    let yaml = tools.helm(&names(&all), &["--namespace", "elsewhere"]).expect("it renders");
    assert!(yaml.contains("namespace: elsewhere") && !yaml.contains("namespace: timejump"), "{yaml}");
}

#[test]
fn alerts_come_through_unchanged() {
    let Some(tools) = Tools::provided() else { return };
    let objects = with(&tools, &["prometheus-rule"]);
    let object = &objects[&("PrometheusRule".to_owned(), "timejump".to_owned())];
    let head = "apiVersion: v1\nkind: Rules\nmetadata: {name: of Prometheus}\n";
    let rules = tools.objects(head.to_owned() + &text("deploy/prometheus/timejump.rules.yaml"));
    assert_eq!(object["spec"]["groups"], rules[&("Rules".to_owned(), "of Prometheus".to_owned())]["groups"]);
}

/// No more of the node than is needed, and nothing of it to write to but what is timejump's own.
#[test]
fn the_node_is_read_only() {
    let Some(tools) = Tools::provided() else { return };
    let all = all_components();
    let objects = with(&tools, &names(&all));
    let mounts = container(&objects)["volumeMounts"].as_array().expect("mounts");
    let writable: Vec<_> = mounts.iter().filter(|mount| mount["readOnly"] != true).collect();
    let paths: Vec<_> = writable.iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    assert_eq!(paths, ["/var/lib/timejump", "/run/timejump"]);
    // What is mounted below them later must be seen, and what is unmounted must be let go.
    let followed = mounts.iter().filter(|mount| mount["mountPropagation"] == "HostToContainer");
    let paths: Vec<_> = followed.filter_map(|mount| mount["mountPath"].as_str()).collect();
    assert_eq!(
        paths,
        ["/var/lib/kubelet", "/run/containerd", "/run/crio", "/host/sys/fs/cgroup", "/run/k3s"]
    );
    // Neither may be made where it is missing: an empty one means something to the node.
    let volumes = pod(&objects)["volumes"].as_array().expect("volumes");
    for volume in volumes {
        let Some(path) = volume["hostPath"]["path"].as_str() else { continue };
        let may_make = volume["hostPath"]["type"] == "DirectoryOrCreate";
        let harmless = ["/run/containerd", "/run/crio", "/run/log", "/var/lib/timejump", "/run/timejump"]
            .contains(&path);
        assert_eq!(may_make, harmless, "{path}");
    }
}

#[test]
fn privileged_is_asked_for_by_name_only() {
    let Some(tools) = Tools::provided() else { return };
    let plain = with(&tools, &[]);
    let context = &container(&plain)["securityContext"];
    assert_eq!(context["privileged"], false);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(pod(&plain)["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let privileged = with(&tools, &["privileged"]);
    let context = &container(&privileged)["securityContext"];
    assert_eq!(context["privileged"], true);
    assert_eq!(context.get("capabilities"), None);
    for objects in [&plain, &privileged] {
        assert_eq!(container(objects)["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(pod(objects)["hostPID"], true);
        assert_eq!(pod(objects).get("hostNetwork"), None);
    }
}

/// The command of this tree takes all that any component passes.
#[test]
fn the_command_knows_its_arguments() {
    let Some(tools) = Tools::provided() else { return };
    let Some(timejump) = provided("TIMEJUMP_BIN") else { return };
    let all = all_components();
    let objects = with(&tools, &names(&all));
    let container = container(&objects);
    let variables = container["env"].as_array().expect("variables");
    let expand = |argument: &str| {
        let Some((flag, name)) = argument.split_once("=$(") else { return argument.to_owned() };
        let name = name.trim_end_matches(')');
        let variable = variables.iter().find(|variable| variable["name"] == name).expect("a variable");
        format!("{flag}={}", variable["value"].as_str().expect("a value"))
    };
    let args = container["args"].as_array().expect("arguments").iter();
    let args: Vec<_> = args.map(|argument| expand(argument.as_str().expect("a word"))).collect();
    assert!(args.len() > 8 && args[0] == "run", "{args:?}");
    // Its own help, for which it must have understood all that comes before; one by one, so that each is told.
    let refused: Vec<_> = args[1..]
        .iter()
        .filter_map(|argument| output(Command::new(&timejump).args(["run", argument, "--help"]), "").err())
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let help = output(Command::new(&timejump).args(["run", "--help"]), "").expect("help");
    for name in ["NODE_NAME", "POD_NAMESPACE"] {
        let given = variables.iter().any(|variable| variable["name"] == name);
        assert!(given && help.contains(&format!("[env: {name}")), "{name} is not both set and known");
    }
}

/// What the scenario `own_pod` tries in a real containerd is what is deployed.
#[test]
fn the_pod_that_is_tried_is_this_one() {
    let Some(tools) = Tools::provided() else { return };
    let objects = with(&tools, &[]);
    let (pod, container) = (pod(&objects), container(&objects));
    let mut arguments: Vec<_> =
        own_pod::ARGUMENTS.iter().chain(own_pod::OF_A_CLUSTER).map(|it| json!(it)).collect();
    let mut deployed = container["args"].as_array().expect("arguments").clone();
    arguments.sort_by_key(Value::to_string);
    deployed.sort_by_key(Value::to_string);
    assert_eq!(arguments, deployed);
    assert_eq!(container["securityContext"]["capabilities"]["add"], json!(own_pod::CAPABILITIES));
    let volumes = pod["volumes"].as_array().expect("volumes");
    let host = |name: &Value| {
        let volume = volumes.iter().find(|volume| volume["name"] == *name).expect("a volume");
        volume["hostPath"]["path"].as_str()
    };
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let mounts: Vec<_> = mounts
        .iter()
        .filter_map(|mount| {
            let how = match (mount["readOnly"] == true, mount["mountPropagation"].as_str()) {
                (true, None) => How::ReadOnly,
                (true, Some("HostToContainer")) => How::Following,
                (false, None) => How::Writable,
                other => panic!("{other:?}: {mount}"),
            };
            Some((host(&mount["name"])?, mount["mountPath"].as_str()?, how))
        })
        .collect();
    assert_eq!(mounts, own_pod::MOUNTS);
}

#[test]
fn every_file_is_part_of_the_tree() {
    for component in all_components() {
        let folder = crate::file(KUSTOMIZE).join("components").join(&component);
        let kustomization = text(&format!("{KUSTOMIZE}/components/{component}/kustomization.yaml"));
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            assert!(name == "kustomization.yaml" || kustomization.contains(&name), "{component}/{name}");
        }
    }
}

#[test]
fn the_docs_say_why() {
    let Some(tools) = Tools::provided() else { return };
    let docs = text("docs/kubernetes.md");
    let all = all_components();
    for component in &all {
        assert!(docs.contains(&format!("`{component}`")), "nothing on the component {component}");
    }
    let objects = with(&tools, &[]);
    let container = container(&objects);
    let words = |list: &Value, key: &str| {
        let list = list.as_array().expect("a list").iter();
        let words = list.map(|item| item.get(key).unwrap_or(item).as_str().expect("a word").to_owned());
        words.collect::<Vec<_>>()
    };
    let capabilities = words(&container["securityContext"]["capabilities"]["add"], "");
    let mounts = words(&container["volumeMounts"], "mountPath");
    for word in capabilities.iter().chain(&mounts).filter(|word| !word.starts_with("/etc/timejump")) {
        assert!(docs.contains(&format!("`{word}`")), "nothing on {word}");
    }
}
