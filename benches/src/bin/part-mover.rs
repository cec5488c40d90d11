//! The part of the benches that moves records into a file, alone, so that its memory is that of moving.

use intacct_sync_benches::end_to_end::Moving;
use intacct_sync_benches::parsing::Result;
use intacct_sync_benches::process::tell;

fn main() -> Result<()> {
    tell(Moving::run_part)
}
