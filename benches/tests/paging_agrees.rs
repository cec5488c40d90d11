//! What is compared for speed must read the same records.

use intacct_sync_benches::paging::plain::PlainClient;
use intacct_sync_benches::paging::{self, PAGE_SIZE, Sink};
use tokio::runtime::Runtime;

/// Each way reads every record once; all but `readByQuery`, which has no order, in the order of the key.
#[test]
fn every_way_reads_every_record_once() {
    for records in [0, 1, PAGE_SIZE as usize, 2 * PAGE_SIZE as usize + 1] {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let simulator = paging::simulator(records, 7).await.unwrap();
            let client = paging::client(&simulator).unwrap();
            let plain = PlainClient::log_in(&simulator).await.unwrap();
            let expected: Vec<u64> = (1..=records as u64).collect();
            macro_rules! reads_all {
                ($read:path, $client:expr, $order:expr) => {{
                    let mut sink = Sink::default();
                    $read($client, &mut sink).await.unwrap();
                    $order(&mut sink.numbers);
                    assert_eq!(sink.numbers, expected, "{} of {records}", stringify!($read));
                }};
            }
            let as_read = |_: &mut Vec<u64>| {};
            reads_all!(paging::ours_query, &client, as_read);
            reads_all!(paging::ours_walk, &client, as_read);
            reads_all!(paging::ours_read_by_query, &client, |n: &mut Vec<u64>| n
                .sort());
            reads_all!(paging::loop_query, &plain, as_read);
            reads_all!(paging::loop_query_maps, &plain, as_read);
            reads_all!(paging::loop_read_by_query, &plain, |n: &mut Vec<u64>| n
                .sort());
        });
    }
}
