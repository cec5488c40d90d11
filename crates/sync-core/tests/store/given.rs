//! Where stores live, and what is put into them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sync_core::clock::ManualClock;
use sync_core::id::Hasher;
use sync_core::spool::Spooled;
use sync_core::store::{
    Claim, Holder, LeaseRequest, PreparedBatch, RunStart, Scope, SettledRecord, Settlement, Store,
};
use sync_core::{
    BatchId, BatchPlace, Cursor, Operation, Receipt, RecordId, RecordKey, RunId, Window,
};
use time::OffsetDateTime;

/// A place for one store, which several handles may have open.
#[async_trait]
pub(crate) trait Home: Sync {
    /// Another handle on the store: as another process has it, but for the clock, which is shared.
    async fn open(&self) -> Arc<dyn Store>;

    fn clock(&self) -> &ManualClock;

    /// Does something to the tables behind the store's back.
    fn tamper(&self, statements: &str);

    /// These bytes as a value of SQL; none where the database refuses to hold them in a text.
    fn bytes(&self, bytes: &[u8], is_text: bool) -> Option<String>;

    /// How many changes of a byte are tried: each costs what tampering costs.
    fn cases(&self) -> u32;
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap()
}

pub(crate) fn after(minutes: i64) -> OffsetDateTime {
    start() + time::Duration::minutes(minutes)
}

pub(crate) fn scope(stream: &str) -> Scope {
    Scope {
        pipeline: "books".into(),
        sink: "warehouse".into(),
        stream: stream.parse().unwrap(),
    }
}

pub(crate) fn request(stream: &str, run: RunId, host: &str, process: u32) -> LeaseRequest {
    LeaseRequest {
        run,
        pipeline: "books".into(),
        stream: stream.parse().unwrap(),
        holder: Holder {
            host: host.into(),
            process,
        },
        duration: MINUTE,
    }
}

pub(crate) fn run_start(run: RunId, settings: &str) -> RunStart {
    RunStart {
        run,
        pipeline: "books".into(),
        sink: "warehouse".into(),
        company: "DEMO".into(),
        settings: settings.into(),
    }
}

/// A run that has begun and holds the stream `entry`.
pub(crate) async fn running(store: &Arc<dyn Store>) -> Claim {
    running_on(store, "entry").await
}

pub(crate) async fn running_on(store: &Arc<dyn Store>, stream: &str) -> Claim {
    let run = RunId::generate();
    store.begin_run(&run_start(run, "{}")).await.unwrap();
    let lease = store.acquire(&request(stream, run, "here", 1)).await;
    lease.unwrap().claim("warehouse")
}

pub(crate) fn window(minutes: i64) -> Window {
    Window {
        from: None,
        until: after(minutes),
    }
}

pub(crate) fn key(text: &str) -> RecordKey {
    RecordKey::new([text])
}

/// The id of a record's state.
pub(crate) fn state(key: &str, state: &str) -> RecordId {
    Hasher::new("test")
        .part(key.as_bytes())
        .part(state.as_bytes())
        .record_id()
}

pub(crate) fn batch_id(name: &str) -> BatchId {
    Hasher::new("test").part(name.as_bytes()).batch_id()
}

pub(crate) fn prepared(claim: &Claim, name: &str, rows: usize, ordinal: u64) -> PreparedBatch {
    PreparedBatch {
        id: batch_id(name),
        run: claim.run,
        scope: claim.scope.clone(),
        place: BatchPlace {
            pipeline: "books".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: window(0),
            ordinal,
        },
        rows,
        spooled: Spooled {
            name: format!("entry/{name}.arrow"),
            bytes: 4711,
            digest: Hasher::new("payload").part(name.as_bytes()).digest(),
        },
        cursor: Some(Cursor(format!("after {name}"))),
        origins: Vec::new(),
    }
}

pub(crate) fn settlement(batch: &PreparedBatch, records: &[(&str, &str)]) -> Settlement {
    let records = records.iter().map(|(name, content)| SettledRecord {
        key: key(name),
        id: state(name, content),
        owner: None,
        period: None,
    });
    Settlement {
        batch: batch.clone(),
        receipt: Receipt::durable(batch.id, after(1)),
        records: records.collect(),
        dead_letters: Vec::new(),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prepares and settles a batch of records in these states.
pub(crate) async fn deliver(
    store: &Arc<dyn Store>,
    claim: &Claim,
    name: &str,
    operation: Operation,
    records: &[(&str, &str)],
) -> PreparedBatch {
    let mut batch = prepared(claim, name, records.len(), 0);
    batch.place.operation = operation;
    store.prepare(claim, &batch, &[]).await.unwrap();
    let settlement = settlement(&batch, records);
    store.settle(claim, settlement).await.unwrap();
    batch
}
