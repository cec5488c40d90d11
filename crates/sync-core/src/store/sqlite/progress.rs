//! Runs, windows and checkpoints.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::change::{Change, scope_key};
use super::failure::Work;
use crate::error::Result;
use crate::id::RunId;
use crate::ledger::{EntryKind, Head};
use crate::store::rows::ScopeRow;
use crate::store::stored::{never_opened, signed, unsigned};
use crate::store::wording::configuration_digest;
use crate::store::{Claim, DeadLetter, ProgressStore, RunStart, Scope, wording};
use crate::window::{Checkpoint, Cursor, Window, rfc3339};

#[async_trait]
impl ProgressStore for SqliteStore {
    async fn begin_run(&self, start: &RunStart) -> Result<()> {
        let start = start.clone();
        self.change(move |change| change.begin_run(&start)).await
    }

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        let outcome = outcome.to_owned();
        self.change(move |change| change.end_run(run, &outcome))
            .await
    }

    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint> {
        let scope = scope.clone();
        self.read(move |connection| checkpoint(connection, &scope))
            .await
    }

    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        self.change_by(claim, move |change, claim| {
            change.open_window(claim, window)
        })
        .await
    }

    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        let (cursor, unreadable) = (cursor.cloned(), unreadable.to_owned());
        self.change_by(claim, move |change, claim| {
            change.advance(claim, cursor.as_ref(), &unreadable)
        })
        .await
    }

    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        self.change_by(claim, move |change, claim| change.note_read(claim, records))
            .await
    }

    async fn read_of_window(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        self.read(move |connection| read_of_window(connection, &scope))
            .await
    }

    async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.note_window_read(claim))
            .await
    }

    async fn complete_window(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.complete_window(claim))
            .await
    }
}

impl Change<'_> {
    pub(super) fn begin_run(&self, start: &RunStart) -> Work<()> {
        let select = "SELECT configuration FROM runs WHERE pipeline = ? AND sink = ?
                      ORDER BY begun_at DESC LIMIT 1";
        let before: Option<Option<String>> = self
            .transaction
            .prepare_cached(select)?
            .query_row([&start.pipeline, &start.sink], |row| row.get(0))
            .optional()?;
        let (before, now) = (
            before.flatten(),
            configuration_digest(&start.settings).to_string(),
        );
        let insert = "INSERT INTO runs (run, pipeline, sink, company, begun_at, configuration)
                      VALUES (?, ?, ?, ?, ?, ?)";
        let run = start.run.to_string();
        self.execute(
            insert,
            params![
                run,
                start.pipeline,
                start.sink,
                start.company,
                self.now,
                now
            ],
        )?;
        if before.as_ref() != Some(&now) {
            self.tell(
                Some(start.run),
                &wording::configured(start, before.as_deref()),
            )?;
        }
        self.tell(Some(start.run), &wording::run_begun(start))
            .map(drop)
    }

    fn end_run(&self, run: RunId, outcome: &str) -> Work<Head> {
        let update = "UPDATE runs SET ended_at = ?, outcome = ? WHERE run = ?";
        self.execute(update, params![self.now, outcome, run.to_string()])?;
        self.append(Some(run), EntryKind::RunEnded, outcome)
    }

    fn open_window(&self, claim: &Claim, window: Window) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        // A window that begins at the beginning may be one that was read before.
        let update = "UPDATE scopes SET window_from = ?1, window_until = ?2, window_cursor = NULL,
                      next_ordinal = CASE WHEN watermark IS NULL
                          THEN (SELECT count(*) FROM batches WHERE scope = ?3) ELSE 0 END,
                      window_is_read = 0, window_records_read = 0
                      WHERE scope = ?3";
        let (from, until) = (window.from.map(rfc3339), rfc3339(window.until));
        self.execute(update, params![from, until, number])?;
        let told = wording::window_opened(&claim.scope, window);
        self.tell(Some(claim.run), &told).map(drop)
    }

    fn note_read(&self, claim: &Claim, records: u64) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        let update = "UPDATE scopes SET window_records_read = window_records_read + ?
                      WHERE scope = ? AND window_until IS NOT NULL";
        self.execute(update, params![signed(records), number])
            .map(drop)
    }

    fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        self.keep_dead_letters(claim, number, None, unreadable)?;
        let Some(cursor) = cursor else { return Ok(()) };
        let update = "UPDATE scopes SET window_cursor = ? WHERE scope = ?";
        self.execute(update, params![cursor.0, number])?;
        let told = wording::advanced(&claim.scope, cursor);
        self.tell(Some(claim.run), &told).map(drop)
    }

    fn note_window_read(&self, claim: &Claim) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        let update = "UPDATE scopes SET window_is_read = 1
                      WHERE scope = ? AND window_until IS NOT NULL";
        if self.execute(update, [number])? == 0 {
            return Err(never_opened(&claim.scope).into());
        }
        let told = wording::window_read(&claim.scope);
        self.tell(Some(claim.run), &told).map(drop)
    }

    fn complete_window(&self, claim: &Claim) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        let select = "SELECT max(coalesce(watermark, ''), window_until) FROM scopes
                      WHERE scope = ? AND window_until IS NOT NULL";
        let watermark: Option<String> = self
            .transaction
            .query_row(select, [number], |row| row.get(0))
            .optional()?;
        let Some(watermark) = watermark else {
            return Err(never_opened(&claim.scope).into());
        };
        let update = "UPDATE scopes SET watermark = ?, window_from = NULL, window_until = NULL,
                      window_cursor = NULL, next_ordinal = 0, window_is_read = 0,
                      window_records_read = 0 WHERE scope = ?";
        self.execute(update, params![watermark, number])?;
        let told = wording::window_completed(&claim.scope, &watermark);
        self.tell(Some(claim.run), &told).map(drop)
    }
}

fn checkpoint(connection: &Connection, scope: &Scope) -> Work<Checkpoint> {
    let columns = ScopeRow::COLUMNS;
    let select =
        format!("SELECT {columns} FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?");
    let found = connection.query_row(&select, scope_key(scope), |row| ScopeRow::try_from(row));
    match found.optional()? {
        Some(found) => Ok(found.checkpoint()?),
        None => Ok(Checkpoint::default()),
    }
}

fn read_of_window(connection: &Connection, scope: &Scope) -> Work<u64> {
    let select =
        "SELECT window_records_read FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?";
    let found = connection.query_row(select, scope_key(scope), |row| row.get(0));
    Ok(found.optional()?.map_or(0, unsigned))
}
