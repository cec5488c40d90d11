//! Where rows came from: which answer of the source.

use serde::{Deserialize, Serialize};

/// An answer of the source, as an auditor finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// Which page of the reading it was, counted from 0.
    pub page: u64,
    /// What the request was called towards the source, such as the control id of its function.
    pub request: String,
}

impl Origin {
    /// A page, and what its request was called.
    pub fn new(page: u64, request: impl Into<String>) -> Self {
        let request = request.into();
        Self { page, request }
    }
}

/// Rows of a batch that follow each other and came in one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginSpan {
    /// How many.
    pub rows: u64,
    /// The answer; none where the source does not say.
    pub origin: Option<Origin>,
}

/// The answer that a row came in, of rows that are told in spans.
pub fn origin_of(spans: &[OriginSpan], row: u64) -> Option<&Origin> {
    let mut end = 0;
    let span = spans.iter().find(|span| {
        end += span.rows;
        row < end
    })?;
    span.origin.as_ref()
}

/// What is left of spans once only the marked rows are kept.
#[cfg(feature = "pipeline")]
pub(crate) fn kept(spans: &[OriginSpan], marks: &[bool]) -> Vec<OriginSpan> {
    let mut left = Vec::with_capacity(spans.len());
    let mut marks = marks.iter();
    for span in spans {
        let of_span = marks
            .by_ref()
            .take(usize::try_from(span.rows).unwrap_or(usize::MAX));
        let rows = of_span.filter(|kept| **kept).count() as u64;
        if rows > 0 {
            left.push(OriginSpan {
                rows,
                origin: span.origin.clone(),
            });
        }
    }
    left
}

#[cfg(all(test, feature = "pipeline"))]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_answer_when_others_are_left_out() {
        let span = |rows, page| OriginSpan {
            rows,
            origin: Some(Origin::new(page, format!("request-{page}"))),
        };
        let spans = [span(2, 0), span(1, 1), span(3, 2)];
        let left = kept(&spans, &[false, true, false, true, false, true]);
        assert_eq!(left, [span(1, 0), span(2, 2)]);
        let pages: Vec<_> = (0..4)
            .map(|row| origin_of(&left, row).map(|origin| origin.page))
            .collect();
        assert_eq!(pages, [Some(0), Some(2), Some(2), None]);
    }
}
