//! A cache that keeps the latest sample, written down anew from what is known of the real ones, against the rule that
//! foretells it. Random jumps, random polls.
//!
//! kubelet's `getAndUpdateContainerUsageNanoCores` and containerd's `getUsageNanoCores` agree: without a sample the new one
//! is kept; with one, the new one is kept if its stamp is later, and refused if not.

use timejump::{
    clock::{BootNs, OffsetNs, WallNs},
    impact::{Stuck, stuck},
    ledger::{Timeline, Turn},
};
use timejump_tests::random::Random;

const SECOND: i128 = 1_000_000_000;
/// No two polls are further apart.
const INTERVAL: i128 = 10 * SECOND;
/// What a wall clock may show at boot.
const START: i128 = 1_700_000_000 * SECOND;

/// A cache that keeps the latest sample of one container: its stamp, and when it was really taken.
#[derive(Default)]
struct Latest(Option<(i128, i128)>);

impl Latest {
    fn stamp(&self) -> Option<i128> {
        self.0.map(|(stamp, _)| stamp)
    }

    /// Takes a sample, if it does not refuse it: gives the one that was kept before.
    fn take(&mut self, stamp: i128, at: i128) -> Result<Option<(i128, i128)>, ()> {
        if self.stamp().is_some_and(|kept| stamp <= kept) {
            return Err(());
        }
        Ok(self.0.replace((stamp, at)))
    }
}

/// A wall clock that jumps, a container, and polls of it.
struct World {
    timeline: Timeline,
    /// CLOCK_REALTIME − CLOCK_BOOTTIME.
    offset: i128,
    now: i128,
    /// When the container was made.
    born: i128,
    cache: Latest,
    /// What the wall clock showed at most before a jump, since the container was made.
    furthest: Option<i128>,
    /// How many jumps there were.
    jumps: u64,
}

impl World {
    fn new(born: i128) -> Self {
        let timeline = Timeline::new(OffsetNs(START.try_into().unwrap()));
        Self { timeline, offset: START, now: 0, born, cache: Latest::default(), furthest: None, jumps: 0 }
    }

    fn wall(&self) -> i128 {
        self.offset + self.now
    }

    fn jump(&mut self, by: i128) {
        if self.now > self.born {
            self.furthest = self.furthest.max(Some(self.wall()));
        }
        let offset = |ns: i128| OffsetNs(ns.try_into().unwrap());
        self.jumps += 1;
        let (jump, at) = (self.jumps, boot(self.now));
        self.timeline.enter(Turn { jump, at, old: offset(self.offset), new: offset(self.offset + by) });
        self.offset += by;
    }

    fn poll(&mut self) -> Result<Option<(i128, i128)>, ()> {
        let wall = self.wall();
        self.cache.take(wall, self.now)
    }

    /// The rule's word on the cache.
    fn rule(&self) -> Option<Stuck> {
        stuck(&self.timeline, boot(self.born), INTERVAL.try_into().unwrap(), boot(self.now))
    }

    /// Whether a sample taken now would be refused.
    fn is_stuck(&self) -> bool {
        self.cache.stamp().is_some_and(|kept| self.wall() <= kept)
    }

    /// Compares the rule's word with the cache.
    fn check(&self, story: u64) {
        let told = || format!("story {story} at {}: {:?}, kept {:?}", self.now, self.rule(), self.cache.0);
        let Some(rule) = self.rule() else {
            assert!(!self.is_stuck(), "{}", told());
            return;
        };
        assert_eq!(Some(rule.possible.0), self.furthest, "{}", told());
        assert!(self.cache.stamp().is_none_or(|kept| kept <= rule.possible.0), "{}", told());
        // Nothing is kept as well only if nothing is sure.
        assert!(rule.certain.map(|certain| certain.0) <= self.cache.stamp(), "{}", told());
        if rule.is_certain(WallNs(self.wall())) {
            assert!(self.is_stuck(), "{}", told());
        }
    }
}

/// What may happen, in seconds.
struct Plot {
    jumps: usize,
    /// How far the first jump goes ahead, and the second back.
    excursion: i128,
    born: &'static [i128],
    pauses: &'static [i128],
    sizes: &'static [i128],
}

/// Plays jumps and polls in the order of their times; says how often the rule was sure, undecided, and silent.
fn play(story: u64, plot: &Plot) -> [u32; 3] {
    let mut random = Random(story);
    let mut excursion = vec![-plot.excursion * SECOND, plot.excursion * SECOND];
    let born = random.of(plot.born) * SECOND;
    let mut world = World::new(born);
    let mut next_poll = random.within(0, INTERVAL);
    let mut next_jump = random.within(SECOND, 200 * SECOND);
    let mut left = plot.jumps;
    let mut counts = [0; 3];
    while left > 0 || world.now < next_jump {
        let jumps_first = left > 0 && next_jump <= next_poll;
        world.now = next_poll.min(if left > 0 { next_jump } else { next_poll });
        world.check(story);
        if jumps_first {
            left -= 1;
            let size = random.of(plot.sizes) * SECOND;
            let by = random.within(-size, size);
            world.jump(by + excursion.pop().unwrap_or(0));
            next_jump += random.of(plot.pauses) * SECOND + random.within(0, SECOND);
        } else {
            let is = match world.rule() {
                Some(rule) if rule.is_certain(WallNs(world.wall())) => 0,
                Some(_) => 1,
                None => 2,
            };
            counts[is] += 1;
            if world.now >= born {
                let _ = world.poll();
            }
            next_poll += random.within(INTERVAL * 8 / 10, INTERVAL);
        }
    }
    recover(&mut world, &mut random, story);
    counts
}

/// Polls on until a sample is taken: not later than a poll after what was foretold, and with the spike that was.
fn recover(world: &mut World, random: &mut Random, story: u64) {
    let Some(rule) = world.rule() else { return };
    let sure = rule.is_certain(WallNs(world.wall()))
        && rule.certain.is_some_and(|certain| certain.0 >= rule.possible.0 - INTERVAL);
    let (kept, at) = loop {
        // What is a long way off is skipped.
        let far = world.cache.stamp().map_or(0, |kept| kept - world.wall() - 2 * INTERVAL).max(0);
        world.now += far + random.within(INTERVAL * 8 / 10, INTERVAL);
        world.check(story);
        match world.poll() {
            Ok(Some(kept)) => break kept,
            // Nothing was kept: the container was never asked for.
            Ok(None) => return,
            Err(()) => {}
        }
    };
    assert!(world.wall() <= rule.possible.0 + INTERVAL, "story {story}");
    let (seemed, passed) = (world.wall() - kept, world.now - at);
    // Rates are what was used in the time that passed, over the time that seemed to.
    let times_at_least = (i128::from(rule.behind_ns) + INTERVAL, INTERVAL);
    if sure {
        assert!(passed * times_at_least.1 >= times_at_least.0 * seemed, "story {story}: {rule:?}");
    }
}

/// When exactly the rule falls silent.
#[test]
fn it_is_foretold_until_the_stamp_is_passed_and_not_longer() {
    for back in [11, 60, 4_000] {
        let mut world = World::new(0);
        world.now = 100 * SECOND;
        world.jump(-back * SECOND);
        world.now += back * SECOND - 1;
        assert!(world.rule().is_some(), "{back}");
        world.now += 1;
        assert_eq!(world.rule(), None, "{back}");
    }
}

#[test]
fn the_rule_and_the_cache_agree() {
    let mut counts = [0; 3];
    for story in 0..1_000 {
        let jumps = 1 + usize::try_from(story % 9).unwrap();
        let played = play(
            story,
            &Plot {
                jumps,
                excursion: 0,
                born: &[0, 0, 95, 400],
                pauses: &[0, 0, 3, 9, 11, 40, 300],
                sizes: &[1, 5, 12, 60, 4_000],
            },
        );
        counts = [0, 1, 2].map(|is| counts[is] + played[is]);
    }
    println!("polls at which the rule was sure, undecided, silent: {counts:?}");
    assert!(counts.iter().all(|count| *count > 500), "each of them is tried: {counts:?}");
}

#[test]
fn so_they_do_in_storms() {
    for excursion in [0, 20_000] {
        // Which of the oldest jumps a container lived through is not kept: it was there from the beginning.
        let plot =
            Plot { jumps: 1_200, excursion, born: &[0], pauses: &[0, 0, 0, 0, 1, 15], sizes: &[1, 5, 60] };
        play(1, &plot);
    }
}

fn boot(ns: i128) -> BootNs {
    BootNs(ns.try_into().unwrap())
}
