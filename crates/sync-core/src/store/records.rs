//! The record index.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;

use super::scope::Scope;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::RecordId;

/// The record index: which state of which record the destination has.
#[async_trait]
pub trait RecordStore: Debug + Send + Sync {
    /// For each record, whether it is new or another than the one delivered last.
    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>>;

    /// How many records the destination should have.
    async fn live_records(&self, scope: &Scope) -> Result<u64>;

    /// How many live records there are of each period, by its text in [`SettledRecord::period`](super::SettledRecord::period); none
    /// where that is not known of all of them.
    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>>;

    /// Those of the keys that belong to live records.
    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>>;

    /// The keys of the live records that belong to these.
    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>>;
}
