//! Closed periods as they were when they were verified.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;

use super::scope::{Claim, Scope};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::id::Digest;

/// Closed periods as they were verified.
#[async_trait]
pub trait PeriodStore: Debug + Send + Sync {
    /// The closed periods that were verified, in their order.
    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>>;

    /// Keeps a closed period as it is now. Where it is not as it was, `change` says so, as JSON.
    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Result<()>;

    /// Forgets verified periods that are not closed any more.
    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()>;
}

/// A closed period of a stream, as it was when it was verified or last seen to have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedPeriod {
    /// The month, such as `2025-12`.
    pub period: String,
    /// How many records count in it.
    pub records: u64,
    /// The sums of the stream's amounts, by column.
    #[serde(serialize_with = "as_texts")]
    pub sums: BTreeMap<String, Decimal>,
    /// A hash over keys and ids of its records, whatever their order.
    pub content: Digest,
}

fn as_texts<S: serde::Serializer>(
    sums: &BTreeMap<String, Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(sums.iter().map(|(name, sum)| (name, sum.to_string())))
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod stored {
    use super::{BTreeMap, Decimal};
    use crate::error::{Error, ErrorKind, Result};

    /// Sums as they are stored: JSON, with each amount as text.
    pub(in crate::store) fn sums_text(sums: &BTreeMap<String, Decimal>) -> String {
        let texts: BTreeMap<_, _> = sums
            .iter()
            .map(|(name, sum)| (name, sum.to_string()))
            .collect();
        serde_json::json!(texts).to_string()
    }

    /// Sums from what [`sums_text`] gave.
    pub(in crate::store) fn sums_from(text: &str) -> Result<BTreeMap<String, Decimal>> {
        let damaged = || Error::new(ErrorKind::Data, "a verified period in the store is damaged");
        let texts: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|error| damaged().caused_by(error))?;
        let sums = texts
            .into_iter()
            .map(|(name, sum)| Ok((name, sum.parse()?)));
        sums.collect::<Result<_>>()
            .map_err(|error| damaged().caused_by(error))
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use stored::{sums_from, sums_text};
