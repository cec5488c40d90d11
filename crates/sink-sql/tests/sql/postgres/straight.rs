//! Rows that are all new go by `COPY` straight into their table; all else by a staging table.

use sync_core::{RejectionClass, Sink};

use super::{Books, prepare, row, vendors};
use crate::behaviour::{Cell, deletes, upserts};

/// Notes with which statement rows came: `COPY` or `INSERT`.
const WATCH: &str = "CREATE TABLE @.seen (place serial, statement text);
    CREATE FUNCTION @.look() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
        INSERT INTO @.seen (statement) SELECT split_part(current_query(), ' ', 1);
        RETURN NULL;
    END $body$;
    CREATE TRIGGER look BEFORE INSERT ON @.vendor
        FOR EACH STATEMENT EXECUTE FUNCTION @.look();";

/// What came since it was asked last.
fn seen(books: &Books) -> String {
    let taken = "WITH taken AS (DELETE FROM @.seen RETURNING place, statement)
        SELECT string_agg(statement, ' ' ORDER BY place) FROM taken";
    books.ask(taken)
}

#[tokio::test]
async fn new_rows_go_straight_into_their_table_and_others_are_merged() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    books.ask(WATCH);
    let new = (0..2000).map(|key| row(&format!("{key}"), "new")).collect();
    let batch = upserts(&vendors(), 0, new);
    let receipt = books.sink.write(&batch).await.unwrap();
    assert_eq!(receipt.rejected, []);
    assert_eq!(seen(&books), "COPY");
    // Once more, as after a crash.
    assert_eq!(books.sink.write(&batch).await.unwrap(), receipt);
    assert_eq!(seen(&books), "");

    // One of them is there.
    let mixed = (1999..4000).map(|key| row(&format!("{key}"), "mixed"));
    let batch = upserts(&vendors(), 1, mixed.collect());
    books.sink.write(&batch).await.unwrap();
    assert_eq!(seen(&books), "INSERT");
    let names = "SELECT name, count(*) FROM @.vendor GROUP BY name ORDER BY name";
    assert_eq!(books.ask(names), "mixed|2001\nnew|1999");

    // Of several rows of a new record, the last.
    let twice = vec![row("a", "one"), row("b", "two"), row("a", "three")];
    books
        .sink
        .write(&upserts(&vendors(), 2, twice))
        .await
        .unwrap();
    assert_eq!(seen(&books), "COPY");
    let last = "SELECT recordno, name FROM @.vendor WHERE recordno >= 'a' ORDER BY 1";
    assert_eq!(books.ask(last), "a|three\nb|two");
}

/// A refused row fails a `COPY` whole, and none of the others may be lost by it, nor doubled.
#[tokio::test]
async fn what_the_database_refuses_among_new_rows_is_refused_alone() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    books.ask(WATCH);
    books.ask(
        "ALTER TABLE @.vendor ADD CONSTRAINT polite CHECK (name <> 'rude');
         CREATE FUNCTION @.ignore() RETURNS trigger LANGUAGE plpgsql AS
             $body$ BEGIN RETURN NULL; END $body$;
         CREATE TRIGGER ignore BEFORE INSERT ON @.vendor FOR EACH ROW
             WHEN (NEW.name = 'ignored') EXECUTE FUNCTION @.ignore();",
    );
    let mut rows: Vec<_> = (0..3000).map(|key| row(&format!("{key}"), "new")).collect();
    rows[2500] = row("2500", "rude");
    rows[2600] = row("2600", "cannot be sent\0");
    let receipt = books.sink.write(&upserts(&vendors(), 0, rows)).await;
    let rejected = receipt.unwrap().rejected;
    let refused: Vec<_> = rejected.iter().map(|it| (it.row, it.class)).collect();
    let expected = [
        (2500, RejectionClass::Refused),
        (2600, RejectionClass::Unfit),
    ];
    assert_eq!(refused, expected);
    assert_eq!(books.ask("SELECT count(*) FROM @.vendor"), "2998");
    let rows = vec![row("a", "new"), row("b", "ignored"), row("c", "new")];
    let receipt = books.sink.write(&upserts(&vendors(), 1, rows)).await;
    let rejected = receipt.unwrap().rejected;
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].row, 1);
    assert_eq!(books.ask("SELECT count(*) FROM @.vendor"), "3000");
    // A row that cannot be sent needs no other way for the rest.
    seen(&books);
    let rows = vec![row("x", "\0"), row("y", "new")];
    let receipt = books.sink.write(&upserts(&vendors(), 2, rows)).await;
    assert_eq!(receipt.unwrap().rejected.len(), 1);
    assert_eq!(seen(&books), "COPY");
}

/// The bytes of a number are some other number to a column of another type.
#[tokio::test]
async fn a_column_that_somebody_changed_is_not_filled_with_what_it_is_not() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    books.ask("ALTER TABLE @.vendor ALTER COLUMN rank TYPE double precision");
    let rows = vec![vec!["1".into(), "one".into(), Cell::Integer(7)]];
    books
        .sink
        .write(&upserts(&vendors(), 0, rows))
        .await
        .unwrap();
    assert_eq!(books.ask("SELECT rank FROM @.vendor"), "7");
}

/// Reporting columns show ours on either way, and where an earlier version had the server compute them.
#[tokio::test]
async fn reporting_columns_show_ours_whichever_way_rows_came() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let shown = || {
        let sql = "SELECT recordno, _fivetran_synced = _synced_at, _deleted, _fivetran_deleted \
                   FROM @.vendor ORDER BY 1";
        books.ask(sql)
    };
    let sink = &books.sink;
    let one = |ordinal| upserts(&vendors(), ordinal, vec![row("1", "one")]);
    sink.write(&one(0)).await.unwrap();
    assert_eq!(shown(), "1|t|f|f");
    let gone = deletes(&vendors(), 1, vec![vec!["1".into()]]);
    sink.write(&gone).await.unwrap();
    assert_eq!(shown(), "1|t|t|t");
    sink.write(&one(2)).await.unwrap();
    assert_eq!(shown(), "1|t|f|f");

    books.ask(
        "ALTER TABLE @.vendor DROP COLUMN _fivetran_synced, DROP COLUMN _fivetran_deleted;
         ALTER TABLE @.vendor
             ADD COLUMN _fivetran_synced timestamptz GENERATED ALWAYS AS (_synced_at) STORED,
             ADD COLUMN _fivetran_deleted boolean GENERATED ALWAYS AS (_deleted) STORED",
    );
    let old = |ordinal, key| upserts(&vendors(), ordinal, vec![row(key, "old")]);
    sink.write(&old(3, "2")).await.unwrap();
    assert_eq!(shown(), "1|t|f|f\n2|t|f|f");
    prepare(sink, &vendors()).await;
    let generated = "SELECT count(*) FROM pg_attribute \
                     WHERE attrelid = '@.vendor'::regclass AND attgenerated <> ''";
    assert_eq!(books.ask(generated), "0");
    sink.write(&old(4, "3")).await.unwrap();
    assert_eq!(shown(), "1|t|f|f\n2|t|f|f\n3|t|f|f");
}
