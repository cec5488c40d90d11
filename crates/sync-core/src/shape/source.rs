//! A source as the destination's names see it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use time::{Date, OffsetDateTime};

use super::stage::{Errand, Seen, Shape};
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
pub(crate) struct ShapedSource {
    source: Arc<dyn Source>,
    shape: Arc<Shape>,
    /// Never shown: some of it is hidden from everybody else.
    seen: Mutex<Seen>,
}

impl fmt::Debug for ShapedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShapedSource")
            .field("source", &self.source)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// What is asked of the source where records of some columns' values are asked for.
enum Asked {
    /// Those that meet these conditions.
    For(Vec<Condition>),
    /// None: the source has no such values.
    Nothing,
    /// The source has no such column.
    Unknown,
}

impl ShapedSource {
    pub(crate) fn new(source: Arc<dyn Source>, shape: Arc<Shape>) -> Self {
        let seen = Mutex::default();
        Self {
            source,
            shape,
            seen,
        }
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

    /// Conditions by the source's names and values. A value that was treated is known by the groups that
    /// the source has told of: whoever asks for it has it from there.
    fn conditions(&self, told: &[Condition]) -> Asked {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut conditions = Vec::with_capacity(told.len());
        for condition in told {
            let Some((column, same)) = self.shape.of_source(condition.column()) else {
                return Asked::Unknown;
            };
            let condition = match condition {
                condition if same => condition.clone().about(column),
                Condition::OneOf { values, .. } => {
                    let plain = values
                        .iter()
                        .filter_map(|value| seen.get(&(column.to_owned(), value.clone())));
                    let plain: Vec<&String> = plain.flatten().collect();
                    if plain.is_empty() {
                        return Asked::Nothing;
                    }
                    Condition::one_of(column, plain)
                }
                Condition::Between { .. } => return Asked::Unknown,
            };
            conditions.push(condition);
        }
        Asked::For(conditions)
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
        let errand = match &request.selection {
            Selection::Changes { .. } => Errand::Delivery,
            _ => Errand::Comparison,
        };
        if let Selection::Matching(conditions) = &request.selection {
            let conditions = match self.conditions(conditions) {
                Asked::For(conditions) => conditions,
                Asked::Nothing => return stream::empty().boxed(),
                Asked::Unknown => {
                    let what = "records cannot be asked for by a column that is not in the destination \
                                as it is at the source";
                    let error = Error::new(ErrorKind::Unsupported, what);
                    return stream::once(async { Err(error) }).boxed();
                }
            };
            request.selection = Selection::Matching(conditions);
        }
        let pages = self.source.read(request);
        pages
            .map(move |page| page.and_then(|page| self.shape.apply(page, errand)))
            .boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let Some(stream) = self.asked(&query.stream.totals) else {
            return Ok(None);
        };
        let matching = match self.conditions(&query.matching) {
            Asked::For(matching) => matching,
            Asked::Nothing => return Ok(Some(ControlTotals::default())),
            Asked::Unknown => return Ok(None),
        };
        let mut asked = query.clone();
        (asked.stream, asked.matching) = (Arc::new(stream), matching);
        let totals = self.source.control_totals(&asked).await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let group_by = &asked.stream.totals.group_by;
        totals
            .map(|totals| self.shape.totals(totals, group_by, &mut seen))
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

    async fn closed_through(&self) -> Result<Option<Date>> {
        self.source.closed_through().await
    }

    fn findings(&self) -> Vec<Finding> {
        self.source.findings()
    }

    fn calls(&self, stream: &StreamName) -> u64 {
        self.source.calls(stream)
    }
}
