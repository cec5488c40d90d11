//! What was promised of streams.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, rows};
use super::patience::{ask, change};
use crate::error::Result;
use crate::postgres::Session;
use crate::shape::{AcceptedContract, Difference};
use crate::store::stored::{from_json, to_json};
use crate::store::{Claim, ContractStore, Scope, wording};

#[async_trait]
impl ContractStore for PostgresStore {
    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>> {
        ask!(self, |session| contract(&session, scope))
    }

    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()> {
        change!(self, Some(claim), |change| change.accept_contract(
            claim,
            accepted,
            differences
        ))
    }

    async fn begin_reread(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.begin_reread(claim))
    }
}

impl Change<'_> {
    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()> {
        // The stream is known from now on, also where nothing of it was delivered yet.
        self.scope(&claim.scope).await?;
        let (pipeline, stream) = (&claim.scope.pipeline, claim.scope.stream.as_str());
        let insert = "INSERT INTO contracts (pipeline, stream, contract) VALUES ($1, $2, $3)
                      ON CONFLICT (pipeline, stream) DO UPDATE SET contract = excluded.contract";
        let contract = to_json(&accepted.contract)?;
        self.execute(insert, &[pipeline, &stream, &contract])
            .await?;
        if accepted.reread {
            let insert = "INSERT INTO rereads (scope)
                          SELECT scope FROM scopes WHERE pipeline = $1 AND stream = $2
                          ON CONFLICT DO NOTHING";
            self.execute(insert, &[pipeline, &stream]).await?;
        }
        let told = wording::contract_accepted(&claim.scope, accepted, differences);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    async fn begin_reread(&self, claim: &Claim) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let delete = "DELETE FROM rereads WHERE scope = $1";
        if self.execute(delete, &[&number]).await? == 0 {
            return Ok(());
        }
        let update = "UPDATE scopes SET watermark = NULL, window_from = NULL, window_cursor = NULL,
                      window_is_read = false WHERE scope = $1";
        self.execute(update, &[&number]).await?;
        let told = wording::reread_begun(&claim.scope);
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

pub(super) async fn contract(session: &Session, scope: &Scope) -> Result<Option<AcceptedContract>> {
    let select = "SELECT contract, EXISTS (
                      SELECT 1 FROM rereads JOIN scopes USING (scope)
                      WHERE pipeline = $1 AND sink = $2 AND stream = $3)
                  FROM contracts WHERE pipeline = $1 AND stream = $3";
    let (pipeline, sink, stream) = (&scope.pipeline, &scope.sink, scope.stream.as_str());
    let found = rows(session, select, &[pipeline, sink, &stream]).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let contract: String = row.get(0);
    Ok(Some(AcceptedContract::new(
        from_json(&contract)?,
        row.get(1),
    )))
}
