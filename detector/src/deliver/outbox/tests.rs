use std::collections::BTreeMap;

use super::*;
use crate::{
    deliver::{Message, tests::jump},
    store::{Kept, Retention},
};

/// A place that can be away, and keeps what was written by its key, so that twice is once.
#[derive(Clone, Default)]
struct Place {
    away: Arc<Mutex<bool>>,
    kept: Arc<Mutex<BTreeMap<u64, u64>>>,
    tries: Arc<Mutex<u64>>,
}

impl Sink for Place {
    type State = u64;
    type Write = (u64, u64);

    fn name(&self) -> &'static str {
        "place"
    }

    fn place(&self) -> String {
        "here".into()
    }

    fn plan(&self, state: &mut u64, batch: &[Arc<Told>]) -> Vec<(u64, u64)> {
        batch
            .iter()
            .map(|told| {
                *state += 1;
                let key =
                    if let Message::Lagged(missed) = told.message { 1000 + missed } else { told.position };
                (key, *state)
            })
            .collect()
    }

    async fn write(&mut self, (key, value): &(u64, u64)) -> Result<(), Refusal> {
        *locked(&self.tries) += 1;
        if *key == 13 {
            return Err(Refusal::Never("unlucky".into()));
        }
        if *locked(&self.away) {
            return Err(Refusal::not_now("away"));
        }
        let before = locked(&self.kept).insert(*key, *value);
        assert!(before.is_none_or(|before| before == *value), "{key} twice, and not alike");
        Ok(())
    }
}

struct Bench {
    hub: Arc<Hub>,
    store: Arc<Mutex<Store>>,
    place: Place,
    /// The position of the last entry when it is started.
    begins_after: u64,
    report: Arc<Mutex<DeliveryReport>>,
    noted: Arc<Mutex<Option<Delivery>>>,
}

impl Bench {
    fn new(limit: u64) -> Self {
        let retention = Retention { jumps: limit, ..Retention::default() };
        Self {
            hub: Hub::new(9, 0),
            store: Arc::new(Mutex::new(Store::in_memory(retention).unwrap())),
            place: Place::default(),
            begins_after: 0,
            report: Arc::default(),
            noted: Arc::default(),
        }
    }

    fn tell(&self, positions: std::ops::RangeInclusive<u64>) {
        for position in positions {
            let entry = (position, Kept::Jump(jump(position, 5), None));
            locked(&self.store).append(&[entry], None).unwrap();
            self.hub.publish(&Arc::new(Told { position, message: Message::Jump(jump(position, 5)) }));
        }
    }

    /// Delivers for so long. Whoever is stopped then may be anywhere.
    async fn run_for(&self, long: Duration) {
        let source = Source {
            hub: Arc::clone(&self.hub),
            store: Arc::clone(&self.store),
            left: locked(&self.noted).clone(),
            begins_after: self.begins_after,
            changed: Arc::default(),
        };
        let note = async |delivery| *locked(&self.noted) = Some(delivery);
        let work = deliver(self.place.clone(), source, Arc::clone(&self.report), note);
        let _ = timeout(long, work).await;
    }

    fn kept(&self) -> Vec<u64> {
        locked(&self.place.kept).keys().copied().collect()
    }
}

#[tokio::test(start_paused = true)]
async fn away_for_an_hour_and_restarted_thrice() {
    let bench = Bench::new(u64::MAX);
    *locked(&bench.place.away) = true;
    bench.tell(1..=3);
    for round in 0..3 {
        bench.run_for(Duration::from_mins(20)).await;
        bench.tell(4 + round * 400..=403 + round * 400);
    }
    assert!(bench.kept().is_empty());
    assert_eq!(locked(&bench.report).state, "away");
    let tries = *locked(&bench.place.tries);
    assert!((60..=90).contains(&tries), "about once a minute: {tries}");
    *locked(&bench.place.away) = false;
    bench.run_for(Duration::from_secs(90)).await;
    let all: Vec<_> = (1..=1203).filter(|position| *position != 13).collect();
    assert_eq!(bench.kept(), all);
    let report = locked(&bench.report).clone();
    assert_eq!((&*report.state, report.position, report.given_up), ("ok", 1203, 1));
    // Nothing again.
    let tries = *locked(&bench.place.tries);
    bench.run_for(Duration::from_mins(5)).await;
    assert_eq!(*locked(&bench.place.tries), tries);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_queue_holds_while_it_is_away() {
    let bench = Bench::new(u64::MAX);
    bench.tell(1..=1);
    *locked(&bench.place.away) = true;
    let ((), ()) = tokio::join!(bench.run_for(Duration::from_mins(10)), async {
        sleep(Duration::from_secs(10)).await;
        bench.tell(2..=2000);
        sleep(Duration::from_secs(10)).await;
        *locked(&bench.place.away) = false;
    });
    assert_eq!(bench.kept(), (1..=2000).filter(|position| *position != 13).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_meanwhile_is_told() {
    let bench = Bench::new(2);
    bench.tell(1..=20);
    locked(&bench.store).retain().unwrap();
    bench.run_for(Duration::from_mins(1)).await;
    assert_eq!(bench.kept(), [19, 20, 1018], "eighteen are gone");
}

#[tokio::test(start_paused = true)]
async fn away_from_the_beginning_and_restarted() {
    let mut bench = Bench::new(u64::MAX);
    *locked(&bench.place.away) = true;
    bench.tell(1..=3);
    bench.begins_after = 3;
    bench.run_for(Duration::from_secs(1)).await;
    bench.tell(4..=6);
    bench.run_for(Duration::from_secs(1)).await;
    bench.begins_after = 6;
    *locked(&bench.place.away) = false;
    bench.run_for(Duration::from_secs(90)).await;
    assert_eq!(bench.kept(), [4, 5, 6], "what was there before anybody wanted it is not sent");
}
