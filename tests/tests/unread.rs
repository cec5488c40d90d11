//! Records that could not be read when they came, and arrive once what stood against them is gone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use intacct_sim::{Access, Company, DataType, Formatting, ObjectSpec, RunningSimulator, Simulator};
use intacct_sync_tests::{Road, Warehouse, settings};
use sync_core::StreamName;
use sync_core::pipeline::PipelineOptions;
use sync_core::shape::{ColumnMapping, Mask, Shaping, StreamMapping, Treatment};
use sync_core::store::{
    LedgerStore as _, LetterFilter, LetterPage, LetterStatus, LetterStore as _,
};

/// Vendors 2 and 3 are alike but for what the third is owed, which is no number. Days, moments and truth
/// are in the gateway's words, and in the zone of its user.
async fn company() -> RunningSimulator {
    let vendor = |record: &'static str, owed: &'static str, parent: &'static str| {
        [
            ("RECORDNO", record),
            ("VENDORID", record),
            ("NAME", "Müller & \"Co\""),
            ("PARENTID", parent),
            ("TOTALDUE", owed),
            ("CREDITLIMIT", ".5"),
            ("ONETIME", "T"),
            ("WHENMODIFIED", "01/15/2026 10:00:00"),
        ]
    };
    let vendors = ObjectSpec::new("VENDOR")
        .field("RECORDNO", DataType::Text)
        .field("VENDORID", DataType::Text)
        .field("NAME", DataType::Text)
        .field("PARENTID", DataType::Text)
        .field("TOTALDUE", DataType::Text)
        .field("CREDITLIMIT", DataType::Text)
        .field("ONETIME", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp)
        .record(vendor("1", "1.00", ""))
        .record(vendor("2", "2.00", "1"))
        .record(vendor("3", "1,000.00", "1"));
    let company = Company::from_objects([vendors]).unwrap();
    let simulator = Simulator::builder().company(company).start().await.unwrap();
    let user = intacct_sim::User::new("sim-user", "sim-user-password")
        .formatting(Formatting::at_offset("-08:00"));
    let access = Access::default().user(user);
    simulator.company().set_access(access).unwrap();
    simulator
}

fn road(simulator: &RunningSimulator, folder: &Path, mapping: StreamMapping) -> Road {
    let vendor = StreamName::new("vendor").unwrap();
    let mut options = PipelineOptions::default();
    options.streams = vec![vendor.clone()];
    options.shaping = Shaping::default().stream(vendor, mapping);
    let settings = settings(simulator.url(), "sim-user-password");
    let warehouse = Warehouse::sqlite(folder).unwrap();
    Road::with(warehouse, settings, folder, options).unwrap()
}

fn treated(column: &str, treatment: Treatment) -> StreamMapping {
    StreamMapping::default().column(column, ColumnMapping::treat(treatment))
}

async fn rows(road: &Road) -> Vec<Vec<Option<String>>> {
    let columns = "recordno, name, hierarchy_path, creditlimit, onetime, whenmodified";
    let select = format!("SELECT {columns} FROM vendor ORDER BY recordno");
    road.sink.query(select).await.unwrap().rows
}

async fn statuses(road: &Road) -> Vec<LetterStatus> {
    let page = LetterPage {
        after: None,
        limit: 99,
    };
    let letters = road.store.letters(&LetterFilter::default(), page).await;
    let letters = letters.unwrap().into_iter();
    letters.map(|letter| letter.status).collect()
}

#[tokio::test]
async fn a_field_that_did_not_fit_is_dropped_and_its_record_arrives_by_a_retry() {
    let (simulator, folder) = (company().await, tempfile::tempdir().unwrap());
    let whole = road(&simulator, folder.path(), StreamMapping::default());
    let report = whole.pipeline.run().await.unwrap();
    assert_eq!((report.streams[0].written, report.rejected()), (2, 1));
    // As it is, it fits no better than before.
    let retried = whole.pipeline.retry_letters(&LetterFilter::default()).await;
    let unfit = &retried.unwrap().streams[0].unfit;
    assert_eq!((unfit.len(), unfit[0].column.as_str()), (1, "totaldue"));

    let mended = road(
        &simulator,
        folder.path(),
        treated("totaldue", Treatment::Drop),
    );
    // Nobody promised that yet, so nothing is sent by it.
    let early = mended
        .pipeline
        .retry_letters(&LetterFilter::default())
        .await;
    let unfit = &early.unwrap().streams[0].unfit;
    assert!(unfit[0].reason.contains("run it"), "{unfit:?}");
    simulator.company().advance_clock(3600);
    mended.pipeline.run().await.unwrap();
    let before = rows(&mended).await;
    assert_eq!(before.len(), 2);

    let retried = mended
        .pipeline
        .retry_letters(&LetterFilter::default())
        .await;
    let retried = retried.unwrap();
    assert!(retried.is_complete(), "{retried:?}");
    assert_eq!(retried.streams[0].resolved, 1);
    let after = rows(&mended).await;
    assert_eq!(after[..2], before[..]);
    let expected = [
        Some("3".to_owned()),
        before[1][1].clone(),
        Some("1 > 3".to_owned()),
    ];
    assert_eq!(after[2][..3], expected);
    assert_eq!(after[2][3..], before[1][3..], "as the page had its like");
    let statuses = statuses(&mended).await;
    assert!(statuses.contains(&LetterStatus::Resolved));
    assert!(!statuses.iter().any(|it| it.is_waiting()), "{statuses:?}");

    // The page comes again and says nothing new, and the books agree.
    simulator.company().advance_clock(3600);
    let report = mended.pipeline.run().await.unwrap();
    assert!(report.ties_out(), "{report:#?}");
    assert_eq!(rows(&mended).await, after);
    assert!(mended.store.verify(&[]).await.unwrap().is_intact());
}

#[tokio::test]
async fn what_a_letter_holds_masked_is_not_masked_once_more() {
    let (simulator, folder) = (company().await, tempfile::tempdir().unwrap());
    let mapping = treated("totaldue", Treatment::Drop).column(
        "name",
        ColumnMapping::treat(Treatment::Mask(Mask::keep_last(2))),
    );
    let road = road(&simulator, folder.path(), mapping);
    let report = road.pipeline.run().await.unwrap();
    assert_eq!((report.streams[0].written, report.rejected()), (2, 1));
    let retried = road.pipeline.retry_letters(&LetterFilter::default()).await;
    let retried = retried.unwrap();
    assert_eq!(retried.streams[0].unfit[0].column, "NAME");
    assert_eq!(rows(&road).await.len(), 2);
    assert_eq!(statuses(&road).await, [LetterStatus::Open]);
}
