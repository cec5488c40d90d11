//! Reading an object page by page, beside the usual loops.

use std::time::Duration;

use intacct_client::Client;
use tokio::runtime::Runtime;

use crate::SEED;
use crate::comparison::{Comparison, Meter, Work};
use crate::paging::plain::PlainClient;
use crate::paging::{self, Sink};
use crate::parsing::Result;

mod waiting;

const RECORDS: usize = 10_000;

/// What waiting costs beside what cannot be avoided, what reading costs, and both beside the usual
/// loops.
///
/// # Errors
/// If a simulator or another process cannot be started.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    waiting::run(meter)?;
    beside_loops(meter)
}

/// Our streams and the usual loops, with a sink that takes no time and one that does.
fn beside_loops(meter: &mut dyn Meter) -> Result<()> {
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
        let mut comparison = compare(work, &runtime, &sink, &client, &plain);
        for yardstick in ["loop_query", "loop_read_by_query", "loop_query_maps"] {
            comparison.yardstick(yardstick);
        }
        meter.compare(comparison)?;
    }
    Ok(())
}

fn compare<'c>(
    work: Work,
    runtime: &'c Runtime,
    sink: &'c Sink,
    client: &'c Client,
    plain: &'c PlainClient,
) -> Comparison<'c> {
    // Waiting is what is measured here.
    let mut comparison = Comparison::new(work).on_the_wall_clock();
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
