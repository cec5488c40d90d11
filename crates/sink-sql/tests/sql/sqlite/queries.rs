//! Reading back.

use sync_core::{Error, ErrorKind, Sink};

use super::{ask, cells, row, vendors, with_vendors};
use crate::behaviour::upserts;

#[tokio::test]
async fn queries_read_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    sink.write(&upserts(&vendors(), 0, vec![row("1", "one")]))
        .await
        .unwrap();
    let elsewhere = folder.path().join("elsewhere.db");
    let [attach, vacuum] = ["ATTACH '{}' AS e", "VACUUM INTO '{}'"]
        .map(|sql| sql.replace("{}", &elsewhere.display().to_string()));
    for sql in [
        "DELETE FROM vendor",
        "CREATE TEMP TABLE t (x)",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = DELETE",
        "BEGIN",
        &attach,
        &vacuum,
        "SELECT 1; DELETE FROM vendor",
        "SELECT \"no such column\" FROM vendor",
    ] {
        let error = sink.query(sql).await.unwrap_err();
        let refused = [ErrorKind::Permission, ErrorKind::Rejected].contains(&error.kind());
        assert!(refused, "{sql}: {error:?}");
    }
    assert!(!elsewhere.exists());

    let answer = sink
        .query("SELECT recordno AS key, rank, 7 AS seven, x'0aff' AS bytes FROM vendor")
        .await
        .unwrap();
    assert_eq!(answer.columns, ["key", "rank", "seven", "bytes"]);
    assert_eq!(answer.rows, [cells(["1", "-", "7", "0aff"])]);
    ask(&sink, "PRAGMA table_info(vendor)").await;

    let reader = sink.reader().unwrap();
    let mut seen = 0;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let error = reader
        .for_each(numbers, |row| {
            seen += 1;
            match row.get(0) {
                Some("1000") => Err(Error::new(ErrorKind::Data, "enough")),
                _ => Ok(()),
            }
        })
        .unwrap_err();
    assert_eq!((error.to_string().as_str(), seen), ("enough", 1000));
}
