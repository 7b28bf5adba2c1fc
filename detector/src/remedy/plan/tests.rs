use serde_json::json;

use super::*;
use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{DeltaNs, OffsetNs, WallNs},
    ledger::{Closed, Evidence},
};

const MINUTE: u64 = 60_000_000_000;

fn jump(sequence: u64, verdict: Verdict) -> (u64, Jump) {
    let jump = Jump {
        sequence,
        boot_id: "b".into(),
        at: BootNs(sequence * MINUTE),
        delta: DeltaNs(0),
        delta_error_ns: 0,
        old: OffsetNs(0),
        new: OffsetNs(0),
        path: StepPath::ClockSettime,
        captured_by: CapturedBy::Fentry,
        actor: Actor::unknown(),
        verdict,
        evidence: if verdict == Verdict::Correction { vec![Evidence::TimeDaemon] } else { Vec::new() },
        excursion: None,
        burst: sequence,
        loud: true,
        window: None,
    };
    (sequence, jump)
}

fn excursion(opened_by: u64, closed_by: Option<u64>) -> Excursion {
    Excursion {
        id: 1,
        boot_id: "b".into(),
        opened_by,
        opened_at: BootNs(opened_by * MINUTE),
        home: OffsetNs(0),
        delta: DeltaNs(1),
        closed: closed_by.map(|by| Closed { by, at: BootNs(by * MINUTE), residual: DeltaNs(0) }),
    }
}

fn impact(id: u64, kind: Kind, remedy: Remedy, jump: u64) -> Impact {
    let pod = format!("p{id}");
    let subject = Subject {
        kind: "pod".into(),
        namespace: Some("n".into()),
        name: Some(pod.clone()),
        uid: Some(pod),
        volume: Some("v".into()),
        ..Subject::default()
    };
    Impact {
        id,
        jump,
        boot_id: "b".into(),
        kind: kind.word().into(),
        subject,
        from: None,
        until: None,
        from_boot: None,
        until_boot: None,
        state: State::Open,
        confidence: Confidence::Observed,
        remedy,
        message: String::new(),
        evidence: json!({}),
    }
}

fn token(id: u64) -> Impact {
    impact(id, Kind::TokenNotYetValid, Remedy::RestartKubelet, 2)
}

/// The incident: away with jump 1, back with jump 2, which is a correction; ten minutes later.
fn incident(impacts: Vec<Impact>) -> Case {
    Case {
        now: BootNs(12 * MINUTE),
        impacts,
        jumps: [jump(1, Verdict::Unknown), jump(2, Verdict::Correction)].into(),
        last_jump: Some(BootNs(2 * MINUTE)),
        excursions: vec![excursion(1, Some(2))],
        synchronised: false,
        csi_pods: Some(0),
        past: Vec::new(),
    }
}

fn policy() -> Policy {
    Policy { per_hour: Some(3), by_hand: false, ..Policy::by_hand() }
}

fn past(id: u64, action: Action, stage: Stage, at: u64) -> Remediation {
    Remediation {
        id,
        boot_id: "b".into(),
        at: BootNs(at),
        wall: WallNs(0),
        action,
        subject: Subject::node(),
        jump: 2,
        impacts: vec![1],
        stage,
        reason: None,
        message: String::new(),
        mode: Mode::Act,
        started: Some(BootNs(at)),
    }
}

fn decisions(case: &Case, policy: &Policy) -> Vec<(Action, Vec<u64>, Decision)> {
    plan(case, policy).into_iter().map(|wanted| (wanted.action, wanted.impacts, wanted.decision)).collect()
}

#[track_caller]
fn only(case: &Case, policy: &Policy) -> Decision {
    let mut found = decisions(case, policy);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).2
}

use Action::{EvictPod, RestartKubelet};

#[test]
fn the_incident_is_cured_by_one_restart() {
    let summed = impact(9, Kind::TokenExcursion, Remedy::RestartKubelet, 2);
    let case = incident(vec![token(1), summed, token(3)]);
    assert_eq!(decisions(&case, &policy()), [(RestartKubelet, vec![1, 3], Decision::Now)]);
    assert!(plan(&incident(Vec::new()), &policy()).is_empty());
}

#[test]
fn corrections_are_no_reason_unless_they_end_an_excursion() {
    // The first step of a time daemon, with nothing before it.
    let plain = Case { excursions: Vec::new(), ..incident(vec![token(1)]) };
    assert_eq!(only(&plain, &policy()), Decision::Not(Reason::Correction));
    assert_eq!(only(&plain, &Policy::by_hand()), Decision::Now, "people may");
    // After an excursion that was over before, or within one that has not ended.
    let mut after = incident(vec![impact(1, Kind::TokenNotYetValid, Remedy::RestartKubelet, 3)]);
    after.jumps.extend([jump(3, Verdict::Correction)]);
    assert_eq!(only(&after, &policy()), Decision::Not(Reason::Correction));
    let open = Case { excursions: vec![excursion(1, None)], synchronised: true, ..incident(vec![token(1)]) };
    assert_eq!(only(&open, &policy()), Decision::Not(Reason::Correction));
    // Back in two steps, the first of them nearer to the RTC.
    let mut halfway = incident(vec![token(1)]);
    halfway.excursions = vec![excursion(1, Some(3))];
    halfway.jumps.extend([jump(3, Verdict::Correction)]);
    assert_eq!(only(&halfway, &policy()), Decision::Now);
    // A disruption that nobody takes back, but that somebody has found right since.
    for verdict in [Verdict::Disruption, Verdict::Unknown] {
        let mut alone = incident(vec![token(1)]);
        alone.jumps.extend([jump(2, verdict)]);
        alone.excursions = vec![excursion(2, None)];
        assert_eq!(only(&alone, &policy()), Decision::Later(Reason::ClockAway, None));
        alone.synchronised = true;
        assert_eq!(only(&alone, &policy()), Decision::Now);
    }
    let unknown = Case { jumps: BTreeMap::new(), ..incident(vec![token(1)]) };
    assert_eq!(only(&unknown, &policy()), Decision::Not(Reason::CauseUnknown));
}

#[test]
fn the_clock_must_have_held_still() {
    let mut case = incident(vec![token(1)]);
    let until = BootNs(7 * MINUTE);
    for (now, want) in
        [(until.0 - 1, Decision::Later(Reason::ClockMoved, Some(until))), (until.0, Decision::Now)]
    {
        case.now = BootNs(now);
        assert_eq!(only(&case, &policy()), want);
    }
    // A quiet jump counts as well.
    case.last_jump = Some(BootNs(6 * MINUTE));
    assert_eq!(only(&case, &policy()), Decision::Later(Reason::ClockMoved, Some(BootNs(11 * MINUTE))));
    // What is not done is not told before.
    case.impacts[0].confidence = Confidence::Predicted;
    assert!(plan(&case, &policy()).is_empty());
    case.now = BootNs(11 * MINUTE);
    assert_eq!(only(&case, &policy()), Decision::Later(Reason::NotObserved, None));
}

#[test]
fn the_clock_must_not_be_away() {
    let mut case = incident(vec![token(1)]);
    case.excursions.push(excursion(2, None));
    assert_eq!(only(&case, &policy()), Decision::Later(Reason::ClockAway, None));
    assert_eq!(only(&case, &Policy::by_hand()), Decision::Later(Reason::ClockAway, None));
    case.synchronised = true;
    assert_eq!(only(&case, &policy()), Decision::Now);
}

#[test]
fn what_was_not_seen_is_not_remedied() {
    let mut case = incident(vec![token(1)]);
    for (confidence, want, by_hand) in [
        (Confidence::Observed, Decision::Now, Decision::Now),
        (Confidence::Predicted, Decision::Later(Reason::NotObserved, None), Decision::Now),
        (
            Confidence::Refuted,
            Decision::Later(Reason::NotObserved, None),
            Decision::Later(Reason::NotObserved, None),
        ),
    ] {
        case.impacts[0].confidence = confidence;
        assert_eq!(only(&case, &policy()), want, "{confidence:?}");
        assert_eq!(only(&case, &Policy::by_hand()), by_hand, "{confidence:?}");
    }
}

#[test]
fn only_what_lasts_and_has_such_a_remedy() {
    for (kind, remedy, want) in [
        (Kind::KubeletCpuCacheStuck, Remedy::RestartKubelet, Some(RestartKubelet)),
        (Kind::TokenExpired, Remedy::DeletePod, Some(RestartKubelet)),
        (Kind::ProbesSuspended, Remedy::DeletePod, Some(EvictPod)),
        (Kind::NameReservationRisk, Remedy::DeletePod, None),
        (Kind::RuntimeCpuFrozen, Remedy::RestartRuntime, None),
        (Kind::TokenNotYetValid, Remedy::Wait, None),
        (Kind::TokenRefreshChurn, Remedy::None, None),
    ] {
        let case = incident(vec![impact(1, kind, remedy, 2)]);
        let found: Vec<_> = plan(&case, &policy()).iter().map(|wanted| wanted.action).collect();
        assert_eq!(found, Vec::from_iter(want), "{kind}");
    }
    let mut over = token(1);
    over.state = State::Resolved;
    assert!(plan(&incident(vec![over]), &policy()).is_empty());
    let mut case = incident(vec![token(1)]);
    case.impacts[0].until_boot = Some(BootNs(case.now.0 + WORTH_A_RESTART_NS));
    assert_eq!(only(&case, &policy()), Decision::Not(Reason::EndsSoon));
    case.impacts[0].until_boot = Some(BootNs(case.now.0 + WORTH_A_RESTART_NS + 1));
    assert_eq!(only(&case, &policy()), Decision::Now);
}

#[test]
fn where_csi_volumes_are_mounted_pods_are_evicted() {
    let rate = impact(7, Kind::KubeletCpuCacheStuck, Remedy::RestartKubelet, 2);
    let mut late = token(2);
    late.until_boot = Some(BootNs(600 * MINUTE));
    let mut later = token(3);
    later.until_boot = Some(BootNs(700 * MINUTE));
    let both = Impact { id: 4, ..later.clone() };
    let mut case = incident(vec![rate, late, later, both]);
    case.csi_pods = Some(2);
    let found = decisions(&case, &policy());
    assert_eq!(
        found,
        [
            (EvictPod, vec![3, 4], Decision::Now),
            (EvictPod, vec![2], Decision::Now),
            (RestartKubelet, vec![7], Decision::Not(Reason::CsiMounts)),
        ],
        "the longest first, each pod once, and none for a rate"
    );
    let pods = plan(&case, &policy());
    assert_eq!((pods[0].subject.name.as_deref(), &pods[0].subject.volume), (Some("p3"), &None));
    case.csi_pods = None;
    assert_eq!(decisions(&case, &policy())[2].2, Decision::Not(Reason::CsiUnknown));
}

#[test]
fn only_what_the_operator_wants() {
    let with = |kinds: &[Action]| Policy { kinds: kinds.iter().copied().collect(), ..policy() };
    let mut case = incident(vec![token(1)]);
    assert_eq!(decisions(&case, &with(&[EvictPod])), [(EvictPod, vec![1], Decision::Now)]);
    assert_eq!(decisions(&case, &with(&[RestartKubelet])), [(RestartKubelet, vec![1], Decision::Now)]);
    let off = (RestartKubelet, vec![1], Decision::Not(Reason::KindOff));
    assert_eq!(decisions(&case, &with(&[])), [off]);
    case.csi_pods = Some(1);
    let csi = (RestartKubelet, vec![1], Decision::Not(Reason::CsiMounts));
    assert_eq!(decisions(&case, &with(&[RestartKubelet])), [csi]);
    case.impacts[0] = impact(1, Kind::ProbesSuspended, Remedy::DeletePod, 2);
    let off = (EvictPod, vec![1], Decision::Not(Reason::KindOff));
    assert_eq!(decisions(&case, &with(&[RestartKubelet])), [off]);
}

#[test]
fn so_many_an_hour() {
    let mut case = incident(vec![token(1)]);
    case.now = BootNs(100 * MINUTE);
    case.past = [95, 50, 40, 39]
        .into_iter()
        .zip(1..)
        .map(|(at, id)| {
            let pod = Subject { uid: Some(format!("p{id}")), ..Subject::default() };
            Remediation { subject: pod, ..past(id, EvictPod, Stage::Succeeded, at * MINUTE) }
        })
        .collect();
    case.past[3].at = BootNs(39 * MINUTE);
    // Begun at 39 is an hour ago; the one of 40 as well, to the nanosecond.
    assert_eq!(only(&case, &policy()), Decision::Now);
    case.now = BootNs(100 * MINUTE - 1);
    assert_eq!(only(&case, &policy()), Decision::Later(Reason::RateLimit, Some(BootNs(100 * MINUTE))));
    assert_eq!(only(&case, &Policy { per_hour: Some(4), ..policy() }), Decision::Now);
    let never = Policy { per_hour: Some(0), ..policy() };
    let decision = only(&Case { past: Vec::new(), ..case.clone() }, &never);
    assert_eq!(decision, Decision::Later(Reason::RateLimit, Some(BootNs(u64::MAX))));
    // What was only said does not count for what is done.
    case.past.iter_mut().for_each(|past| past.mode = Mode::DryRun);
    assert_eq!(only(&case, &policy()), Decision::Now);
    let dry = Policy { mode: Mode::DryRun, ..policy() };
    assert_eq!(only(&case, &dry), Decision::Later(Reason::RateLimit, Some(BootNs(100 * MINUTE))));
    assert_eq!(only(&case, &Policy::by_hand()), Decision::Now, "a person decides");
}

#[test]
fn failures_are_waited_out_and_end_in_giving_up() {
    let policy = Policy { per_hour: None, ..policy() };
    let mut case = incident(vec![token(1)]);
    case.past = vec![past(1, RestartKubelet, Stage::Failed, 10 * MINUTE)];
    let until = BootNs(25 * MINUTE);
    assert_eq!(only(&case, &policy), Decision::Later(Reason::CoolDown, Some(until)));
    case.now = until;
    assert_eq!(only(&case, &policy), Decision::Now);
    case.past.push(past(2, RestartKubelet, Stage::Failed, 25 * MINUTE));
    assert_eq!(only(&case, &policy), Decision::Later(Reason::CoolDown, Some(BootNs(55 * MINUTE))));
    case.past.push(past(3, RestartKubelet, Stage::Failed, 55 * MINUTE));
    assert_eq!(only(&case, &policy), Decision::Not(Reason::GivenUp));
    case.past.push(past(4, RestartKubelet, Stage::GivenUp, 55 * MINUTE));
    assert!(plan(&case, &policy).is_empty(), "it was said");
    // Another jump is another matter.
    case.last_jump = Some(BootNs(56 * MINUTE));
    case.now = BootNs(90 * MINUTE);
    assert!(plan(&case, &policy).is_empty(), "but one that did no harm is none");
    case.impacts[0].jump = 3;
    case.jumps.extend([jump(3, Verdict::Disruption)]);
    assert_eq!(only(&case, &policy), Decision::Now);
}

#[test]
fn what_was_said_is_not_said_again() {
    let dry = Policy { mode: Mode::DryRun, ..policy() };
    let mut case = incident(vec![token(1)]);
    assert_eq!(only(&case, &dry), Decision::Now);
    let said = past(1, RestartKubelet, Stage::DryRun, 10 * MINUTE);
    case.past = vec![Remediation { mode: Mode::DryRun, ..said }];
    assert!(plan(&case, &dry).is_empty());
    assert_eq!(only(&case, &policy()), Decision::Now, "whoever acts now has not acted yet");
    // Of another jump.
    case.impacts[0].jump = 3;
    case.jumps.extend([jump(3, Verdict::Disruption)]);
    case.last_jump = Some(BootNs(11 * MINUTE));
    case.now = BootNs(30 * MINUTE);
    assert_eq!(only(&case, &dry), Decision::Now);
    // By a rule.
    let mut case = Case { excursions: Vec::new(), ..incident(vec![token(1)]) };
    let wanted = plan(&case, &policy()).remove(0);
    let said = past(1, RestartKubelet, Stage::NotTaken, 10 * MINUTE);
    case.past = vec![Remediation { reason: Some(Reason::Correction), ..said }];
    assert_eq!(case.past[0].key(), wanted.key());
    assert!(plan(&case, &policy()).is_empty());
}
