//! Histories: days of books, each brought to the destination by processes that are killed, and a last
//! one that is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use intacct_sync_postgres_fixture::{Database, Server};
use intacct_sync_tests::DATASET;
use serde_json::Value;
use tempfile::TempDir;
use vendor_sims::bigquery::{Limits, RunningSimulator};

use crate::agreement::assert_agreement;
use crate::books::{Books, present};
use crate::child::{End, Errand, Orders};
use crate::home::{Engine, Home};
use crate::steps::{Border, Kill, Moment};

/// Days of a history: everything, changes, more columns, changes of those.
pub(crate) const DAYS: u32 = 4;

/// A kill inside of a step comes at most so long after its beginning.
const LATEST: Duration = Duration::from_millis(4);

/// Steps that kills have to meet while they are under way, and how often at least.
const LONG_STEPS: [(&str, u32); 6] = [
    ("spool.put", 2),
    ("store.prepare(upsert)", 2),
    ("sink.write(upsert)", 16),
    ("sink.write(delete)", 4),
    ("store.settle(upsert)", 4),
    ("sink.prepare", 2),
];

/// As [`LONG_STEPS`], where staging a batch is more than nothing.
const LONG_STEPS_OF_STAGING: [(&str, u32); 1] = [("sink.stage(upsert)", 8)];

/// What was killed, and where.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    /// Whether the sink stages batches.
    stages: bool,
    pub(crate) count: u32,
    /// How often.
    pub(crate) at: BTreeMap<Border, u32>,
    /// How often a step was under way.
    pub(crate) inside: BTreeMap<String, u32>,
    /// How often each border is reached on a day: by the first run of it, and by one that follows a kill.
    known: BTreeMap<(u32, Run), BTreeMap<Border, u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    First,
    Later,
}

/// What a run gets.
pub(crate) enum Fate {
    Lives,
    KillsItself(Kill),
    IsKilled(Duration),
}

impl Kills {
    /// None yet, of processes that write to this sink.
    pub(crate) fn of(sink: Engine) -> Self {
        Self {
            stages: sink == Engine::BigQuery,
            ..Self::default()
        }
    }

    /// The borders that some run reached and at which none was killed.
    pub(crate) fn missing(&self) -> BTreeSet<&Border> {
        let known = self.known.values().flat_map(BTreeMap::keys);
        known
            .filter(|border| !self.at.contains_key(border))
            .collect()
    }

    pub(crate) fn missing_inside(&self) -> Vec<&'static str> {
        let met = |step| self.inside.get(step).copied().unwrap_or(0);
        let staging = LONG_STEPS_OF_STAGING.into_iter().filter(|_| self.stages);
        let steps = LONG_STEPS.into_iter().chain(staging);
        steps
            .filter(|(step, times)| met(*step) < *times)
            .map(|(step, _)| step)
            .collect()
    }

    fn learn(&mut self, day: u32, run: Run, borders: &[Border]) {
        let mut counts: BTreeMap<&Border, u32> = BTreeMap::new();
        for border in borders {
            *counts.entry(border).or_default() += 1;
        }
        let known = self.known.entry((day, run)).or_default();
        for (border, count) in counts {
            let most = known.entry(border.clone()).or_default();
            *most = (*most).max(count);
        }
    }

    /// A border at which nothing was killed yet, or any; or a moment inside of a step, or any at all.
    fn fate(&self, day: u32, run: Run, random: &mut fastrand::Rng) -> Fate {
        let nothing = BTreeMap::new();
        let known = self.known.get(&(day, run)).unwrap_or(&nothing);
        let missing = self.missing();
        let fresh: Vec<_> = known
            .iter()
            .filter(|(border, _)| missing.contains(border))
            .collect();
        let kill = |(at, &times): (&Border, &u32), later, random: &mut fastrand::Rng| {
            let time = random.u32(1..=times);
            let at = at.clone();
            Fate::KillsItself(Kill { at, time, later })
        };
        if let Some(&found) = random.choice(&fresh) {
            return kill(found, Duration::ZERO, random);
        }
        let begun: Vec<_> = known
            .iter()
            .filter(|(border, _)| border.moment == Moment::Before)
            .collect();
        let unmet: Vec<_> = (begun.iter().copied())
            .filter(|(border, _)| self.missing_inside().contains(&border.kind()))
            .collect();
        let some_time = |random: &mut fastrand::Rng| LATEST.mul_f64(random.f64().powi(3));
        match random.u8(0..4) {
            0 => Fate::IsKilled(Duration::from_micros(random.u64(0..120_000))),
            1 => match random.choice(&known.iter().collect::<Vec<_>>()) {
                Some(&found) => kill(found, Duration::ZERO, random),
                None => Fate::IsKilled(some_time(random)),
            },
            _ => match random.choice(if unmet.is_empty() { &begun } else { &unmet }) {
                Some(&found) => kill(found, some_time(random), random),
                None => Fate::IsKilled(some_time(random)),
            },
        }
    }

    fn note(&mut self, fate: &Fate, end: &End) {
        self.count += 1;
        let mut open: BTreeMap<&str, i64> = BTreeMap::new();
        for border in &end.borders {
            *open.entry(&border.step).or_default() += match border.moment {
                Moment::Before => 1,
                Moment::After => -1,
            };
        }
        if let Fate::KillsItself(Kill {
            at,
            later: Duration::ZERO,
            ..
        }) = fate
        {
            assert_eq!(
                end.borders.last(),
                Some(at),
                "it did not die where it should"
            );
            *self.at.entry(at.clone()).or_default() += 1;
        } else {
            let under_way = open.iter().filter(|(_, count)| **count > 0);
            for (step, _) in under_way {
                let kind = step.split(" of ").next().unwrap_or(step);
                *self.inside.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
}

/// A home that goes with it.
pub(crate) struct History {
    pub(crate) home: Home,
    pub(crate) seed: u64,
    runs: u32,
    /// By how many seconds the clock goes wrong.
    set_back: i64,
    database: Option<&'static Database<'static>>,
    _folder: TempDir,
    _simulator: Option<SimulatedBigQuery>,
}

/// A simulated BigQuery on a thread of its own, because tests wait for their children without letting
/// anything else run.
struct SimulatedBigQuery {
    url: String,
    /// It ends when this is dropped.
    _end: tokio::sync::oneshot::Sender<()>,
}

impl SimulatedBigQuery {
    fn start() -> Self {
        let (told, url) = std::sync::mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let simulator = RunningSimulator::builder()
                    .without_authentication()
                    .dataset(DATASET, "EU")
                    .job_polls(0)
                    .limits(Limits::without_rates())
                    .streaming_delay(Duration::ZERO)
                    .start()
                    .await
                    .unwrap();
                told.send(simulator.url().to_owned()).unwrap();
                let _ = ended.await;
            });
        });
        Self {
            url: url.recv().unwrap(),
            _end: end,
        }
    }
}

impl History {
    /// None where there is no Postgres and it needs one.
    pub(crate) fn new(store: Engine, sink: Engine, seed: u64) -> Option<Self> {
        let needs_server = [store, sink].contains(&Engine::Postgres);
        let server = if needs_server {
            Some(Server::shared()?)
        } else {
            None
        };
        Some(Self::with(server, store, sink, seed))
    }

    /// In a new database of this server.
    pub(crate) fn on(server: &'static Server, store: Engine, sink: Engine, seed: u64) -> Self {
        Self::with(Some(server), store, sink, seed)
    }

    fn with(server: Option<&'static Server>, store: Engine, sink: Engine, seed: u64) -> Self {
        let database = server.map(|server| &*Box::leak(Box::new(server.database())));
        // A kill takes nothing of what was written, so that no disk need be awaited.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        let simulator = match sink {
            Engine::BigQuery | Engine::BigQueryStreaming => Some(SimulatedBigQuery::start()),
            _ => None,
        };
        let simulated = simulator.as_ref().map(|simulator| simulator.url.clone());
        let home = Home {
            folder: folder.path().to_owned(),
            store,
            sink,
            settings: database.map(Database::settings).or(simulated),
        };
        Self {
            home,
            seed,
            runs: 0,
            set_back: 0,
            database,
            _folder: folder,
            _simulator: simulator,
        }
    }

    pub(crate) fn database(&self) -> &'static Database<'static> {
        self.database.expect("this history has a database")
    }

    /// Sets the clock back by so many seconds, or right again.
    pub(crate) fn set_back(&mut self, seconds: i64) {
        self.set_back = seconds;
    }

    /// Lets the lease of a run that failed in this process come to its end.
    pub(crate) fn pass_time(&mut self) {
        self.runs += 1;
    }

    /// Lives through all days without any kill, to learn the steps.
    pub(crate) async fn live_in_peace(&mut self, kills: &mut Kills) {
        for day in 0..DAYS {
            let end = self.finish(day).await;
            kills.learn(day, Run::First, &end.borders);
        }
    }

    /// Lives through all days; on each, some runs are killed before one is let live.
    pub(crate) async fn live(&mut self, kills: &mut Kills, random: &mut fastrand::Rng) {
        for day in 0..DAYS {
            let mut run = Run::First;
            for _ in 0..random.u8(2..=4) {
                let fate = kills.fate(day, run, random);
                let end = self.run(day, &fate);
                kills.learn(day, run, &end.borders);
                if let Some(told) = &end.told {
                    // It was through before its time had come.
                    assert_complete(told);
                    assert_nothing_was_given_up(told);
                } else {
                    kills.note(&fate, &end);
                    run = Run::Later;
                }
            }
            let end = self.finish(day).await;
            assert_nothing_was_given_up(end.told.as_ref().unwrap());
            kills.learn(day, run, &end.borders);
        }
    }

    /// Brings a day to its end by a run that is let live.
    pub(crate) async fn finish(&mut self, day: u32) -> End {
        let end = self.run(day, &Fate::Lives);
        assert_complete(end.told.as_ref().unwrap());
        self.assert_agreement(day).await;
        end
    }

    async fn assert_agreement(&self, day: u32) {
        let books = Books::on(self.seed, day);
        assert_agreement(&self.home, &books, self.now(day)).await;
    }

    pub(crate) fn run(&mut self, day: u32, fate: &Fate) -> End {
        self.send(Errand::Run, day, fate)
    }

    pub(crate) fn send(&mut self, errand: Errand, day: u32, fate: &Fate) -> End {
        let mut orders = self.orders(day, fate);
        orders.errand = errand;
        let mut running = orders.carry_out();
        if let Fate::IsKilled(moment) = fate {
            running.kill_after(*moment);
        }
        running.end()
    }

    pub(crate) fn orders(&mut self, day: u32, fate: &Fate) -> Orders {
        self.runs += 1;
        let kill = match fate {
            Fate::KillsItself(kill) => Some(kill.clone()),
            _ => None,
        };
        Orders {
            errand: Errand::Run,
            home: self.home.clone(),
            seed: self.seed,
            day,
            now: self.now(day),
            kill,
            number: self.runs,
        }
    }

    /// What the clock shows. The shared store takes a stream from a dead run once its lease is over, so
    /// that time passes between runs; the embedded one at once, so that none does.
    pub(crate) fn now(&self, day: u32) -> i64 {
        present(day) - self.set_back
            + match self.home.store {
                Engine::Postgres => 61 * i64::from(self.runs),
                _ => 0,
            }
    }
}

/// # Panics
/// Where a run did not bring all its streams to their end.
fn assert_complete(told: &Value) {
    let streams = told["streams"]
        .as_array()
        .unwrap_or_else(|| panic!("{told}"));
    for stream in streams {
        assert_eq!(stream["error"], Value::Null, "{stream}");
    }
}

/// # Panics
/// Where a payload was lost: a kill takes none from the spool that the ledger vouches for.
fn assert_nothing_was_given_up(told: &Value) {
    for stream in told["streams"].as_array().unwrap() {
        assert_eq!(stream["given_up"], 0, "{stream}");
    }
}
