//! Many volumes with a token each, as kubelet leaves them, without a kubelet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{ApiServer, Ask, AtomicWriter, Bound, Payload};
use crate::sys::clock::{monotonic_ns, wall_ns};

/// Volumes of each pod.
pub const EACH: usize = 10;

/// The volumes, and who writes them.
#[derive(Debug)]
pub struct Volumes {
    paths: Vec<PathBuf>,
    writers: BTreeMap<usize, AtomicWriter>,
    apiserver: ApiServer,
}

impl Volumes {
    /// So many, below kubelet's root.
    pub fn write(root: &Path, tokens: usize) -> Result<Self> {
        let mut node = Self { paths: Vec::new(), writers: BTreeMap::new(), apiserver: ApiServer::new(1) };
        for number in 0..tokens {
            let path = root.join("pods").join(uid(number / EACH)).join("volumes/kubernetes.io~projected");
            let path = path.join(format!("token-{}", number % EACH));
            fs::create_dir_all(&path)?;
            node.writers.insert(number, AtomicWriter::new(&path, u64::try_from(number)?));
            node.paths.push(path);
            node.refresh(number, wall_ns())?;
        }
        Ok(node)
    }

    /// Where they are.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// A new token at that time of both clocks; when it was there.
    pub fn refresh(&mut self, number: usize, wall_ns: i64) -> Result<i64> {
        let bound = Bound {
            namespace: "default".into(),
            pod: format!("web-{}", number / EACH),
            pod_uid: uid(number / EACH),
            service_account: "default".into(),
            node: Some("node".into()),
        };
        let issued = self.apiserver.issue(&Ask { audience: None, seconds: 3607, bound }, wall_ns);
        let payload = Payload::from([("token".to_owned(), issued.claims.jwt().into_bytes())]);
        let writer = self.writers.get_mut(&number).context("a volume")?;
        let began = monotonic_ns();
        ensure!(writer.write(&payload, wall_ns)?, "nothing was written");
        Ok(began)
    }
}

fn uid(pod: usize) -> String {
    format!("99f2d27a-8527-4e20-ac33-{pod:012}")
}
