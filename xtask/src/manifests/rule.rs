//! Prometheus's rules as an object of its operator.

use super::{RULES, weave::spaces};

/// The object that holds the groups of a rules file, comments and all.
pub(super) fn make(rules: &str) -> String {
    let mut object = format!(
        "# Made from {RULES} by `cargo xtask manifests`: do not edit.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  name: timejump\n  namespace: timejump\n  labels:\n    app.kubernetes.io/name: timejump\n\
         spec:\n"
    );
    for line in rules.lines().skip_while(|line| !line.starts_with("groups:")) {
        if !line.is_empty() {
            object += &spaces(2);
        }
        object += line;
        object += "\n";
    }
    object
}
