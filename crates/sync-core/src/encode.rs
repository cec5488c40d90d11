//! Batches as the bytes that destinations take: JSON, CSV, and the binary form of Postgres' `COPY`.
//!
//! An encoder looks at the columns of a batch once, then writes rows from them into the caller's
//! buffer, as many as a limit allows:
//!
//! ```
//! use std::sync::Arc;
//! use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
//! use sync_core::encode::{JsonOptions, JsonRows, Layout, Nulls};
//!
//! let amounts = Decimal128Array::from(vec![Some(12_500_000_000), None])
//!     .with_precision_and_scale(38, 9)?;
//! let rows = RecordBatch::try_from_iter([
//!     ("name", Arc::new(StringArray::from(vec!["Müller \"& Co\"", "Blank"])) as ArrayRef),
//!     ("amount", Arc::new(amounts) as ArrayRef),
//! ])?;
//! let mut options = JsonOptions::new(Layout::Lines);
//! options.nulls = Nulls::Omitted;
//! let encoder = JsonRows::new(&rows, &options)?;
//!
//! let mut body = Vec::new();
//! let written = encoder.append(0..rows.num_rows(), 1_000_000, &mut body)?;
//! assert_eq!(written, 2);
//! assert_eq!(
//!     String::from_utf8(body)?,
//!     "{\"name\":\"Müller \\\"& Co\\\"\",\"amount\":12.5}\n{\"name\":\"Blank\"}\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is rounded, and nothing is left out: decimals are written digit by digit from their
//! integers, and what a form cannot hold is an error that names column and row.
//!
//! # How it is fast
//!
//! Everything is stored in blocks of 8 to 32 bytes whose surplus the next store overwrites, so no
//! length decides how anything is copied. For that the buffer is kept some kilobytes longer than its
//! content while rows are written: `rows` reckons what a few rows may take at most, makes room once,
//! and the writers of single values store without asking. Digits come eight at a time from three
//! multiplications (`digits`), days from the arithmetic of the calendar (`moment`); text is
//! copied sixteen bytes at a time and looked at while it is (`text`).

mod column;
mod copy;
mod csv;
mod decimal;
mod digits;
mod json;
mod moment;
mod rows;
mod text;
mod unwritable;

pub use copy::CopyRows;
pub use csv::{CsvOptions, CsvRows};
pub use json::{JsonOptions, JsonRows, Layout, Nulls, Numbers};
pub use moment::Fraction;
pub use unwritable::Unwritable;
