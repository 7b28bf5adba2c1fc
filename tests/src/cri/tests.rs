//! The fake by way of its socket, as a client meets it.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use k8s_cri::{
    v1::{self, runtime_service_client::RuntimeServiceClient},
    v1alpha2,
};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};

use super::*;
use crate::sys::SECOND;

const AT: Now = Now { wall: 1_700_000_000 * SECOND, boot: 1_000 * SECOND };

struct Rig {
    runtime: tokio::runtime::Runtime,
    fake: Fake,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn new(profile: Profile) -> Self {
        Self::with(&Settings { clock: Clock::standing(AT), restarted: 1, ..profile.into() })
    }

    fn with(settings: &Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::start(&directory.path().join("cri.sock"), settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, fake, _directory: directory }
    }

    fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("unix:{}", self.fake.socket().display())).unwrap();
        let _inside = self.runtime.enter();
        endpoint.connect_lazy()
    }

    fn client(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel())
    }

    /// Calls a method on a connection of its own.
    fn call<A>(
        &self,
        call: impl AsyncFnOnce(RuntimeServiceClient<Channel>) -> tonic::Result<tonic::Response<A>>,
    ) -> tonic::Result<A> {
        let client = self.client();
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(Duration::from_secs(20), call(client)).await;
            answer.expect("an answer in time").map(tonic::Response::into_inner)
        })
    }

    /// Whether a call is still unanswered after a while.
    fn hangs(&self) -> bool {
        let mut client = self.client();
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(200), client.version(v1::VersionRequest::default()))
                .await
                .is_err()
        })
    }

    fn version(&self) -> tonic::Result<v1::VersionResponse> {
        self.call(async |mut client| client.version(v1::VersionRequest::default()).await)
    }

    fn containers(&self, filter: Option<v1::ContainerFilter>) -> tonic::Result<Vec<v1::Container>> {
        let list = async |mut client: RuntimeServiceClient<Channel>| {
            client.list_containers(v1::ListContainersRequest { filter }).await
        };
        Ok(self.call(list)?.containers)
    }

    fn status_of(&self, id: &str) -> tonic::Result<v1::ContainerStatusResponse> {
        let asked = v1::ContainerStatusRequest { container_id: id.into(), verbose: true };
        self.call(async |mut client| client.container_status(asked).await)
    }

    fn stats(&self) -> Vec<v1::ContainerStats> {
        let list = async |mut client: RuntimeServiceClient<Channel>| {
            client.list_container_stats(v1::ListContainerStatsRequest::default()).await
        };
        self.call(list).unwrap().stats
    }

    /// The rates of all that runs.
    fn rates(&self) -> Vec<Option<u64>> {
        let running = self.stats().into_iter().filter_map(|stats| stats.cpu);
        running.map(|cpu| cpu.usage_nano_cores.map(|cores| cores.value)).collect()
    }
}

#[test]
fn version_is_the_profiles() {
    for (profile, name, version) in [
        (Profile::Containerd17, "containerd", "v1.7.24"),
        (Profile::CriO, "cri-o", "1.30.0"),
        (Profile::CriDockerd, "docker", "20.10.24"),
    ] {
        let told = Rig::new(profile).version().unwrap();
        assert_eq!((&*told.runtime_name, &*told.runtime_version), (name, version));
    }
}

#[test]
fn both_apis_or_one() {
    let rig = Rig::new(Profile::Containerd15);
    let refused = rig.version().unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.message(), "unknown service runtime.v1.RuntimeService");
    let mut old = v1alpha2::runtime_service_client::RuntimeServiceClient::new(rig.channel());
    let (version, containers) = rig.runtime.block_on(async {
        let version = old.version(v1alpha2::VersionRequest::default()).await.unwrap().into_inner();
        let asked = v1alpha2::ListContainersRequest::default();
        (version, old.list_containers(asked).await.unwrap().into_inner().containers)
    });
    assert_eq!(version.runtime_api_version, "v1alpha2");
    assert_eq!(containers.len(), 9);
    assert_eq!(containers[1].metadata.as_ref().unwrap().attempt, 1);
    let calls = [("v1/Version", 1), ("v1alpha2/ListContainers", 1), ("v1alpha2/Version", 1)];
    assert_eq!(rig.fake.calls(), calls.map(|(call, times)| (call.to_owned(), times)).into());
    assert_eq!(rig.fake.called("Version"), 2);
    assert_eq!(rig.fake.connections(), 2);
}

#[test]
fn what_is_not_answered_is_unimplemented_and_counted() {
    let rig = Rig::new(Profile::Containerd17);
    let asked = v1::ListPodSandboxStatsRequest::default();
    let refused = rig.call(async |mut client| client.list_pod_sandbox_stats(asked).await).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(rig.fake.called("ListPodSandboxStats"), 1);
    let status = rig.call(async |mut client| client.status(v1::StatusRequest::default()).await).unwrap();
    assert!(status.status.unwrap().conditions.iter().all(|condition| condition.status));
}

#[test]
fn lists_and_what_is_asked_by_id_agree() {
    let rig = Rig::new(Profile::Containerd17);
    let pods =
        rig.call(async |mut client| client.list_pod_sandbox(v1::ListPodSandboxRequest::default()).await);
    let pods = pods.unwrap().items;
    assert_eq!(pods.len(), 3);
    let containers = rig.containers(None).unwrap();
    assert_eq!(containers.len(), 9);
    for listed in &containers {
        let answer = rig.status_of(&listed.id[..13]).unwrap();
        let status = answer.status.unwrap();
        assert_eq!(
            (&status.id, status.state, status.created_at),
            (&listed.id, listed.state, listed.created_at)
        );
        assert_eq!(status.metadata, listed.metadata);
        assert_eq!(status.labels, listed.labels);
        assert!(status.started_at > status.created_at);
        let exited = status.state == i32::from(v1::ContainerState::ContainerExited);
        assert_eq!(status.finished_at > status.started_at, exited);
        assert!(answer.info["info"].contains(&listed.pod_sandbox_id));
        let pod = pods.iter().find(|pod| pod.id == listed.pod_sandbox_id).unwrap();
        let uid = &pod.metadata.as_ref().unwrap().uid;
        assert_eq!(&listed.labels["io.kubernetes.pod.uid"], uid);
    }
    let asked = v1::PodSandboxStatusRequest { pod_sandbox_id: pods[0].id.clone(), verbose: false };
    let pod = rig.call(async |mut client| client.pod_sandbox_status(asked).await).unwrap().status.unwrap();
    assert_eq!((&pod.metadata, pod.created_at), (&pods[0].metadata, pods[0].created_at));
}

#[test]
fn filters() {
    let rig = Rig::new(Profile::Containerd17);
    let all = rig.containers(None).unwrap();
    let count = |filter| rig.containers(Some(filter)).unwrap().len();
    let running = v1::ContainerStateValue { state: v1::ContainerState::ContainerRunning.into() };
    assert_eq!(count(v1::ContainerFilter { state: Some(running), ..Default::default() }), 6);
    let pod_sandbox_id = all[0].pod_sandbox_id.clone();
    assert_eq!(count(v1::ContainerFilter { pod_sandbox_id, ..Default::default() }), 3);
    assert_eq!(count(v1::ContainerFilter { id: all[4].id[..20].into(), ..Default::default() }), 1);
    assert_eq!(count(v1::ContainerFilter { id: "nothing".into(), ..Default::default() }), 0);
    let label_selector = [("io.kubernetes.container.name".into(), "container-1".into())].into();
    assert_eq!(count(v1::ContainerFilter { label_selector, ..Default::default() }), 3);
}

#[test]
fn docker_lists_in_seconds_and_finds_nothing_in_its_own_words() {
    let clock = Clock::standing(Now { wall: AT.wall + 123_456_789, ..AT });
    let rig = Rig::with(&Settings { clock, ..Profile::CriDockerd.into() });
    let listed = rig.containers(None).unwrap().swap_remove(0);
    assert_eq!(listed.created_at % SECOND, 0);
    assert_eq!(
        rig.status_of(&listed.id).unwrap().status.unwrap().created_at,
        listed.created_at + 123_456_789
    );
    assert_eq!(rig.status_of("ff").unwrap_err().code(), Code::Unknown);
    assert_eq!(Rig::new(Profile::Containerd17).status_of("ff").unwrap_err().code(), Code::NotFound);
}

#[test]
fn the_poison_over_the_socket() {
    let mut rig = Rig::new(Profile::Containerd17);
    assert_eq!(rig.rates(), [Some(0); 6]);
    rig.fake.pass(10 * SECOND);
    assert_eq!(rig.rates(), [Some(500_000_000); 6]);
    rig.fake.jump(-600 * SECOND);
    rig.fake.pass(10 * SECOND);
    assert_eq!(rig.rates(), [Some(0); 6]);
    let stamp = rig.stats().pop().unwrap().cpu.unwrap().timestamp;
    assert_eq!(stamp, AT.wall - 580 * SECOND);
    // One that came after the step is healthy, and so is all after a restart.
    let pod = rig.fake.node().pods()[0].id.clone();
    let new = NewContainer { pod, name: "late".into(), attempt: 0, age: 0, exited: None, millicores: 1_000 };
    rig.fake.node().add(new).unwrap();
    assert_eq!(rig.rates().pop().unwrap(), Some(0));
    rig.fake.pass(10 * SECOND);
    assert_eq!(rig.rates()[5..], [Some(0), Some(1_000_000_000)]);
    rig.fake.restart().unwrap();
    assert_eq!(rig.rates(), [Some(0); 7]);
    rig.fake.pass(10 * SECOND);
    assert_eq!(rig.rates()[..6], [Some(500_000_000); 6]);
    assert_eq!(rig.fake.called("ListContainerStats"), 8);
}

#[test]
fn a_single_answer_takes_nothing_from_the_next_list() {
    let rig = Rig::new(Profile::Containerd17);
    rig.rates();
    rig.fake.pass(5 * SECOND);
    let id = rig.fake.node().containers()[1].id.clone();
    let asked = v1::ContainerStatsRequest { container_id: id };
    let single = rig.call(async |mut client| client.container_stats(asked).await).unwrap();
    let cpu = single.stats.unwrap().cpu.unwrap();
    assert_eq!((cpu.usage_nano_cores, cpu.timestamp), (None, AT.wall + 5 * SECOND));
    rig.fake.pass(5 * SECOND);
    assert_eq!(rig.rates(), [Some(500_000_000); 6]);
}

#[test]
fn each_profile_after_a_step_back() {
    for (profile, first, after) in [
        (Profile::Containerd15, None, None),
        (Profile::Containerd21, Some(0), Some(0)),
        (Profile::Containerd23, None, Some(0)),
        (Profile::Containerd24, None, Some(500_000_000)),
        // Half a second of usage in an interval of -599 s.
        (Profile::CriO, None, Some((-834_724_i64).cast_unsigned())),
    ] {
        // Both versions of the API, so that one client will do.
        let mut runtime = Runtime::from(profile);
        runtime.apis = Apis::Both;
        let settings = Settings { clock: Clock::standing(AT), pods: 1, containers: 1, ..profile.into() };
        let rig = Rig::with(&Settings { runtime, ..settings });
        assert_eq!(rig.rates(), [first], "{profile:?}");
        // The buffer of containerd 2.4 is full after two minutes.
        for _ in 0..13 {
            rig.fake.pass(10 * SECOND);
            rig.rates();
        }
        rig.fake.jump(-600 * SECOND);
        rig.fake.pass(SECOND);
        assert_eq!(rig.rates(), [after], "{profile:?}");
    }
}

#[test]
fn a_collector_knows_the_rate_when_it_is_first_asked() {
    let rig = Rig::with(&Settings { pods: 1, containers: 1, ..Profile::Containerd23.into() });
    std::thread::sleep(Duration::from_millis(1_200));
    let [Some(cores)] = rig.rates()[..] else { panic!("no rate of its own") };
    // By running clocks, which are read one after the other.
    assert!(cores.abs_diff(500_000_000) < 5_000_000, "{cores}");
}

#[test]
fn a_hanging_door_answers_later() {
    let rig = Rig::new(Profile::Containerd17);
    let mut before = rig.client();
    rig.runtime.block_on(before.version(v1::VersionRequest::default())).unwrap();
    rig.fake.behave(|manners| manners.door = Door::Hang);
    assert!(rig.hangs());
    let again = rig.runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(200), before.version(v1::VersionRequest::default())).await
    });
    again.unwrap_err();
    rig.fake.behave(|manners| manners.door = Door::Serve);
    rig.version().unwrap();
    rig.runtime.block_on(before.version(v1::VersionRequest::default())).unwrap();
}

#[test]
fn a_method_hangs_alone() {
    let rig = Rig::new(Profile::Containerd17);
    rig.fake.behave(|manners| manners.faults = vec!["Version=hang".parse().unwrap()]);
    assert!(rig.hangs());
    rig.containers(None).unwrap();
    rig.fake.behave(|manners| manners.faults.clear());
    assert!(!rig.hangs());
}

#[test]
fn a_slow_one_is_slow_and_a_deadline_is_kept() {
    let rig = Rig::new(Profile::Containerd17);
    rig.fake.behave(|manners| manners.faults = vec!["slow:300".parse().unwrap()]);
    assert!(rig.hangs());
    rig.version().unwrap();
    let mut asked = Request::new(v1::VersionRequest::default());
    asked.set_timeout(Duration::from_millis(50));
    let late = rig.call(async |mut client| client.version(asked).await).unwrap_err();
    assert!(matches!(late.code(), Code::Cancelled | Code::DeadlineExceeded), "{late:?}");
}

#[test]
fn bad_answers_fail_and_leave_the_connection() {
    let rig = Rig::new(Profile::Containerd17);
    for fault in ["garbage", "wrong", "cut", "error:UNAVAILABLE", "huge:17000000"] {
        let faulty = format!("ListContainers={fault}").parse().unwrap();
        rig.fake.behave(|manners| manners.faults = vec![faulty]);
        let error = rig.containers(None).unwrap_err();
        let expected = match fault {
            "error:UNAVAILABLE" => Code::Unavailable,
            "huge:17000000" => Code::OutOfRange,
            _ => Code::Internal,
        };
        assert_eq!(error.code(), expected, "{fault}: {error:?}");
        rig.version().unwrap();
    }
    // Who takes that much finds the answer in it.
    let asked = v1::ListContainersRequest::default();
    let huge =
        rig.call(async |client| client.max_decoding_message_size(32 << 20).list_containers(asked).await);
    assert_eq!(huge.unwrap().containers.len(), 9);
}

#[test]
fn doors_that_are_none() {
    let rig = Rig::new(Profile::Containerd17);
    for door in [Door::NotGrpc, Door::Noise, Door::Close] {
        rig.fake.behave(|manners| manners.door = door);
        rig.version().unwrap_err();
    }
    rig.fake.behave(|manners| manners.door = Door::NotGrpc);
    let mut raw = UnixStream::connect(rig.fake.socket()).unwrap();
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut heard = [0; 12];
    raw.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"HTTP/1.1 400");
    rig.fake.behave(|manners| manners.door = Door::Serve);
    rig.version().unwrap();
}

#[test]
fn what_is_listed_may_be_gone() {
    let rig = Rig::new(Profile::Containerd17);
    rig.fake.behave(|manners| manners.faults = vec!["vanish".parse().unwrap()]);
    let id = rig.containers(None).unwrap().swap_remove(0).id;
    assert_eq!(rig.status_of(&id).unwrap_err().code(), Code::NotFound);
    rig.fake.behave(|manners| manners.faults.clear());
    rig.status_of(&id).unwrap();
    rig.fake.node().remove(&id).unwrap();
    assert_eq!(rig.status_of(&id).unwrap_err().code(), Code::NotFound);
}

#[test]
fn absurd_answers() {
    let rig = Rig::new(Profile::Containerd17);
    let with = |way| {
        rig.fake.behave(|manners| manners.absurd = vec![way]);
        rig.containers(None)
    };
    assert!(with(Absurd::Negative).unwrap().iter().all(|it| it.created_at == -1));
    assert!(with(Absurd::Max).unwrap().iter().all(|it| it.created_at == i64::MAX));
    assert!(with(Absurd::EmptyId).unwrap().iter().all(|it| it.id.is_empty()));
    assert!(with(Absurd::OneId).unwrap().windows(2).all(|two| two[0].id == two[1].id));
    assert!(with(Absurd::NoMetadata).unwrap().iter().all(|it| it.metadata.is_none()));
    assert!(with(Absurd::NoState).unwrap().iter().all(|it| it.state == 77));
    assert_eq!(with(Absurd::Nothing).unwrap(), []);
    assert_eq!(with(Absurd::LongName).unwrap_err().code(), Code::OutOfRange);
    let id = rig.fake.node().containers()[0].id.clone();
    rig.fake.behave(|manners| manners.absurd = vec![Absurd::Nothing]);
    assert_eq!(rig.status_of(&id).unwrap().status, None);
}

#[test]
fn it_goes_and_comes_back() {
    let mut rig = Rig::new(Profile::Containerd17);
    let mut client = rig.client();
    rig.runtime.block_on(client.version(v1::VersionRequest::default())).unwrap();
    rig.fake.down();
    assert!(!rig.fake.socket().exists());
    rig.runtime.block_on(client.version(v1::VersionRequest::default())).unwrap_err();
    rig.fake.up().unwrap();
    rig.version().unwrap();
    rig.runtime.block_on(client.version(v1::VersionRequest::default())).unwrap();
}
