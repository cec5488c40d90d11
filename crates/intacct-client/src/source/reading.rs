//! How a contract's records are walked over.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use intacct_xml::request::QueryOptions;
use intacct_xml::response::Page;
use std::sync::Arc;
use sync_core::{Cursor, Error, ErrorKind, Result, SourceBatch, Window};

use super::contract::Contract;
use crate::Client;
use crate::walk::{self, WalkPage, WalkSpec, WalkWindow};

/// The key columns of all records.
pub(super) fn keys(
    client: &Client,
    contract: Arc<Contract>,
) -> BoxStream<'static, Result<SourceBatch>> {
    let schema = Arc::clone(&contract.wire_keys);
    match by_key(&contract) {
        Ok(spec) => batches(client.walk(spec, schema, None), contract),
        Err(error) => failed(error),
    }
}

/// All records, in the order of their key.
pub(super) fn whole(
    client: &Client,
    contract: Arc<Contract>,
) -> BoxStream<'static, Result<SourceBatch>> {
    let schema = Arc::clone(&contract.wire_schema);
    match by_key(&contract) {
        Ok(spec) => batches(client.walk(spec, schema, None), contract),
        Err(error) => failed(error),
    }
}

/// The records that were modified in a window, and those that say no time, behind a cursor.
pub(super) fn changes(
    client: &Client,
    contract: Arc<Contract>,
    window: Window,
    after: Option<Cursor>,
) -> BoxStream<'static, Result<SourceBatch>> {
    let spec = by_modified(&contract, window);
    let after = after
        .map(|cursor| cursor.0.parse::<walk::Cursor>())
        .transpose();
    let schema = Arc::clone(&contract.wire_schema);
    match (spec, after) {
        (Ok(spec), Ok(after)) => batches(client.walk(spec, schema, after), contract),
        (Err(error), _) => failed(error),
        (_, Err(error)) => failed(error.into()),
    }
}

fn by_key(contract: &Contract) -> Result<WalkSpec> {
    let spec = WalkSpec::by_key(contract.object.clone(), contract.only_key()?.clone())?;
    Ok(spec.with_options(options()))
}

fn by_modified(contract: &Contract, window: Window) -> Result<WalkSpec> {
    let modified = contract.descriptor.modified.as_deref().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "a stream without a time of change is read by windows",
        )
    })?;
    let modified = contract.field_of(modified)?;
    let key = contract.only_key()?.clone();
    let window = WalkWindow::new(window.from, window.until);
    let spec = WalkSpec::by_modified(contract.object.clone(), key, modified, window)?;
    Ok(spec.with_options(options()))
}

/// The books of a company are those of all its entities, their private records included.
pub(super) fn options() -> QueryOptions {
    QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    }
}

fn batches(
    pages: crate::Pages<WalkPage<Page>>,
    contract: Arc<Contract>,
) -> BoxStream<'static, Result<SourceBatch>> {
    let read = pages.map(move |page| {
        let page = page?;
        let mut batch = SourceBatch::new(contract.as_described(page.records.batch)?);
        let rejected = page.records.rejected.into_iter();
        batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
        batch.cursor = page.cursor.map(|cursor| Cursor(cursor.to_string()));
        batch.remaining = page.remaining;
        Ok(batch)
    });
    read.boxed()
}

fn failed(error: Error) -> BoxStream<'static, Result<SourceBatch>> {
    stream::once(async { Err(error) }).into_stream().boxed()
}
