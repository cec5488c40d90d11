//! Reading a page, beside what others do.

use std::hint::black_box;

use criterion::Criterion;
use intacct_sync_benches::SEED;
use intacct_sync_benches::comparison::{Comparison, Work};
use intacct_sync_benches::cpu_time::ThreadCpuTime;
use intacct_sync_benches::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use intacct_sync_benches::parsing::{self, Result};
use intacct_sync_benches::record::Record;
use intacct_xml::response::{ColumnOptions, Columns};

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .with_measurement(ThreadCpuTime)
        .configure_from_args();
    for &form in VENDOR_FORMS {
        parse(&mut criterion, &Page::vendors(form, SEED))?;
    }
    for &form in GL_DETAIL_FORMS {
        parse(&mut criterion, &Page::gl_details(form, SEED))?;
    }
    criterion.final_summary();
    Ok(())
}

fn parse<R: Record>(criterion: &mut Criterion<ThreadCpuTime>, page: &Page<R>) -> Result<()> {
    let work = Work {
        group: format!("parse/{}", page.name),
        element: "record",
        elements: page.rows.len() as u64,
        bytes: page.body.len() as u64,
    };
    let body = page.body.as_str();
    let element = page.record_element.as_str();
    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default())?;

    let mut comparison = Comparison::new(work, 15);
    comparison.add("ours_columns", || {
        done(parsing::ours_columns(body, &mut columns))
    });
    comparison.add("ours_structs", || done(parsing::ours_structs::<R>(body)));
    comparison.add("ours_discarding", || done(parsing::ours_discarding(body)));
    comparison.add("quick_xml_events", || done(parsing::quick_xml_events(body)));
    comparison.add("quick_xml_serde", || {
        done(parsing::quick_xml_serde::<R>(body))
    });
    comparison.add("hash_maps", || done(parsing::hash_maps(body, element)));
    comparison.add("roxmltree_dom", || done(parsing::roxmltree_dom(body)));
    comparison.add("every_angle_bracket", || {
        done(Ok(parsing::every_angle_bracket(black_box(body))))
    });
    comparison.measure(
        criterion,
        &ThreadCpuTime,
        &[
            "every_angle_bracket",
            "quick_xml_events",
            "quick_xml_serde",
            "hash_maps",
        ],
    );
    Ok(())
}

/// Takes the page, so that reading it is not optimised away.
fn done<T>(page: Result<T>) {
    assert!(page.is_ok(), "the page was not read");
    drop(black_box(page));
}
