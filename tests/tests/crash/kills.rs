//! At least five hundred kills: at each border of each step, inside of steps, at random moments; on
//! their own and during the recovery from another; for each sink with each store.

use std::collections::BTreeSet;

use crate::history::{History, Kills};
use crate::home::Engine;

/// For each of the four, at least; one at each border takes more.
const KILLS: u32 = 130;

/// Where a run has to have been killed, whatever it is made of: the life of a batch, of a window, of a
/// lease and of a run.
const STEPS: [&str; 35] = [
    "open",
    "store.begin_run",
    "store.acquire",
    "sink.plan",
    "sink.prepare",
    "store.note(schema_changed)",
    "store.unsettled",
    "spool.get",
    "sink.lookup",
    "store.note(batch_resent)",
    "store.checkpoint",
    "store.open_window",
    "source.page",
    "store.changed",
    "store.advance",
    "spool.put",
    "store.prepare(upsert)",
    "sink.stage(upsert)",
    "sink.write(upsert)",
    "store.settle(upsert)",
    "store.renew",
    "store.begin_census",
    "store.count_keys",
    "store.missing_keys",
    "store.prepare(delete)",
    "sink.stage(delete)",
    "sink.write(delete)",
    "store.settle(delete)",
    "sink.flush",
    "store.note(tied_out)",
    "store.complete_window",
    "store.release",
    "spool.remove",
    "store.forget_payloads",
    "store.end_run",
];

#[tokio::test]
async fn sqlite_into_sqlite() {
    kill_everywhere(Engine::Sqlite, Engine::Sqlite, 1).await;
}

#[tokio::test]
async fn sqlite_into_postgres() {
    kill_everywhere(Engine::Sqlite, Engine::Postgres, 2).await;
}

#[tokio::test]
async fn postgres_into_sqlite() {
    kill_everywhere(Engine::Postgres, Engine::Sqlite, 3).await;
}

#[tokio::test]
async fn postgres_into_postgres() {
    kill_everywhere(Engine::Postgres, Engine::Postgres, 4).await;
}

#[tokio::test]
async fn sqlite_into_bigquery() {
    kill_everywhere(Engine::Sqlite, Engine::BigQuery, 5).await;
}

#[tokio::test]
async fn sqlite_into_bigquery_by_streaming() {
    kill_everywhere(Engine::Sqlite, Engine::BigQueryStreaming, 6).await;
}

/// Histories until there were enough kills, and some at each border that any run has reached.
async fn kill_everywhere(store: Engine, sink: Engine, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut kills = Kills::of(sink);
    let Some(mut peaceful) = History::new(store, sink, random.u64(..)) else {
        return;
    };
    peaceful.live_in_peace(&mut kills).await;
    let is_enough = |kills: &Kills| {
        kills.count >= KILLS && kills.missing().is_empty() && kills.missing_inside().is_empty()
    };
    while !is_enough(&kills) && kills.count < 3 * KILLS {
        let mut history = History::new(store, sink, random.u64(..)).unwrap();
        history.live(&mut kills, &mut random).await;
    }
    println!(
        "{store:?} into {sink:?}: {} kills at {} borders, and inside of {:?}",
        kills.count,
        kills.at.len(),
        kills.inside
    );
    assert!(
        is_enough(&kills),
        "nothing was killed at {:?}, nor inside of {:?}",
        kills.missing(),
        kills.missing_inside()
    );
    for step in STEPS {
        let borders = kills.at.keys().filter(|border| border.kind() == step);
        let moments: BTreeSet<_> = borders.map(|border| border.moment).collect();
        assert_eq!(moments.len(), 2, "{step} is no step any more");
    }
}
