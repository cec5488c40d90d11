//! What the store knows of the spool.

use rusqlite::{Connection, params};

use super::change::Change;
use super::failure::Work;
use crate::id::RunId;
use crate::store::stored::{PayloadRow, not_waiting, window_is_closed};
use crate::store::wording;
use crate::store::{Claim, KeptPayload, LostBatch, Removal};

impl Change<'_> {
    pub(super) fn forget_payloads(&self, run: RunId, removal: &Removal) -> Work<()> {
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
    let select = "SELECT pipeline, sink, stream, batch, spooled, settled_at
                  FROM batches JOIN scopes USING (scope)
                  WHERE spooled IS NOT NULL ORDER BY settled_at, number";
    let mut select = connection.prepare(select)?;
    let rows = select.query_and_then([], |row| {
        let row = PayloadRow {
            pipeline: row.get(0)?,
            sink: row.get(1)?,
            stream: row.get(2)?,
            batch: row.get(3)?,
            spooled: row.get(4)?,
            settled_at: row.get(5)?,
        };
        Ok(row.kept()?)
    })?;
    rows.collect()
}
