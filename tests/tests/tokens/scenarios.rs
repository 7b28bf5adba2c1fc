//! Every row of what jumps do to tokens, and what chance makes up.

use std::collections::BTreeSet;

use timejump::impact::Kind;

use crate::{
    verdicts::{Judgement, judge},
    world::{Happens, Story, Wants, play, random},
};

use Happens::{Api, Both, Down, Node, Restart, Up};
use Kind::{
    TokenExcursion as Excursion, TokenExpired as Expired, TokenNotYetValid as NotYet,
    TokenRefreshChurn as Churn, TokenRefreshLate as Late, TokenRefreshStalled as Stalled,
    TokenStale as Stale,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// All pods have tokens that live so long.
fn ttl(mut story: Story, ttl: i64, foreign: bool) -> Story {
    for pod in &mut story.pods {
        (pod.ttl, pod.foreign) = (ttl, foreign);
    }
    story
}

fn of(name: &str, happens: &[(i64, Happens)]) -> Story {
    Story { happens: happens.to_vec(), ..Story::new(name) }
}

/// A story, and the kinds of findings that are in it.
type Row = (Story, Vec<Kind>);

fn table() -> Vec<Row> {
    [nothing_happens(), together(), node_alone(), apiserver_alone(), others()].concat()
}

fn short(name: &str, happens: &[(i64, Happens)]) -> Story {
    ttl(of(name, happens), 600, false)
}

fn long(name: &str, happens: &[(i64, Happens)], life: i64, days: i64) -> Story {
    let pods = [20, 900, 20_000].map(|at| Wants { at, ttl: life, foreign: false }).to_vec();
    Story { pods, lasts: days * DAY, every: 10 * MINUTE, ..of(name, happens) }
}

/// Nothing happens to any clock.
fn nothing_happens() -> Vec<Row> {
    vec![
        (of("nothing happens", &[]), vec![]),
        (short("nothing happens to short ones", &[]), vec![]),
        (of("nothing happens but a restart", &[(HOUR, Restart)]), vec![]),
        (short("nothing but an apiserver that fails", &[(HOUR, Down), (2 * HOUR, Up)]), vec![]),
    ]
}

/// The node's clock and its apiserver's go together.
fn together() -> Vec<Row> {
    vec![
        (of("both 30 s back", &[(2_010, Both(-30))]), vec![]),
        (of("both 5 min back", &[(2_100, Both(-5 * MINUTE))]), vec![NotYet, Excursion, Late]),
        (of("both 2 h back", &[(3_000, Both(-2 * HOUR))]), vec![NotYet, Excursion, Late]),
        (
            of("both 90 min back and restarted", &[(3_000, Both(-90 * MINUTE)), (3_600, Restart)]),
            vec![NotYet, Excursion, Late],
        ),
        (short("both 5 min back", &[(2_100, Both(-5 * MINUTE))]), vec![NotYet, Excursion, Late]),
        (of("both 10 min forward", &[(2_200, Both(10 * MINUTE))]), vec![]),
        (of("both 2 h forward", &[(2_200, Both(2 * HOUR))]), vec![Stale]),
        (short("both 2 h forward", &[(2_200, Both(2 * HOUR))]), vec![Expired]),
        (
            of("both 55 d ahead and back after 150 s", &[(2_200, Both(55 * DAY)), (2_350, Both(-55 * DAY))]),
            vec![Stale, NotYet, Excursion, Late],
        ),
        (
            of("both 55 d ahead and back after 30 s", &[(2_200, Both(55 * DAY)), (2_230, Both(-55 * DAY))]),
            vec![Stale],
        ),
        (
            of(
                "both 55 d ahead and back, restarted",
                &[(2_200, Both(55 * DAY)), (2_350, Both(-55 * DAY)), (2_600, Restart)],
            ),
            vec![Stale, NotYet, Excursion, Late],
        ),
        (
            short("both 55 d ahead and back", &[(2_200, Both(55 * DAY)), (2_350, Both(-55 * DAY))]),
            vec![Expired, NotYet, Excursion, Late],
        ),
        (
            of(
                "both 1 h ahead and back in two steps",
                &[(2_200, Both(HOUR)), (2_500, Both(-30 * MINUTE)), (3_000, Both(-30 * MINUTE))],
            ),
            vec![Stale, NotYet, Excursion, Late],
        ),
    ]
}

/// The node's clock goes alone.
fn node_alone() -> Vec<Row> {
    vec![
        (short("node 170 s back", &[(2_200, Node(-170))]), vec![Late, Expired]),
        // Only if a sync comes as late as it can.
        (short("node 100 s back", &[(2_200, Node(-100))]), vec![Expired]),
        (short("node 200 s back", &[(2_200, Node(-200))]), vec![Late, Expired]),
        (short("node 1 h back", &[(2_200, Node(-HOUR))]), vec![Late, Expired]),
        (ttl(of("3600: node 600 s back", &[(2_200, Node(-600))]), 3600, true), vec![Late]),
        (ttl(of("3600: node 800 s back", &[(2_200, Node(-800))]), 3600, true), vec![Late, Expired]),
        (ttl(of("3600: node 3 h back", &[(2_200, Node(-3 * HOUR))]), 3600, false), vec![Late, Expired]),
        (of("node 600 s back", &[(2_200, Node(-600))]), vec![Late]),
        (of("node 2 h back", &[(2_200, Node(-2 * HOUR))]), vec![Late, Stale]),
        (
            Story { max: Some(3600), ..of("capped: node 1000 s back", &[(2_200, Node(-1_000))]) },
            vec![Late, Expired],
        ),
        (of("node 2 min forward", &[(2_200, Node(120))]), vec![]),
        (of("node 2 h forward", &[(2_200, Node(2 * HOUR))]), vec![Churn]),
        (of("node 2 h forward and back", &[(2_200, Node(2 * HOUR)), (5_000, Node(-2 * HOUR))]), vec![Churn]),
        (short("node 7 min forward", &[(2_200, Node(7 * MINUTE))]), vec![Churn]),
        (
            short("node 1 h forward, apiserver fails", &[(2_190, Down), (2_200, Node(HOUR)), (HOUR, Up)]),
            vec![Churn, Stalled],
        ),
    ]
}

/// Apiservers' clocks go alone.
fn apiserver_alone() -> Vec<Row> {
    vec![
        (of("apiserver 10 min back", &[(2_200, Api(0, -10 * MINUTE))]), vec![NotYet, Excursion]),
        (of("apiserver 2 h back", &[(2_200, Api(0, -2 * HOUR))]), vec![NotYet, Excursion, Churn]),
        (short("apiserver 10 min back", &[(2_200, Api(0, -10 * MINUTE))]), vec![NotYet, Excursion, Churn]),
        (short("apiserver 10 min forward", &[(2_200, Api(0, 10 * MINUTE))]), vec![Expired]),
        (of("apiserver 10 min forward", &[(2_200, Api(0, 10 * MINUTE))]), vec![]),
        (of("apiserver 2 h forward", &[(2_200, Api(0, 2 * HOUR))]), vec![Stale]),
        (
            of("apiserver 2 h forward and back", &[(2_200, Api(0, 2 * HOUR)), (6_000, Api(0, -2 * HOUR))]),
            vec![Stale, NotYet, Excursion],
        ),
        // Several.
        (
            Story { apiservers: 3, ..of("one of three 1 h back", &[(2_200, Api(1, -HOUR))]) },
            vec![NotYet, Excursion],
        ),
        (
            Story { apiservers: 3, ..short("one of three 1 h forward", &[(2_200, Api(2, HOUR))]) },
            vec![Expired],
        ),
    ]
}

/// Long lives, and a kubelet that is patched.
fn others() -> Vec<Row> {
    vec![
        (
            long("43200: both 1 h ahead and back", &[(30_000, Both(HOUR)), (32_000, Both(-HOUR))], 43_200, 2),
            vec![NotYet, Excursion, Late],
        ),
        (long("43200: node 3 h back", &[(30_000, Node(-3 * HOUR))], 43_200, 2), vec![Late, Expired]),
        (long("200000: node 1 d back", &[(30_000, Node(-DAY))], 200_000, 3), vec![Late]),
        (long("200000: node 2 d forward", &[(30_000, Node(2 * DAY))], 200_000, 1), vec![Churn]),
        // A patched kubelet.
        (
            Story {
                mends: true,
                ..of(
                    "mends: both 55 d ahead and back, twice",
                    &[
                        (2_200, Both(55 * DAY)),
                        (2_350, Both(-55 * DAY)),
                        (6_000, Both(55 * DAY)),
                        (6_150, Both(-55 * DAY)),
                    ],
                )
            },
            vec![Stale, NotYet, Excursion, Late],
        ),
        (
            Story {
                mends: true,
                ..of("mends: node 10 min back, twice", &[(2_100, Node(-600)), (6_000, Node(-600))])
            },
            vec![Late, Churn],
        ),
    ]
}

/// What came otherwise than foretold; for a row of the table also what was not expected of it.
fn at_odds(judgement: Judgement, want: Option<&[Kind]>) -> Vec<String> {
    let mut odds = judgement.wrong;
    if let Some(want) = want {
        let want: BTreeSet<Kind> = want.iter().copied().collect();
        if want != judgement.kinds {
            odds.insert(0, format!("kinds {:?}, not {want:?}", judgement.kinds));
        }
    }
    odds
}

fn show(name: &str, odds: &[String]) {
    if !odds.is_empty() {
        println!("== {name}: {}", odds.len());
        for odd in odds.iter().take(5) {
            println!("  {odd}");
        }
    }
}

#[test]
fn every_row_comes_as_foretold() {
    let mut odd = 0;
    for (story, want) in table() {
        let odds = at_odds(judge(&play(&story)), Some(&want));
        show(&story.name, &odds);
        odd += usize::from(!odds.is_empty());
    }
    assert_eq!(odd, 0, "stories in which something came otherwise");
}

#[test]
fn so_does_what_chance_makes_up() {
    let (mut odd, mut foretold, mut refreshed, mut kinds) = (0, 0, 0, BTreeSet::new());
    for seed in 0..150 {
        let story = random(seed);
        let judgement = judge(&play(&story));
        foretold += judgement.foretold;
        refreshed += judgement.refreshed;
        kinds.extend(judgement.kinds.iter().copied());
        let odds = at_odds(judgement, None);
        if !odds.is_empty() {
            show(&format!("{story:?}"), &odds);
        }
        odd += usize::from(!odds.is_empty());
    }
    println!("foretold and come: {foretold} refusals, {refreshed} refreshes");
    assert!(foretold > 100 && refreshed > 10_000, "{foretold} {refreshed}");
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [NotYet, Expired, Excursion, Late, Churn, Stale]);
    assert_eq!(odd, 0, "stories in which something came otherwise");
}
