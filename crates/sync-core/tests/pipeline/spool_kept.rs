//! What the spool keeps, what leaves it, and that nothing of it can change unnoticed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sync_core::DeleteDetection;
use sync_core::clock::ManualClock;
use sync_core::ledger::Entry;
use sync_core::pipeline::{Event, Observer, Pipeline, PipelineOptions, RunReport};
use sync_core::spool::{FolderSpool, PayloadDamage, SpoolVerification, verify};
use sync_core::store::{LedgerStore as _, SqliteStore};
use time::{Duration, OffsetDateTime};

use crate::spool::{Damage, in_runtime};
use crate::world::*;

/// Books of so many entries, all new.
fn world(entries: i64) -> World {
    let world = World::new(3, DeleteDetection::KeySet);
    for key in 0..entries {
        world.books.set(key, i128::from(key) + 1);
    }
    world.books.pass(3600);
    world
}

/// A run of this pipeline, in a runtime of its own.
fn run(pipeline: Pipeline) -> RunReport {
    in_runtime(async { pipeline.run().await.unwrap() })
}

fn with(world: &World, change: impl FnOnce(&mut PipelineOptions)) -> Pipeline {
    let store = Arc::new(open_store(world.folder.path()));
    let parts = world.parts(Arc::clone(&world.warehouse) as _, store);
    world.pipeline_of(parts, change)
}

fn at(world: &World, time: OffsetDateTime) -> Pipeline {
    with(world, |_| ()).with_clock(Arc::new(ManualClock::at(time)))
}

/// The payloads' files, with their lengths.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(folder.join("spool/entry")) else {
        return Vec::new();
    };
    // Others may be removed meanwhile.
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter_map(|path| {
            let length = std::fs::metadata(&path).ok()?.len();
            Some((path, length))
        })
        .collect();
    files.sort();
    files
}

fn removals(world: &World) -> Vec<Entry> {
    let entries = world.with_store(|store| async move { store.entries(0, 9999).await.unwrap() });
    let removals = entries
        .into_iter()
        .filter(|it| it.kind == "payloads_removed");
    removals.collect()
}

fn verified(world: &World) -> SpoolVerification {
    let spool = FolderSpool::open(world.folder.path().join("spool")).unwrap();
    world.with_store(|store| async move { verify(&store, &spool).await.unwrap() })
}

/// The most that was in the spool whenever a batch was settled, and the longest payload.
#[derive(Debug)]
struct Gauge {
    folder: PathBuf,
    most: Mutex<(u64, u64)>,
}

impl Observer for Gauge {
    fn observe(&self, event: Event<'_>) {
        if matches!(event, Event::BatchSettled { .. }) {
            let files = files(&self.folder);
            let mut most = self.most.lock().unwrap();
            most.0 = most.0.max(files.iter().map(|(_, length)| length).sum());
            let longest = files.iter().map(|(_, length)| *length).max();
            most.1 = most.1.max(longest.unwrap_or(0));
        }
    }
}

#[test]
fn a_run_keeps_the_spool_within_its_size_also_while_it_goes_on() {
    let world = world(300);
    let limit = 40_000;
    let gauge = Arc::new(Gauge {
        folder: world.folder.path().to_owned(),
        most: Mutex::default(),
    });
    let pipeline = with(&world, |options| options.spool_max_bytes = Some(limit));
    let report = run(pipeline.observed_by(Arc::clone(&gauge) as _));
    assert!(report.ties_out(), "{report:?}");
    let (most, longest) = *gauge.most.lock().unwrap();
    // A sixteenth, the batch that was just settled, and the two that may be on their way.
    assert!(
        most <= limit + limit / 16 + 4 * longest,
        "{most} of {limit}"
    );
    assert!(most > limit / 2 && longest > 0, "{most} of {limit}");

    let kept = files(world.folder.path());
    assert!(kept.iter().map(|(_, length)| length).sum::<u64>() <= limit);
    let told = removals(&world);
    assert!(told.len() > 1, "removed once only");
    assert!(told.iter().all(|it| it.body.contains(r#""reason":"size""#)));
    let found = verified(&world);
    assert_eq!((found.whole, found.is_intact()), (kept.len() as u64, true));
    assert_eq!(found.unnamed, [""; 0]);
    // The oldest are gone: what is left was prepared last.
    let entries = world.with_store(|store| async move { store.entries(0, 9999).await.unwrap() });
    let prepared: Vec<_> = entries
        .iter()
        .filter(|it| it.kind == "batch_prepared")
        .collect();
    let (_, last) = prepared.split_at(prepared.len() - kept.len());
    for (path, _) in kept {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(last.iter().any(|entry| entry.body.contains(name)), "{name}");
    }
}

#[test]
fn payloads_leave_a_day_after_they_were_settled_and_the_ledger_says_so() {
    let world = world(7);
    run(at(&world, OffsetDateTime::UNIX_EPOCH));
    let kept = files(world.folder.path());
    // The warehouse settles all at the beginning of time.
    run(at(&world, OffsetDateTime::UNIX_EPOCH + Duration::DAY));
    assert_eq!(
        (files(world.folder.path()), removals(&world)),
        (kept.clone(), vec![])
    );
    run(at(
        &world,
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(86_401),
    ));
    assert_eq!(files(world.folder.path()), []);
    let [told] = &removals(&world)[..] else {
        panic!("one removal")
    };
    assert!(told.body.contains(r#""reason":"age""#), "{}", told.body);
    for (path, _) in &kept {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(told.body.contains(name), "{name} in {}", told.body);
    }
    let found = verified(&world);
    assert_eq!((found.whole, found.is_intact()), (0, true));
}

#[test]
fn what_no_batch_names_is_swept_after_a_day_where_the_spool_is_one_stores_own() {
    let world = world(3);
    let now = OffsetDateTime::now_utc();
    run(at(&world, OffsetDateTime::UNIX_EPOCH));
    let folder = world.folder.path().join("spool/entry");
    let left = ["11-22.01.part", "33-44.arrow"];
    for name in left {
        std::fs::write(folder.join(name), "left by a process that died").unwrap();
    }
    assert_eq!(
        verified(&world).unnamed,
        left.map(|name| format!("entry/{name}"))
    );
    let lie_there = || left.map(|name| folder.join(name).exists());
    run(at(&world, now + Duration::hours(23)));
    assert_eq!(lie_there(), [true, true]);

    // Another store's payloads look the same, so nothing is swept, and a person hears of it.
    let owner = world.folder.path().join("spool/OWNER");
    let own = std::fs::read_to_string(&owner).unwrap();
    std::fs::write(&owner, "the store of somebody else").unwrap();
    for _ in 0..2 {
        let report = run(at(&world, now + Duration::days(2)));
        let found = report.findings.iter().any(|it| it.subject == "the spool");
        assert_eq!((lie_there(), found), ([true, true], true));
    }

    std::fs::write(&owner, own).unwrap();
    let report = run(at(&world, now + Duration::days(2)));
    assert_eq!((lie_there(), report.findings.len()), ([false, false], 0));
    let told = removals(&world);
    let told = &told.last().unwrap().body;
    for part in [
        r#""reason":"unnamed""#,
        "entry/11-22.01.part",
        "entry/33-44.arrow",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(verified(&world).is_intact());
}

#[test]
fn what_the_store_says_of_the_spool_is_held_against_the_ledger() {
    let world = world(9);
    run(at(&world, OffsetDateTime::UNIX_EPOCH));
    let whole = verified(&world);
    assert_eq!((whole.whole, whole.is_intact()), (3, true));
    let (first, _) = files(world.folder.path()).remove(0);
    std::fs::remove_file(first).unwrap();
    let of = |found: &SpoolVerification| -> Vec<_> {
        found.damaged.iter().map(|it| it.damage).collect()
    };
    assert_eq!(of(&verified(&world)), [PayloadDamage::Missing]);

    // A store that was made to fit is found by what the ledger holds.
    let rewrite = |statement: &str| {
        let store = rusqlite::Connection::open(world.folder.path().join("state.db"));
        assert_eq!(store.unwrap().execute(statement, []).unwrap(), 3);
    };
    rewrite("UPDATE batches SET spooled = json_set(spooled, '$.bytes', 17)");
    assert_eq!(of(&verified(&world)), [PayloadDamage::NotInLedger; 3]);
    rewrite("UPDATE batches SET spooled = NULL");
    assert_eq!(of(&verified(&world)), [PayloadDamage::NotInStore; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_byte_changed_removed_or_added_in_any_payload_is_found_and_named(
        damages in prop::collection::vec((Damage::any(), any::<prop::sample::Index>()), 1..4),
    ) {
        static WORLD: std::sync::LazyLock<(World, SqliteStore)> = std::sync::LazyLock::new(|| {
            let world = world(30);
            run(at(&world, OffsetDateTime::UNIX_EPOCH));
            let store = open_store(world.folder.path());
            (world, store)
        });
        let (world, store) = &*WORLD;
        let spool = FolderSpool::open(world.folder.path().join("spool")).unwrap();
        let (files, mut expected) = (files(world.folder.path()), Vec::new());
        let mut whole = Vec::new();
        for (damage, which) in damages {
            let (path, _) = &files[which.index(files.len())];
            let name = path.strip_prefix(world.folder.path().join("spool")).unwrap();
            let name = name.to_str().unwrap().to_owned();
            if expected.contains(&name) {
                continue;
            }
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, damage.done_to(&bytes)).unwrap();
            whole.push((path, bytes));
            expected.push(name);
        }
        expected.sort();
        let found = in_runtime(async { verify(store, &spool).await.unwrap() });
        for (path, bytes) in whole {
            std::fs::write(path, bytes).unwrap();
        }
        let named: Vec<_> = found.damaged.iter().map(|it| it.name.clone()).collect();
        prop_assert_eq!(&named, &expected);
        for it in &found.damaged {
            prop_assert_eq!(it.damage, PayloadDamage::Changed);
            prop_assert!(it.name.contains(&it.batch.to_string()));
        }
        prop_assert_eq!(found.whole + named.len() as u64, files.len() as u64);
        let found = in_runtime(async { verify(store, &spool).await.unwrap() });
        prop_assert!(found.is_intact());
    }
}
