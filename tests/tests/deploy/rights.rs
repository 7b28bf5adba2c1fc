//! Which component brings which rights: these and no others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::{Objects, Tools, all_components, pod};

/// A role and what it allows.
type Rights = BTreeMap<String, Value>;

fn rights(objects: &Objects) -> Rights {
    let roles = objects.iter().filter(|((kind, _), _)| kind == "ClusterRole" || kind == "Role");
    roles.map(|((kind, name), role)| (format!("{kind} {name}"), role["rules"].clone())).collect()
}

/// The rights of each component that has any.
fn expected(component: &str) -> Rights {
    let (role, rules) = match component {
        "events" => (
            "ClusterRole timejump-events",
            json!([{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}]),
        ),
        "condition" => (
            "ClusterRole timejump-condition",
            json!([
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
            ]),
        ),
        "remedy" => (
            "Role timejump-remedy",
            json!([
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["timejump-remedy"],
                 "verbs": ["get", "update"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            ]),
        ),
        "remedy-evict" => (
            "ClusterRole timejump-remedy-evict",
            json!([
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
            ]),
        ),
        _ => return Rights::new(),
    };
    Rights::from([(role.to_owned(), rules)])
}

/// Components by which the daemon itself asks the apiserver.
const WITH_TOKEN: [&str; 3] = ["condition", "events", "remedy"];

#[test]
fn each_component_brings_its_own_rights_and_no_others() {
    let Some(tools) = Tools::provided() else { return };
    let all = all_components();
    let texts = all.iter().map(|component| tools.helm(&[component], &[]).expect("it renders"));
    let each = tools.judge(&texts.collect::<Vec<_>>(), &[]).expect("YAML");
    for (component, objects) in all.iter().zip(each) {
        assert_eq!(rights(&objects), expected(component), "{component}");
        let has_token = pod(&objects)["automountServiceAccountToken"] == true;
        assert_eq!(has_token, WITH_TOKEN.contains(&&**component), "{component}");
        let account = &objects[&("ServiceAccount".to_owned(), "timejump".to_owned())];
        assert_eq!(account["automountServiceAccountToken"], false, "the pod alone may ask for it");
    }
}

#[test]
fn without_components_there_are_neither_rights_nor_a_token() {
    let Some(tools) = Tools::provided() else { return };
    let objects = tools.objects(tools.helm(&[], &[]).expect("it renders"));
    assert_eq!(rights(&objects), Rights::new());
    assert_eq!(pod(&objects)["automountServiceAccountToken"], false);
}

/// A role is bound to timejump's account, in the namespace it is installed in, and to nobody else.
#[test]
fn roles_are_bound_to_timejump_alone() {
    let Some(tools) = Tools::provided() else { return };
    let all = all_components();
    let names: Vec<_> = all.iter().map(String::as_str).collect();
    let objects = tools.objects(tools.kustomize(&names));
    let mut bound = 0;
    for ((kind, name), binding) in &objects {
        let Some(role) = kind.strip_suffix("Binding") else { continue };
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "name": "timejump", "namespace": "timejump"}])
        );
        assert_eq!(
            (binding["roleRef"]["kind"].as_str(), &binding["roleRef"]["name"]),
            (Some(role), &json!(name))
        );
        bound += 1;
    }
    assert_eq!(bound, rights(&objects).len());
}
