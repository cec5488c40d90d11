//! How many requests the gateway takes at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use intacct_sim::{Fault, FaultScript, Rule, Scale, Simulator, Slow, Tier};
use tokio::sync::Semaphore;

use crate::wire::{Wire, function, query};

#[tokio::test]
async fn one_runs_one_waits_and_a_third_is_turned_away() {
    // What would be waiting takes a permit for each wait, by its length.
    let slow = Arc::new(Semaphore::new(0));
    let impatient = Arc::new(Semaphore::new(0));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let (gate, end, seen) = (
        Arc::clone(&slow),
        Arc::clone(&impatient),
        Arc::clone(&waits),
    );
    let mut late = Slow::default();
    late.before_ms = 5_000;
    let simulator = Simulator::builder()
        .scale(Scale::Tiny)
        .tier(Tier::STANDARD)
        .faults(FaultScript::new(1).rule(Rule::new(Fault::Slow(late)).call("query").nth(1)))
        .sleeper(move |wait: Duration| {
            seen.lock().unwrap().push(wait.as_secs());
            let gate = if wait.as_secs() == 30 {
                Arc::clone(&end)
            } else {
                Arc::clone(&gate)
            };
            async move {
                if let Ok(permit) = gate.acquire().await {
                    permit.forget();
                }
            }
        })
        .start()
        .await
        .unwrap();
    let wire = Arc::new(Wire::to(&simulator));
    let call = || {
        let wire = Arc::clone(&wire);
        tokio::spawn(async move {
            let body = wire.request(&function("f", &query("CLASS", &["NAME"], "")));
            let response = wire.post(body).await;
            (response.status().as_u16(), response.text().await.unwrap())
        })
    };
    let waiting = async |count: usize| {
        while waits.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    };
    let first = call();
    waiting(1).await;
    // The second finds a place to wait, the third none: it is the one whose patience is asked.
    let (second, third) = (call(), call());
    waiting(2).await;
    impatient.add_permits(1);
    slow.add_permits(1);
    let mut statuses = Vec::new();
    for one in [first, second, third] {
        let (status, body) = one.await.unwrap();
        assert_eq!(status == 429, body.contains("<errorno>GW-0010"), "{body}");
        statuses.push(status);
    }
    assert_eq!(*waits.lock().unwrap(), [5, 30]);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2);
    assert_eq!(statuses[0], 200);
    assert_eq!(simulator.company().stats().turned_away, 1);
}

#[tokio::test]
async fn calls_are_counted_as_they_are_billed() {
    let simulator = crate::truth::start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    wire.ok("<lookup><object>VENDOR</object></lookup>").await;
    wire.ok("<getDimensions/>").await;
    assert_eq!(simulator.company().stats().transactions, 0);
    wire.ok(&query(
        "GLDETAIL",
        &["RECORDNO"],
        "<pagesize>2000</pagesize>",
    ))
    .await;
    let first = "<readByQuery><object>GLENTRY</object><query/></readByQuery>";
    let id = wire.ok(first).await.data["resultId"].clone();
    wire.ok(&format!("<readMore><resultId>{id}</resultId></readMore>"))
        .await;
    assert_eq!(simulator.company().stats().transactions, 3);
}
