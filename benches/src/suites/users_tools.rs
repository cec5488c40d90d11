//! Reading a page, beside the programs that people use today.

use std::hint::black_box;
use std::time::Duration;

use intacct_xml::response::NdjsonLines;

use crate::SEED;
use crate::comparison::{Comparison, Effort, Meter, Work};
use crate::goal::Goal;
use crate::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use crate::parsing::{Ours, Result};
use crate::peer::Peer;
use crate::record::{GlDetail, Record, Vendor};

/// What published taps, lxml and the vendor's SDK for Node do with a page.
///
/// # Errors
/// If the page file cannot be written, or a program finds other records than are there.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    let share = match meter.effort() {
        Effort::Quick => 4,
        Effort::Full => 1,
    };
    compare(
        meter,
        &Page::<Vendor>::new(VENDOR_FORMS[0], 2000 / share, SEED),
    )?;
    compare(
        meter,
        &Page::<GlDetail>::new(GL_DETAIL_FORMS[0], 1000 / share, SEED),
    )
}

fn compare<R: Record>(meter: &mut dyn Meter, page: &Page<R>) -> Result<()> {
    let work = Work {
        group: format!("users_tools/{}", page.name),
        element: "record",
        elements: page.rows.len() as u64,
        bytes: page.body.len() as u64,
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.xml");
    std::fs::write(&file, &page.body)?;

    let mut peers = Vec::new();
    for (name, peer, floor) in [
        ("taps_xmltodict", Peer::python("taps", &file), 150.0),
        ("lxml_ndjson", Peer::python("lxml", &file), 40.0),
        ("intacct_sdk_js", Peer::node(&file), 150.0),
    ] {
        match peer {
            Ok(peer) if peer.records == work.elements => peers.push((name, peer, floor)),
            Ok(peer) => return Err(format!("{name} found {} records", peer.records).into()),
            Err(why) => meter.skip(&work.group, &format!("`{name}` was not measured: {why}")),
        }
    }

    let mut comparison = Comparison::new(work);
    let (mut ours, mut lines) = (Ours::default(), NdjsonLines::new());
    comparison.add("ours_ndjson", move || {
        let read = ours.ndjson(black_box(&page.body), &mut lines);
        assert!(read.is_ok(), "the page was not read");
        black_box(lines.as_bytes());
    });
    for (name, mut peer, floor) in peers {
        // One that has ended took for ever.
        comparison.add_timed(name, move || peer.read().unwrap_or(Duration::MAX));
        comparison.goal(Goal::times_as_fast("P8", "ours_ndjson", name, floor));
    }
    meter.compare(comparison)
}
