//! A client of the apiserver that outlives jumps of the clock.
//!
//! kube-client reads the pod's token anew when its copy is a minute old *by the wall clock* (`TokenFile`): after a step
//! back by two months it would keep a token for two months that kubelet has long replaced. So the client itself is made
//! anew whenever the clock has jumped, and whenever it was refused.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::Client;

use super::{Access, AccessError, Patience, Trouble};
use crate::locked::locked;

/// Each request is short.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(5), silence: Duration::from_secs(20) };

/// The apiserver, and the client for it as long as it is good. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    access: Access,
    client: Arc<Mutex<Option<Client>>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Asks nobody yet.
    pub fn new(access: Access) -> Self {
        Self { access, client: Arc::default() }
    }

    /// The client; made now if there is none. Must be called within a tokio runtime.
    pub async fn client(&self) -> Result<Client, AccessError> {
        if let Some(client) = &*locked(&self.client) {
            return Ok(client.clone());
        }
        let client = self.access.client(PATIENCE).await?;
        *locked(&self.client) = Some(client.clone());
        Ok(client)
    }

    /// The same for whoever tries again: that there is none now is trouble like any other.
    pub async fn reach(&self) -> Result<Client, Trouble> {
        self.client().await.map_err(|error| Trouble::Unreachable(error.to_string()))
    }

    /// The next one is made anew, with the credentials that are then there.
    pub fn forget(&self) {
        *locked(&self.client) = None;
    }

    /// What a refusal means. One of our credentials ends the client: kubelet may have replaced them.
    pub fn trouble(&self, error: &kube::Error) -> Trouble {
        let trouble = Trouble::from(error);
        if trouble == Trouble::Unauthorized {
            self.forget();
        }
        trouble
    }
}
