//! Reading an object page by page, beside the usual loops.

use std::time::{Duration, SystemTime};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use intacct_client::Client;
use intacct_sync_benches::SEED;
use intacct_sync_benches::figures::{self, Yardsticks};
use intacct_sync_benches::paging::plain::PlainClient;
use intacct_sync_benches::paging::{self, Sink};
use intacct_sync_benches::parsing::Result;
use tokio::runtime::Runtime;

const RECORDS: usize = 10_000;

fn main() -> Result<()> {
    let begin = SystemTime::now();
    // Waiting is what is measured here, so it is wall time, unlike the other benches.
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let runtime = Runtime::new()?;
    let simulator = runtime.block_on(paging::simulator(RECORDS, SEED))?;
    let client = paging::client(&simulator)?;
    let plain = runtime.block_on(PlainClient::log_in(&simulator))?;
    let bytes = runtime.block_on(paging::answer_bytes(&plain))?;

    for (name, delay) in [
        ("pagination/sink_is_instant", Duration::ZERO),
        (
            "pagination/sink_takes_10_ms_a_page",
            Duration::from_millis(10),
        ),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::ElementsAndBytes {
            elements: RECORDS as u64,
            bytes,
        });
        let sink = Sink {
            delay,
            ..Sink::default()
        };
        compare(&mut group, &runtime, &sink, &client, &plain);
        group.finish();
    }
    criterion.final_summary();
    figures::print(
        "pagination/",
        begin,
        Yardsticks {
            candidates: &["loop_query", "loop_query_maps"],
            element: "record",
        },
    )?;
    Ok(())
}

fn compare(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    sink: &Sink,
    client: &Client,
    plain: &PlainClient,
) {
    macro_rules! measure {
        ($name:literal, $read:path, $client:expr) => {
            group.bench_function($name, |bencher| {
                bencher.iter(|| {
                    let mut sink = sink.clone();
                    let read = runtime.block_on($read($client, &mut sink));
                    assert!(read.is_ok() && sink.numbers.len() == RECORDS, "{read:?}");
                });
            });
        };
    }
    measure!("ours_query", paging::ours_query, client);
    measure!("ours_read_by_query", paging::ours_read_by_query, client);
    measure!("ours_walk", paging::ours_walk, client);
    measure!("loop_query", paging::loop_query, plain);
    measure!("loop_read_by_query", paging::loop_read_by_query, plain);
    measure!("loop_query_maps", paging::loop_query_maps, plain);
}
