//! From what a person asks for to the batches of each stream.

use super::{Destination, Pipeline, ReplayOptions, ReplaySelection};
use crate::batch::{RecordKey, record_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BatchId;
use crate::store::{BatchQuery, BatchesThat, KeptBatch, Scope};

/// The batches of one stream that were asked for.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) to: Destination,
    pub(super) scope: Scope,
    pub(super) batches: Vec<KeptBatch>,
    pub(super) unsearched: u64,
}

impl Pipeline {
    /// The streams in the order of their first batches.
    pub(super) async fn select(
        &self,
        selection: &ReplaySelection,
        options: &ReplayOptions,
    ) -> Result<Vec<Selected>> {
        let mut query = BatchQuery {
            pipeline: self.name.clone(),
            sink: String::new(),
            streams: options.streams.clone(),
            which: BatchesThat::Are,
        };
        match selection {
            ReplaySelection::Batches(batches) => {
                query.which = BatchesThat::AreNamed(batches.clone());
            }
            ReplaySelection::Run(run) => query.which = BatchesThat::WereCutBy(*run),
            ReplaySelection::Window { from, until } => {
                let (from, until) = (*from, *until);
                query.which = BatchesThat::Overlap { from, until };
            }
            ReplaySelection::Record { stream, .. } => {
                if options.streams.is_empty() || options.streams.contains(stream) {
                    query.streams = vec![stream.clone()];
                } else {
                    return Err(nothing_matches(selection));
                }
            }
            ReplaySelection::Rejected(class) => {
                query.which = BatchesThat::HaveWaitingLetters(*class);
            }
        }
        let mut streams: Vec<Selected> = Vec::new();
        for to in self.chosen_destinations(&options.sinks)? {
            query.sink = to.sink.name().to_owned();
            for batch in self.parts.store.batches(&query).await? {
                match streams.iter_mut().find(|it| it.scope == batch.scope) {
                    Some(stream) => stream.batches.push(batch),
                    None => streams.push(Selected {
                        to: to.clone(),
                        scope: batch.scope.clone(),
                        batches: vec![batch],
                        unsearched: 0,
                    }),
                }
            }
        }
        all_are_known(selection, &streams)?;
        if let ReplaySelection::Record { key, .. } = selection {
            for stream in &mut streams {
                self.keep_carriers(stream, key).await?;
            }
            streams.retain(|stream| !stream.batches.is_empty());
        }
        if streams.is_empty() {
            return Err(nothing_matches(selection));
        }
        Ok(streams)
    }

    /// The pipeline's sinks of these names; all of them where there are none.
    fn chosen_destinations(&self, names: &[String]) -> Result<Vec<Destination>> {
        let all = self.destinations()?;
        let is_there = |name: &&String| all.iter().any(|to| to.sink.name() == name.as_str());
        if let Some(unknown) = names.iter().find(|name| !is_there(name)) {
            let what = "the pipeline has no sink of this name";
            return Err(Error::new(ErrorKind::NotFound, what).with("sink", unknown));
        }
        let is_chosen =
            |to: &Destination| names.is_empty() || names.iter().any(|it| it == to.sink.name());
        Ok(all.into_iter().filter(is_chosen).collect())
    }

    /// Keeps those batches that carried a record.
    async fn keep_carriers(&self, selected: &mut Selected, key: &RecordKey) -> Result<()> {
        let descriptor = self.remembered(&selected.scope).await?;
        let audit = self.parts.store.audit(&selected.scope, key).await?;
        // What the store itself knows, of payloads that are gone.
        let mut known: Vec<BatchId> = audit.rejected.iter().filter_map(|it| it.batch).collect();
        known.extend(audit.last.map(|last| last.batch));
        let mut carriers = Vec::new();
        for batch in std::mem::take(&mut selected.batches) {
            let mut carries = Some(true);
            if !known.contains(&batch.id) {
                carries = match &batch.spooled {
                    None => None,
                    Some(spooled) => match self.parts.spool.get(spooled).await {
                        Ok(rows) => Some(record_keys(&descriptor, &rows)?.contains(key)),
                        Err(error) if is_lost(&error) => None,
                        Err(error) => return Err(error),
                    },
                };
            }
            match carries {
                Some(true) => carriers.push(batch),
                Some(false) => {}
                None => selected.unsearched += 1,
            }
        }
        selected.batches = carriers;
        Ok(())
    }
}

/// Whether a payload will not be there when it is asked for again either.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Data)
}

fn all_are_known(selection: &ReplaySelection, found: &[Selected]) -> Result<()> {
    let ReplaySelection::Batches(named) = selection else {
        return Ok(());
    };
    let is_known = |id: &BatchId| {
        let mut batches = found.iter().flat_map(|stream| &stream.batches);
        batches.any(|batch| batch.id == *id)
    };
    match named.iter().find(|id| !is_known(id)) {
        None => Ok(()),
        Some(unknown) => {
            let what =
                "the store knows no such batch on the way to this sink; nothing was replayed";
            Err(Error::new(ErrorKind::NotFound, what).with("batch", unknown.to_string()))
        }
    }
}

fn nothing_matches(selection: &ReplaySelection) -> Error {
    let what = "no batch matches what is to be replayed; nothing was done";
    let error = Error::new(ErrorKind::NotFound, what);
    match selection {
        ReplaySelection::Batches(_) => error.with("batches", "none named"),
        ReplaySelection::Run(run) => error.with("run", run.to_string()),
        ReplaySelection::Window { from, until } => {
            let window = crate::window::Window {
                from: *from,
                until: *until,
            };
            error.with("window", window.to_string())
        }
        ReplaySelection::Record { stream, key } => error
            .with("stream", stream.as_str())
            .with("record", key.to_string()),
        ReplaySelection::Rejected(class) => error.with("class", class.as_str()),
    }
}
