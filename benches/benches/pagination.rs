//! Reading an object page by page, beside the usual loops.

use std::time::Duration;

use criterion::Criterion;
use criterion::measurement::WallTime;
use intacct_client::Client;
use intacct_sync_benches::SEED;
use intacct_sync_benches::comparison::{Comparison, Work};
use intacct_sync_benches::paging::plain::PlainClient;
use intacct_sync_benches::paging::{self, Sink};
use intacct_sync_benches::parsing::Result;
use tokio::runtime::Runtime;

const RECORDS: usize = 10_000;

fn main() -> Result<()> {
    // Waiting is what is measured here, so it is wall time, unlike the other benches.
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let runtime = Runtime::new()?;
    let simulator = runtime.block_on(paging::simulator(RECORDS, SEED))?;
    let client = paging::client(&simulator)?;
    let plain = runtime.block_on(PlainClient::log_in(&simulator))?;
    let bytes = runtime.block_on(paging::answer_bytes(&plain))?;

    for (name, delay) in [
        ("sink_is_instant", Duration::ZERO),
        ("sink_takes_10_ms_a_page", Duration::from_millis(10)),
    ] {
        let work = Work {
            group: format!("pagination/{name}"),
            element: "record",
            elements: RECORDS as u64,
            bytes,
        };
        let sink = Sink {
            delay,
            ..Sink::default()
        };
        compare(work, &runtime, &sink, &client, &plain).measure(
            &mut criterion,
            &WallTime,
            &["loop_query", "loop_read_by_query", "loop_query_maps"],
        );
    }
    criterion.final_summary();
    Ok(())
}

fn compare<'c>(
    work: Work,
    runtime: &'c Runtime,
    sink: &'c Sink,
    client: &'c Client,
    plain: &'c PlainClient,
) -> Comparison<'c> {
    let mut comparison = Comparison::new(work, 15);
    macro_rules! add {
        ($name:literal, $read:path, $client:expr) => {
            comparison.add($name, || {
                let mut sink = sink.clone();
                let read = runtime.block_on($read($client, &mut sink));
                assert!(read.is_ok() && sink.numbers.len() == RECORDS, "{read:?}");
            });
        };
    }
    add!("ours_query", paging::ours_query, client);
    add!("ours_read_by_query", paging::ours_read_by_query, client);
    add!("ours_walk", paging::ours_walk, client);
    add!("loop_query", paging::loop_query, plain);
    add!("loop_read_by_query", paging::loop_read_by_query, plain);
    add!("loop_query_maps", paging::loop_query_maps, plain);
    comparison
}
