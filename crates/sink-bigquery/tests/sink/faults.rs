//! Whatever fails on the way, the rows are there as if nothing had.

use sink_bigquery::sink::Mode;
use sync_core::{Batch, Landed, Sink as _};
use vendor_sims::bigquery::{Cut, Fault, FaultScript, Refuse, Rule};

use crate::world::{World, batch, deletes, vendor};

/// How often a batch is brought to its end, as by one run after the other.
const RUNS: usize = 12;

fn faults() -> Vec<Fault> {
    let failed = |reason: &str| Fault::FailJob {
        reason: reason.into(),
        message: String::new(),
    };
    vec![
        Fault::Refuse(Refuse::new(503, "backendError")),
        Fault::Refuse(Refuse::new(503, "backendError").stored()),
        Fault::Cut(Cut::Before),
        Fault::Cut(Cut::After),
        Fault::Cut(Cut::Amid),
        Fault::RateLimitExceeded,
        Fault::SlowJob { polls: 3 },
        failed("backendError"),
        failed("jobInternalError"),
    ]
}

/// Some batches, with edits, deletes and one that comes late.
fn batches() -> Vec<Batch> {
    let stream = vendor();
    vec![
        batch(
            &stream,
            (0, 0),
            &[("1", "Ada", 1), ("2", "Bob", 2), ("3", "Cyd", 3)],
        ),
        batch(&stream, (1, 0), &[("2", "Bob B.", 20), ("4", "Dan", 4)]),
        deletes(&stream, (1, 1), &["3"]),
        batch(&stream, (2, 0), &[("1", "Ada L.", 10)]),
        batch(&stream, (0, 1), &[("1", "old", 0), ("5", "Eve", 5)]),
    ]
}

const EXPECTED: [&str; 5] = [
    "1|Ada L.|0.1|false",
    "2|Bob B.|0.2|false",
    "3|Cyd|0.03|true",
    "4|Dan|0.04|false",
    "5|Eve|0.05|false",
];

/// As the pipeline does after a run that failed: it asks, and sends again what is not there.
async fn bring(world: &World, batch: &Batch) {
    let mut last = None;
    for _ in 0..RUNS {
        if let Ok(Landed::Yes(_)) = world.sink.lookup(&batch.id()).await {
            return;
        }
        match world.sink.write(batch).await {
            Ok(_) => return,
            Err(error) => last = Some(error),
        }
    }
    panic!("a batch was not brought to its end in {RUNS} runs: {last:?}");
}

#[tokio::test]
async fn merged_rows_are_there_once_whatever_fails() {
    for (seed, fault) in (1..).zip(faults()) {
        let world = World::hurried(|options| options).await;
        let Some(simulator) = &world.simulator else {
            return;
        };
        world.prepare(&vendor()).await;
        let rule = Rule::new(fault.clone()).probability(0.25);
        simulator
            .set_faults(FaultScript::new(seed).rule(rule))
            .unwrap();
        for batch in batches() {
            bring(&world, &batch).await;
        }
        let fired: u64 = simulator.faults().iter().map(|told| told.fired).sum();
        assert!(fired > 0, "{fault:?} never happened");
        simulator.clear_faults();
        assert_eq!(world.vendors().await, EXPECTED, "{fault:?}");
        let marks = world.ask("SELECT COUNT(*) AS n FROM sync_batch").await;
        assert_eq!(marks, ["5"], "{fault:?}");
    }
}

#[tokio::test]
async fn streamed_rows_are_shown_once_whatever_fails() {
    let mut all = faults();
    all.retain(|fault| !matches!(fault, Fault::FailJob { .. } | Fault::SlowJob { .. }));
    all.push(Fault::ForgetInsertIds);
    all.push(Fault::LoseRows);
    all.push(Fault::RowErrors {
        every: 2,
        reason: "backendError".into(),
    });
    for (seed, fault) in (1..).zip(all) {
        let world = World::hurried(|mut options| {
            options.cold_table = std::time::Duration::ZERO;
            options.mode(Mode::Streaming)
        })
        .await;
        let Some(simulator) = &world.simulator else {
            return;
        };
        world.prepare(&vendor()).await;
        let rule = Rule::new(fault.clone())
            .call("tabledata.insertAll")
            .probability(0.4);
        let cut = Rule::new(Fault::Cut(Cut::After))
            .call("tabledata.insertAll")
            .probability(0.2);
        simulator
            .set_faults(FaultScript::new(seed).rule(rule).rule(cut))
            .unwrap();
        for batch in batches() {
            bring(&world, &batch).await;
        }
        let fired: u64 = simulator.faults().iter().map(|told| told.fired).sum();
        assert!(fired > 0, "{fault:?} never happened");
        simulator.clear_faults();
        assert_eq!(world.vendors().await, EXPECTED, "{fault:?}");
    }
}
