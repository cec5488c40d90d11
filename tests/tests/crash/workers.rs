//! Several workers at once, as processes that share store, spool and destination.

use std::time::Duration;

use serde_json::Value;

use crate::child::Orders;
use crate::history::{DAYS, Fate, History};
use crate::home::Engine;

#[tokio::test]
async fn two_workers_share_an_embedded_store() {
    together(Engine::Sqlite, Engine::Sqlite, 21).await;
}

#[tokio::test]
async fn two_workers_share_a_database() {
    together(Engine::Postgres, Engine::Postgres, 22).await;
}

/// On each day, several start together; now and then one of them is killed. What another runs is left to
/// it, and what is still to be done, the last one does.
async fn together(store: Engine, sink: Engine, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut ended, mut told_off) = (0, 0);
    for _ in 0..3 {
        let Some(mut history) = History::new(store, sink, random.u64(..)) else {
            return;
        };
        for day in 0..DAYS {
            let mut orders = [(); 3].map(|()| history.orders(day, &Fate::Lives));
            if random.bool() {
                // By their clocks they start together; else each of the others when the lease of the one
                // before it is over, so that it takes the stream from a worker that lives.
                let now = orders[0].now;
                orders.iter_mut().for_each(|it| it.now = now);
            }
            let mut workers: Vec<_> = orders.iter().map(Orders::carry_out).collect();
            if random.bool() {
                workers[0].kill_after(Duration::from_micros(random.u64(0..150_000)));
            }
            for worker in workers {
                let Some(told) = worker.end().told else {
                    continue;
                };
                ended += 1;
                told_off += assert_complete_or_busy(&told);
            }
            history.finish(day).await;
        }
    }
    println!("{store:?}: {ended} workers ended, and were told {told_off} times who holds a stream");
    assert!(told_off > 0, "no two workers ever met");
}

/// How many streams another worker held, or took over.
///
/// # Panics
/// Where a stream failed for another reason.
fn assert_complete_or_busy(told: &Value) -> usize {
    let streams = told["streams"]
        .as_array()
        .unwrap_or_else(|| panic!("{told}"));
    let errors: Vec<_> = streams
        .iter()
        .filter_map(|it| it["error"].as_str())
        .collect();
    for error in &errors {
        let is_busy = error.contains("another run holds this stream");
        let is_late = error.contains("another run took the stream over");
        assert!(is_busy || is_late, "{error}");
    }
    errors.len()
}
