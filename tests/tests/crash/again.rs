//! Replays and retries that are killed at each of their borders: whoever goes on after them finds books,
//! destination, store and ledger in agreement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sync_core::store::{LetterFilter, LetterPage, LetterStatus};
use sync_core::{RecordKey, RejectionClass, StreamName};

use crate::agreement::{assert_agreement, assert_agreement_after_replays};
use crate::books::Books;
use crate::child::{End, Errand};
use crate::history::{Fate, History};
use crate::home::{Engine, clock};
use crate::steps::{Border, Kill, Moment};

/// Days before something is sent again.
const LAST: u32 = 1;

/// Where a replay has to have been killed.
const OF_REPLAYS: [&str; 7] = [
    "spool.get",
    "store.begin_replay",
    "sink.rewrite",
    "store.settle_replay",
    "sink.flush",
    "store.end_run",
    "sink.keep_run",
];

/// And where a retry has to have been.
const OF_RETRIES: [&str; 9] = [
    "store.latest_letters",
    "source.reread",
    "spool.put",
    "store.prepare_retry",
    "sink.write(upsert)",
    "store.settle(upsert)",
    "sink.flush",
    "store.end_run",
    "sink.keep_run",
];

macro_rules! each_way {
    ($($name:ident: $store:ident into $sink:ident;)*) => {
        mod replays {
            $(#[tokio::test]
            async fn $name() {
                super::replays_are_killed(super::Engine::$store, super::Engine::$sink).await;
            })*
        }

        mod retries {
            $(#[tokio::test]
            async fn $name() {
                super::retries_are_killed(super::Engine::$store, super::Engine::$sink).await;
            })*
        }
    };
}

each_way! {
    sqlite_into_sqlite: Sqlite into Sqlite;
    sqlite_into_postgres: Sqlite into Postgres;
    postgres_into_sqlite: Postgres into Sqlite;
    postgres_into_postgres: Postgres into Postgres;
}

/// Days that nobody disturbs.
fn lived(store: Engine, sink: Engine, seed: u64) -> Option<History> {
    let mut history = History::new(store, sink, seed)?;
    for day in 0..=LAST {
        let end = history.run(day, &Fate::Lives);
        assert_done(&end);
    }
    Some(history)
}

fn assert_done(end: &End) {
    let told = end.told.as_ref().unwrap();
    assert!(told.get("error").is_none(), "{told}");
    for stream in told["streams"].as_array().unwrap() {
        assert!(stream["error"].is_null(), "{stream}");
    }
}

/// The borders of these steps, each with the number of times that it was reached.
fn borders(end: &End, steps: &[&str]) -> BTreeMap<Border, u32> {
    let mut borders: BTreeMap<Border, u32> = BTreeMap::new();
    for border in end.borders.iter().filter(|it| steps.contains(&it.kind())) {
        *borders.entry(border.clone()).or_default() += 1;
    }
    let kinds: BTreeSet<_> = borders.keys().map(|it| (it.kind(), it.moment)).collect();
    for step in steps {
        for moment in [Moment::Before, Moment::After] {
            assert!(
                kinds.contains(&(*step, moment)),
                "{step} is no step any more"
            );
        }
    }
    borders
}

fn kill(at: &Border, time: u32) -> Fate {
    let (at, later) = (at.clone(), Duration::ZERO);
    Fate::KillsItself(Kill { at, time, later })
}

async fn replays_are_killed(store: Engine, sink: Engine) {
    let Some(mut history) = lived(store, sink, 71) else {
        return;
    };
    let peaceful = history.send(Errand::Replay, LAST, &Fate::Lives);
    assert_done(&peaceful);
    let books = Books::on(history.seed, LAST);
    assert_agreement_after_replays(&history.home, &books, history.now(LAST)).await;
    let mut random = fastrand::Rng::with_seed(72);
    for (number, (at, times)) in borders(&peaceful, &OF_REPLAYS).into_iter().enumerate() {
        let fate = kill(&at, random.u32(1..=times));
        let end = history.send(Errand::Replay, LAST, &fate);
        assert_eq!((&end.told, end.borders.last()), (&None, Some(&at)));
        // Whoever comes next, of whatever kind.
        let errand = match number % 2 {
            0 => Errand::Replay,
            _ => Errand::Run,
        };
        assert_done(&history.send(errand, LAST, &Fate::Lives));
    }
    assert_agreement_after_replays(&history.home, &books, history.now(LAST)).await;
}

/// The records whose letters say that they could not be read.
async fn unread(history: &History) -> Vec<(StreamName, RecordKey)> {
    let store = history.home.store(clock(history.now(LAST))).await.unwrap();
    let mut filter = LetterFilter::default().waiting();
    filter.class = Some(RejectionClass::Unreadable);
    let page = LetterPage {
        after: None,
        limit: 999,
    };
    let letters = store.letters(&filter, page).await.unwrap().into_iter();
    let records = letters.map(|it| (it.scope.stream, it.content.key.unwrap()));
    let live = Books::on(history.seed, LAST);
    records
        .filter(|(stream, key)| live.has(stream, key))
        .collect()
}

async fn retries_are_killed(store: Engine, sink: Engine) {
    let mut missing: Option<BTreeMap<Border, u32>> = None;
    for seed in 81..99 {
        if missing.as_ref().is_some_and(BTreeMap::is_empty) {
            return;
        }
        let Some(mut history) = lived(store, sink, seed) else {
            return;
        };
        let mut books = Books::on(history.seed, LAST);
        let mended = unread(&history).await;
        for (stream, key) in mended.clone() {
            let retry = || Errand::Retry {
                stream: stream.clone(),
                key: key.clone(),
            };
            let next = missing.as_mut().and_then(BTreeMap::pop_first);
            match next {
                None => {
                    let end = history.send(retry(), LAST, &Fate::Lives);
                    assert_done(&end);
                    missing.get_or_insert_with(|| borders(&end, &OF_RETRIES));
                }
                Some((mut at, times)) => {
                    if at.kind() != at.step {
                        // It was learned of another stream.
                        at.step = format!("{} of {stream}", at.kind());
                    }
                    let end = history.send(retry(), LAST, &kill(&at, times));
                    assert_eq!((&end.told, end.borders.last()), (&None, Some(&at)));
                    let end = history.send(retry(), LAST, &Fate::Lives);
                    let told = end.told.as_ref().unwrap();
                    let is_through = told["error"].as_str();
                    let is_through =
                        is_through.is_some_and(|it| it.contains("no waiting dead letter"));
                    if !is_through {
                        assert_done(&end);
                    }
                }
            }
            books.mend(&stream, &key);
        }
        let store = history.home.store(clock(history.now(LAST))).await.unwrap();
        let page = LetterPage {
            after: None,
            limit: 999,
        };
        for letter in store.letters(&LetterFilter::default(), page).await.unwrap() {
            let record = letter.content.key.clone();
            let record = record.map(|key| (letter.scope.stream.clone(), key));
            if record.is_some_and(|record| mended.contains(&record)) {
                let expected = (LetterStatus::Resolved, 1);
                assert_eq!((letter.status, letter.attempts), expected, "{letter:?}");
            }
        }
        drop(store);
        // The source reads them no better, and what arrived stays.
        assert_done(&history.run(LAST, &Fate::Lives));
        assert_agreement(&history.home, &books, history.now(LAST)).await;
    }
    assert_eq!(missing, Some(BTreeMap::new()), "nothing was killed there");
}
