//! An apiserver that refuses, hangs, is away; a daemon that is killed meanwhile: nothing lost, nothing doubled.

use std::time::Duration;

use timejump_tests::apiserver::{Manner, Trust};

use crate::rig::{DAY, Rig};

/// Events of the jumps, by their numbers: each must be there once.
fn jumps(rig: &Rig) -> Vec<u64> {
    let number = |event: &serde_json::Value| {
        event["metadata"]["name"].as_str().unwrap().rsplit('-').next().unwrap().parse::<u64>().unwrap()
    };
    let mut numbers: Vec<_> = rig.of_reason("ClockJumped").iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn while_its_own_token_is_refused_events_wait() {
    let mut rig = Rig::new();
    rig.until("the condition", |rig| rig.condition()["status"] == "False");
    // The clock was ahead, kubelet replaced the token, the clock is back: the incident, at home.
    rig.write_token("a.token-of-the-future.s3cr3t");
    rig.apiserver.trust(Trust::Nobody);
    rig.jump(55 * DAY, 238_135);
    rig.jump(-55 * DAY, 388_884);
    rig.victim(2, "shop", "web-0");
    rig.until("it is said", |rig| rig.log().contains("does not accept our token (401)"));
    assert!(rig.events().is_empty());
    // kubelet was restarted: another token.
    rig.write_token("a.better-token.s3cr3t");
    rig.apiserver.trust(Trust::These(["a.better-token.s3cr3t".to_owned()].into()));
    rig.until("all of it", |rig| rig.events().len() == 3);
    assert_eq!(jumps(&rig), [1, 2]);
    let first = &rig.of_reason("ClockJumped")[0];
    assert_eq!(first["eventTime"], "2024-04-01T00:06:30.235000Z", "when it happened, not when it was told");
    rig.until("True", |rig| rig.condition()["status"] == "True");
}

#[test]
fn away_and_killed_again_and_again() {
    let mut rig = Rig::new();
    rig.jump(DAY, 100_000);
    rig.until("the first", |rig| jumps(rig) == [1]);
    rig.apiserver.down();
    for round in 2_u32..=5 {
        rig.jump(DAY, 100_000 + i64::from(round) * 700_000);
        rig.victim(u64::from(round), "shop", &format!("web-{round}"));
        std::thread::sleep(Duration::from_millis(600));
        rig.kill();
        rig.start();
    }
    rig.apiserver.up().unwrap();
    rig.until("all of it", |rig| {
        jumps(rig) == [1, 2, 3, 4, 5] && rig.of_reason("TokenNotYetValid").len() == 4
    });
    // Killed once more, it tells nothing again.
    std::thread::sleep(Duration::from_secs(1));
    let told = rig.apiserver.objects().history().len();
    rig.kill();
    rig.start();
    rig.jump(DAY, 9_000_000);
    rig.until("the next", |rig| jumps(rig).len() == 6);
    let new: Vec<_> = rig.apiserver.objects().history()[told..].to_vec();
    let created = new.iter().filter(|(what, _)| what.starts_with("create")).count();
    assert_eq!(created, 1, "{new:?}");
}

#[test]
fn killed_between_the_request_and_the_note_of_it() {
    let mut rig = Rig::new();
    // It is taken, and the answer never comes.
    rig.apiserver.behave(Manner::After(Duration::from_secs(2)));
    rig.jump(DAY, 100_000);
    rig.until("taken", |rig| jumps(rig) == [1]);
    rig.kill();
    rig.apiserver.behave(Manner::Serve);
    rig.start();
    rig.jump(DAY, 900_000);
    rig.until("both", |rig| jumps(rig) == [1, 2]);
    assert!(rig.of_reason("ClockJumped").iter().all(|event| event["series"].is_null()));
}

#[test]
fn whatever_it_does_instead_of_answering() {
    let mut rig = Rig::new();
    let mut at = 0;
    for (manner, said) in [
        (Manner::Busy, "429"),
        (Manner::Broken, "etcdserver: request timed out"),
        (Manner::Garbage, ""),
        (Manner::NoTls, ""),
        (Manner::Unauthorized, "401"),
    ] {
        rig.apiserver.behave(manner);
        at += 700_000;
        rig.jump(DAY, at);
        rig.until(&format!("{manner:?} is said"), |rig| {
            rig.log().matches("does not take it").count() > 0 && rig.log().contains(said)
        });
        rig.apiserver.behave(Manner::Serve);
        let told = usize::try_from(at / 700_000).unwrap();
        rig.until(&format!("after {manner:?}"), |rig| jumps(rig).len() == told);
    }
}

#[test]
fn rights_that_are_missing_are_told_and_waited_for() {
    let mut rig = Rig::new();
    rig.apiserver.objects().forbid("create", "events");
    rig.jump(DAY, 100_000);
    rig.until("it is said", |rig| rig.log().contains("cannot create resource"));
    rig.apiserver.objects().allow();
    rig.until("told", |rig| jumps(rig) == [1]);
}
