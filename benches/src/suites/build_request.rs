//! A request of 1000 records, written.

use std::hint::black_box;

use intacct_xml::escape::XmlBuffer;

use crate::SEED;
use crate::comparison::{Comparison, Meter, Work};
use crate::goal::Goal;
use crate::parsing::Result;
use crate::writing::Records;

/// Every way to write it.
///
/// # Errors
/// If the request cannot be made, or a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    let records = &Records::new(1000, SEED);
    let request = records.request()?;
    let mut comparison = Comparison::new(Work {
        group: "build_request/1000_records".to_owned(),
        element: "record",
        elements: records.texts.len() as u64,
        bytes: records.bytes() as u64,
    });
    // Checks that it is UTF-8, and wipes it, too.
    comparison.add("ours_request", || {
        black_box(black_box(&request).to_xml());
    });
    comparison.add("ours_buffer", || {
        let mut xml = XmlBuffer::new();
        black_box(records).push_to(&mut xml);
        black_box(&xml);
    });
    let mut warm = XmlBuffer::new();
    comparison.add("ours_warm_buffer", move || {
        warm.clear();
        black_box(records).push_to(&mut warm);
        black_box(&warm);
    });
    comparison.add("quick_xml_writer", || {
        let _ = black_box(black_box(records).quick_xml());
    });
    comparison.add("strip_then_quick_xml_writer", || {
        let _ = black_box(black_box(records).stripped_quick_xml());
    });
    // The goals are for the records alone, which is all that the others write.
    comparison.goal(Goal::times_as_fast(
        "B1",
        "ours_buffer",
        "quick_xml_writer",
        3.0,
    ));
    comparison.goal(Goal::times_as_fast(
        "B1",
        "ours_buffer",
        "strip_then_quick_xml_writer",
        6.0,
    ));
    meter.compare(comparison)
}
