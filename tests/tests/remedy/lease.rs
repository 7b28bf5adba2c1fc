//! One node at a time.

use std::time::Duration;

use serde_json::json;
use timejump::{
    cluster::Trouble,
    remedy::lease::{LeaseError, Leases, NAME},
};
use timejump_tests::apiserver::{Apiserver, Kind, Manner};
use tokio::time::{Instant, sleep, sleep_until};

use crate::rig::{NAMESPACE, apiserver, block_on, cluster};

const SHORT: Duration = Duration::from_secs(1);

fn holder(apiserver: &Apiserver) -> Option<String> {
    let objects = apiserver.objects();
    let lease = objects.get(Kind::Lease, NAMESPACE, NAME)?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

fn held_by(error: &LeaseError) -> (&str, Instant) {
    match error {
        LeaseError::Held { holder, until } => (holder, *until),
        error => panic!("{error}"),
    }
}

#[test]
fn of_two_nodes_one_acts() {
    let home = tempfile::tempdir().unwrap();
    let apiserver = apiserver(home.path(), 0);
    block_on(async {
        let node = |name| Leases::new(cluster(home.path()), NAMESPACE, name).good_for(SHORT);
        let (mut a, mut b) = (node("a"), node("b"));
        // At the same moment: one creates it, the other finds it there.
        let (first, second) = tokio::join!(a.acquire(), b.acquire());
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let (mut winner, mut loser, held) = match (first, second) {
            (Ok(held), _) => (a, b, held),
            (_, Ok(held)) => (b, a, held),
            _ => unreachable!(),
        };
        let mut held = held;
        // For as long as it is renewed nobody else gets it, however long that is.
        let end = Instant::now() + 3 * SHORT;
        while Instant::now() < end {
            winner.renew(&mut held).await.unwrap();
            loser.acquire().await.unwrap_err();
            sleep(SHORT / 5).await;
        }
        winner.release(held).await;
        assert_eq!(holder(&apiserver), None);
        loser.acquire().await.unwrap();
        winner.acquire().await.unwrap_err();
    });
}

#[test]
fn a_holder_that_died_is_waited_out_and_cannot_come_back() {
    let home = tempfile::tempdir().unwrap();
    let apiserver = apiserver(home.path(), 0);
    block_on(async {
        let mut dead = Leases::new(cluster(home.path()), NAMESPACE, "dead").good_for(SHORT);
        let mut left = dead.acquire().await.unwrap();
        let mut heir = Leases::new(cluster(home.path()), NAMESPACE, "heir").good_for(SHORT);
        // It has stood for long, but not under these eyes.
        sleep(2 * SHORT).await;
        let error = heir.acquire().await.unwrap_err();
        let (name, until) = held_by(&error);
        assert_eq!(name, "dead");
        sleep_until(until).await;
        let mut held = heir.acquire().await.unwrap();
        let error = dead.renew(&mut left).await.unwrap_err();
        assert_eq!(error, LeaseError::Lost("heir".into()));
        heir.renew(&mut held).await.unwrap();
        // What it leaves when it ends, its next run takes at once.
        drop(held);
        let mut next = Leases::new(cluster(home.path()), NAMESPACE, "heir").good_for(SHORT);
        next.acquire().await.unwrap();
        drop(left);
        let transitions =
            apiserver.objects().get(Kind::Lease, NAMESPACE, NAME).unwrap()["spec"]["leaseTransitions"]
                .clone();
        assert_eq!(transitions, 2);
    });
}

#[test]
fn clocks_that_are_months_off_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let apiserver = apiserver(home.path(), -4_752_000_000_000_000);
    block_on(async {
        for (renewed, version) in [("1970-01-01T00:00:00.000000Z", 0), ("2099-01-01T00:00:00.000000Z", 1)] {
            apiserver.objects().put(
                Kind::Lease,
                json!({
                    "metadata": {"namespace": NAMESPACE, "name": NAME, "labels": {"v": version.to_string()}},
                    "spec": {"holderIdentity": "other", "renewTime": renewed, "acquireTime": renewed,
                             "leaseDurationSeconds": 1, "leaseTransitions": 1},
                }),
            );
            let mut ours = Leases::new(cluster(home.path()), NAMESPACE, "ours");
            let error = ours.acquire().await.unwrap_err();
            let (name, until) = held_by(&error);
            assert_eq!(name, "other", "{renewed}: what was not seen to stand still is held");
            sleep_until(until).await;
            ours.acquire().await.unwrap();
            assert_eq!(holder(&apiserver).as_deref(), Some("ours"), "{renewed}");
        }
    });
}

#[test]
fn without_the_apiserver_there_is_no_lease() {
    let home = tempfile::tempdir().unwrap();
    let mut apiserver = apiserver(home.path(), 0);
    block_on(async {
        let mut leases = Leases::new(cluster(home.path()), NAMESPACE, "a");
        apiserver.objects().forbid("create", "leases");
        let error = leases.acquire().await.unwrap_err();
        assert!(
            matches!(&error, LeaseError::Apiserver(Trouble::Forbidden(why)) if why.contains("leases")),
            "{error}"
        );
        apiserver.objects().allow();
        apiserver.behave(Manner::Unauthorized);
        assert_eq!(leases.acquire().await.unwrap_err(), LeaseError::Apiserver(Trouble::Unauthorized));
        apiserver.behave(Manner::Serve);
        let mut held = leases.acquire().await.unwrap();
        apiserver.down();
        let error = leases.renew(&mut held).await.unwrap_err();
        assert!(matches!(error, LeaseError::Apiserver(Trouble::Unreachable(_))), "not lost yet: {error}");
        apiserver.up().unwrap();
        leases.renew(&mut held).await.unwrap();
        apiserver.objects().remove(Kind::Lease, NAMESPACE, NAME);
        let error = leases.renew(&mut held).await.unwrap_err();
        assert!(matches!(error, LeaseError::Lost(_)), "{error}");
    });
}
