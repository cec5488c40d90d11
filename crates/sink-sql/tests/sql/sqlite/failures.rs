//! What is said when the file fails.

use std::io::Write as _;
use std::path::Path;

use rusqlite::Connection;
use sink_sql::{Reader, SqliteSink};
use sync_core::{ErrorKind, Retry, Severity, Sink};

use super::{impatient, row, vendors, with_vendors};
use crate::behaviour::upserts;

#[tokio::test]
async fn another_programs_lock_is_an_error_that_may_be_retried() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let other = Connection::open(sink.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    let error = sink.write(&batch).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Conflict, Retry::Backoff)
    );
    let said = error.to_string();
    for word in ["locked", "try again", "finance.db", "vendor"] {
        assert!(said.contains(word), "{said} lacks {word}");
    }
    let findings = sink.check().await.unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding.severity == Severity::Failure)
    );

    other.execute_batch("ROLLBACK").unwrap();
    sink.write(&batch).await.unwrap();
    let findings = sink.check().await.unwrap();
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Info),
        "{findings:?}"
    );
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    std::fs::write(&path, "Date,Account,Amount\n".repeat(200)).unwrap();
    for error in [
        SqliteSink::open(&path, impatient()).unwrap_err(),
        Reader::open(&path).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("not a SQLite database"),
            "{error}"
        );
        assert!(error.to_string().contains("finance.db"), "{error}");
    }
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("Date,"));
}

#[test]
fn a_path_without_a_folder_or_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteSink::open(folder.path().join("no/such.db"), impatient()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = SqliteSink::open(folder.path(), impatient()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for path in ["", ":memory:"] {
        let error = SqliteSink::open(path, impatient()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let error = Reader::open(folder.path().join("none.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!folder.path().join("none.db").exists());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_said_to_be_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    drop(with_vendors(folder.path()).await);
    // A write version that this SQLite does not know makes the file read-only for it, for every
    // user of the machine.
    patch(&path, 18, &[3]);
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    let refused = match SqliteSink::open(&path, impatient()) {
        Ok(sink) => sink.write(&batch).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(refused.kind(), ErrorKind::Permission, "{refused:?}");
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    let sink = with_vendors(folder.path()).await;
    let rows = (0..2000).map(|key| row(&key.to_string(), "name")).collect();
    sink.write(&upserts(&vendors(), 0, rows)).await.unwrap();
    drop(sink);
    // All pages but the first, which holds the header and the list of tables.
    let size = std::fs::metadata(&path).unwrap().len() as usize;
    patch(&path, 4096, &vec![0xa5; size - 4096]);
    let batch = upserts(&vendors(), 1, vec![row("7", "seven")]);
    let error = match SqliteSink::open(&path, impatient()) {
        Ok(sink) => sink.write(&batch).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_cut_short_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let rows = (0..2000).map(|key| row(&key.to_string(), "name")).collect();
    sink.write(&upserts(&vendors(), 0, rows)).await.unwrap();
    let path = sink.path().to_owned();
    drop(sink);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8192).unwrap();
    match SqliteSink::open(&path, impatient()) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Data),
        Ok(sink) => {
            let findings = sink.check().await.unwrap();
            let failed = findings
                .iter()
                .find(|finding| finding.severity == Severity::Failure);
            assert!(
                failed.is_some_and(|finding| finding.message.contains("damaged")),
                "{findings:?}"
            );
        }
    }
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let sink = SqliteSink::open(folder.path().join("finance.db"), impatient()).unwrap();
    let mut lookup = std::pin::pin!(sink.check());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match lookup.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Internal),
        other => panic!("{other:?}"),
    }
}

fn patch(path: &Path, offset: u64, bytes: &[u8]) {
    use std::io::Seek as _;
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(std::io::SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}
