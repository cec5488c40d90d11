//! A source as the destination's names see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use time::OffsetDateTime;

use super::stage::Shape;
use crate::batch::{RecordKey, SourceBatch};
use crate::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::source::{Deletion, ReadRequest, Selection, Source};
use crate::stream::{StreamDescriptor, StreamName, TotalsShape};
use crate::totals::{ControlTotals, TotalsQuery};
use crate::window::Window;

/// One stream of a source behind its shape: it is asked by the destination's names and answers by them,
/// and the source itself hears its own. So nothing else needs to know that there are two sides.
#[derive(Debug)]
pub(crate) struct ShapedSource {
    source: Arc<dyn Source>,
    shape: Arc<Shape>,
}

impl ShapedSource {
    pub(crate) fn new(source: Arc<dyn Source>, shape: Arc<Shape>) -> Self {
        Self { source, shape }
    }

    /// The stream with the totals that are asked for, by the source's names; none where the source has no
    /// such columns.
    fn asked(&self, told: &TotalsShape) -> Option<StreamDescriptor> {
        let to_source: BTreeMap<&str, &str> = self.shape.names().collect();
        let named = |names: &[String]| {
            let names = names.iter().map(|name| to_source.get(name.as_str()));
            names
                .map(|name| name.map(|name| (*name).to_owned()))
                .collect::<Option<Vec<String>>>()
        };
        let mut stream = (**self.shape.source()).clone();
        stream.totals = TotalsShape {
            sums: named(&told.sums)?,
            group_by: named(&told.group_by)?,
            ..TotalsShape::default()
        };
        Some(stream)
    }

    /// Conditions by the source's names; none where a column has other values there.
    fn conditions(&self, told: &[Condition]) -> Option<Vec<Condition>> {
        let conditions = told.iter().map(|it| {
            let column = self.shape.untouched(it.column())?;
            Some(it.clone().about(column))
        });
        conditions.collect()
    }
}

#[async_trait]
impl Source for ShapedSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn company(&self) -> &str {
        self.source.company()
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        self.source.now().await
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        self.source.check().await
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        self.source.discover().await
    }

    fn read(&self, mut request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        request.stream = Arc::clone(self.shape.source());
        if let Selection::Matching(conditions) = &request.selection {
            let Some(conditions) = self.conditions(conditions) else {
                let what = "records cannot be asked for by a column that is not in the destination as it \
                            is at the source";
                let error = Error::new(ErrorKind::Unsupported, what);
                return stream::once(async { Err(error) }).boxed();
            };
            request.selection = Selection::Matching(conditions);
        }
        let pages = self.source.read(request);
        pages
            .map(|page| page.and_then(|page| self.shape.apply(page)))
            .boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let Some(stream) = self.asked(&query.stream.totals) else {
            return Ok(None);
        };
        let Some(matching) = self.conditions(&query.matching) else {
            return Ok(None);
        };
        let mut asked = query.clone();
        (asked.stream, asked.matching) = (Arc::new(stream), matching);
        let totals = self.source.control_totals(&asked).await?;
        totals
            .map(|totals| self.shape.totals(totals, &asked.stream.totals.group_by))
            .transpose()
    }

    fn deletions(
        &self,
        _: Arc<StreamDescriptor>,
        window: Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        // Keys and what holds records together have the same texts on both sides.
        let stream = Arc::clone(self.shape.source());
        self.source.deletions(stream, window)
    }

    async fn existing(
        &self,
        _: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        self.source.existing(self.shape.source(), keys).await
    }

    fn findings(&self) -> Vec<Finding> {
        self.source.findings()
    }

    fn calls(&self, stream: &StreamName) -> u64 {
        self.source.calls(stream)
    }
}
