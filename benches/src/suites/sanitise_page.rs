//! Looking for characters that XML forbids in a whole answer, in place.

use std::hint::black_box;

use intacct_xml::sanitise::{first_forbidden, is_allowed, sanitise_counted};

use crate::SEED;
use crate::comparison::{Comparison, Meter, Work};
use crate::escaping::stripped;
use crate::goal::Goal;
use crate::page::{GL_DETAIL_FORMS, Layout, Page, PageForm, VENDOR_FORMS};
use crate::parsing::Result;

/// Answers without such a character, and one with a few.
///
/// # Errors
/// If a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    for &form in VENDOR_FORMS {
        let page = Page::vendors(form, SEED);
        compare(meter, page.name, &page.body)?;
        compare(meter, "vendor_spoilt", &spoilt(&page.body))?;
    }
    let pretty = |form: &&PageForm| form.layout == Layout::Pretty;
    for &form in GL_DETAIL_FORMS.iter().filter(pretty) {
        let page = Page::gl_details(form, SEED);
        compare(meter, page.name, &page.body)?;
    }
    Ok(())
}

fn compare(meter: &mut dyn Meter, name: &str, body: &str) -> Result<()> {
    let mut comparison = Comparison::new(Work {
        group: format!("sanitise_page/{name}"),
        element: "page",
        elements: 1,
        bytes: body.len() as u64,
    });
    let mut copy = vec![0; body.len()];
    comparison.add("memcpy", move || {
        copy.copy_from_slice(black_box(body).as_bytes());
        black_box(&copy);
    });
    comparison.add("ours_check", || {
        black_box(first_forbidden(black_box(body)));
    });
    comparison.add("ours_sanitise", || {
        black_box(sanitise_counted(black_box(body)));
    });
    comparison.add("naive_check", || {
        black_box(black_box(body).chars().all(is_allowed));
    });
    comparison.add("naive_sanitise", || {
        black_box(stripped(black_box(body)));
    });
    comparison.yardstick("memcpy");
    comparison.yardstick("naive_check");
    comparison.yardstick("naive_sanitise");
    if name == "vendor" {
        comparison.goal(Goal::gigabytes_per_second("E9", "ours_check", 20.0).stretch(50.0));
    }
    meter.compare(comparison)
}

/// With a control character in 2000 bytes or so.
fn spoilt(body: &str) -> String {
    let mut spoilt = String::with_capacity(body.len() + body.len() / 1000);
    for (number, value) in body.split_inclusive("</").enumerate() {
        spoilt.push_str(value);
        if number % 60 == 0 {
            spoilt.insert(spoilt.len() - 2, '\u{1}');
        }
    }
    spoilt
}
