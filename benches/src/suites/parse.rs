//! Reading a page, beside what others do.

use std::hint::black_box;

use intacct_xml::response::{ColumnOptions, Columns, NdjsonLines};

use crate::SEED;
use crate::comparison::{Comparison, Effort, Meter, Work};
use crate::goal::Goal;
use crate::page::{GL_DETAIL_FORMS, INVOICE_FORMS, Page, VENDOR_FORMS};
use crate::parsing::{self, Ours, QuickXmlColumns, Result};
use crate::record::{GlDetail, Invoice, Record, Vendor};

/// Every way to read a page on every form of it.
///
/// # Errors
/// If a schema does not fit, or a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    let share = match meter.effort() {
        Effort::Quick => 4,
        Effort::Full => 1,
    };
    for &form in VENDOR_FORMS {
        parse(meter, &Page::<Vendor>::new(form, 2000 / share, SEED), None)?;
    }
    let pairs = Page::<GlDetail>::new(GL_DETAIL_FORMS[0], 1000 / share, SEED);
    for &form in GL_DETAIL_FORMS {
        let page = Page::new(form, 1000 / share, SEED);
        parse(meter, &page, Some(&pairs))?;
    }
    for &form in INVOICE_FORMS {
        parse(meter, &Page::<Invoice>::new(form, 500 / share, SEED), None)?;
    }
    Ok(())
}

/// All ways on one page; `pairs` is the same page in the usual form.
fn parse<R: Record>(meter: &mut dyn Meter, page: &Page<R>, pairs: Option<&Page<R>>) -> Result<()> {
    let mut comparison = Comparison::new(Work {
        group: format!("parse/{}", page.name),
        element: "record",
        elements: page.rows.len() as u64,
        bytes: page.body.len() as u64,
    });
    add_ours(&mut comparison, page)?;
    add_others(&mut comparison, page)?;
    if let (Some(pairs), "gl_detail_self_closed") = (pairs, page.name) {
        let mut warm = Ours::default();
        let mut lines = NdjsonLines::new();
        comparison.add("ours_ndjson_of_pairs", move || {
            done(warm.ndjson(&pairs.body, &mut lines))
        });
    }
    goals(page.name)
        .into_iter()
        .for_each(|goal| comparison.goal(goal));
    meter.compare(comparison)
}

fn goals(page: &str) -> Vec<Goal> {
    let fast = Goal::times_as_fast;
    match page {
        "vendor" | "gl_detail" | "gl_detail_pretty" => vec![
            fast("P1", "ours_ndjson", "quick_xml_serde", 20.0).stretch(27.0),
            fast("P1", "ours_ndjson", "quick_xml_ndjson", 8.5).stretch(12.0),
            fast("P1", "ours_ndjson", "every_angle_bracket", 1.0).stretch(1.3),
            fast("P2", "ours_rows", "quick_xml_serde", 26.0).stretch(32.0),
            fast("P2", "ours_rows", "quick_xml_rows", 9.5),
            fast("P2", "ours_rows", "every_angle_bracket", 1.3),
            fast("P3", "ours_columns", "quick_xml_serde", 19.0).stretch(29.0),
            fast("P3", "ours_columns", "quick_xml_columns", 9.0),
            fast("P4", "ours_ndjson_in_16_kib", "ours_ndjson", 0.8).stretch(0.95),
            fast("P4", "ours_ndjson_in_64_kib", "ours_ndjson", 0.8).stretch(0.95),
        ],
        "gl_detail_self_closed" => {
            vec![fast("P5", "ours_ndjson", "ours_ndjson_of_pairs", 0.95)]
        }
        "gl_detail_left_out" => vec![
            fast("P6", "ours_ndjson", "quick_xml_serde", 3.0).stretch(10.0),
            fast("P6", "ours_columns", "quick_xml_serde", 3.0).stretch(10.0),
            fast("P6", "ours_ndjson", "quick_xml_ndjson", 1.0),
            // A reader that knows the layout by heart says little about records that never repeat it.
            fast("P6", "ours_ndjson_first_page", "quick_xml_serde", 3.0).stretch(10.0),
            fast("P6", "ours_ndjson_first_page", "quick_xml_ndjson", 1.0),
        ],
        _ => Vec::new(),
    }
}

fn add_ours<'p, R: Record>(comparison: &mut Comparison<'p>, page: &'p Page<R>) -> Result<()> {
    let body = page.body.as_str();
    let columns = || Columns::new(parsing::schema::<R>(), ColumnOptions::default());

    let (mut warm, mut filled) = (Ours::default(), columns()?);
    comparison.add("ours_columns", move || {
        done(warm.columns(body, &mut filled))
    });
    let (mut warm, mut filled) = (Ours::default(), columns()?);
    comparison.add("ours_columns_in_64_kib", move || {
        done(warm.columns_in_chunks(body, 64 << 10, &mut filled))
    });
    let mut warm = Ours::default();
    comparison.add("ours_structs", move || done(warm.structs::<R>(body)));
    let (mut warm, mut lines) = (Ours::default(), NdjsonLines::new());
    comparison.add("ours_ndjson", move || {
        done(warm.ndjson(body, &mut lines));
        black_box(lines.as_bytes());
    });
    let mut lines = NdjsonLines::new();
    comparison.add("ours_ndjson_first_page", move || {
        done(Ours::default().ndjson(body, &mut lines));
        black_box(lines.as_bytes());
    });
    for (name, bytes) in [
        ("ours_ndjson_in_16_kib", 16 << 10),
        ("ours_ndjson_in_64_kib", 64 << 10),
    ] {
        let (mut warm, mut lines) = (Ours::default(), NdjsonLines::new());
        comparison.add(name, move || {
            done(warm.ndjson_in_chunks(body, bytes, &mut lines));
            black_box(lines.as_bytes());
        });
    }
    let mut warm = Ours::default();
    comparison.add("ours_rows", move || {
        let mut seen = 0;
        done(warm.rows(body, |row| {
            row.each_field(|name, value| seen += name.len() + value.map_or(0, str::len));
        }));
        black_box(seen);
    });
    let mut warm = Ours::default();
    comparison.add("ours_discarding", move || done(warm.discarding(body)));
    Ok(())
}

fn add_others<'p, R: Record>(comparison: &mut Comparison<'p>, page: &'p Page<R>) -> Result<()> {
    let body = page.body.as_str();
    let element = page.record_element.as_str();

    let mut columns = QuickXmlColumns::new::<R>()?;
    comparison.add("quick_xml_columns", move || {
        done(columns.read(body, element))
    });
    comparison.add("quick_xml_serde", || {
        done(parsing::quick_xml_serde::<R>(body))
    });
    comparison.add("quick_xml_maps", || done(parsing::hash_maps(body, element)));
    let mut lines = Vec::new();
    comparison.add("quick_xml_ndjson", move || {
        lines.clear();
        done(parsing::quick_xml_ndjson(body, element, &mut lines));
        black_box(&lines);
    });
    comparison.add("quick_xml_rows", || {
        let mut seen = 0;
        done(parsing::quick_xml_rows(body, element, |row| {
            for field in row {
                seen += field.name.len() + field.value.as_ref().map_or(0, |value| value.len());
            }
        }));
        black_box(seen);
    });
    comparison.add("quick_xml_events", || done(parsing::quick_xml_events(body)));
    comparison.add("xml_rs_events", || done(parsing::xml_rs_events(body)));
    comparison.add("roxmltree_dom", || done(parsing::roxmltree_dom(body)));
    comparison.add("every_angle_bracket", || {
        done(Ok(parsing::every_angle_bracket(black_box(body))))
    });
    let mut copy = Vec::new();
    comparison.add("copied", move || {
        parsing::copied(black_box(body), &mut copy);
        black_box(&copy);
    });
    Ok(())
}

/// Takes the page, so that reading it is not optimised away.
fn done<T>(page: Result<T>) {
    assert!(page.is_ok(), "the page was not read");
    drop(black_box(page));
}
