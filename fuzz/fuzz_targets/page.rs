//! Predicting layouts changes nothing: the same page, or the same kind of error, as the general
//! reader alone, for any bytes.

#![no_main]

use intacct_sync_fuzz::outcome::{options, outcomes};
use intacct_sync_fuzz::page::pages;
use intacct_xml::response::{Prediction, ResponseReader, read_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let predicting = options(input);
    let general = options(input).with_prediction(Prediction::Off);
    let mut warm = ResponseReader::new(&predicting);
    for page in pages(input) {
        let expected = outcomes(&mut |target| read_response(&page, &general, target));
        let cold = outcomes(&mut |target| read_response(&page, &predicting, target));
        assert_eq!(cold, expected);
        // It knows the layout of the page before, and then of this one.
        let known = outcomes(&mut |target| warm.read(&page, target));
        assert_eq!(known, expected);
    }
});
