//! Typed Arrow columns, written by hand with Arrow's builders from quick-xml's events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::events::push_reference;
use super::{Result, schema};
use crate::record::{Kind, Record};

/// The digits behind the point of a decimal column.
const SCALE: usize = 9;

/// Arrow columns for pages of one object; the builders are used again for the next page.
pub struct QuickXmlColumns {
    schema: SchemaRef,
    builders: Vec<Builder>,
    by_name: HashMap<&'static str, usize>,
    names: Vec<&'static str>,
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl QuickXmlColumns {
    /// Columns for the record type.
    ///
    /// # Errors
    /// If Arrow refuses a type.
    pub fn new<R: Record>() -> Result<Self> {
        let builders = R::FIELDS.iter().map(|field| Builder::new(field.kind));
        let names: Vec<_> = R::FIELDS.iter().map(|field| field.name).collect();
        Ok(Self {
            schema: schema::<R>(),
            builders: builders.collect::<Result<_>>()?,
            by_name: names.iter().copied().zip(0..).collect(),
            names,
        })
    }

    /// Reads a page. Elements that are no columns are left out.
    ///
    /// # Errors
    /// If the body is not well formed as far as quick-xml checks, or a value not of its type.
    pub fn read(&mut self, body: &str, record_element: &str) -> Result<RecordBatch> {
        let mut reader = Reader::from_str(body);
        let (mut is_in_record, mut is_in_field) = (false, false);
        let mut rows = 0;
        // Records repeat the order of their fields.
        let mut next = 0;
        let mut column = None;
        // Copied only if it is in several pieces.
        let mut text = Cow::Borrowed("");
        loop {
            match reader.read_event()? {
                Event::Start(start) if is_in_record => {
                    column = self.column(start.name().as_ref(), &mut next);
                    is_in_field = true;
                    text = Cow::Borrowed("");
                }
                Event::Start(start) => {
                    is_in_record = start.name().as_ref() == record_element;
                    next = 0;
                }
                Event::Empty(empty) if is_in_record => {
                    self.column(empty.name().as_ref(), &mut next);
                }
                Event::Text(piece) if is_in_field => match text.is_empty() {
                    true => text = piece.into_inner(),
                    false => text.to_mut().push_str(&piece),
                },
                Event::GeneralRef(reference) if is_in_field => {
                    push_reference(text.to_mut(), &reference)?;
                }
                Event::End(_) if is_in_field => {
                    is_in_field = false;
                    if let (Some(column), false) = (column.take(), text.is_empty()) {
                        self.builders[column].push(&text)?;
                    }
                }
                Event::End(_) if is_in_record => {
                    is_in_record = false;
                    rows += 1;
                    self.builders
                        .iter_mut()
                        .for_each(|builder| builder.fill(rows));
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn column(&self, name: &str, next: &mut usize) -> Option<usize> {
        let index = match self.names.get(*next) {
            Some(expected) if *expected == name => *next,
            _ => *self.by_name.get(name)?,
        };
        *next = index + 1;
        Some(index)
    }
}

macro_rules! each {
    ($builder:expr, $inner:ident => $do:expr) => {
        match $builder {
            Builder::Text($inner) => $do,
            Builder::Integer($inner) => $do,
            Builder::Decimal($inner) => $do,
            Builder::Boolean($inner) => $do,
            Builder::Date($inner) => $do,
            Builder::Timestamp($inner) => $do,
        }
    };
}

impl Builder {
    fn new(kind: Kind) -> Result<Self> {
        let decimal = || Decimal128Builder::new().with_precision_and_scale(38, SCALE as i8);
        let timestamp = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        Ok(match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Decimal => Self::Decimal(decimal()?),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Timestamp => Self::Timestamp(timestamp()),
        })
    }

    fn push(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Text(builder) => builder.append_value(text),
            Self::Integer(builder) => builder.append_value(text.parse()?),
            Self::Decimal(builder) => builder.append_value(decimal(text)?),
            Self::Boolean(builder) => builder.append_value(text.parse()?),
            Self::Date(builder) => builder.append_value(days(text)?),
            Self::Timestamp(builder) => builder.append_value(micros(text)?),
        }
        Ok(())
    }

    /// Appends nulls up to that many rows.
    fn fill(&mut self, rows: usize) {
        use arrow_array::builder::ArrayBuilder;
        each!(self, builder => if builder.len() < rows {
            builder.append_null();
        });
    }

    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}

fn decimal(text: &str) -> Result<i128> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut value: i128 = whole.parse()?;
    for place in 0..SCALE {
        let digit = match fraction.as_bytes().get(place) {
            Some(digit @ b'0'..=b'9') => digit - b'0',
            Some(_) => return Err("not a decimal".into()),
            None => 0,
        };
        value = value * 10 + i128::from(digit);
    }
    Ok(if is_negative { -value } else { value })
}

/// Days since 1970 of `mm/dd/yyyy`.
fn days(text: &str) -> Result<i32> {
    let part = |range| text.get(range).ok_or("not a date");
    let month: i32 = part(0..2)?.parse()?;
    let day: i32 = part(3..5)?.parse()?;
    let year: i32 = part(6..10)?.parse()?;
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// Microseconds since 1970 of `mm/dd/yyyy hh:mm:ss`.
fn micros(text: &str) -> Result<i64> {
    let part = |range| text.get(range).ok_or("not a timestamp");
    let hour: i64 = part(11..13)?.parse()?;
    let minute: i64 = part(14..16)?.parse()?;
    let second: i64 = part(17..19)?.parse()?;
    let days = i64::from(days(text)?);
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
}
