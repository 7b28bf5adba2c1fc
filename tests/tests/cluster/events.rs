//! From a jump to Events on the right objects.

use serde_json::Value;
use timejump_tests::apiserver::Kind;

use crate::rig::{BOOT, DAY, Rig};

fn name(event: &Value) -> &str {
    event["metadata"]["name"].as_str().unwrap()
}

#[test]
fn the_incident_is_told_where_operators_look() {
    let mut rig = Rig::new();
    rig.jump(55 * DAY, 238_135);
    rig.jump(-55 * DAY, 388_884);
    let web = rig.victim(2, "shop", "web-0");
    let vault = rig.victim(2, "shop", "web-0");
    let dns = rig.victim(2, "kube-system", "coredns-abc");
    rig.until("two jumps, two pods", |rig| rig.events().len() == 4);

    let jumps = rig.of_reason("ClockJumped");
    let [there, back] = &jumps[..] else { panic!("{jumps:?}") };
    let boot = &BOOT[..8];
    assert_eq!((name(there), name(back)), (&*format!("worker-1.{boot}-1"), &*format!("worker-1.{boot}-2")));
    assert_eq!(there["regarding"]["kind"], "Node");
    // When it happened, by the clock as it then went.
    assert_eq!(there["eventTime"], "2024-04-01T00:06:30.235000Z");
    let note = there["note"].as_str().unwrap();
    assert!(
        note.contains("+55d") && note.contains("date[154]") && note.contains("238.135s after boot"),
        "{note}"
    );
    assert_eq!(
        (&there["type"], &back["type"]),
        (&"Warning".into(), &"Normal".into()),
        "it takes the first back"
    );

    let pods = rig.of_reason("TokenNotYetValid");
    let of = |pod: &str| pods.iter().find(|event| event["regarding"]["name"] == pod).unwrap();
    assert_eq!(of("web-0")["metadata"]["namespace"], "shop");
    assert_eq!(of("web-0")["series"]["count"], 2, "two volumes of it");
    assert_eq!(of("coredns-abc")["metadata"]["namespace"], "kube-system");
    assert_eq!(of("coredns-abc")["regarding"]["uid"], "coredns-abc-uid");
    assert!(of("coredns-abc")["series"].is_null());
    let note = of("web-0")["note"].as_str().unwrap();
    assert!(
        note.contains("remedy: restart kubelet") && note.contains("because of jump 2 by -55d")
            || note.contains("Because of jump 2 by -55d"),
        "{note}"
    );

    rig.impact(web, 2, "shop", "web-0", "observed", "open");
    rig.until("a series", |rig| {
        let pods = rig.of_reason("TokenNotYetValid");
        pods.iter().any(|event| event["series"]["count"] == 3)
    });
    for (id, namespace, pod) in
        [(web, "shop", "web-0"), (vault, "shop", "web-0"), (dns, "kube-system", "coredns-abc")]
    {
        rig.impact(id, 2, namespace, pod, "observed", "resolved");
    }
    rig.until("it is over", |rig| rig.of_reason("ClockJumpRecovered").len() == 2);
    assert_eq!(rig.events().len(), 6);
    let kept = rig.apiserver.objects().history().to_vec();
    assert!(kept.iter().all(|(_, status)| *status < 300), "nothing was refused: {kept:?}");
}

#[test]
fn a_series_outlives_its_event() {
    let mut rig = Rig::new();
    let id = rig.victim(1, "shop", "web-0");
    rig.until("an Event", |rig| rig.events().len() == 1);
    // An hour later the apiserver has forgotten it.
    let first = name(&rig.events()[0]).to_owned();
    rig.apiserver.objects().remove(Kind::Event, "shop", &first);
    rig.impact(id, 1, "shop", "web-0", "observed", "open");
    rig.until("it is there again", |rig| rig.events().len() == 1);
    let again = &rig.events()[0];
    assert_eq!((name(again), &again["series"]["count"]), (&*first, &2.into()));
}

#[test]
fn a_storm_is_one_event() {
    let mut rig = Rig::new();
    for step in 0..2000 {
        rig.jump(if step % 2 == 0 { DAY } else { -DAY }, 100_000 + step / 10);
    }
    rig.until("all are counted", |rig| {
        let counts = rig
            .of_reason("ClockJumped")
            .iter()
            .map(|event| event["series"]["count"].as_i64().unwrap_or(1))
            .sum::<i64>();
        counts == 2000
    });
    let events = rig.of_reason("ClockJumped");
    assert!(events.len() <= 2, "{events:?}");
    assert!(rig.apiserver.objects().history().len() < 60, "and few requests");
}

#[test]
fn where_events_of_nodes_belong_into_the_namespace_of_the_system() {
    let mut rig = Rig::new();
    rig.apiserver.objects().want_nodes_in_kube_system();
    rig.jump(DAY, 100_000);
    rig.until("the jump", |rig| rig.events().len() == 1);
    assert_eq!(rig.events()[0]["metadata"]["namespace"], "kube-system");
    rig.jump(2 * DAY, 200_000);
    rig.until("the other", |rig| rig.events().len() == 2);
    let refused = rig.apiserver.objects().history().iter().filter(|(_, status)| *status == 422).count();
    assert_eq!(refused, 1, "it is asked once");
}

#[test]
fn what_can_never_be_taken_holds_up_nothing() {
    let mut rig = Rig::new();
    rig.apiserver.objects().end_namespace("dying");
    rig.victim(1, "dying", "old");
    rig.victim(1, "shop", "web-0");
    rig.until("the other", |rig| rig.of_reason("TokenNotYetValid").len() == 1);
    rig.until("is said", |rig| rig.log().contains("given up") && rig.log().contains("being terminated"));
}
