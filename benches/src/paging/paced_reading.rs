//! Reading from the paced gateway in a process of its own.

use std::time::Duration;

use arrow_array::RecordBatch;
use futures_util::{Stream, TryStreamExt};
use intacct_client::walk::{NullPass, WalkSpec, WalkWindow};
use intacct_client::{Client, ClientConfig, Credentials, EndpointTrust, Sender, User};
use intacct_xml::request::{FieldList, Order, Query, ReadByQuery};
use intacct_xml::{FieldName, ObjectName};
use sync_http::LimitOptions;
use time::OffsetDateTime;

use crate::paced::{self, Pace};
use crate::parsing::{self, Result};
use crate::process::{self, Usage};
use crate::record::{Record, Vendor};

/// The name of the part that reads.
pub const READER: &str = "reader";

/// How the records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A walk by key: what is asked for next is known when a page has arrived.
    Walk,
    /// `readByQuery`: the next page is asked for when one has arrived.
    ReadMore,
    /// `query` by offset.
    Offset,
    /// A walk through a window of time, with leave for so many requests at once.
    Window(usize),
}

/// What is to be read, and by whom it is used.
#[derive(Clone, Debug)]
pub struct Reading {
    /// How.
    pub way: Way,
    /// In pages of so many records.
    pub page_size: u32,
    /// How long a full page is used: K.
    pub sink: Duration,
}

impl Reading {
    /// Reads everything that a gateway has, in a process of its own.
    ///
    /// # Errors
    /// If a process cannot be started, or records are missing.
    pub fn measure(&self, pace: &Pace) -> Result<Usage> {
        let gateway = process::GatewayProcess::start(pace)?;
        let (way, at_once) = match self.way {
            Way::Walk => ("walk", 1),
            Way::ReadMore => ("read_more", 1),
            Way::Offset => ("offset", 1),
            Way::Window(at_once) => ("window", at_once),
        };
        let arguments = [
            gateway.url.clone(),
            way.to_owned(),
            at_once.to_string(),
            self.page_size.to_string(),
            self.sink.as_millis().to_string(),
            pace.records.to_string(),
        ];
        process::run(READER, &arguments)
    }

    /// What [`measure`](Self::measure) runs in the other process.
    ///
    /// # Errors
    /// As the client's; and if not all records come, each once and in order.
    pub fn run_part(arguments: &[String]) -> Result<Usage> {
        let [url, way, at_once, page_size, sink, records] = arguments else {
            return Err("the reader has other arguments".into());
        };
        let at_once = at_once.parse()?;
        let way = match way.as_str() {
            "walk" => Way::Walk,
            "read_more" => Way::ReadMore,
            "offset" => Way::Offset,
            _ => Way::Window(at_once),
        };
        let reading = Self {
            way,
            page_size: page_size.parse()?,
            sink: Duration::from_millis(sink.parse()?),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = client(url, reading.page_size, at_once)?;
        runtime.block_on(client.login())?;
        let records = records.parse()?;
        let usage = Usage::of(|| runtime.block_on(reading.read(&client, records)))?;
        if usage.records != records as u64 {
            return Err(format!("{} records came", usage.records).into());
        }
        Ok(usage)
    }

    async fn read(&self, client: &Client, records: usize) -> Result<u64> {
        let schema = parsing::schema::<Vendor>();
        let object = || ObjectName::new(Vendor::OBJECT);
        let key = || FieldName::new("RECORDNO");
        match self.way {
            Way::Walk => {
                let spec = WalkSpec::by_key(object()?, key()?)?;
                let pages = client.walk(spec, schema, None);
                self.drain(pages.map_ok(|page| page.records.batch)).await
            }
            Way::Window(_) => {
                let modified = FieldName::new("WHENMODIFIED")?;
                let spec = WalkSpec::by_modified(object()?, key()?, modified, window(records))?;
                let pages = client.walk(spec.with_null_pass(NullPass::Skip), schema, None);
                self.drain(pages.map_ok(|page| page.records.batch)).await
            }
            Way::Offset => {
                let query = Query::new(object()?, fields()?)?
                    .with_order([Order::ascending(key()?)])
                    .with_page_size(self.page_size)?;
                let pages = client.query_batches(query, schema);
                self.drain(pages.map_ok(|page| page.records.batch)).await
            }
            Way::ReadMore => {
                let read = ReadByQuery::new(object()?, "")
                    .with_fields(FieldList::Named(fields()?))
                    .with_page_size(self.page_size)?;
                let pages = client.read_by_query_batches(read, schema);
                self.drain(pages.map_ok(|page| page.records.batch)).await
            }
        }
    }

    async fn drain<E>(
        &self,
        pages: impl Stream<Item = std::result::Result<RecordBatch, E>>,
    ) -> Result<u64>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut pages = std::pin::pin!(pages);
        let mut expected = paced::FIRST_NUMBER as i64;
        while let Some(batch) = pages.try_next().await? {
            expected = in_order(&batch, expected)?;
            if !self.sink.is_zero() {
                // A page that is not full is used for less.
                let share = batch.num_rows() as f64 / f64::from(self.page_size);
                tokio::time::sleep(self.sink.mul_f64(share)).await;
            }
        }
        Ok(u64::try_from(expected - paced::FIRST_NUMBER as i64)?)
    }
}

/// The number behind the last record of a page that must begin with this one.
fn in_order(batch: &RecordBatch, first: i64) -> Result<i64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    let keys = batch.column_by_name("recordno").ok_or("no key column")?;
    let mut expected = first;
    for key in keys.as_primitive::<Int64Type>().iter() {
        if key != Some(expected) {
            return Err(format!("record {key:?} came where {expected} belongs").into());
        }
        expected += 1;
    }
    Ok(expected)
}

/// A client of the paced gateway.
///
/// # Errors
/// If the settings do not fit.
pub fn client(url: &str, page_size: u32, at_once: usize) -> Result<Client> {
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
        .with_endpoint(url, EndpointTrust::SameHost)
        .with_page_size(page_size)
        .with_limits(LimitOptions::default().with_concurrency(at_once));
    Ok(Client::new(config)?)
}

/// The times of change of a paced gateway's records.
pub fn window(records: usize) -> WalkWindow {
    let low = OffsetDateTime::from_unix_timestamp(paced::first_modified());
    let low = low.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let seconds = (records * paced::SECONDS_APART) as i64;
    WalkWindow::new(Some(low), low + time::Duration::seconds(seconds))
}

fn fields() -> Result<Vec<FieldName>> {
    Ok(FieldName::list(
        Vendor::FIELDS.iter().map(|field| field.name),
    )?)
}
