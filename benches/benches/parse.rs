//! Reading a page, beside what others do.

use std::hint::black_box;
use std::time::SystemTime;

use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use intacct_sync_benches::cpu_time::ThreadCpuTime;
use intacct_sync_benches::figures::{self, Yardsticks};
use intacct_sync_benches::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use intacct_sync_benches::parsing::{self, Result};
use intacct_sync_benches::record::Record;
use intacct_xml::response::{ColumnOptions, Columns};

fn main() -> Result<()> {
    let begin = SystemTime::now();
    let mut criterion = Criterion::default()
        .with_measurement(ThreadCpuTime)
        .configure_from_args();
    for &form in VENDOR_FORMS {
        parse(
            &mut criterion,
            &Page::vendors(form, intacct_sync_benches::SEED),
        )?;
    }
    for &form in GL_DETAIL_FORMS {
        parse(
            &mut criterion,
            &Page::gl_details(form, intacct_sync_benches::SEED),
        )?;
    }
    criterion.final_summary();
    figures::print(
        "parse/",
        begin,
        Yardsticks {
            candidates: &["every_angle_bracket", "quick_xml_events", "quick_xml_serde"],
            element: "record",
        },
    )?;
    Ok(())
}

fn parse<R: Record>(criterion: &mut Criterion<ThreadCpuTime>, page: &Page<R>) -> Result<()> {
    let mut group = criterion.benchmark_group(format!("parse/{}", page.name));
    group.throughput(Throughput::ElementsAndBytes {
        elements: page.rows.len() as u64,
        bytes: page.body.len() as u64,
    });
    let body = page.body.as_str();
    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default())?;

    measure(&mut group, "ours_columns", || {
        parsing::ours_columns(body, &mut columns)
    });
    measure(&mut group, "ours_structs", || {
        parsing::ours_structs::<R>(body)
    });
    measure(&mut group, "ours_discarding", || {
        parsing::ours_discarding(body)
    });
    measure(&mut group, "quick_xml_events", || {
        parsing::quick_xml_events(body)
    });
    measure(&mut group, "quick_xml_serde", || {
        parsing::quick_xml_serde::<R>(body)
    });
    measure(&mut group, "hash_maps", || {
        parsing::hash_maps(body, &page.record_element)
    });
    measure(&mut group, "roxmltree_dom", || parsing::roxmltree_dom(body));
    measure(&mut group, "every_angle_bracket", || {
        Ok(parsing::every_angle_bracket(black_box(body)))
    });
    group.finish();
    Ok(())
}

fn measure<T>(
    group: &mut BenchmarkGroup<'_, impl Measurement>,
    name: &str,
    mut read: impl FnMut() -> Result<T>,
) {
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let page = read();
            assert!(page.is_ok(), "the page was not read");
            black_box(page)
        });
    });
}
