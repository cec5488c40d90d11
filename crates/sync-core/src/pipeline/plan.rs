//! What a run would change, without changing it.

use serde::Serialize;

use super::{Pipeline, concerns_one_stream};
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::SchemaChange;
use crate::shape::Difference;
use crate::sink::Sink;
use crate::stream::{StreamDescriptor, StreamName};

/// What a run would change of one stream's contract and tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamPlan {
    /// The stream.
    pub stream: StreamName,
    /// In what it differs from what was promised of it; nothing before its first run.
    pub differences: Vec<Difference>,
    /// Whether all of it would be read, because what was delivered has an older shape.
    pub reread: bool,
    /// What would change in each sink.
    pub sinks: Vec<SinkPlan>,
    /// What a person must know of its mapping and contract.
    pub findings: Vec<Finding>,
    /// Why the stream could not be read, where its contract does not allow it.
    pub refused: Option<String>,
}

/// What a run would change of one stream's table in one sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SinkPlan {
    /// The sink's name.
    pub sink: String,
    /// What would change.
    pub changes: Vec<SchemaChange>,
    /// The statements that would do it, in the destination's language.
    pub statements: Vec<String>,
    /// Why the sink could not have the stream.
    pub refused: Option<String>,
}

impl StreamPlan {
    /// Whether a run would change neither contract nor tables.
    pub fn is_empty(&self) -> bool {
        let sinks = &self.sinks;
        let unchanged = |sink: &SinkPlan| sink.changes.is_empty() && sink.refused.is_none();
        self.differences.is_empty() && self.refused.is_none() && sinks.iter().all(unchanged)
    }
}

impl Pipeline {
    /// What a run would change of its streams' contracts and tables, in the order in which it would.
    /// Changes nothing, and waits for nobody who holds a stream.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::run`] before it begins, with all problems of mappings at once. What keeps a single
    /// stream from being read, or a single sink from having it, stands in its plan.
    pub async fn plan(&self) -> Result<Vec<StreamPlan>> {
        let streams = self.chosen(self.parts.source.discover().await?)?;
        let mut plans = Vec::with_capacity(streams.len());
        for stream in &streams {
            plans.push(self.plan_of(stream).await?);
        }
        Ok(plans)
    }

    async fn plan_of(&self, stream: &StreamDescriptor) -> Result<StreamPlan> {
        let mut plan = StreamPlan {
            stream: stream.name.clone(),
            differences: Vec::new(),
            reread: false,
            sinks: Vec::new(),
            findings: Vec::new(),
            refused: None,
        };
        let shape = match self.shape(stream).await {
            Err(error) if concerns_one_stream(error.kind()) => {
                plan.refused = Some(error.chain());
                return Ok(plan);
            }
            shape => shape?,
        };
        plan.differences = shape.differences().to_vec();
        plan.reread = shape.reread();
        plan.findings = shape.findings();
        for sink in &self.parts.sinks {
            plan.sinks
                .push(of_sink(sink.as_ref(), shape.destination()).await?);
        }
        Ok(plan)
    }
}

async fn of_sink(sink: &dyn Sink, stream: &StreamDescriptor) -> Result<SinkPlan> {
    let (changes, statements, refused) = match sink.plan(stream).await {
        Err(error) if concerns_one_stream(error.kind()) => {
            (Vec::new(), Vec::new(), Some(error.chain()))
        }
        plan => {
            let plan = plan?;
            (plan.changes, plan.statements, None)
        }
    };
    Ok(SinkPlan {
        sink: sink.name().to_owned(),
        changes,
        statements,
        refused,
    })
}
