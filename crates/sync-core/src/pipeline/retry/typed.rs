//! From the texts of a dead letter back to a row.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use time::{Date, Month, OffsetDateTime, Time};

use crate::batch::{Operation, system};
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::store::DeadLetter;
use crate::stream::{StreamDescriptor, metadata};

/// Why a letter is no row of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) column: String,
    pub(super) reason: String,
}

/// What was to be done with the record when it was rejected.
pub(super) fn operation(letter: &DeadLetter) -> Operation {
    let is_mark = |(name, text): &(String, Option<String>)| {
        name == system::DELETED && text.as_deref() == Some("true")
    };
    if letter.fields.iter().any(is_mark) {
        Operation::Delete
    } else {
        Operation::Upsert
    }
}

/// The row of a letter: with the stream's columns, or its key's where the record is to be deleted.
///
/// Texts are read as [`Value::push_to`](crate::column::Value::push_to) writes them. A field of the letter
/// for which the stream has no column makes it unfit, for its value would be lost; a column for which the
/// letter has no field is null, as it is in every record that says nothing of it.
pub(super) fn row(
    stream: &StreamDescriptor,
    letter: &DeadLetter,
) -> Result<std::result::Result<RecordBatch, Unfit>> {
    let whole = operation(letter) == Operation::Upsert;
    of_fields(stream, &letter.fields, whole)
}

/// The row of these texts: with the stream's columns, or its key's alone.
pub(super) fn of_fields(
    stream: &StreamDescriptor,
    letter: &[(String, Option<String>)],
    whole: bool,
) -> Result<std::result::Result<RecordBatch, Unfit>> {
    let wanted = |field: &&Arc<Field>| whole || stream.key.contains(field.name());
    let fields: Vec<_> = stream.schema.fields().iter().filter(wanted).collect();
    let mut texts: Vec<Option<&str>> = vec![None; fields.len()];
    for (name, text) in letter {
        if system::ALL.contains(&name.as_str()) {
            continue;
        }
        let Some(place) = fields.iter().position(|field| is_called(field, name)) else {
            return Ok(Err(Unfit {
                column: name.clone(),
                reason: "the stream has no column for this field".into(),
            }));
        };
        texts[place] = text.as_deref();
    }
    let mut columns = Vec::with_capacity(fields.len());
    for (field, text) in fields.iter().zip(texts) {
        if text.is_none() && !field.is_nullable() {
            return Ok(Err(unfit(field, "the column must have a value")));
        }
        match column(field.data_type(), text) {
            Ok(column) => columns.push(column),
            Err(reason) => return Ok(Err(unfit(field, reason))),
        }
    }
    let schema = Schema::new(fields.into_iter().cloned().collect::<Vec<_>>());
    let row = RecordBatch::try_new(Arc::new(schema), columns);
    row.map(Ok).map_err(|error| {
        Error::new(ErrorKind::Internal, "a dead letter does not make a row").caused_by(error)
    })
}

/// Refused records have the stream's names, and records that could not be read those of the source.
fn is_called(field: &Field, name: &str) -> bool {
    let at_source = field.metadata().get(metadata::SOURCE_NAME);
    field.name() == name
        || at_source.is_some_and(|it| it == name)
        || (at_source.is_none() && *field.name() == name.to_ascii_lowercase().replace('.', "_"))
}

fn unfit(field: &Field, reason: &'static str) -> Unfit {
    Unfit {
        column: field.name().clone(),
        reason: reason.into(),
    }
}

fn column(data_type: &DataType, text: Option<&str>) -> std::result::Result<ArrayRef, &'static str> {
    /// A column of one value.
    macro_rules! one {
        ($builder:expr, $value:expr) => {{
            let mut builder = $builder;
            builder.append_option($value);
            Ok(Arc::new(builder.finish()) as ArrayRef)
        }};
    }
    match data_type {
        DataType::Utf8 => one!(StringBuilder::new(), text),
        DataType::Int64 => {
            let value = text.map(|text| text.parse().map_err(|_| "not a whole number"));
            one!(Int64Builder::new(), value.transpose()?)
        }
        DataType::Boolean => {
            let value = text.map(|text| text.parse().map_err(|_| "neither true nor false"));
            one!(BooleanBuilder::new(), value.transpose()?)
        }
        DataType::Date32 => {
            let value = text.map(|text| date(text).ok_or("not a date such as 2026-01-31"));
            one!(Date32Builder::new(), value.transpose()?.map(days))
        }
        DataType::Timestamp(..) => {
            let value = text
                .map(|text| moment(text).ok_or("not a time such as 2026-01-31 18:02:00.000000"));
            let builder = TimestampMicrosecondBuilder::new().with_timezone("UTC");
            one!(builder, value.transpose()?)
        }
        DataType::Decimal128(precision, scale) => {
            let value = text
                .map(|text| decimal(text, *precision, *scale))
                .transpose()?;
            let builder = Decimal128Builder::new().with_precision_and_scale(*precision, *scale);
            one!(
                builder.map_err(|_| "the column's type is none that a batch carries")?,
                value
            )
        }
        _ => Err("the column's type is none that a batch carries"),
    }
}

fn decimal(text: &str, precision: u8, scale: i8) -> std::result::Result<i128, &'static str> {
    let value: Decimal = text.parse().map_err(|_| "not a decimal number")?;
    let scale =
        u8::try_from(scale).map_err(|_| "the column's type is none that a batch carries")?;
    let unscaled = value
        .at_scale(scale)
        .ok_or("more digits than the column takes")?;
    let most = 10_i128.checked_pow(precision.into()).unwrap_or(i128::MAX);
    if unscaled.unsigned_abs() >= most.unsigned_abs() {
        return Err("more digits than the column takes");
    }
    Ok(unscaled)
}

/// `2026-01-31`
fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let [month, day] = [number(month, 2)?, number(day, 2)?];
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let year = i32::try_from(number(year, 4)?).ok()?;
    Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
}

/// `2026-01-31 18:02:00.000000`, in microseconds.
fn moment(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(' ')?;
    let (clock, fraction) = clock.split_once('.')?;
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let [hour, minute, second] = [parts.next()??, parts.next()??, parts.next()??];
    if parts.next().is_some() {
        return None;
    }
    let [hour, minute, second] = [hour, minute, second].map(|part| u8::try_from(part).ok());
    let clock = Time::from_hms_micro(hour?, minute?, second?, number(fraction, 6)?).ok()?;
    let moment = OffsetDateTime::new_utc(date(day)?, clock);
    i64::try_from(moment.unix_timestamp_nanos() / 1000).ok()
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

/// Since 1970-01-01.
fn days(date: Date) -> i32 {
    date.to_julian_day() - OffsetDateTime::UNIX_EPOCH.to_julian_day()
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        Array as _, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow_schema::TimeUnit;
    use proptest::prelude::*;

    use super::*;
    use crate::column::Column;
    use crate::receipt::RejectionClass;
    use crate::stream::StreamName;

    fn stream() -> StreamDescriptor {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let named = |field: Field, name: &str| {
            let about = [(metadata::SOURCE_NAME.to_owned(), name.to_owned())];
            field.with_metadata(std::collections::HashMap::from(about))
        };
        let schema = Schema::new(vec![
            named(Field::new("recordno", DataType::Int64, false), "RECORDNO"),
            Field::new("display_name", DataType::Utf8, true),
            Field::new("posted", DataType::Boolean, true),
            Field::new("entry_date", DataType::Date32, true),
            Field::new("whenmodified", timestamp, true),
            Field::new("amount", DataType::Decimal128(20, 9), true),
        ]);
        let name = StreamName::new("entry").unwrap();
        StreamDescriptor::new(name, Arc::new(schema), vec!["recordno".into()]).unwrap()
    }

    fn letter(fields: Vec<(String, Option<String>)>) -> DeadLetter {
        DeadLetter {
            key: None,
            column: None,
            text: None,
            class: RejectionClass::Refused,
            reason: String::new(),
            fields,
        }
    }

    proptest! {
        #[test]
        fn a_row_comes_back_from_its_texts_as_it_was(
            key in any::<i64>(),
            text in proptest::option::of(any::<String>()),
            posted in any::<Option<bool>>(),
            day in proptest::option::of(-700_000_i32..2_900_000),
            micros in proptest::option::of(-62_000_000_000_000_000_i64..253_000_000_000_000_000),
            amount in proptest::option::of(-(10_i128.pow(20) - 1)..10_i128.pow(20)),
        ) {
            let amounts = Decimal128Array::from(vec![amount]).with_precision_and_scale(20, 9).unwrap();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(vec![key])),
                Arc::new(StringArray::from(vec![text])),
                Arc::new(BooleanArray::from(vec![posted])),
                Arc::new(Date32Array::from(vec![day])),
                Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")),
                Arc::new(amounts),
            ];
            let rows = RecordBatch::try_new(stream().schema, columns).unwrap();
            let fields = rows.schema().fields().iter().zip(rows.columns()).map(|(field, column)| {
                let mut text = String::new();
                Column::of(column.as_ref()).unwrap().value(0).push_to(&mut text);
                (field.name().clone(), column.is_valid(0).then_some(text))
            }).collect();
            prop_assert_eq!(row(&stream(), &letter(fields)).unwrap(), Ok(rows));
        }

        #[test]
        fn no_text_makes_it_panic(texts in proptest::collection::vec(proptest::option::of(".*|[0-9:. -]{0,30}"), 6)) {
            let names = stream().schema.fields().iter().map(|it| it.name().clone()).collect::<Vec<_>>();
            let _ = row(&stream(), &letter(names.into_iter().zip(texts).collect())).unwrap();
        }
    }

    #[test]
    fn nothing_is_lost_or_rounded_on_the_way_back() {
        let with = |name: &str, text: &str| {
            let fields = vec![
                ("RECORDNO".to_owned(), Some("17".to_owned())),
                (name.to_owned(), Some(text.to_owned())),
            ];
            row(&stream(), &letter(fields)).unwrap()
        };
        assert!(with("DISPLAY.NAME", "=1+1,\"\r\n").is_ok());
        assert!(with("_synced_at", "whatever").is_ok());
        for (name, text) in [
            ("unheard_of", "1"),
            ("amount", "0.0000000001"),
            ("amount", "999999999999"),
            ("amount", "1e5"),
            ("posted", "perhaps"),
            ("entry_date", "2026-02-29"),
            ("entry_date", "01/31/2026"),
            ("whenmodified", "2026-01-31"),
            ("recordno", "17.5"),
        ] {
            let unfit = with(name, text).unwrap_err();
            assert_eq!(unfit.column, name, "{text}");
        }
        let keyless = row(&stream(), &letter(Vec::new())).unwrap();
        assert_eq!(keyless.unwrap_err().column, "recordno");
    }

    #[test]
    fn the_letter_of_a_delete_is_a_key() {
        let fields = vec![
            ("recordno".to_owned(), Some("17".to_owned())),
            ("_deleted".to_owned(), Some("true".to_owned())),
        ];
        let letter = letter(fields);
        assert_eq!(operation(&letter), Operation::Delete);
        let key = row(&stream(), &letter).unwrap().unwrap();
        assert_eq!((key.num_rows(), key.num_columns()), (1, 1));
    }
}
