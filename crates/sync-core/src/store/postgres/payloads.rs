//! What the store knows of the spool.

use std::collections::HashMap;

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, rows};
use super::patience::{ask, change};
use crate::error::Result;
use crate::id::RunId;
use crate::postgres::Session;
use crate::store::rows::PayloadRow;
use crate::store::stored::{not_waiting, window_is_closed};
use crate::store::{Claim, KeptPayload, LostBatch, PayloadStore, Removal, wording};

#[async_trait]
impl PayloadStore for PostgresStore {
    async fn payloads(&self) -> Result<Vec<KeptPayload>> {
        ask!(self, |session| kept(&session))
    }

    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()> {
        change!(self, None, |change| change.forget_payloads(run, removal))
    }
}

impl Change<'_> {
    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()> {
        let update = "UPDATE batches SET spooled = NULL
                      WHERE scope = $1 AND batch = ANY($2::text[]) AND settled_at IS NOT NULL";
        let mut of: HashMap<_, Vec<String>> = HashMap::new();
        for (scope, batch) in removal.payloads.iter().flat_map(|it| &it.of) {
            of.entry(scope).or_default().push(batch.to_string());
        }
        for (scope, batches) in of {
            let number = self.scope(scope).await?;
            self.execute(update, &[&number, &batches]).await?;
        }
        let told = wording::payloads_removed(removal);
        self.tell(Some(run), &told).await.map(drop)
    }

    pub(super) async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()> {
        let scope = self.scope(&claim.scope).await?;
        let delete = "DELETE FROM batches WHERE scope = $1 AND batch = $2 AND settled_at IS NULL";
        let id = lost.batch.id.to_string();
        if self.execute(delete, &[&scope, &id]).await? == 0 {
            return Err(not_waiting(&lost.batch));
        }
        // No batch that waits may move the cursor over what has to be read again.
        let update = "UPDATE batches SET cursor = NULL WHERE scope = $1 AND settled_at IS NULL";
        self.execute(update, &[&scope]).await?;
        let update = "UPDATE scopes SET window_cursor = NULL, window_is_read = false
                      WHERE scope = $1 AND window_until IS NOT NULL";
        if self.execute(update, &[&scope]).await? == 0 {
            return Err(window_is_closed(&lost.batch));
        }
        let told = wording::batch_given_up(lost);
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

pub(super) async fn kept(session: &Session) -> Result<Vec<KeptPayload>> {
    let columns = PayloadRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches JOIN scopes USING (scope)
                  WHERE spooled IS NOT NULL ORDER BY settled_at NULLS FIRST, number"
    );
    let found = rows(session, &select, &[]).await?;
    let payloads = found.iter().map(|row| PayloadRow::from(row).kept());
    payloads.collect()
}
