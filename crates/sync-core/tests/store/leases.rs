//! Who may run a stream.

use std::sync::Arc;

use sync_core::ledger::EntryKind;
use sync_core::store::{Claim, Store};
use sync_core::{Cursor, ErrorKind, Operation, Result, Retry, RunId};

use crate::given::*;

pub(crate) async fn a_stream_is_run_by_one_and_the_other_is_told_by_whom(home: &impl Home) {
    let (here, there) = (home.open().await, home.open().await);
    let (mine, theirs) = (RunId::generate(), RunId::generate());
    let lease = here
        .acquire(&request("entry", mine, "finance-1", 4711))
        .await
        .unwrap();
    home.clock().set(start() + time::Duration::seconds(20));
    let error = there
        .acquire(&request("entry", theirs, "finance-2", 7))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let left = std::time::Duration::from_secs(40);
    assert_eq!(error.retry(), Retry::After(left));
    let told = error.to_string();
    for part in [
        "another run holds this stream",
        "pipeline: books",
        "stream: entry",
        "host: finance-1",
        "process: 4711",
        &format!("run: {mine}"),
        "since: 2025-10-09T08:53:20.000000Z",
        "until: 2025-10-09T08:54:20.000000Z",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // Another stream is free, and so is the same one of another pipeline.
    there
        .acquire(&request("other", theirs, "finance-2", 7))
        .await
        .unwrap();
    let mut elsewhere = request("entry", theirs, "finance-2", 7);
    elsewhere.pipeline = "payroll".into();
    there.acquire(&elsewhere).await.unwrap();
    let held = here.leases().await.unwrap();
    assert_eq!(held.len(), 3);
    assert_eq!(held[0], lease);
    // Asked again by the same, because the answer was lost: it is the same lease.
    let again = here
        .acquire(&request("entry", mine, "finance-1", 4711))
        .await;
    assert_eq!(again.unwrap(), lease);
}

pub(crate) async fn a_lease_is_renewed_given_back_and_given_on(home: &impl Home) {
    let (here, there) = (home.open().await, home.open().await);
    let (mine, theirs) = (RunId::generate(), RunId::generate());
    let ask = request("entry", theirs, "there", 2);
    let lease = here
        .acquire(&request("entry", mine, "here", 1))
        .await
        .unwrap();
    for minute in 1..5 {
        home.clock().set(after(minute) - time::Duration::seconds(1));
        let renewed = here.renew(&lease, MINUTE).await.unwrap();
        assert_eq!((renewed.token, renewed.since), (lease.token, start()));
        there.acquire(&ask).await.unwrap_err();
    }
    here.release(&lease).await.unwrap();
    assert_eq!(here.leases().await.unwrap(), []);
    // What was given back is not this run's any more.
    let claim = lease.claim("warehouse");
    let late = here.note(&claim, EntryKind::SchemaChanged, "{}");
    assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Conflict);
    let next = there.acquire(&ask).await.unwrap();
    assert!(next.token > lease.token);
    let error = here.renew(&lease, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // A late word of the first changes nothing for the second.
    here.release(&lease).await.unwrap();
    assert_eq!(there.leases().await.unwrap(), [next]);
}

/// Every change of a stream's progress, by that claim.
async fn every_change(store: &Arc<dyn Store>, claim: &Claim) -> Vec<(&'static str, Result<()>)> {
    let batch = prepared(claim, "late", 1, 9);
    let settled = settlement(&prepared(claim, "waiting", 1, 0), &[("1", "late")]);
    let position = Cursor("late".into());
    vec![
        ("open_window", store.open_window(claim, window(9)).await),
        ("prepare", store.prepare(claim, &batch, &[]).await.map(drop)),
        ("settle", store.settle(claim, settled).await),
        ("advance", store.advance(claim, Some(&position), &[]).await),
        ("complete_window", store.complete_window(claim).await),
        ("begin_census", store.begin_census(claim, None).await),
        ("count_keys", store.count_keys(claim, &[key("1")]).await),
        (
            "note",
            store.note(claim, EntryKind::TiedOut, "{}").await.map(drop),
        ),
    ]
}

pub(crate) async fn a_dead_holder_is_taken_over_and_every_late_change_of_its_is_refused(
    home: &impl Home,
) {
    let (dead, store) = (home.open().await, home.open().await);
    let claim = running(&dead).await;
    dead.open_window(&claim, window(0)).await.unwrap();
    dead.prepare(&claim, &prepared(&claim, "waiting", 1, 0), &[])
        .await
        .unwrap();

    let run = RunId::generate();
    store.begin_run(&run_start(run, "{}")).await.unwrap();
    let ask = request("entry", run, "there", 2);
    home.clock().set(after(1) - time::Duration::seconds(1));
    store.acquire(&ask).await.unwrap_err();
    // Its time is over, but nobody has taken the stream: what it brings late is still good.
    home.clock().set(after(1));
    dead.note(&claim, EntryKind::TiedOut, "{}").await.unwrap();
    let lease = store.acquire(&ask).await.unwrap();
    let told = store.entries(0, 99).await.unwrap();
    let told = told.last().unwrap();
    assert_eq!(
        (told.kind.as_str(), told.run),
        ("lease_taken_over", Some(run))
    );
    assert!(told.body.contains(&claim.run.to_string()), "{}", told.body);

    let before = store.entries(0, 99).await.unwrap();
    let checkpoint = store.checkpoint(&claim.scope).await.unwrap();
    for (change, outcome) in every_change(&dead, &claim).await {
        let error = outcome.expect_err(change);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{change}");
        assert_eq!(error.retry(), Retry::Never, "{change}");
        let told = error.to_string();
        let who = told.contains("host: there") && told.contains("process: 2");
        assert!(told.contains("late change was refused") && who, "{told}");
    }
    assert_eq!(store.entries(0, 99).await.unwrap(), before);
    assert_eq!(store.checkpoint(&claim.scope).await.unwrap(), checkpoint);
    // The new holder does all of it.
    let claim = lease.claim("warehouse");
    for (change, outcome) in every_change(&store, &claim).await {
        outcome.expect(change);
    }
    // A claim that was never given is none.
    let nobody = Claim {
        scope: scope("other"),
        ..claim
    };
    for (change, outcome) in every_change(&store, &nobody).await {
        assert_eq!(outcome.expect_err(change).kind(), ErrorKind::Conflict);
    }
}

pub(crate) async fn of_many_that_ask_at_once_one_is_given_the_stream(home: &impl Home) {
    let mut asking = Vec::new();
    for process in 0..8 {
        let store = home.open().await;
        asking.push(tokio::spawn(async move {
            let ask = request("entry", RunId::generate(), "here", process);
            // The handle lives until all were answered.
            (store.acquire(&ask).await.ok(), store)
        }));
    }
    let mut answered = Vec::new();
    for ask in asking {
        answered.push(ask.await.unwrap());
    }
    let given = answered.iter().filter(|(lease, _)| lease.is_some());
    assert_eq!(given.count(), 1);
}

pub(crate) async fn a_holder_that_is_gone_in_this_process_need_not_be_waited_for(home: &impl Home) {
    let (here, there) = (home.open().await, home.open().await);
    let ask = |process| request("entry", RunId::generate(), "here", process);
    let lease = here.acquire(&ask(1)).await.unwrap();
    here.abandon(&lease);
    // Others cannot know, for the process lives.
    there.acquire(&ask(2)).await.unwrap_err();
    let next = here.acquire(&ask(1)).await.unwrap();
    assert!(next.token > lease.token);
    // What was said of the one before does not hold of this one.
    here.acquire(&ask(1)).await.unwrap_err();
}

pub(crate) async fn a_clock_that_is_set_back_keeps_nobody_out_for_long(home: &impl Home) {
    let (dead, store) = (home.open().await, home.open().await);
    let claim = running(&dead).await;
    deliver(&dead, &claim, "first", Operation::Upsert, &[("1", "a")]).await;
    home.clock().set(after(-600));
    let ask = |process| request("entry", RunId::generate(), "there", process);
    let error = store.acquire(&ask(2)).await.unwrap_err();
    // No longer than it would be by a clock that goes on.
    assert_eq!(error.retry(), Retry::After(MINUTE));
    // The holder, if it lives, goes on.
    deliver(&dead, &claim, "second", Operation::Upsert, &[("1", "b")]).await;
    home.clock().set(after(-599));
    let lease = store.acquire(&ask(2)).await.unwrap();
    assert_eq!(lease.since, after(-599));
    let late = dead.note(&claim, EntryKind::TiedOut, "{}").await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.verify(&[]).await.unwrap().is_intact());
}
