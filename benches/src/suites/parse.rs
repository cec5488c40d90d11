//! Reading a page, beside what others do.

use std::hint::black_box;

use crate::SEED;
use crate::comparison::{Comparison, Meter, Work};
use crate::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use crate::parsing::{self, Result};
use crate::record::Record;
use intacct_xml::response::{ColumnOptions, Columns};

/// Every way to read a page on every form of it.
///
/// # Errors
/// If a schema does not fit, or a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    for &form in VENDOR_FORMS {
        parse(meter, &Page::vendors(form, SEED))?;
    }
    for &form in GL_DETAIL_FORMS {
        parse(meter, &Page::gl_details(form, SEED))?;
    }
    Ok(())
}

fn parse<R: Record>(meter: &mut dyn Meter, page: &Page<R>) -> Result<()> {
    let mut comparison = Comparison::new(Work {
        group: format!("parse/{}", page.name),
        element: "record",
        elements: page.rows.len() as u64,
        bytes: page.body.len() as u64,
    });
    let body = page.body.as_str();
    let element = page.record_element.as_str();
    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default())?;

    comparison.add("ours_columns", move || {
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
    meter.compare(comparison)
}

/// Takes the page, so that reading it is not optimised away.
fn done<T>(page: Result<T>) {
    assert!(page.is_ok(), "the page was not read");
    drop(black_box(page));
}
