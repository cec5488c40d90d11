//! What the store knows of the spool.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::change::Change;
use super::failure::Work;
use crate::error::Result;
use crate::id::RunId;
use crate::store::rows::PayloadRow;
use crate::store::stored::{not_waiting, window_is_closed};
use crate::store::{Claim, KeptPayload, LostBatch, PayloadStore, Removal, wording};

#[async_trait]
impl PayloadStore for SqliteStore {
    async fn payloads(&self) -> Result<Vec<KeptPayload>> {
        self.read(kept).await
    }

    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()> {
        let removal = removal.clone();
        self.change(move |change| change.forget_payloads(run, &removal))
            .await
    }
}

impl Change<'_> {
    fn forget_payloads(&self, run: RunId, removal: &Removal) -> Work<()> {
        let update = "UPDATE batches SET spooled = NULL
                      WHERE scope = ? AND batch = ? AND settled_at IS NOT NULL";
        for (scope, batch) in removal.payloads.iter().flat_map(|it| &it.of) {
            let number = self.scope(scope)?;
            self.execute(update, params![number, batch.to_string()])?;
        }
        self.tell(Some(run), &wording::payloads_removed(removal))
            .map(drop)
    }

    pub(super) fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Work<()> {
        let scope = self.scope(&claim.scope)?;
        let delete = "DELETE FROM batches WHERE scope = ? AND batch = ? AND settled_at IS NULL";
        if self.execute(delete, params![scope, lost.batch.id.to_string()])? == 0 {
            return Err(not_waiting(&lost.batch).into());
        }
        // No batch that waits may move the cursor over what has to be read again.
        let update = "UPDATE batches SET cursor = NULL WHERE scope = ? AND settled_at IS NULL";
        self.execute(update, [scope])?;
        let update = "UPDATE scopes SET window_cursor = NULL, window_is_read = 0
                      WHERE scope = ? AND window_until IS NOT NULL";
        if self.execute(update, [scope])? == 0 {
            return Err(window_is_closed(&lost.batch).into());
        }
        self.tell(Some(claim.run), &wording::batch_given_up(lost))
            .map(drop)
    }
}

pub(super) fn kept(connection: &Connection) -> Work<Vec<KeptPayload>> {
    let columns = PayloadRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches JOIN scopes USING (scope)
                  WHERE spooled IS NOT NULL ORDER BY settled_at, number"
    );
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then([], |row| Ok(PayloadRow::try_from(row)?.kept()?))?;
    rows.collect()
}
