//! What was promised of streams.

use std::fmt::Debug;

use async_trait::async_trait;

use super::scope::{Claim, Scope};
use crate::error::Result;
use crate::shape::{AcceptedContract, Difference};

/// What was promised of streams.
#[async_trait]
pub trait ContractStore: Debug + Send + Sync {
    /// What was promised of a stream, to whatever sink; nothing before its first run.
    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>>;

    /// Promises something of a stream. The ledger says in what it differs from what was promised before.
    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()>;

    /// Has a stream read whole once more, where an accepted contract asks for it: it has no watermark
    /// then, and a window that is open begins at its beginning.
    async fn begin_reread(&self, claim: &Claim) -> Result<()>;
}
