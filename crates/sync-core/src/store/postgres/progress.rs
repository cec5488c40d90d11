//! Runs, windows and checkpoints.

use super::change::{Change, Values, rows};
use crate::error::Result;
use crate::id::RunId;
use crate::ledger::{EntryKind, Head};
use crate::postgres::Session;
use crate::store::stored::{ScopeRow, never_opened, signed, unsigned};
use crate::store::wording::{self, configuration_digest};
use crate::store::{Claim, DeadLetter, RunStart, Scope};
use crate::window::{Checkpoint, Cursor, Window, rfc3339};

impl Change<'_> {
    pub(super) async fn begin_run(&self, start: &RunStart) -> Result<()> {
        let select = "SELECT configuration FROM runs WHERE pipeline = $1 AND sink = $2
                      ORDER BY begun_at DESC LIMIT 1";
        let before = self.row(select, &[&start.pipeline, &start.sink]).await?;
        let before: Option<String> = before.and_then(|row| row.get(0));
        let configuration = configuration_digest(&start.settings).to_string();
        let insert = "INSERT INTO runs (run, pipeline, sink, company, begun_at, configuration)
                      VALUES ($1, $2, $3, $4, $5, $6)";
        let run = start.run.to_string();
        let values: Values<'_> = &[
            &run,
            &start.pipeline,
            &start.sink,
            &start.company,
            &self.now,
            &configuration,
        ];
        self.execute(insert, values).await?;
        if before.as_ref() != Some(&configuration) {
            let told = wording::configured(start, before.as_deref());
            self.tell(Some(start.run), &told).await?;
        }
        let told = wording::run_begun(start);
        self.tell(Some(start.run), &told).await.map(drop)
    }

    pub(super) async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        let update = "UPDATE runs SET ended_at = $1, outcome = $2 WHERE run = $3";
        self.execute(update, &[&self.now, &outcome, &run.to_string()])
            .await?;
        self.append(Some(run), EntryKind::RunEnded, outcome).await
    }

    pub(super) async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        // A window that begins at the beginning may be one that was read before.
        let update = "UPDATE scopes SET window_from = $1, window_until = $2, window_cursor = NULL,
                      next_ordinal = CASE WHEN watermark IS NULL
                          THEN (SELECT count(*) FROM batches WHERE scope = $3) ELSE 0 END,
                      window_is_read = false, window_read = 0
                      WHERE scope = $3";
        let (from, until) = (window.from.map(rfc3339), rfc3339(window.until));
        self.execute(update, &[&from, &until, &number]).await?;
        let told = wording::window_opened(&claim.scope, window);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    pub(super) async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET window_read = window_read + $1
                      WHERE scope = $2 AND window_until IS NOT NULL";
        self.execute(update, &[&signed(records), &number])
            .await
            .map(drop)
    }

    pub(super) async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        self.keep_dead_letters(claim, number, None, unreadable)
            .await?;
        let Some(cursor) = cursor else { return Ok(()) };
        let update = "UPDATE scopes SET window_cursor = $1 WHERE scope = $2";
        self.execute(update, &[&cursor.0, &number]).await?;
        let told = wording::advanced(&claim.scope, cursor);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    pub(super) async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET window_is_read = true
                      WHERE scope = $1 AND window_until IS NOT NULL";
        if self.execute(update, &[&number]).await? == 0 {
            return Err(never_opened(&claim.scope));
        }
        let told = wording::window_read(&claim.scope);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    pub(super) async fn complete_window(&self, claim: &Claim) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET watermark = greatest(watermark, window_until),
                          window_from = NULL, window_until = NULL, window_cursor = NULL,
                          next_ordinal = 0, window_is_read = false,
                          window_read = 0
                      WHERE scope = $1 AND window_until IS NOT NULL RETURNING watermark";
        let Some(row) = self.row(update, &[&number]).await? else {
            return Err(never_opened(&claim.scope));
        };
        let told = wording::window_completed(&claim.scope, row.get(0));
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

pub(super) async fn checkpoint(session: &Session, scope: &Scope) -> Result<Checkpoint> {
    let select = "SELECT watermark, window_from, window_until, window_cursor, next_ordinal,
                  window_is_read FROM scopes WHERE pipeline = $1 AND sink = $2 AND stream = $3";
    let (pipeline, sink, stream) = (&scope.pipeline, &scope.sink, scope.stream.as_str());
    let found = rows(session, select, &[pipeline, sink, &stream]).await?;
    let Some(row) = found.first() else {
        return Ok(Checkpoint::default());
    };
    let row = ScopeRow {
        watermark: row.get(0),
        from: row.get(1),
        until: row.get(2),
        cursor: row.get(3),
        next_ordinal: row.get(4),
        is_read: row.get(5),
    };
    row.checkpoint()
}

pub(super) async fn read_of_window(session: &Session, scope: &Scope) -> Result<u64> {
    let select = "SELECT window_read FROM scopes
                  WHERE pipeline = $1 AND sink = $2 AND stream = $3";
    let (pipeline, sink, stream) = (&scope.pipeline, &scope.sink, scope.stream.as_str());
    let found = rows(session, select, &[pipeline, sink, &stream]).await?;
    Ok(found.first().map_or(0, |row| unsigned(row.get(0))))
}
