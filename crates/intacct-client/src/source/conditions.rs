//! Conditions by which the pipeline asks for some records, as filters of queries.

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use futures_util::{StreamExt as _, TryStreamExt as _};
use intacct_xml::FieldName;
use intacct_xml::request::{Filter, Value};
use sync_core::{Condition, Error, ErrorKind, Result, SourceBatch};
use time::Date;
use time::macros::format_description;

use super::contract::Contract;
use super::reading::Batches;
use super::request_error;

/// A filter for each condition.
pub(super) fn filters(contract: &Contract, conditions: &[Condition]) -> Result<Vec<Filter>> {
    let filters = conditions.iter();
    filters
        .map(|condition| filter(contract, condition))
        .collect()
}

fn filter(contract: &Contract, condition: &Condition) -> Result<Filter> {
    let column = condition.column();
    let field = contract.field_of(column)?;
    match condition {
        Condition::OneOf { values, .. } => {
            let data_type = contract.descriptor.field(column)?.data_type();
            let some = values.iter().filter(|value| !value.is_empty());
            let some = some.map(|value| literal(value, data_type, column));
            let some = some.collect::<Result<Vec<_>>>()?;
            let takes_none = some.len() < values.len();
            let mut any = Vec::with_capacity(2);
            match some.len() {
                0 => {}
                // One value is not a list.
                1 => any.extend(
                    some.into_iter()
                        .map(|it| Filter::equal_to(field.clone(), it)),
                ),
                _ => any.push(Filter::one_of(field.clone(), some).map_err(request_error)?),
            }
            any.extend(takes_none.then(|| Filter::is_null(field)));
            Filter::any(any).map_err(request_error)
        }
        Condition::Between { first, last, .. } => Ok(between(field, *first, *last)),
        _ => Err(unsupported(column)),
    }
}

fn between(field: FieldName, first: Option<Date>, last: Option<Date>) -> Filter {
    match (first, last) {
        (Some(first), Some(last)) if first <= last => Filter::between(field, first, last),
        (Some(first), Some(last)) => {
            let from = Filter::greater_than_or_equal_to(field.clone(), first);
            from.and(Filter::less_than_or_equal_to(field, last))
        }
        (Some(first), None) => Filter::greater_than_or_equal_to(field, first),
        (None, Some(last)) => Filter::less_than_or_equal_to(field, last),
        (None, None) => Filter::is_not_null(field),
    }
}

/// A column's text as the gateway takes it.
fn literal(text: &str, data_type: &DataType, column: &str) -> Result<Value> {
    match data_type {
        DataType::Utf8 | DataType::Int64 => Ok(Value::from(text)),
        DataType::Boolean => Ok(Value::from(text == "true")),
        DataType::Date32 => {
            let format = format_description!("[year]-[month]-[day]");
            let day = Date::parse(text, format).map_err(|error| {
                let what = "a day that is asked for is not written as 2026-01-31";
                Error::new(ErrorKind::Config, what).caused_by(error)
            })?;
            Ok(Value::from(day))
        }
        _ => Err(unsupported(column)),
    }
}

fn unsupported(column: &str) -> Error {
    let what = "a condition cannot be about a column of this type";
    Error::new(ErrorKind::Unsupported, what).with("column", column)
}

/// Of what is read whole, the records that meet conditions.
pub(super) fn those_that_meet(pages: Batches, conditions: Vec<Condition>) -> Batches {
    let kept = move |mut page: SourceBatch| {
        page.rows = only(page.rows, &conditions)?;
        Ok(page)
    };
    pages
        .map(move |page| page.and_then(&kept))
        .into_stream()
        .boxed()
}

/// Of rows, those that meet conditions.
pub(super) fn only(mut rows: RecordBatch, conditions: &[Condition]) -> Result<RecordBatch> {
    for condition in conditions {
        let met = condition.met_by(&rows)?;
        rows = filter_record_batch(&rows, &met).map_err(|error| {
            Error::new(ErrorKind::Internal, "rows cannot be chosen").caused_by(error)
        })?;
    }
    Ok(rows)
}
