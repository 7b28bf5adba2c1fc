//! What comes over sockets.

use k8s_cri::v1::{
    ContainerStatusResponse, ListContainerStatsResponse, ListContainersResponse, ListPodSandboxResponse,
    VersionResponse,
};
use prost::Message;
use timejump::clock::WallNs;
use timejump::deliver::grpc::v1;
use timejump::deliver::stream::Filter;
use timejump::ledger::Jump;
use timejump::node::cri;

use super::printable;

/// As Kubernetes has it.
const LONGEST_NAME: usize = 253;

/// A runtime's answers: decoding ends, what was decoded is what would be sent, and of absurd ones nothing is taken over.
pub fn cri_answer(bytes: &[u8]) {
    fn again<T: Message + Default + PartialEq>(bytes: &[u8]) -> T {
        let Ok(answer) = T::decode(bytes) else { return T::default() };
        assert!(T::decode(&*answer.encode_to_vec()).is_ok_and(|same| same == answer), "not the same again");
        answer
    }
    again::<VersionResponse>(bytes);
    let sandboxes = again::<ListPodSandboxResponse>(bytes);
    let status = again::<ContainerStatusResponse>(bytes).status.unwrap_or_default();
    for mut container in cri::containers(sandboxes, again::<ListContainersResponse>(bytes)) {
        cri::times(&mut container, &status);
        let pod = &container.pod;
        for name in [&*container.id, &container.name, &pod.namespace, &pod.name, &pod.uid] {
            assert!(name.chars().count() <= LONGEST_NAME, "{container:?}");
        }
        assert!(!container.id.is_empty(), "{container:?}");
        for time in [container.started, container.finished].into_iter().flatten() {
            assert!(time > WallNs(0), "{container:?}");
        }
    }
    for stats in again::<ListContainerStatsResponse>(bytes).stats {
        assert!(cri::sample(stats).is_none_or(|sample| !sample.container_id.is_empty()));
    }
}

/// A request: its filter is one, or it is said which part is not.
pub fn request(bytes: &[u8]) {
    let Ok(request) = v1::WatchRequest::decode(bytes) else { return };
    match Filter::try_from(request.filter.unwrap_or_default()) {
        Ok(filter) => {
            let told = v1::Filter::from(&filter);
            assert!(Filter::try_from(told).is_ok_and(|same| same == filter), "{filter:?}");
        }
        Err(error) => printable(&error.to_string(), 200),
    }
}

/// An entry of another daemon's stream, as a client takes it: what it takes it could tell on.
pub fn entry(bytes: &[u8]) {
    let Ok(entry) = v1::Jump::decode(bytes) else { return };
    match Jump::try_from(entry) {
        Ok(jump) => {
            let told = v1::Jump::from(&jump);
            assert!(Jump::try_from(told).is_ok_and(|same| same == jump), "{jump:?}");
        }
        Err(error) => printable(&error.to_string(), 200),
    }
}
