//! systemd's answers, over a real bus.

use timejump::remedy::kubelet::{Systemd as Client, SystemdError};
use timejump_tests::systemd::{Bus, Manner, Systemd};

use crate::rig::block_on;

#[test]
fn a_restart_is_done_only_once_its_job_is() {
    let home = tempfile::tempdir().unwrap();
    let bus = Bus::start(home.path(), false).unwrap();
    let systemd = Systemd::start(&bus, |_| {}).unwrap();
    block_on(async {
        let client = Client::connect(Some(bus.address())).await.unwrap();
        client.knows("kubelet.service").await.unwrap();
        assert!(systemd.restarts().is_empty(), "asking does nothing");
        client.restart("kubelet.service").await.unwrap();
        // Again, over the same connection.
        client.restart("k3s-agent.service").await.unwrap();
        assert_eq!(systemd.restarts(), ["kubelet.service", "k3s-agent.service"]);
        for result in ["failed", "timeout", "canceled", "dependency"] {
            systemd.behave(Manner::End(result));
            let error = client.restart("kubelet.service").await.unwrap_err();
            let want = SystemdError::Job { unit: "kubelet.service".into(), result: result.into() };
            assert_eq!(error, want);
        }
        let error = client.knows("cubelet.service").await.unwrap_err();
        assert!(
            matches!(&error, SystemdError::NoSuchUnit { unit, .. } if unit == "cubelet.service"),
            "{error}"
        );
        let error = client.restart("cubelet.service").await.unwrap_err();
        assert!(matches!(error, SystemdError::NoSuchUnit { .. }), "{error}");
    });
}

#[test]
fn whom_the_bus_refuses_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let bus = Bus::start(home.path(), true).unwrap();
    let systemd = Systemd::start(&bus, |_| {}).unwrap();
    block_on(async {
        let client = Client::connect(Some(bus.address())).await.unwrap();
        client.knows("kubelet.service").await.unwrap();
        let error = client.restart("kubelet.service").await.unwrap_err();
        assert!(matches!(error, SystemdError::Denied { .. }), "{error}");
        assert!(systemd.restarts().is_empty());
    });
}

#[test]
fn a_bus_without_systemd_and_one_that_goes() {
    let home = tempfile::tempdir().unwrap();
    let bus = Bus::start(home.path(), false).unwrap();
    block_on(async {
        let client = Client::connect(Some(bus.address())).await.unwrap();
        let error = client.knows("kubelet.service").await.unwrap_err();
        assert!(matches!(error, SystemdError::Other(_)), "{error}");
        let systemd = Systemd::start(&bus, |_| {}).unwrap();
        systemd.behave(Manner::Hang);
        let hangs = client.restart("kubelet.service");
        let brief = tokio::time::timeout(std::time::Duration::from_millis(300), hangs).await;
        assert!(brief.is_err(), "it waits for the job");
        assert_eq!(systemd.restarts().len(), 1);
        let waits = async { client.restart("kubelet.service").await };
        let ends = async {
            while systemd.restarts().len() < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            drop(bus);
        };
        let (error, ()) = tokio::join!(waits, ends);
        assert!(matches!(error, Err(SystemdError::Other(_))), "{error:?}");
    });
}
