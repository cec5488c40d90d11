//! A disk that is full: a real one, small, mounted for a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sync_core::clock::ManualClock;
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RunReport};
use sync_core::spool::{FolderSpool, Spool as _, verify};
use sync_core::store::{BatchStore as _, LedgerStore as _, ProgressStore as _, SqliteStore};
use sync_core::{DeleteDetection, Error, ErrorKind};

use time::OffsetDateTime;

use crate::spool::in_runtime;
use crate::world::*;

/// Where the process of its own finds the disk.
const DISK: &str = "SYNC_CORE_SMALL_DISK";

/// Where spool and store lie.
#[derive(Clone, Copy, Debug)]
enum Full {
    Spool,
    Store,
    Both,
}

#[test]
fn a_full_disk_stops_a_run_and_loses_nothing() {
    let disk = tempfile::tempdir().unwrap();
    let mounted = |command: &str| {
        let mut process = Command::new("unshare");
        process.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
        process.arg(format!("mount -t tmpfs -o size=8m none \"$0\"; {command}"));
        process.arg(disk.path());
        process
    };
    let possible = mounted("true").output();
    if !possible.is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: no small disk can be mounted here, so none is filled");
        return;
    }
    let outcome = mounted("exec \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::in_a_process_with_a_small_disk"])
        .args(["--ignored", "--nocapture"])
        .env(DISK, disk.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&outcome.stderr) + String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "for a_full_disk_stops_a_run_and_loses_nothing, which starts it where a small disk is"]
fn in_a_process_with_a_small_disk() {
    let disk = std::env::var_os(DISK).expect("a small disk");
    for full in [Full::Spool, Full::Store, Full::Both] {
        a_run_is_stopped_and_the_next_brings_all_to_its_end(Path::new(&disk), full);
        for entry in std::fs::read_dir(&disk).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

/// Leaves so much room beside what is there.
fn leave(disk: &Path, kilobytes: u32) {
    let used = Command::new("df")
        .args(["-k", "--output=used"])
        .arg(disk)
        .output();
    let used = String::from_utf8(used.unwrap().stdout).unwrap();
    let used: u32 = used.lines().last().unwrap().trim().parse().unwrap();
    resize(disk, used + kilobytes);
}

fn resize(disk: &Path, kilobytes: u32) {
    let options = format!("remount,size={kilobytes}k");
    let mount = Command::new("mount")
        .args(["-o", &options])
        .arg(disk)
        .status();
    assert!(mount.unwrap().success());
}

fn a_run_is_stopped_and_the_next_brings_all_to_its_end(disk: &Path, full: Full) {
    let world = World::new(20, DeleteDetection::KeySet);
    for key in 0..1200 {
        world.books.set(key, i128::from(key));
    }
    world.books.pass(3600);
    let elsewhere = world.folder.path();
    let (spool, store) = match full {
        Full::Spool => (disk, elsewhere),
        Full::Store => (elsewhere, disk),
        Full::Both => (disk, disk),
    };
    let run = || -> Result<RunReport, Error> {
        in_runtime(async {
            let parts = Parts {
                source: Arc::clone(&world.books) as _,
                sinks: vec![Arc::clone(&world.warehouse) as _],
                store: Arc::new(SqliteStore::open(store.join("state.db"))?),
                spool: Arc::new(FolderSpool::open(spool.join("spool"))?),
            };
            let mut options = PipelineOptions::default();
            options.batch_rows = 20;
            // The time at which the warehouse settles, so that nothing has aged that could make room.
            let clock = Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH));
            let pipeline = Pipeline::new("test", parts, options).with_clock(clock);
            pipeline.run().await
        })
    };
    resize(disk, 8_192);
    // With its tables, so that it is the run that finds the disk full.
    drop(SqliteStore::open(store.join("state.db")).unwrap());
    leave(disk, if let Full::Spool = full { 64 } else { 192 });
    // Twice: a disk that stays full stays an error, and nothing is made worse by trying.
    for _ in 0..2 {
        let error = run().unwrap_err();
        let told = error.chain();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{full:?}: {told}");
        let expected: &[&str] = match full {
            Full::Spool => &[
                "the disk is full and a batch cannot be spooled",
                "free space",
                "needed_bytes: ",
                spool.to_str().unwrap(),
            ],
            Full::Store => &["disk is full", "free space", store.to_str().unwrap()],
            Full::Both => &["disk is full", "free space"],
        };
        for part in expected {
            assert!(told.contains(part), "{full:?}: {part} in {told}");
        }
        let arrived = world.warehouse.rows().len();
        assert!((1..1200).contains(&arrived), "{full:?}: {arrived} arrived");
    }

    resize(disk, 8_192);
    in_runtime(async {
        let store = SqliteStore::open(store.join("state.db")).unwrap();
        assert!(store.verify(&[]).await.unwrap().is_intact());
        // No half payload, nothing lost that the ledger vouches for, and the cursor is where all is settled.
        let folder = FolderSpool::open(spool.join("spool")).unwrap();
        let found = verify(&store, &folder).await.unwrap();
        assert!(found.is_intact(), "{full:?}: {found:?}");
        let listed = folder.list().await.unwrap();
        assert!(
            listed.iter().all(|it| !it.name.ends_with(".part")),
            "{listed:?}"
        );
        let unsettled = store.unsettled(&scope()).await.unwrap();
        assert!(unsettled.len() <= 2, "{unsettled:?}");
        if let Some(open) = store.checkpoint(&scope()).await.unwrap().open {
            let read = open.cursor.map_or(0, |cursor| {
                let (_, key) = cursor.0.split_once('/').unwrap();
                key.parse::<usize>().unwrap() + 1
            });
            assert!(read <= world.warehouse.rows().len(), "{full:?}: {read}");
        }
    });
    let report = run().unwrap();
    assert!(report.ties_out(), "{full:?}: {report:?}");
    assert_eq!(world.warehouse.rows(), world.expected());
    in_runtime(async {
        let store = SqliteStore::open(store.join("state.db")).unwrap();
        assert_eq!(store.unsettled(&scope()).await.unwrap(), []);
        assert!(store.verify(&[]).await.unwrap().is_intact());
        let folder = FolderSpool::open(spool.join("spool")).unwrap();
        let found = verify(&store, &folder).await.unwrap();
        assert!(
            found.is_intact() && found.whole == 60,
            "{full:?}: {found:?}"
        );
    });
}
