//! What reading a page allocates: once its buffers are warm something for the page and nothing for a
//! record, and no more at once than the pieces need in which it arrives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use allocation_counter::measure;
use intacct_sync_benches::SEED;
use intacct_sync_benches::page::{GL_DETAIL_FORMS, INVOICE_FORMS, Page, PageForm, VENDOR_FORMS};
use intacct_sync_benches::parsing::{self, Ours};
use intacct_sync_benches::record::{GlDetail, Invoice, Record, Vendor};
use intacct_xml::response::{
    ColumnOptions, Columns, Discard, NdjsonLines, ReadOptions, ResponseReader, Row,
};

#[test]
fn a_warm_reader_allocates_nothing_for_a_record() {
    allocates_nothing_for_a_record::<Vendor>(VENDOR_FORMS[0]);
    for &form in GL_DETAIL_FORMS {
        allocates_nothing_for_a_record::<GlDetail>(form);
    }
    allocates_nothing_for_a_record::<Invoice>(INVOICE_FORMS[0]);
}

/// An answer that arrives in pieces is held as far as its next record needs, however long it is.
#[test]
fn a_reader_holds_a_piece_and_a_record() {
    const CHUNK: usize = 16 << 10;
    let held = |records| {
        let body = Page::<Vendor>::new(VENDOR_FORMS[0], records, SEED).body;
        let read = || {
            let mut reader = ResponseReader::new(&ReadOptions::default());
            for chunk in body.as_bytes().chunks(CHUNK) {
                reader.push(chunk, &mut Discard).unwrap();
            }
            drop(reader.finish(&mut Discard).unwrap());
        };
        (measure(read).bytes_max, body.len() / records)
    };
    let (small, record) = held(250);
    let (large, _) = held(1000);
    let limit = 2 * (CHUNK + record) as u64 + LAYOUT_AND_PLACES;
    assert!(
        small <= limit && large <= limit,
        "{small} bytes for 250 records, {large} for 1000, at most {limit}"
    );
}

/// What a reader keeps beside the answer: the layout, and where the values of a piece stand, of two runs of
/// records.
const LAYOUT_AND_PLACES: u64 = 112 << 10;

fn allocates_nothing_for_a_record<R: Record>(form: PageForm) {
    let mut ours = Ours::default();
    let mut lines = NdjsonLines::new();
    few::<R>(form, "lines", 0, |body| {
        drop(ours.ndjson(body, &mut lines).unwrap());
    });
    few::<R>(form, "lines in pieces", 0, |body| {
        drop(ours.ndjson_in_chunks(body, 16 << 10, &mut lines).unwrap());
    });
    few::<R>(form, "rows", 0, |body| {
        let mut seen = 0;
        let count = |row: Row<'_>| row.each_field(|_, _| seen += 1);
        drop(ours.rows(body, count).unwrap());
        assert!(seen > 0);
    });
    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default()).unwrap();
    // A larger batch may have to make room once more.
    few::<R>(form, "columns", R::FIELDS.len() as u64, |body| {
        drop(ours.columns(body, &mut columns).unwrap());
    });
}

/// Reads a page and one with twice the records; at most one more allocation in 100 more records, beside
/// what the page may take.
fn few<R: Record>(form: PageForm, what: &str, page_may_take: u64, mut read: impl FnMut(&str)) {
    const RECORDS: usize = 500;
    let body = |records| Page::<R>::new(form, records, SEED).body;
    let (small, large) = (body(RECORDS), body(2 * RECORDS));
    // The larger one comes first, so that the buffers are warm for both.
    let mut count = |body: &str| {
        read(&large);
        measure(|| read(body)).count_total
    };
    let (small, large) = (count(&small), count(&large));
    assert!(
        large.saturating_sub(small) <= RECORDS as u64 / 100 + page_may_take,
        "{}, {what}: {small} allocations for {RECORDS} records, {large} for twice as many",
        form.name,
    );
}
