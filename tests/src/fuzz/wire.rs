//! What comes over sockets.

use k8s_cri::v1::{ListContainersResponse, ListPodSandboxResponse, VersionResponse};
use prost::Message;
use timejump::deliver::grpc::v1;
use timejump::deliver::stream::Filter;
use timejump::ledger::Jump;

use super::printable;

/// A runtime's answers: decoding ends, and what was decoded is what would be sent.
pub fn cri_answer(bytes: &[u8]) {
    fn again<T: Message + Default + PartialEq>(bytes: &[u8]) {
        if let Ok(answer) = T::decode(bytes) {
            assert!(
                T::decode(&*answer.encode_to_vec()).is_ok_and(|same| same == answer),
                "not the same again"
            );
        }
    }
    again::<VersionResponse>(bytes);
    again::<ListContainersResponse>(bytes);
    again::<ListPodSandboxResponse>(bytes);
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
