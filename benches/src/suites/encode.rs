//! Writing a batch as JSON, CSV and binary COPY, beside what others do.

use std::hint::black_box;

use crate::SEED;
use crate::comparison::{Comparison, Meter, Work};
use crate::encoding::{self, Encoder, JSON, TABLES};
use crate::goal::Goal;
use crate::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use crate::parsing::Result;
use arrow_array::RecordBatch;

/// Every way to write the vendors and the ledger lines of a page.
///
/// # Errors
/// If a batch cannot be made or written, or a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    let vendors = encoding::batch(&Page::vendors(VENDOR_FORMS[0], SEED))?;
    encode(meter, "vendor", &vendors)?;
    let gl_details = encoding::batch(&Page::gl_details(GL_DETAIL_FORMS[0], SEED))?;
    encode(meter, "gl_detail", &gl_details)
}

fn encode(meter: &mut dyn Meter, name: &str, rows: &RecordBatch) -> Result<()> {
    let mut json = comparison(format!("encode/{name}_json"), rows, JSON)?;
    json.goal(Goal::times_as_fast("N1", "ours_lines", "arrow_json", 1.7).stretch(5.0));
    json.goal(Goal::times_as_fast("N2", "ours_lines", "serde_json_maps", 6.0).stretch(10.0));
    json.goal(Goal::gigabytes_per_second("N3", "ours_lines", 0.2).stretch(1.0));
    meter.compare(json)?;

    let mut tables = comparison(format!("encode/{name}_tables"), rows, TABLES)?;
    tables.goal(Goal::times_as_fast("N4", "ours_csv", "arrow_csv", 3.0).stretch(5.0));
    tables.goal(Goal::times_as_fast("N5", "ours_copy", "arrow_csv", 4.0).stretch(6.0));
    meter.compare(tables)
}

/// The bytes of the work are those that the first writes; they are also copied, as the limit.
fn comparison<'r>(
    group: String,
    rows: &'r RecordBatch,
    encoders: &[Encoder],
) -> Result<Comparison<'r>> {
    let mut written = Vec::new();
    if let Some((_, first)) = encoders.first() {
        first(rows, &mut written)?;
    }
    let mut comparison = Comparison::new(Work {
        group,
        element: "row",
        elements: rows.num_rows() as u64,
        bytes: written.len() as u64,
    });
    for &(name, encode) in encoders {
        // The buffer is warm, as that of a sink between two requests.
        let mut out = Vec::new();
        comparison.add(name, move || {
            out.clear();
            let result = encode(black_box(rows), &mut out);
            assert!(result.is_ok(), "the batch was not written");
            black_box(&out);
        });
    }
    let mut out = Vec::new();
    comparison.add("plain_copy", move || {
        out.clear();
        out.extend_from_slice(black_box(&written));
        black_box(&out);
    });
    comparison.yardstick("plain_copy");
    Ok(comparison)
}
