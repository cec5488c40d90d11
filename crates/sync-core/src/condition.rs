//! Conditions by which some of a stream's records are asked for.

use std::collections::HashSet;

use arrow_array::{BooleanArray, RecordBatch};
use serde::Serialize;
use time::Date;

use crate::column::{Column, Value};
use crate::error::Result;

/// What a record's column must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// One of these texts, as [`Value::push_to`] writes values; the empty text is null too. At least
    /// one.
    OneOf {
        /// The column: of text, whole numbers, booleans or dates.
        column: String,
        /// The texts.
        values: Vec<String>,
    },
    /// A day between two, both included, where they are given. Not met without a day.
    Between {
        /// The column, of dates.
        column: String,
        /// The first day.
        first: Option<Date>,
        /// The last day.
        last: Option<Date>,
    },
}

impl Condition {
    /// The column holds this text.
    pub fn is(column: impl Into<String>, value: impl Into<String>) -> Self {
        Self::one_of(column, [value.into()])
    }

    /// The column holds one of these texts.
    pub fn one_of(
        column: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self::OneOf {
            column: column.into(),
            values: values.into_iter().map(Into::into).collect(),
        }
    }

    /// The column's day lies between these, both included.
    pub fn between(column: impl Into<String>, first: Option<Date>, last: Option<Date>) -> Self {
        Self::Between {
            column: column.into(),
            first,
            last,
        }
    }

    /// The column that it is about.
    pub fn column(&self) -> &str {
        match self {
            Self::OneOf { column, .. } | Self::Between { column, .. } => column,
        }
    }

    /// The same of another column.
    #[must_use]
    pub fn about(mut self, other: impl Into<String>) -> Self {
        match &mut self {
            Self::OneOf { column, .. } | Self::Between { column, .. } => *column = other.into(),
        }
        self
    }

    /// Which of the rows meet it.
    ///
    /// # Errors
    ///
    /// As [`Column::named`].
    pub fn met_by(&self, rows: &RecordBatch) -> Result<BooleanArray> {
        let column = Column::named(rows, self.column())?;
        let rows = 0..rows.num_rows();
        Ok(match self {
            Self::OneOf { values, .. } => {
                let values: HashSet<&str> = values.iter().map(String::as_str).collect();
                let mut text = String::new();
                rows.map(|row| {
                    text.clear();
                    column.value(row).push_to(&mut text);
                    Some(values.contains(text.as_str()))
                })
                .collect()
            }
            Self::Between { first, last, .. } => {
                let (first, last) = (first.map(days), last.map(days));
                rows.map(|row| {
                    let Value::Date(day) = column.value(row) else {
                        return Some(false);
                    };
                    let day = i64::from(day);
                    let is_early = first.is_some_and(|first| day < first);
                    Some(!is_early && last.is_none_or(|last| day <= last))
                })
                .collect()
            }
        })
    }
}

/// Days since 1970-01-01.
fn days(date: Date) -> i64 {
    i64::from(date.to_julian_day()) - i64::from(UNIX_EPOCH)
}

/// The julian day of 1970-01-01.
const UNIX_EPOCH: i32 = 2_440_588;
