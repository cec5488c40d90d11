//! The whole road: a gateway's XML to typed columns to a destination, in a process of its own.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use futures_util::TryStreamExt as _;
use intacct_client::Client;
use intacct_client::walk::{NullPass, WalkSpec};
use intacct_xml::{FieldName, ObjectName};
use sink_sql::{SqliteOptions, SqliteSink};
use sync_core::Sink;
use sync_core::encode::{JsonOptions, JsonRows, Layout};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::FolderSpool;
use sync_core::store::SqliteStore;

use self::lines::LinesFile;
use self::source::GatewaySource;
use crate::paced::Pace;
use crate::paging::paced_reading::{client, window};
use crate::parsing::{self, Result};
use crate::process::{self, GatewayProcess, Usage};
use crate::record::{Record, Vendor};

mod lines;
mod source;

/// The name of the part that moves records.
pub const MOVER: &str = "mover";

/// How records are moved.
#[derive(Clone, Copy, Debug)]
pub struct Moving {
    /// Where they go.
    pub into: Destination,
    /// Whether everything is proved: the pipeline with ids of records and batches, ledger, spool and
    /// record index. Without it pages are written as they come.
    pub audit: bool,
    /// In pages of so many records.
    pub page_size: u32,
    /// With leave for so many requests at once.
    pub at_once: usize,
}

/// Where records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file of NDJSON lines.
    Lines,
    /// A table of a SQLite file.
    Sqlite,
}

impl Moving {
    /// Moves everything that a gateway has into a new folder.
    ///
    /// # Errors
    /// If a process cannot be started, or records are missing.
    pub fn measure(&self, pace: &Pace, folder: &Path) -> Result<Usage> {
        let gateway = GatewayProcess::start(pace)?;
        let words = self.words();
        let mut arguments = vec![gateway.url.clone(), pace.records.to_string()];
        arguments.extend(words.map(str::to_owned));
        arguments.extend([self.page_size.to_string(), self.at_once.to_string()]);
        arguments.push(folder.display().to_string());
        let usage = process::run(MOVER, &arguments);
        std::fs::remove_dir_all(folder)?;
        usage
    }

    fn words(&self) -> [&'static str; 2] {
        let into = match self.into {
            Destination::Lines => "lines",
            Destination::Sqlite => "sqlite",
        };
        [into, if self.audit { "audit" } else { "plain" }]
    }

    /// What [`measure`](Self::measure) runs in the other process; `benches/peers` runs it too.
    ///
    /// # Errors
    /// As the pipeline's; and if not all records were written.
    pub fn run_part(arguments: &[String]) -> Result<Usage> {
        let [url, records, into, audit, page_size, at_once, folder] = arguments else {
            return Err("the mover has other arguments".into());
        };
        let moving = Self {
            into: match into.as_str() {
                "lines" => Destination::Lines,
                _ => Destination::Sqlite,
            },
            audit: audit == "audit",
            page_size: page_size.parse()?,
            at_once: at_once.parse()?,
        };
        let records: usize = records.parse()?;
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let client = client(url, moving.page_size, moving.at_once)?;
        runtime.block_on(client.login())?;
        let usage = Usage::of(|| runtime.block_on(moving.run(&client, records, &folder)))?;
        if usage.records != records as u64 {
            return Err(format!("{} records came", usage.records).into());
        }
        Ok(usage)
    }

    async fn run(&self, client: &Client, records: usize, folder: &Path) -> Result<u64> {
        match (self.audit, self.into) {
            (true, Destination::Lines) => {
                let sink = LinesFile::create(&folder.join("vendor.ndjson"))?;
                self.proved(client, records, folder, Arc::new(sink)).await
            }
            (true, Destination::Sqlite) => {
                let sink = SqliteSink::open(folder.join("books.db"), SqliteOptions::default())?;
                self.proved(client, records, folder, Arc::new(sink)).await
            }
            (false, Destination::Lines) => {
                let file = File::create(folder.join("vendor.ndjson"))?;
                plainly(client, records, file).await
            }
            (false, Destination::Sqlite) => {
                Err("without the pipeline there is no writing into SQLite".into())
            }
        }
    }

    async fn proved(
        &self,
        client: &Client,
        records: usize,
        folder: &Path,
        sink: Arc<dyn Sink>,
    ) -> Result<u64> {
        let parts = Parts {
            source: Arc::new(GatewaySource::new(client.clone(), records)?),
            sinks: vec![sink],
            store: Arc::new(SqliteStore::open(folder.join("state.db"))?),
            spool: Arc::new(FolderSpool::open(folder.join("spool"))?),
        };
        let mut options = PipelineOptions::default();
        options.batch_rows = BATCH_ROWS;
        let report = Pipeline::new("bench", parts, options).run().await?;
        let stream = report.streams.first().ok_or("no stream was read")?;
        match &stream.error {
            Some(error) => Err(error.clone().into()),
            None => Ok(stream.written),
        }
    }
}

/// Half of what is usual: what is in memory at once goes with it.
const BATCH_ROWS: usize = 4_000;

/// Writes pages as they come.
async fn plainly(client: &Client, records: usize, mut file: File) -> Result<u64> {
    let mut pages = client.walk(spec(records)?, schema(), None);
    let (mut written, mut lines) = (0, Vec::new());
    while let Some(page) = pages.try_next().await? {
        write_lines(&page.records.batch, &mut file, &mut lines)?;
        written += page.records.batch.num_rows() as u64;
    }
    file.sync_all()?;
    Ok(written)
}

/// Writes rows a piece at a time, through a buffer to be used again.
fn write_lines(rows: &RecordBatch, file: &mut File, buffer: &mut Vec<u8>) -> Result<()> {
    const PIECE: usize = 256 << 10;
    let encoder = JsonRows::new(rows, &JsonOptions::new(Layout::Lines))?;
    let mut row = 0;
    while row < rows.num_rows() {
        buffer.clear();
        let next = encoder.append(row..rows.num_rows(), PIECE, buffer)?;
        if next == row {
            return Err("a row is longer than any vendor's".into());
        }
        file.write_all(buffer)?;
        row = next;
    }
    Ok(())
}

fn spec(records: usize) -> Result<WalkSpec> {
    let object = ObjectName::new(Vendor::OBJECT)?;
    let (key, modified) = (FieldName::new("RECORDNO")?, FieldName::new("WHENMODIFIED")?);
    let spec = WalkSpec::by_modified(object, key, modified, window(records))?;
    // The gateway has no records without a time, and nobody else asks it for them.
    Ok(spec.with_null_pass(NullPass::Skip))
}

/// The columns of a vendor; its key is always there.
fn schema() -> SchemaRef {
    let nullable = parsing::schema::<Vendor>();
    let fields = nullable.fields().iter().map(|field| {
        let is_key = field.name() == "recordno";
        Arc::new(Field::clone(field).with_nullable(!is_key))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
