//! Counting what the source has, to find what it has no more.

use std::fmt::Debug;

use async_trait::async_trait;

use super::scope::{Claim, Scope};
use crate::batch::RecordKey;
use crate::error::Result;

/// Counts what the source has, to find what it has no more.
#[async_trait]
pub trait CensusStore: Debug + Send + Sync {
    /// Begins to collect the keys of the source's live records: of all, or of some periods.
    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()>;

    /// Adds keys to the census.
    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()>;

    /// Delivered records, of the census's periods, whose keys are not in it, in the order of their keys:
    /// the next `limit` behind `after`.
    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>>;
}
