//! Agreeing on a stream's contract before anything of it is read.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::delivery::Delivery;
use super::{Parts, Pipeline};
use crate::error::Result;
use crate::shape::{AcceptedContract, Mapped, Shape, ShapedSource, StreamMapping, check, refusal};
use crate::store::Scope;
use crate::stream::StreamDescriptor;

impl Pipeline {
    /// Refuses mappings that cannot be carried out, all at once.
    pub(super) fn check_mappings(&self, streams: &[StreamDescriptor]) -> Result<()> {
        let problems = check(streams, &self.options.shaping, &self.hash_keys);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(refusal(&problems))
        }
    }

    /// The shape of a stream under what was promised of it, to whatever sink.
    pub(super) async fn shape(&self, stream: &StreamDescriptor) -> Result<Shape> {
        let shaping = &self.options.shaping;
        let nothing = StreamMapping::default();
        let mapping = shaping.streams.get(&stream.name).unwrap_or(&nothing);
        let mapped = Mapped::of(stream, mapping, &self.hash_keys);
        let mapped = mapped.map_err(|problems| refusal(&problems))?;
        let mut accepted: Option<AcceptedContract> = None;
        for sink in &self.parts.sinks {
            let scope = Scope {
                pipeline: self.name.clone(),
                sink: sink.name().to_owned(),
                stream: stream.name.clone(),
            };
            let of_this = self.parts.store.contract(&scope).await?;
            let is_asked_for = accepted.as_ref().is_some_and(|it| it.reread);
            accepted =
                of_this.map(|it| AcceptedContract::new(it.contract, it.reread || is_asked_for));
        }
        Shape::new(&mapped, accepted, shaping.mode(&stream.name))
    }

    /// The same pipeline, whose source speaks the destination's names of this stream.
    pub(super) fn shaped(&self, shape: &Arc<Shape>) -> Self {
        let mut shaped = self.clone();
        let source = Arc::clone(&self.parts.source);
        shaped.parts.source = Arc::new(ShapedSource::new(source, Arc::clone(shape)));
        shaped
    }
}

/// What is promised of a stream in this run.
pub(super) struct Agreement {
    pub(super) shape: Arc<Shape>,
    accepted: OnceCell<()>,
}

impl Agreement {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape: Arc::new(shape),
            accepted: OnceCell::new(),
        }
    }
}

impl Delivery {
    /// Promises the shape that the stream has now, where it is another one than before, makes the table,
    /// and brings batches of an interrupted run to their end. Of several sinks, the first that can have
    /// the shape has it promised; one that cannot fails alone.
    ///
    /// A process that is killed in between ends the same: what is promised before the table is made is
    /// made by the next run, batches that are on their way fit any later table, for no column ever goes or
    /// narrows, and reading begins anew only once they have arrived.
    pub(super) async fn agree(&self, agreement: &Agreement) -> Result<()> {
        let Parts { store, .. } = self.parts();
        let shape = &agreement.shape;
        let mut accepted = AcceptedContract::new(shape.contract().clone(), shape.reread());
        if shape.is_new() {
            // A sink that cannot have it keeps it from being promised.
            self.sink.plan(&self.stream).await?;
            let promise = || async {
                let differences = shape.differences();
                store
                    .accept_contract(&self.claim, &accepted, differences)
                    .await
            };
            agreement.accepted.get_or_try_init(promise).await?;
        }
        self.prepare_table().await?;
        self.recover().await?;
        if let Some(stored) = store.contract(self.scope()).await? {
            accepted = stored;
        }
        if accepted.reread {
            store.begin_reread(&self.claim).await?;
        }
        Ok(())
    }
}
