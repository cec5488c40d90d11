//! Runs, windows and checkpoints.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows};
use super::patience::{ask, change};
use crate::error::Result;
use crate::id::RunId;
use crate::ledger::{EntryKind, Head};
use crate::postgres::Session;
use crate::store::rows::ScopeRow;
use crate::store::stored::{never_opened, signed, unsigned};
use crate::store::wording::configuration_digest;
use crate::store::{Claim, DeadLetter, ProgressStore, RunStart, Scope, wording};
use crate::window::{Checkpoint, Cursor, Window, rfc3339};

#[async_trait]
impl ProgressStore for PostgresStore {
    async fn begin_run(&self, start: &RunStart) -> Result<()> {
        change!(self, None, |change| change.begin_run(start))
    }

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        change!(self, None, |change| change.end_run(run, outcome))
    }

    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint> {
        ask!(self, |session| checkpoint(&session, scope))
    }

    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        change!(self, Some(claim), |change| change
            .open_window(claim, window))
    }

    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        change!(self, Some(claim), |change| change
            .advance(claim, cursor, unreadable))
    }

    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        change!(self, Some(claim), |change| change.note_read(claim, records))
    }

    async fn read_of_window(&self, scope: &Scope) -> Result<u64> {
        ask!(self, |session| read_of_window(&session, scope))
    }

    async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.note_window_read(claim))
    }

    async fn complete_window(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.complete_window(claim))
    }
}

impl Change<'_> {
    async fn begin_run(&self, start: &RunStart) -> Result<()> {
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

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        let update = "UPDATE runs SET ended_at = $1, outcome = $2 WHERE run = $3";
        self.execute(update, &[&self.now, &outcome, &run.to_string()])
            .await?;
        self.append(Some(run), EntryKind::RunEnded, outcome).await
    }

    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        // A window that begins at the beginning may be one that was read before.
        let update = "UPDATE scopes SET window_from = $1, window_until = $2, window_cursor = NULL,
                      next_ordinal = CASE WHEN watermark IS NULL
                          THEN (SELECT count(*) FROM batches WHERE scope = $3) ELSE 0 END,
                      window_is_read = false, window_records_read = 0
                      WHERE scope = $3";
        let (from, until) = (window.from.map(rfc3339), rfc3339(window.until));
        self.execute(update, &[&from, &until, &number]).await?;
        let told = wording::window_opened(&claim.scope, window);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET window_records_read = window_records_read + $1
                      WHERE scope = $2 AND window_until IS NOT NULL";
        self.execute(update, &[&signed(records), &number])
            .await
            .map(drop)
    }

    async fn advance(
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

    async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET window_is_read = true
                      WHERE scope = $1 AND window_until IS NOT NULL";
        if self.execute(update, &[&number]).await? == 0 {
            return Err(never_opened(&claim.scope));
        }
        let told = wording::window_read(&claim.scope);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    async fn complete_window(&self, claim: &Claim) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET watermark = greatest(watermark, window_until),
                          window_from = NULL, window_until = NULL, window_cursor = NULL,
                          next_ordinal = 0, window_is_read = false,
                          window_records_read = 0
                      WHERE scope = $1 AND window_until IS NOT NULL RETURNING watermark";
        let Some(row) = self.row(update, &[&number]).await? else {
            return Err(never_opened(&claim.scope));
        };
        let told = wording::window_completed(&claim.scope, row.get(0));
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

async fn checkpoint(session: &Session, scope: &Scope) -> Result<Checkpoint> {
    let columns = ScopeRow::COLUMNS;
    let select =
        format!("SELECT {columns} FROM scopes WHERE pipeline = $1 AND sink = $2 AND stream = $3");
    let (pipeline, sink, stream) = (&scope.pipeline, &scope.sink, scope.stream.as_str());
    let found = rows(session, &select, &[pipeline, sink, &stream]).await?;
    let Some(row) = found.first() else {
        return Ok(Checkpoint::default());
    };
    ScopeRow::from(row).checkpoint()
}

async fn read_of_window(session: &Session, scope: &Scope) -> Result<u64> {
    let select = "SELECT window_records_read FROM scopes
                  WHERE pipeline = $1 AND sink = $2 AND stream = $3";
    let (pipeline, sink, stream) = (&scope.pipeline, &scope.sink, scope.stream.as_str());
    let found = rows(session, select, &[pipeline, sink, &stream]).await?;
    Ok(found.first().map_or(0, |row| unsigned(row.get(0))))
}
