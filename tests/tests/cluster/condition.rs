//! The Node's condition.

use crate::rig::{DAY, Rig};

#[test]
fn it_is_false_from_the_start_and_true_as_long_as_something_is_spoiled() {
    let mut rig = Rig::new();
    rig.until("False", |rig| rig.condition()["status"] == "False");
    let first = rig.condition();
    assert_eq!(first["reason"], "ClockIsSteady");
    rig.jump(55 * DAY, 238_135);
    rig.jump(-55 * DAY, 388_884);
    let id = rig.victim(2, "shop", "web-0");
    rig.until("True", |rig| rig.condition()["status"] == "True");
    rig.until("why", |rig| rig.condition()["reason"] == "ClockJumpImpairs");
    let message = rig.condition()["message"].to_string();
    assert!(message.contains("1 impact of 1 pod, "), "{message}");
    // Another run finds it so and keeps the moment of its change.
    let since = rig.condition()["lastTransitionTime"].clone();
    rig.kill();
    let asked = rig.apiserver.objects().history().len();
    rig.start();
    rig.until("told at the start", |rig| rig.apiserver.objects().history().len() > asked);
    assert_eq!(
        (&rig.condition()["status"], &rig.condition()["lastTransitionTime"]),
        (&"True".into(), &since)
    );
    rig.impact(id, 2, "shop", "web-0", "observed", "resolved");
    rig.until("False again", |rig| rig.condition()["status"] == "False");
}
