//! No clock, however it is set, and no token make the rules panic. Debug builds, as tests are, panic on every overflow.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use timejump::{
    clock::{BootNs, OffsetNs, WallNs},
    impact::{CREDENTIAL_RULES, Case, assess_by},
    ledger::{Timeline, Turn},
    node::{
        Judge, JudgeSource, NodeFacts, Pod,
        tokens::{Claims, Token, TokenKey},
    },
};
use timejump_tests::random::Random;

const SECOND: i64 = 1_000_000_000;
const WALLS: [i64; 9] = [
    i64::MIN,
    i64::MIN + 1,
    -3_600 * SECOND,
    -1,
    0,
    1,
    1_780_000_000 * SECOND,
    i64::MAX - 10 * SECOND,
    i64::MAX,
];
const BOOTS: [u64; 8] =
    [0, 1, 1_000_000_000, 3_600_000_000_000, 1 << 62, 1 << 63, u64::MAX - 5_000_000_000, u64::MAX];
/// What a claim may be, s.
const DATES: [i64; 6] = [0, 1, 9_223_372_036, 1_780_000_000, 1_780_003_607, 253_402_300_799];

fn timeline(random: &mut Random) -> Timeline {
    let mut timeline = Timeline::new(OffsetNs(random.of(&WALLS)));
    for jump in 1..=random.below(5) {
        let (at, new) = (BootNs(random.of(&BOOTS)), OffsetNs(random.of(&WALLS)));
        let old = if random.of(&[true, false]) { timeline.now().offset } else { OffsetNs(random.of(&WALLS)) };
        timeline.enter(Turn { jump, at, old, new });
    }
    timeline
}

fn token(number: u64, random: &mut Random) -> Token {
    let mut date = || random.of(&DATES);
    let (iat, nbf, exp, warn_after) = (date(), date(), date(), date());
    let mut payload = json!({ "iat": iat, "nbf": nbf, "exp": exp, "kubernetes.io": {} });
    if random.of(&[true, false]) {
        payload["kubernetes.io"]["warnafter"] = json!(warn_after);
    }
    let claims = Claims::decode(URL_SAFE_NO_PAD.encode(payload.to_string()).as_bytes()).unwrap();
    let written = BootNs(random.of(&BOOTS));
    Token {
        key: TokenKey { pod_uid: number.to_string().into(), volume: "v".into(), file: "token".into() },
        pod: Pod::default(),
        claims: claims.into(),
        stamp: random.of(&[None, Some(WallNs(i128::MIN)), Some(WallNs(0)), Some(WallNs(i64::MAX.into()))]),
        written,
        known: BootNs(random.of(&BOOTS)),
        seen: random.of(&[true, false]),
        refreshes: random.next(),
    }
}

fn judge(own: &Timeline, random: &mut Random) -> Judge {
    let source = random.of(&[
        JudgeSource::DateHeader,
        JudgeSource::FreshToken,
        JudgeSource::OwnApiserver,
        JudgeSource::NodeClock,
    ]);
    Judge {
        name: "apiserver".to_owned(),
        source,
        timeline: if random.of(&[true, false]) { own.clone() } else { timeline(random) },
        error_ns: random.of(&BOOTS),
        seen: BootNs(random.of(&BOOTS)),
    }
}

#[test]
fn rules_take_any_clock_and_any_token() {
    let mut found = 0;
    for story in 0..5_000 {
        let mut random = Random(story);
        let timeline = timeline(&mut random);
        let tokens = (0..3).map(|number| token(number, &mut random));
        let node = NodeFacts {
            tokens: tokens.map(|token| (token.key.text(), token)).collect(),
            judges: (0..random.of(&[0, 1, 1, 2])).map(|_| judge(&timeline, &mut random)).collect(),
            kubelet_since: BootNs(random.of(&BOOTS)),
            kubelet_mends_since: random.of(&[true, false]).then(|| BootNs(random.of(&BOOTS))),
            ..NodeFacts::default()
        };
        for _ in 0..3 {
            let now = BootNs(random.of(&BOOTS));
            let case = Case { timeline: &timeline, node: &node, now, assessed: now };
            found += assess_by(CREDENTIAL_RULES, &case).len();
        }
    }
    assert!(found > 5_000, "the rules have something to say: {found}");
}
