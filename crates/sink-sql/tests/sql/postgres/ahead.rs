//! Batches that are staged while those before them are written.

use std::sync::Arc;

use sink_sql::PostgresOptions;
use sync_core::{Batch, ErrorKind, Landed, Sink, StreamDescriptor};
use time::macros::datetime;

use super::{Books, fresh, open, prepare, row};
use crate::behaviour::{integer, key_text, stream, text, upserts};

/// A stream of which one column has a name that no other test's has, so that the server can be asked what
/// it does with its rows.
struct Notes {
    books: Books,
    stream: Arc<StreamDescriptor>,
    column: String,
}

impl Notes {
    /// With two records, so that writing them again needs a staging table.
    async fn prepared() -> Option<Self> {
        let books = Books::with_vendors().await?;
        let column = fresh("note");
        let fields = vec![key_text("recordno"), text(&column), integer("rank")];
        let stream = stream("memo", &["recordno"], fields);
        prepare(&books.sink, &stream).await;
        let notes = Self {
            books,
            stream,
            column,
        };
        notes
            .books
            .sink
            .write(&notes.again(0, "first"))
            .await
            .unwrap();
        Some(notes)
    }

    fn again(&self, ordinal: u64, note: &str) -> Batch {
        upserts(&self.stream, ordinal, vec![row("1", note), row("2", note)])
    }

    fn held(&self) -> String {
        let sql = format!(
            "SELECT string_agg({}, ' ' ORDER BY recordno) FROM @.memo",
            self.column
        );
        self.books.ask(&sql)
    }

    /// Of sessions that have sent rows of the stream and wait.
    fn of_waiting(&self, what: &str) -> String {
        self.books.ask(&format!(
            "SELECT {what} FROM pg_stat_activity \
             WHERE state = 'idle in transaction' AND query LIKE 'COPY%\"{}\"%'",
            self.column
        ))
    }
}

#[tokio::test]
async fn what_is_staged_is_seen_by_nobody_until_it_is_written() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let sink = &notes.books.sink;
    let (one, two) = (notes.again(1, "one"), notes.again(2, "two"));
    sink.stage(&one).await.unwrap();
    assert_eq!(notes.of_waiting("count(*)"), "1");
    assert_eq!(notes.held(), "first first");
    assert_eq!(sink.lookup(&one.id()).await.unwrap(), Landed::No);
    // The next while this one is written, as a pipeline does.
    let (written, staged) = futures_util::future::join(sink.write(&one), sink.stage(&two)).await;
    staged.unwrap();
    assert_eq!(notes.of_waiting("count(*)"), "1");
    assert_eq!(notes.held(), "one one");
    let landed = sink.lookup(&one.id()).await.unwrap();
    assert_eq!(landed, Landed::Yes(written.unwrap()));
    let receipt = sink.write(&two).await.unwrap();
    assert_eq!(notes.held(), "two two");
    assert_eq!(notes.of_waiting("count(*)"), "0");
    assert_eq!(sink.write(&two).await.unwrap(), receipt);
    let markers = "SELECT count(*) FROM @.sync_batch WHERE stream = 'memo'";
    assert_eq!(notes.books.ask(markers), "3");
}

#[tokio::test]
async fn a_batch_whose_session_was_lost_while_it_waited_is_written_anew() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let batch = notes.again(1, "one");
    notes.books.sink.stage(&batch).await.unwrap();
    assert_eq!(notes.of_waiting("pg_terminate_backend(pid)"), "t");
    notes.books.sink.write(&batch).await.unwrap();
    assert_eq!(notes.held(), "one one");
}

#[tokio::test]
async fn what_is_never_written_stands_in_nobodys_way_and_leaves_nothing() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let sink = &notes.books.sink;
    let never = notes.again(1, "never");
    sink.stage(&never).await.unwrap();
    assert_eq!(notes.of_waiting("count(*)"), "1");
    // Nobody who wants the table, or the batch, has to wait.
    notes.books.ask(
        "SET lock_timeout = '5s'; LOCK TABLE @.memo, @.sync_batch, @.sync_column;
         ALTER TABLE @.memo ADD COLUMN mine text",
    );
    assert_eq!(sink.lookup(&never.id()).await.unwrap(), Landed::No);
    // The next two take the room of what was passed over.
    for (ordinal, note) in [(2, "two"), (3, "three"), (4, "four")] {
        let batch = notes.again(ordinal, note);
        sink.stage(&batch).await.unwrap();
        sink.write(&batch).await.unwrap();
        assert_eq!(notes.held(), format!("{note} {note}"));
    }
    sink.stage(&notes.again(5, "five")).await.unwrap();
    sink.flush(&notes.stream.name).await.unwrap();
    // Whose connection is asked next has rolled back by then.
    sink.write(&notes.again(6, "six")).await.unwrap();
    let mut tries = 0;
    while notes.of_waiting("count(*)") != "0" {
        tries += 1;
        assert!(tries < 1000, "a session still waits");
    }
    assert_eq!(notes.held(), "six six");
}

#[tokio::test]
async fn what_one_has_staged_another_may_write() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let options = PostgresOptions::default().schema(notes.books.sink.schema());
    let other = open(notes.books.database, options);
    let batch = notes.again(1, "one");
    notes.books.sink.stage(&batch).await.unwrap();
    let receipt = other.write(&batch).await.unwrap();
    assert_eq!(notes.held(), "one one");
    // A later one, so that a second effect of the first would show.
    other.write(&notes.again(2, "two")).await.unwrap();
    assert_eq!(notes.books.sink.write(&batch).await.unwrap(), receipt);
    assert_eq!(notes.held(), "two two");
}

/// A batch that another process has cut of the same records has the same id, and other rows.
#[tokio::test]
async fn only_the_very_rows_that_were_staged_are_written_so() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let batch = notes.again(1, "one");
    let later = datetime!(2026-02-01 07:00 UTC);
    let rows = batch.rows().project(&[0, 1, 2]).unwrap();
    let place = batch.place().clone();
    let cut_later = Batch::new(Arc::clone(&notes.stream), place, &rows, later).unwrap();
    assert_eq!(cut_later.id(), batch.id());
    notes.books.sink.stage(&batch).await.unwrap();
    notes.books.sink.write(&cut_later).await.unwrap();
    let synced = "SELECT DISTINCT _synced_at FROM @.memo";
    assert_eq!(notes.books.ask(synced), "2026-02-01 07:00:00+00");
    // Nor are they when a person wants them written once more.
    notes.books.ask("DELETE FROM @.memo");
    notes.books.sink.stage(&batch).await.unwrap();
    notes.books.sink.rewrite(&batch).await.unwrap();
    assert_eq!(notes.held(), "one one");
}

#[tokio::test]
async fn a_table_may_change_between_staging_and_writing() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    let sink = &notes.books.sink;
    let fields = notes.stream.schema.fields().iter();
    let mut fields: Vec<_> = fields.map(|field| field.as_ref().clone()).collect();
    fields.push(text("added"));
    let wider = stream("memo", &["recordno"], fields);
    let cells = |note: &str| [row("1", note), vec!["new".into()]].concat();
    let (before, behind) = (
        notes.again(1, "before"),
        upserts(&wider, 2, vec![cells("behind")]),
    );
    sink.stage(&before).await.unwrap();
    // There is no such column yet; and no table would have taken it.
    sink.stage(&behind).await.unwrap();
    let error = sink.write(&behind).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // As another process would, which does not know that a batch waits here.
    let options = PostgresOptions::default().schema(sink.schema());
    prepare(&open(notes.books.database, options), &wider).await;
    sink.write(&before).await.unwrap();
    sink.stage(&behind).await.unwrap();
    sink.write(&behind).await.unwrap();
    assert_eq!(notes.held(), "behind before");
    let added = "SELECT string_agg(added, ' ') FROM @.memo";
    assert_eq!(notes.books.ask(added), "new");
    // The column that is staged is gone when its turn comes.
    let late = upserts(&wider, 3, vec![cells("late")]);
    sink.stage(&late).await.unwrap();
    notes.books.ask("ALTER TABLE @.memo DROP COLUMN added");
    assert_eq!(
        sink.write(&late).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(notes.held(), "behind before");
}

#[tokio::test]
async fn staging_never_takes_the_last_sessions() {
    let Some(notes) = Notes::prepared().await else {
        return;
    };
    for sessions in 1..5 {
        let options = PostgresOptions::default()
            .schema(notes.books.sink.schema())
            .sessions(sessions);
        let sink = open(notes.books.database, options);
        let first = sessions as u64 * 10;
        let batches: Vec<_> = (first..first + 4)
            .map(|it| notes.again(it, "more"))
            .collect();
        for batch in &batches {
            sink.stage(batch).await.unwrap();
        }
        // Those that were passed over made room for the ones behind them.
        let expected = sessions.saturating_sub(2).min(2);
        assert_eq!(notes.of_waiting("count(*)"), expected.to_string());
        for batch in &batches {
            sink.write(batch).await.unwrap();
        }
    }
}
