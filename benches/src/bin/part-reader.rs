//! The part of the benches that reads, alone, so that its memory is that of reading.

use intacct_sync_benches::paging::paced_reading::Reading;
use intacct_sync_benches::parsing::Result;
use intacct_sync_benches::process::tell;

fn main() -> Result<()> {
    tell(Reading::run_part)
}
