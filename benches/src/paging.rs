//! Ways to read an object page by page from the simulator, ours and the usual loops.

use std::collections::HashMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use futures_util::{Stream, TryStreamExt};
use intacct_client::{Client, ClientConfig, Credentials, EndpointTrust, Sender, User, WalkSpec};
use intacct_sim::{Company, DataType, ObjectSpec, RunningSimulator, Simulator};
use intacct_xml::request::{FieldList, Order, Query, ReadByQuery};
use intacct_xml::response::{ColumnOptions, Columns};
use intacct_xml::{FieldName, ObjectName};

use self::plain::{PlainClient, attribute};
use crate::page::{GL_DETAIL_FORMS, Page};
use crate::parsing::{self, Result};
use crate::record::{GlDetail, Kind, Record};

pub mod paced_reading;
pub mod plain;

/// How many records all ways ask for at once.
pub const PAGE_SIZE: u32 = 1000;

const KEY: &str = "RECORDNO";

/// Starts a simulator on a free port of the loopback interface, with that many ledger lines of 42
/// fields.
///
/// # Errors
/// If the port cannot be had.
pub async fn simulator(records: usize, seed: u64) -> Result<RunningSimulator> {
    let page = Page::<GlDetail>::new(GL_DETAIL_FORMS[0], records, seed);
    let mut object = ObjectSpec::new(GlDetail::OBJECT);
    for field in GlDetail::FIELDS {
        object = object.field(field.name, data_type(field.kind));
    }
    for row in page.rows {
        let values = GlDetail::FIELDS.iter().zip(row);
        object = object.record(values.filter_map(|(field, value)| Some((field.name, value?))));
    }
    let company = Company::from_objects([object])?;
    Ok(Simulator::builder().company(company).start().await?)
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Text,
        Kind::Integer => DataType::Integer,
        Kind::Decimal => DataType::Decimal,
        Kind::Boolean => DataType::Boolean,
        Kind::Date => DataType::Date,
        Kind::Timestamp => DataType::Timestamp,
    }
}

/// A client for the simulator, with everything as it is by default but the page size.
///
/// # Errors
/// If the settings do not fit.
pub fn client(simulator: &RunningSimulator) -> Result<Client> {
    let known = intacct_sim::Credentials::default();
    let sender = Sender {
        id: known.sender,
        password: known.sender_password.into(),
    };
    let user = User {
        company_id: known.company,
        id: known.user,
        password: known.password.into(),
    };
    let config = ClientConfig::new(Credentials::new(sender, user))
        .with_endpoint(simulator.url(), EndpointTrust::SameHost)
        .with_page_size(PAGE_SIZE);
    Ok(Client::new(config)?)
}

/// Where the records go: it keeps their numbers, and waits as a destination does.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    /// How long it waits for each page; not at all if zero.
    pub delay: Duration,
    /// The record numbers in the order in which they came.
    pub numbers: Vec<u64>,
}

impl Sink {
    async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let keys = batch.column_by_name("recordno").ok_or("no key column")?;
        for key in keys.as_string::<i32>().iter() {
            self.numbers
                .push(key.ok_or("a record has no key")?.parse()?);
        }
        self.wait().await;
        Ok(())
    }

    async fn take_maps(&mut self, records: &[HashMap<String, String>]) -> Result<()> {
        for record in records {
            let key = record.get(KEY).ok_or("a record has no key")?;
            self.numbers.push(key.parse()?);
        }
        self.wait().await;
        Ok(())
    }

    async fn wait(&self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }
}

/// `query` by offset with the client's stream.
///
/// # Errors
/// As the client's.
pub async fn ours_query(client: &Client, sink: &mut Sink) -> Result<()> {
    let pages = client.query_batches(query(0)?, parsing::schema::<GlDetail>());
    drain(pages.map_ok(|page| page.records.batch), sink).await
}

/// `readByQuery` and `readMore` with the client's stream.
///
/// # Errors
/// As the client's.
pub async fn ours_read_by_query(client: &Client, sink: &mut Sink) -> Result<()> {
    let pages = client.read_by_query_batches(read_by_query()?, parsing::schema::<GlDetail>());
    drain(pages.map_ok(|page| page.records.batch), sink).await
}

/// A walk by key with the client's stream.
///
/// # Errors
/// As the client's.
pub async fn ours_walk(client: &Client, sink: &mut Sink) -> Result<()> {
    let spec = WalkSpec::by_key(ObjectName::new(GlDetail::OBJECT)?, FieldName::new(KEY)?)?;
    let pages = client.walk(spec, parsing::schema::<GlDetail>(), None);
    drain(pages.map_ok(|page| page.records.batch), sink).await
}

async fn drain<E>(
    pages: impl Stream<Item = std::result::Result<RecordBatch, E>>,
    sink: &mut Sink,
) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut pages = std::pin::pin!(pages);
    while let Some(batch) = pages.try_next().await? {
        sink.take(&batch).await?;
    }
    Ok(())
}

/// `query` by offset in the usual loop: request, whole body, parse with our reader, sink, next.
///
/// # Errors
/// As the connection's and the reader's.
pub async fn loop_query(client: &PlainClient, sink: &mut Sink) -> Result<()> {
    let mut columns = Columns::new(parsing::schema::<GlDetail>(), ColumnOptions::default())?;
    let mut offset = 0;
    loop {
        let body = client.call(query(offset)?).await?;
        let batch = parsing::ours_columns(&body, &mut columns)?.batch;
        offset += batch.num_rows() as u64;
        sink.take(&batch).await?;
        if attribute(&body, "numremaining")? == "0" {
            return Ok(());
        }
    }
}

/// `readByQuery` and `readMore` in the usual loop, parsed with our reader.
///
/// # Errors
/// As the connection's and the reader's.
pub async fn loop_read_by_query(client: &PlainClient, sink: &mut Sink) -> Result<()> {
    let mut columns = Columns::new(parsing::schema::<GlDetail>(), ColumnOptions::default())?;
    let mut body = client.call(read_by_query()?).await?;
    loop {
        sink.take(&parsing::ours_columns(&body, &mut columns)?.batch)
            .await?;
        if attribute(&body, "numremaining")? == "0" {
            return Ok(());
        }
        body = client.read_more(attribute(&body, "resultId")?).await?;
    }
}

/// How many bytes the answers to [`loop_query`] have together.
///
/// # Errors
/// As the connection's.
pub async fn answer_bytes(client: &PlainClient) -> Result<u64> {
    let (mut offset, mut bytes) = (0, 0);
    loop {
        let body = client.call(query(offset)?).await?;
        offset += u64::from(PAGE_SIZE);
        bytes += body.len() as u64;
        if attribute(&body, "numremaining")? == "0" {
            return Ok(bytes);
        }
    }
}

/// `query` by offset in the usual loop, each record a map of strings.
///
/// # Errors
/// As the connection's and quick-xml's.
pub async fn loop_query_maps(client: &PlainClient, sink: &mut Sink) -> Result<()> {
    let mut offset = 0;
    loop {
        let body = client.call(query(offset)?).await?;
        let records = parsing::hash_maps(&body, GlDetail::OBJECT)?;
        offset += records.len() as u64;
        sink.take_maps(&records).await?;
        if attribute(&body, "numremaining")? == "0" {
            return Ok(());
        }
    }
}

fn query(offset: u64) -> Result<Query> {
    let object = ObjectName::new(GlDetail::OBJECT)?;
    let query = Query::new(object, fields()?)?
        .with_order([Order::ascending(FieldName::new(KEY)?)])
        .with_page_size(PAGE_SIZE)?
        .with_offset(offset);
    Ok(query)
}

fn read_by_query() -> Result<ReadByQuery> {
    let object = ObjectName::new(GlDetail::OBJECT)?;
    let read = ReadByQuery::new(object, "")
        .with_fields(FieldList::Named(fields()?))
        .with_page_size(PAGE_SIZE)?;
    Ok(read)
}

fn fields() -> Result<Vec<FieldName>> {
    Ok(FieldName::list(
        GlDetail::FIELDS.iter().map(|field| field.name),
    )?)
}
