//! Statements: what they change and give, and what is refused.

use serde_json::json;

use crate::caller::{Caller, parameter, texts};

async fn bills() -> Caller {
    let caller = Caller::new().await;
    caller
        .table(
            "bill",
            &[
                "recordno INT64 REQUIRED",
                "amount NUMERIC",
                "entry_date DATE",
                "state STRING",
                "_version STRING",
                "_deleted BOOL",
            ],
        )
        .await;
    let lines = [
        json!({ "recordno": 1, "amount": "19.90", "entry_date": "2026-01-31", "state": "posted", "_version": "b", "_deleted": false }),
        json!({ "recordno": 2, "amount": "0.000000001", "entry_date": "2026-02-01", "state": "draft", "_version": "b", "_deleted": false }),
        json!({ "recordno": 3, "entry_date": "2026-02-03", "_version": "b", "_deleted": true }),
    ];
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    caller
        .load("first", "bill", json!({}), &lines.join("\n"))
        .await;
    caller
}

#[tokio::test]
async fn a_merge_updates_inserts_and_deletes_by_version() {
    let caller = bills().await;
    let schema = crate::caller::schema(&["recordno INT64", "amount NUMERIC", "state STRING"]);
    let lines = "{\"recordno\":2,\"amount\":\"7.5\",\"state\":\"posted\"}\n{\"recordno\":4,\"amount\":\"-3\"}\n";
    let options = json!({ "schema": schema, "writeDisposition": "WRITE_TRUNCATE" });
    caller.load("staging", "_staged_1", options, lines).await;
    let sql = "MERGE `p.d.bill` AS held USING `p.d._staged_1` AS staged ON held.`recordno` = staged.`recordno` \
        WHEN MATCHED AND held.`_version` <= @version THEN UPDATE SET `amount` = staged.`amount`, `state` = staged.`state`, `_version` = @version, `entry_date` = NULL \
        WHEN NOT MATCHED THEN INSERT (`recordno`, `amount`, `state`, `_version`, `_deleted`) VALUES (staged.`recordno`, staged.`amount`, staged.`state`, @version, FALSE)";
    let merged = caller
        .query_with(sql, json!([parameter("version", "STRING", "c")]))
        .await
        .ok();
    assert_eq!(
        merged["dmlStats"],
        json!({ "insertedRowCount": "1", "updatedRowCount": "1", "deletedRowCount": "0" })
    );
    // An older batch changes nothing.
    let late = caller
        .query_with(sql, json!([parameter("version", "STRING", "a")]))
        .await
        .ok();
    assert_eq!(late["numDmlAffectedRows"], "0");
    let held = caller.rows("SELECT recordno, amount, CAST(entry_date AS STRING), state FROM d.bill ORDER BY recordno").await;
    assert_eq!(
        held,
        [
            texts(&["1", "19.9", "2026-01-31", "posted"]),
            texts(&["2", "7.5", "NULL", "posted"]),
            texts(&["3", "NULL", "2026-02-03", "NULL"]),
            texts(&["4", "-3", "NULL", "NULL"]),
        ]
    );
    let gone = caller
        .query("MERGE `p.d.bill` AS held USING `p.d._staged_1` AS staged ON held.`recordno` = staged.`recordno` WHEN MATCHED THEN DELETE")
        .await
        .ok();
    assert_eq!(gone["dmlStats"]["deletedRowCount"], "2");
    assert_eq!(caller.simulator.row_count("d", "bill").unwrap(), 2);
}

#[tokio::test]
async fn a_merge_whose_source_has_a_key_twice_changes_nothing() {
    let caller = bills().await;
    let schema = crate::caller::schema(&["recordno INT64", "amount NUMERIC"]);
    let lines = "{\"recordno\":1,\"amount\":\"1\"}\n{\"recordno\":1,\"amount\":\"2\"}\n{\"recordno\":9,\"amount\":\"9\"}";
    caller
        .load("staging", "twice", json!({ "schema": schema }), lines)
        .await;
    let before = caller.simulator.rows("d", "bill").unwrap();
    let sql = "MERGE d.bill T USING d.twice S ON T.recordno = S.recordno WHEN MATCHED THEN UPDATE SET amount = S.amount WHEN NOT MATCHED THEN INSERT (recordno, amount) VALUES (S.recordno, S.amount)";
    let failed = caller.query(sql).await;
    assert_eq!(failed.reason(), "400 invalidQuery");
    assert!(
        failed
            .message()
            .contains("UPDATE/MERGE must match at most one source row for each target row")
    );
    assert_eq!(caller.simulator.rows("d", "bill").unwrap(), before);
}

#[tokio::test]
async fn a_slice_is_replaced_by_one_statement_with_an_array_of_structs() {
    let caller = Caller::new().await;
    caller
        .table(
            "tie_out",
            &[
                "run STRING",
                "number INT64",
                "book STRING",
                "value BIGNUMERIC",
            ],
        )
        .await;
    let sql = "MERGE `p.d.tie_out` AS held USING (SELECT r.`number` AS `number`, r.`book` AS `book`, r.`value` AS `value` FROM UNNEST(@rows) AS r) AS noted ON FALSE \
        WHEN NOT MATCHED BY SOURCE AND held.`run` = @run THEN DELETE \
        WHEN NOT MATCHED THEN INSERT (`run`, `number`, `book`, `value`) VALUES (@run, noted.`number`, NULLIF(noted.`book`, ''), CAST(NULLIF(noted.`value`, '') AS BIGNUMERIC))";
    let rows = |values: &[(&str, &str, &str)]| {
        let text = |text: &str| json!({ "value": text });
        let values: Vec<_> = values
            .iter()
            .map(|(number, book, value)| json!({ "structValues": { "number": text(number), "book": text(book), "value": text(value) } }))
            .collect();
        json!({
            "name": "rows",
            "parameterType": { "type": "ARRAY", "arrayType": { "type": "STRUCT", "structTypes": [
                { "name": "number", "type": { "type": "INT64" } },
                { "name": "book", "type": { "type": "STRING" } },
                { "name": "value", "type": { "type": "STRING" } },
            ] } },
            "parameterValue": { "arrayValues": values },
        })
    };
    for (run, values) in [
        (
            "a",
            &[
                ("1", "ACCRUAL", "12345678901234567890.12345678901234567890"),
                ("2", "", ""),
            ][..],
        ),
        ("b", &[("1", "CASH", "1")][..]),
        ("a", &[("7", "", "-0.5")][..]),
    ] {
        let parameters = json!([parameter("run", "STRING", run), rows(values)]);
        caller.query_with(sql, parameters).await.ok();
    }
    let held = caller
        .rows("SELECT run, number, book, value FROM d.tie_out ORDER BY run")
        .await;
    assert_eq!(
        held,
        [
            texts(&["a", "7", "NULL", "-0.5"]),
            texts(&["b", "1", "CASH", "1"])
        ]
    );
}

#[tokio::test]
async fn sums_are_exact_and_groups_are_by_alias() {
    let caller = bills().await;
    let sql = "SELECT FORMAT_DATE('%Y-%m', `entry_date`) AS `g0`, COUNT(*) AS `records`, SUM(`amount`) AS `s0`, COUNT(DISTINCT state) AS n, COUNTIF(_deleted) AS gone, MIN(amount) AS least \
        FROM `p.d.bill` WHERE (`state` IN UNNEST(@c0) OR `state` IS NULL) AND `entry_date` >= @first GROUP BY `g0` ORDER BY `g0`";
    let parameters = json!([
        { "name": "c0", "parameterType": { "type": "ARRAY", "arrayType": { "type": "STRING" } }, "parameterValue": { "arrayValues": [{ "value": "posted" }, { "value": "draft" }] } },
        parameter("first", "DATE", "2026-01-01"),
    ]);
    let totals = caller.query_with(sql, parameters).await.ok();
    assert_eq!(
        crate::caller::rows(&totals),
        [
            texts(&["2026-01", "1", "19.9", "1", "0", "19.9"]),
            texts(&["2026-02", "2", "0.000000001", "1", "1", "0.000000001"]),
        ]
    );
    let none = caller
        .rows("SELECT COUNT(*), SUM(amount) FROM d.bill WHERE FALSE")
        .await;
    assert_eq!(none, [texts(&["0", "NULL"])]);
    let several = caller
        .rows("SELECT state, COUNT(*) AS n FROM d.bill GROUP BY state HAVING n > 1")
        .await;
    assert!(several.is_empty());
}

#[tokio::test]
async fn the_latest_version_is_found_by_windows_and_in_a_view() {
    let caller = Caller::new().await;
    caller
        .table(
            "landing",
            &[
                "recordno INT64",
                "amount NUMERIC",
                "_version STRING",
                "_row INT64",
                "_deleted BOOL",
            ],
        )
        .await;
    let lines = r#"{"recordno":1,"amount":"1","_version":"a","_row":1,"_deleted":false}
{"recordno":1,"amount":"2","_version":"b","_row":2,"_deleted":false}
{"recordno":2,"amount":"5","_version":"a","_row":3,"_deleted":false}
{"recordno":2,"_version":"c","_row":4,"_deleted":true}
{"recordno":3,"amount":"8","_version":"a","_row":5,"_deleted":false}
"#;
    caller.load("landed", "landing", json!({}), lines).await;
    let view = "SELECT `recordno`, `amount`, IFNULL(`_gone` > `_version`, FALSE) AS `_deleted` FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY `recordno` ORDER BY `_deleted`, `_version` DESC, `_row` DESC) AS `_rank`, MAX(IF(`_deleted`, `_version`, NULL)) OVER (PARTITION BY `recordno`) AS `_gone` FROM `p.d.landing`) WHERE `_rank` = 1 AND NOT `_deleted`";
    let body = json!({ "tableReference": crate::caller::reference("latest"), "view": { "query": view, "useLegacySql": false } });
    let made = caller.post("datasets/d/tables", body).await.ok();
    assert_eq!(
        (
            made["type"].as_str(),
            made["schema"]["fields"][1]["type"].as_str()
        ),
        (Some("VIEW"), Some("NUMERIC"))
    );
    let latest = caller
        .rows("SELECT * FROM `p.d.latest` ORDER BY recordno")
        .await;
    assert_eq!(
        latest,
        [
            texts(&["1", "2", "false"]),
            texts(&["2", "5", "true"]),
            texts(&["3", "8", "false"])
        ]
    );
    let qualified = caller.rows("SELECT recordno, _row FROM d.landing WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY recordno ORDER BY _version DESC) = 1 ORDER BY 1").await;
    assert_eq!(
        qualified,
        [texts(&["1", "2"]), texts(&["2", "4"]), texts(&["3", "5"])]
    );
}

#[tokio::test]
async fn rows_are_joined_changed_and_taken_away() {
    let caller = bills().await;
    caller
        .query("CREATE TABLE d.state (state STRING NOT NULL, rank INT64)")
        .await
        .ok();
    caller
        .query("INSERT INTO d.state (state, rank) VALUES ('posted', 1), ('draft', 2)")
        .await
        .ok();
    let joined = "WITH ranks AS (SELECT state, rank FROM d.state WHERE rank < 9) \
        SELECT b.recordno, r.rank FROM d.bill AS b LEFT JOIN ranks AS r ON b.state = r.state ORDER BY b.recordno DESC LIMIT 2";
    assert_eq!(
        caller.rows(joined).await,
        [texts(&["3", "NULL"]), texts(&["2", "2"])]
    );
    let inside = "SELECT recordno FROM d.bill WHERE state IN (SELECT state FROM d.state WHERE rank = 1) OR NOT EXISTS (SELECT 1 FROM d.state s WHERE s.state = bill.state) ORDER BY 1";
    assert_eq!(caller.rows(inside).await, [texts(&["1"]), texts(&["3"])]);
    let updated = caller
        .query("UPDATE d.bill SET state = 'void', amount = amount * 2 WHERE recordno < 3")
        .await
        .ok();
    assert_eq!(updated["dmlStats"]["updatedRowCount"], "2");
    let deleted = caller
        .query("DELETE FROM d.bill WHERE state IS NULL")
        .await
        .ok();
    assert_eq!(deleted["dmlStats"]["deletedRowCount"], "1");
    assert_eq!(
        caller
            .rows("SELECT amount FROM d.bill ORDER BY recordno")
            .await,
        [texts(&["39.8"]), texts(&["0.000000002"])]
    );
    caller
        .query("ALTER TABLE `p.d.bill` ALTER COLUMN `amount` SET DATA TYPE BIGNUMERIC")
        .await
        .ok();
    assert_eq!(
        caller.simulator.table("d", "bill").unwrap()["schema"]["fields"][1]["type"],
        "BIGNUMERIC"
    );
    let narrowed = caller
        .query("ALTER TABLE `p.d.bill` ALTER COLUMN `amount` SET DATA TYPE INT64")
        .await;
    assert_eq!(narrowed.reason(), "400 invalidQuery");
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing_behind() {
    let caller = bills().await;
    let script = |last: &str| {
        format!(
            "BEGIN TRANSACTION; UPDATE d.bill SET state = 'x' WHERE TRUE; {last}; COMMIT TRANSACTION;"
        )
    };
    let failed = caller
        .query(&script("INSERT INTO d.bill (recordno) VALUES (NULL)"))
        .await;
    assert_eq!(failed.reason(), "400 invalidQuery");
    assert!(
        caller
            .rows("SELECT 1 FROM d.bill WHERE state = 'x'")
            .await
            .is_empty()
    );
    caller
        .query(&script("DELETE FROM d.bill WHERE recordno = 1"))
        .await
        .ok();
    assert_eq!(
        caller
            .rows("SELECT COUNT(*) FROM d.bill WHERE state = 'x'")
            .await,
        [texts(&["2"])]
    );
}

#[tokio::test]
async fn what_is_not_known_is_refused_and_never_guessed() {
    let caller = bills().await;
    for sql in [
        "SELECT nothing FROM d.bill",
        "SELECT recordno FROM d.bill WHERE recordno = 'x'",
        "SELECT recordno FROM d.bill WHERE amount",
        "SELECT recordno, COUNT(*) FROM d.bill",
        "SELECT SOUNDEX(state) FROM d.bill",
        "SELECT * FROM d.bill TABLESAMPLE SYSTEM (10 PERCENT)",
        "SELECT * FROM d.bill FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
        "SELECT SUM(recordno) OVER (ORDER BY recordno ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM d.bill",
        "SELECT recordno AS a, amount AS a FROM d.bill",
        "SELECT @missing",
        "UPDATE d.bill SET state = 'x'",
        "DELETE FROM d.bill",
        "UPDATE d.bill SET recordno = 'x' WHERE TRUE",
        "UPDATE d.bill SET recordno = NULL WHERE TRUE",
        "INSERT INTO d.bill (recordno, nothing) VALUES (1, 2)",
        "MERGE d.bill T USING UNNEST([1]) S ON FALSE WHEN NOT MATCHED THEN INSERT (recordno) VALUES (1)",
        "MERGE d.bill T USING d.bill S ON FALSE WHEN NOT MATCHED THEN INSERT (recordno) VALUES (T.recordno)",
        "MERGE d.bill T USING d.bill S ON FALSE WHEN NOT MATCHED BY SOURCE THEN UPDATE SET state = S.state",
        "EXPORT DATA OPTIONS (uri = 'gs://x') AS SELECT 1",
        "SELECT 1 +",
        "",
    ] {
        let answer = caller.query(sql).await;
        assert_eq!(
            answer.reason(),
            "400 invalidQuery",
            "{sql}: {}",
            answer.body
        );
    }
    for sql in [
        "SELECT 1 FROM d.gone",
        "SELECT 1 FROM gone.t",
        "DELETE FROM d.gone WHERE TRUE",
    ] {
        assert_eq!(caller.query(sql).await.reason(), "404 notFound", "{sql}");
    }
    let legacy = caller.post("queries", json!({ "query": "SELECT 1" })).await;
    assert!(legacy.message().contains("legacy SQL"));
    let elsewhere =
        json!({ "query": "SELECT 1 FROM d.bill", "useLegacySql": false, "location": "EU" });
    assert_eq!(
        caller.post("queries", elsewhere).await.reason(),
        "404 notFound"
    );
}

#[tokio::test]
async fn results_come_in_pages_and_times_in_the_form_asked_for() {
    let caller = bills().await;
    let body = json!({ "query": "SELECT recordno, TIMESTAMP '2026-01-31 10:11:12.000001+01:00' AS t FROM d.bill ORDER BY 1", "useLegacySql": false, "maxResults": 2, "formatOptions": { "useInt64Timestamp": true } });
    let first = caller.post("queries", body).await.ok();
    assert_eq!(
        crate::caller::rows(&first)[1],
        texts(&["2", "1769850672000001"])
    );
    assert_eq!(first["totalRows"], "3");
    let (job, token) = (
        first["jobReference"]["jobId"].as_str().unwrap(),
        first["pageToken"].as_str().unwrap(),
    );
    let next = caller
        .get(&format!("queries/{job}?location=US&pageToken={token}"))
        .await
        .ok();
    assert_eq!(crate::caller::rows(&next).len(), 1);
    assert!(next["pageToken"].is_null());
    assert_eq!(next["rows"][0]["f"][1]["v"], "1769850672.000001");
}
