//! The destination.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use sync_core::capabilities::Guarantee;
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, Digest, Error, ErrorKind, Finding, FlushReceipt,
    Landed, Receipt, Result, RunMark, SchemaPlan, Sink, StreamDescriptor, StreamName, TieOutRecord,
    TotalsQuery,
};
use tokio::runtime::Handle;

use super::check;
use super::connection::{file_path, open_writer};
use super::failure::failed;
use super::options::SqliteOptions;
use super::reader::Reader;
use super::schema;
use super::tie_out;
use super::totals;
use super::write;
use crate::bookkeeping::{RunRow, stored_now};
use crate::delivery::{Delivery, Marked, told};
use crate::rows::Rows;

/// Bigger batches would only make the log grow that a transaction is kept in.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// A SQLite file as a destination, exactly once: a batch's rows and the mark that they are there
/// are one transaction.
///
/// Its async functions run on a thread for blocking work, so they need a tokio runtime. Cloning
/// gives another handle on the same connection.
#[derive(Clone)]
pub struct SqliteSink {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    options: SqliteOptions,
    writer: Mutex<Connection>,
}

impl fmt::Debug for SqliteSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSink")
            .field("path", &self.shared.path)
            .field("options", &self.shared.options)
            .finish()
    }
}

impl SqliteSink {
    /// Opens a database file, or creates it; its folder must exist.
    ///
    /// Blocks for a moment, and for as long as
    /// [`busy_timeout`](SqliteOptions::busy_timeout) where another program holds a lock.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where the file cannot be opened, [`ErrorKind::Permission`] where it
    /// cannot be written, [`ErrorKind::Config`] where it is not a database,
    /// [`ErrorKind::Data`] where it is damaged, [`ErrorKind::Conflict`] where it is locked, and
    /// [`ErrorKind::Unsupported`] where it cannot keep a write-ahead log.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = file_path(path.as_ref())?;
        let writer = open_writer(&path, &options)
            .map_err(|error| error.with("path", path.display().to_string()))?;
        let shared = Shared {
            path,
            options,
            writer: Mutex::new(writer),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// A connection of its own for queries, which sees all batches that were written.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        self.shared.reader()
    }

    /// Answers one query that reads, holding all rows in memory. `decimal_sum(X)` is the exact sum
    /// of decimals.
    ///
    /// # Errors
    ///
    /// As [`Reader::query`].
    pub async fn query(&self, sql: impl Into<String>) -> Result<Rows> {
        let sql = sql.into();
        self.run(move |shared| shared.reader()?.query(&sql)).await
    }

    async fn write_batch(&self, batch: &Batch, marked: Marked) -> Result<Receipt> {
        let delivery = Delivery::of(batch, marked);
        let written = self
            .run_writing(move |shared, writer| {
                let at = stored_now(shared.options.clock.as_ref());
                write::write(writer, &delivery, at)
            })
            .await;
        told(batch, written)
    }

    /// Runs work on the connection that writes, unless nobody waits for it any more once it has its
    /// turn: what a dropped future left behind must not come after what its owner did since.
    async fn run_writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let waiting = Waiting(Arc::new(AtomicBool::new(true)));
        let still_waiting = Arc::clone(&waiting.0);
        let done = self.run(move |shared| {
            let mut writer = shared.writer();
            if !still_waiting.load(Ordering::Acquire) {
                let what = "the work on the database was given up before it began";
                return Err(Error::new(ErrorKind::Internal, what));
            }
            work(shared, &mut writer)
        });
        done.await
    }

    /// Runs blocking work on a thread that may block, and says which file it was about.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = Handle::try_current().map_err(|cause| {
            let what = "the SQLite sink works on a tokio runtime: call it inside one";
            Error::new(ErrorKind::Internal, what).caused_by(cause)
        })?;
        let shared = Arc::clone(&self.shared);
        let done = runtime.spawn_blocking(move || work(&shared)).await;
        let done = done.unwrap_or_else(|cause| {
            let what = "the work on the database was broken off";
            Err(Error::new(ErrorKind::Internal, what)
                .in_phase(sync_core::Phase::MaybeReceived)
                .caused_by(cause))
        });
        done.map_err(|error| {
            if error.context().any(|(name, _)| name == "path") {
                return error;
            }
            error.with("path", self.shared.path.display().to_string())
        })
    }
}

/// Whether somebody waits for an answer.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Shared {
    /// The connection that writes. A thread that panicked while it held it has rolled back what it
    /// had begun, so it stays usable.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Reader> {
        Reader::open_with(&self.path, &self.options)
    }
}

#[async_trait]
impl Sink for SqliteSink {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::upserting(Guarantee::ExactlyOnce);
        capabilities.max_batch_bytes = MAX_BATCH_BYTES;
        capabilities
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        self.run_writing(|shared, writer| Ok(check::check(writer, &shared.path)))
            .await
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        let stream = stream.clone();
        self.run_writing(move |shared, writer| {
            schema::plan(writer, &stream, shared.options.reporting_columns)
        })
        .await
    }

    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        let plan = plan.clone();
        self.run_writing(move |shared, writer| {
            schema::prepare(writer, &plan, shared.options.reporting_columns)
        })
        .await
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        self.write_batch(batch, Marked::Stays).await
    }

    async fn rewrite(&self, batch: &Batch) -> Result<Receipt> {
        self.write_batch(batch, Marked::IsRewritten).await
    }

    async fn flush(&self, _stream: &StreamName) -> Result<FlushReceipt> {
        // Every batch is durable as soon as its transaction is committed; this only moves it from
        // the log into the file, as far as no reader is in the way.
        self.run_writing(|_, writer| {
            writer
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .map_err(|cause| failed("the database cannot be flushed", cause))?;
            Ok(FlushReceipt::default())
        })
        .await
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        let batch = *batch;
        // On the connection that writes, so that a write which is under way is waited for.
        self.run_writing(move |_, writer| {
            let receipt = write::landed(writer, batch)?;
            Ok(receipt.map_or(Landed::No, Landed::Yes))
        })
        .await
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let query = query.clone();
        self.run(move |shared| {
            let reader = shared.reader()?;
            totals::control_totals(reader.connection(), &query).map(Some)
        })
        .await
    }

    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let row = RunRow::of(run)?;
        self.run_writing(move |_, writer| write::note_run(writer, &row))
            .await
    }

    async fn record_tie_out(&self, record: &TieOutRecord) -> Result<()> {
        let record = record.clone();
        self.run_writing(move |_, writer| tie_out::record(writer, &record))
            .await
    }

    async fn ledger_entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        let pipeline = pipeline.to_owned();
        self.run(move |shared| {
            let reader = shared.reader()?;
            write::ledger_entries(reader.connection(), &pipeline)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{RecordBatch, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use rusqlite::limits::Limit;
    use sync_core::{BatchPlace, Operation, Window};

    /// A sink with a table of notes, and a batch of these.
    async fn notes(folder: &Path, texts: &[&str]) -> (SqliteSink, Batch) {
        let fields = ["recordno", "body"].map(|name| Field::new(name, DataType::Utf8, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let key = vec!["recordno".to_owned()];
        let name = StreamName::new("note").unwrap();
        let stream = Arc::new(StreamDescriptor::new(name, Arc::clone(&schema), key).unwrap());
        let keys = (0..texts.len()).map(|key| key.to_string());
        let keys = Arc::new(StringArray::from_iter_values(keys));
        let bodies = Arc::new(StringArray::from_iter_values(texts));
        let rows = RecordBatch::try_new(schema, vec![keys, bodies]).unwrap();
        let until = time::macros::datetime!(2026-01-31 18:02 UTC);
        let place = BatchPlace {
            pipeline: "test".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: Window { from: None, until },
            ordinal: 0,
        };
        let batch = Batch::new(Arc::clone(&stream), place, &rows, until).unwrap();
        let sink = SqliteSink::open(folder.join("finance.db"), SqliteOptions::default()).unwrap();
        sink.prepare(&sink.plan(&stream).await.unwrap())
            .await
            .unwrap();
        (sink, batch)
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_that_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let body = "x".repeat(1 << 20);
        let (sink, batch) = notes(folder.path(), &["small", &body]).await;
        let limit = |pages: i64| {
            let writer = sink.shared.writer();
            let set = writer.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.unwrap();
        };
        limit(20);
        let error = sink.write(&batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert_eq!(sink.lookup(&batch.id()).await.unwrap(), Landed::No);
        limit(1 << 20);
        assert_eq!(sink.write(&batch).await.unwrap().rejected, []);
    }

    #[tokio::test]
    async fn a_write_that_was_given_up_before_its_turn_does_not_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let (sink, batch) = notes(folder.path(), &["small"]).await;
        let writer = sink.shared.writer();
        {
            let mut write = sink.write(&batch);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending());
        }
        // The thread of the write has a hold on what is shared until it is done.
        drop(writer);
        while Arc::strong_count(&sink.shared) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(sink.lookup(&batch.id()).await.unwrap(), Landed::No);
    }

    #[tokio::test]
    async fn a_text_beyond_the_limit_refuses_its_row_alone() {
        let folder = tempfile::tempdir().unwrap();
        // The second is too long by itself, the third with the rest of its row.
        let (long, longer) = ("x".repeat(9_950), "x".repeat(10_001));
        let (sink, batch) = notes(folder.path(), &["small", &longer, &long]).await;
        sink.shared
            .writer()
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, 10_000)
            .unwrap();
        let receipt = sink.write(&batch).await.unwrap();
        let refused: Vec<_> = (receipt.rejected.iter())
            .map(|one| (one.row, one.column.as_deref()))
            .collect();
        assert_eq!(refused, [(1, Some("body")), (2, None)]);
        let there = sink.query("SELECT body FROM note").await.unwrap();
        assert_eq!(there.rows, [[Some("small".to_owned())]]);
    }
}
