//! What was promised of streams.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::change::{Change, scope_number};
use super::failure::Work;
use crate::error::Result;
use crate::shape::{AcceptedContract, Difference};
use crate::store::stored::{from_json, to_json};
use crate::store::{Claim, ContractStore, Scope, wording};

#[async_trait]
impl ContractStore for SqliteStore {
    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>> {
        let scope = scope.clone();
        self.read(move |connection| contract(connection, &scope))
            .await
    }

    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()> {
        let (accepted, differences) = (accepted.clone(), differences.to_owned());
        self.change_by(claim, move |change, claim| {
            change.accept_contract(claim, &accepted, &differences)
        })
        .await
    }

    async fn begin_reread(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.begin_reread(claim))
            .await
    }
}

impl Change<'_> {
    fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Work<()> {
        // The stream is known from now on, also where nothing of it was delivered yet.
        self.scope(&claim.scope)?;
        let (pipeline, stream) = (&claim.scope.pipeline, claim.scope.stream.as_str());
        let insert = "INSERT INTO contracts (pipeline, stream, contract) VALUES (?, ?, ?)
                      ON CONFLICT (pipeline, stream) DO UPDATE SET contract = excluded.contract";
        let contract = to_json(&accepted.contract)?;
        self.execute(insert, params![pipeline, stream, contract])?;
        if accepted.reread {
            let insert = "INSERT OR IGNORE INTO rereads (scope)
                          SELECT scope FROM scopes WHERE pipeline = ? AND stream = ?";
            self.execute(insert, params![pipeline, stream])?;
        }
        let told = wording::contract_accepted(&claim.scope, accepted, differences);
        self.tell(Some(claim.run), &told).map(drop)
    }

    fn begin_reread(&self, claim: &Claim) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        if self.execute("DELETE FROM rereads WHERE scope = ?", [number])? == 0 {
            return Ok(());
        }
        let update = "UPDATE scopes SET watermark = NULL, window_from = NULL, window_cursor = NULL,
                      window_is_read = 0 WHERE scope = ?";
        self.execute(update, [number])?;
        let told = wording::reread_begun(&claim.scope);
        self.tell(Some(claim.run), &told).map(drop)
    }
}

pub(super) fn contract(connection: &Connection, scope: &Scope) -> Work<Option<AcceptedContract>> {
    let select = "SELECT contract FROM contracts WHERE pipeline = ? AND stream = ?";
    let found: Option<String> = connection
        .prepare_cached(select)?
        .query_row(params![scope.pipeline, scope.stream.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    let pending = match scope_number(connection, scope)? {
        None => false,
        Some(number) => connection
            .prepare_cached("SELECT 1 FROM rereads WHERE scope = ?")?
            .exists([number])?,
    };
    Ok(Some(AcceptedContract::new(from_json(&found)?, pending)))
}
