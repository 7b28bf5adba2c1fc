//! Which apiservers are asked.

use super::Apiserver;

/// The CA that a pod is given for its apiserver.
pub const SERVICE_ACCOUNT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// Why an apiserver cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is no URL of an apiserver: {why}")]
pub struct FindError {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    pub why: String,
}

/// Those at `urls`; if none are given, the one that a pod is told of by its environment, if it is in one. None has
/// a CA yet.
pub fn find(urls: &[String], env: impl Fn(&str) -> Option<String>) -> Result<Vec<Apiserver>, FindError> {
    let in_cluster: Vec<String> = in_cluster(env).into_iter().collect();
    let urls = if urls.is_empty() { &in_cluster } else { urls };
    let mut found: Vec<Apiserver> = Vec::new();
    for url in urls {
        let apiserver = Apiserver::new(url, None);
        let apiserver = apiserver.map_err(|why| FindError { url: url.clone(), why })?;
        if !found.contains(&apiserver) {
            found.push(apiserver);
        }
    }
    Ok(found)
}

fn in_cluster(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    let host = set("KUBERNETES_SERVICE_HOST")?;
    let port = set("KUBERNETES_SERVICE_PORT_HTTPS").or_else(|| set("KUBERNETES_SERVICE_PORT"));
    let port = port.unwrap_or_else(|| "443".to_owned());
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    Some(format!("https://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(urls: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let urls: Vec<_> = urls.iter().map(ToString::to_string).collect();
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        let found = find(&urls, env).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|apiserver| apiserver.url().to_owned()).collect())
    }

    #[test]
    fn a_pod_is_told_of_its_apiserver() {
        let host = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        assert_eq!(found(&[], &[]), Ok(vec![]));
        assert_eq!(found(&[], &[host]), Ok(vec!["https://10.96.0.1:443".into()]));
        let port = ("KUBERNETES_SERVICE_PORT", "8443");
        assert_eq!(found(&[], &[host, port]), Ok(vec!["https://10.96.0.1:8443".into()]));
        let https = ("KUBERNETES_SERVICE_PORT_HTTPS", "6443");
        assert_eq!(found(&[], &[host, port, https]), Ok(vec!["https://10.96.0.1:6443".into()]));
        let six = ("KUBERNETES_SERVICE_HOST", "fd00:10:96::1");
        assert_eq!(found(&[], &[six]), Ok(vec!["https://[fd00:10:96::1]:443".into()]));
        let bad = ("KUBERNETES_SERVICE_PORT", "tcp://10.96.0.1:443");
        assert!(found(&[], &[host, bad]).is_err());
    }

    #[test]
    fn what_is_given_counts_alone() {
        let env = [("KUBERNETES_SERVICE_HOST", "10.96.0.1")];
        let given = ["https://a:6443/", "http://127.0.0.1:8001", "https://[::1]:6443", "https://a:6443"];
        let want = ["https://a:6443", "http://127.0.0.1:8001", "https://[::1]:6443"];
        assert_eq!(found(&given, &env), Ok(want.map(String::from).to_vec()));
        for bad in [
            "",
            "a:6443",
            "ftp://a",
            "https://",
            "https://a:x",
            "https://a:70000",
            "https://a:",
            "https://u:p@a",
            "https://a/livez",
            "https://a/?x",
            "https://a b",
            "https://a_b:\u{7f}",
        ] {
            let error = found(&[bad], &env).unwrap_err();
            assert!(error.contains("is no URL of an apiserver: "), "{bad}: {error}");
        }
    }
}
