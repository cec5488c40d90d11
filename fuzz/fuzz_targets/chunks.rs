//! An answer that arrives in pieces gives what it gives as a whole, wherever it is cut.

#![no_main]

use intacct_sync_fuzz::outcome::{options, outcomes};
use intacct_sync_fuzz::page::{cuts, pages};
use intacct_xml::response::{ResponseReader, read_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let options = options(input);
    let mut reader = ResponseReader::new(&options);
    let seed = input.iter().fold(input.len() as u64, |seed, byte| {
        (seed ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    for page in pages(input) {
        let expected = outcomes(&mut |target| read_response(&page, &options, target));
        let cuts = cuts(seed, page.len());
        let pieced = outcomes(&mut |target| {
            let mut begin = 0;
            for &end in &cuts {
                reader.push(&page[begin..end], target)?;
                begin = end;
            }
            reader.finish(target)
        });
        assert_eq!(pieced, expected);
    }
});
