//! Control totals of the source: by aggregate queries, or by summing what was read.

use std::collections::HashMap;

use arrow_schema::DataType;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use intacct_xml::FieldName;
use intacct_xml::request::{Aggregate, Filter, Order, Query, Selection, Value};
use intacct_xml::values::parse_date;
use sync_core::column::{self, Column};
use sync_core::totals::GroupTotals;
use sync_core::{
    ControlTotals, Decimal, Error, ErrorKind, Result, SourceBatch, TotalsQuery, Window,
};

use super::conditions;
use super::reading::{self, Reader};
use super::request_error;

/// One group of an aggregate query: names and texts.
type Group = HashMap<String, Option<String>>;

/// Asks the gateway to count and sum.
pub(super) async fn by_aggregates(reader: &Reader, query: &TotalsQuery) -> Result<ControlTotals> {
    let Reader {
        client, contract, ..
    } = reader;
    let shape = &query.stream.totals;
    let fields = |columns: &[String]| -> Result<Vec<FieldName>> {
        columns
            .iter()
            .map(|column| contract.field_of(column))
            .collect()
    };
    let (group_by, sums) = (fields(&shape.group_by)?, fields(&shape.sums)?);
    let counted = contract.key.first().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "a stream without a key cannot be counted",
        )
    })?;

    let grouped = group_by.iter().cloned().map(Selection::Field);
    let count = [Selection::Aggregate(Aggregate::Count, counted.clone())];
    let summed = sums
        .iter()
        .map(|field| Selection::Aggregate(Aggregate::Sum, field.clone()));
    let select: Vec<_> = grouped.chain(count).chain(summed).collect();
    let mut asked = Query::new(contract.object.clone(), select)
        .map_err(request_error)?
        .with_order(group_by.iter().cloned().map(Order::ascending))
        .with_options(reading::options());
    let mut filters: Vec<Filter> = contract.filter.iter().cloned().collect();
    if let (Some(before), Some(modified)) = (query.modified_before, &contract.descriptor.modified) {
        let modified = contract.field_of(modified)?;
        let mut never = Filter::is_null(modified.clone());
        let window = Window {
            from: None,
            until: before,
        };
        if let Some(created) = reader.created_in(window) {
            never = never.and(created);
        }
        let before = Value::instant(before, client.config().source_offset);
        filters.push(Filter::less_than(modified, before).or(never));
    }
    filters.extend(conditions::filters(contract, &query.matching)?);
    if let Ok(filter) = Filter::all(filters) {
        asked = asked.with_filter(filter);
    }
    if let Some(id) = &contract.doc_par_id {
        asked = asked.with_doc_par_id(id);
    }

    let mut totals = ControlTotals::default();
    let mut pages = client.query_as::<Group>(asked);
    while let Some(page) = pages.try_next().await? {
        for group in page.records {
            let text = |field: &FieldName| group.get(field.as_str()).cloned().flatten();
            let key = group_by.iter().zip(&shape.group_by).map(|(field, column)| {
                let text = text(field).unwrap_or_default();
                let is_date = query.stream.field(column)?.data_type() == &DataType::Date32;
                if is_date {
                    Ok(query.days.folded(&day(&text, field)?).to_owned())
                } else {
                    Ok(text)
                }
            });
            let key = key.collect::<Result<_>>()?;
            let records = number(aggregate(&group, "COUNT", counted).unwrap_or("0"), counted)?;
            let records = records
                .at_scale(0)
                .and_then(|records| u64::try_from(records).ok());
            let records = records.ok_or_else(|| not_a_total(counted))?;
            let mut of_group = GroupTotals {
                records,
                sums: Vec::with_capacity(sums.len()),
            };
            for field in &sums {
                // A sum over nothing but empty fields is empty.
                let sum = aggregate(&group, "SUM", field).unwrap_or("0");
                of_group.sums.push(number(sum, field)?);
            }
            if of_group.records > 0 {
                totals.add(key, of_group)?;
            }
        }
    }
    Ok(totals)
}

/// An aggregate comes as `SUM.AMOUNT`, or under the field's bare name: the vendor shows both.
fn aggregate<'a>(group: &'a Group, function: &str, field: &FieldName) -> Option<&'a str> {
    let qualified = group.get(&format!("{function}.{field}"));
    qualified
        .or_else(|| group.get(field.as_str()))
        .and_then(Option::as_deref)
}

/// A day as columns write it: `2026-01-31`.
fn day(text: &str, field: &FieldName) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let date = parse_date(text).map_err(|error| {
        let what = "the gateway's answer to an aggregate is grouped by something that is no date";
        let error = Error::new(ErrorKind::Protocol, what).caused_by(error);
        error.with("field", field.as_str())
    })?;
    let (year, month, day) = date.to_calendar_date();
    Ok(format!("{year:04}-{:02}-{day:02}", u8::from(month)))
}

fn number(text: &str, field: &FieldName) -> Result<Decimal> {
    text.parse()
        .map_err(|error: Error| not_a_total(field).caused_by(error))
}

fn not_a_total(field: &FieldName) -> Error {
    let what = "the gateway's answer to an aggregate is not a number";
    Error::new(ErrorKind::Protocol, what).with("field", field.as_str())
}

/// Counts and sums what is read.
pub(super) async fn of_pages(
    mut pages: BoxStream<'_, Result<SourceBatch>>,
    query: &TotalsQuery,
) -> Result<ControlTotals> {
    let shape = &query.stream.totals;
    let mut totals = ControlTotals::default();
    while let Some(page) = pages.try_next().await? {
        if let Some(record) = page.rejected.first() {
            let what = "a record cannot be read, so the totals are not known";
            let error = Error::new(ErrorKind::Data, what).with("column", &record.column);
            return Err(error.with("reason", &record.reason));
        }
        let rows = conditions::only(page.rows, &query.matching)?;
        let columns = |names: &[String]| -> Result<Vec<Column<'_>>> {
            names
                .iter()
                .map(|name| Column::named(&rows, name))
                .collect()
        };
        let (group_by, sums) = (columns(&shape.group_by)?, columns(&shape.sums)?);
        for row in 0..rows.num_rows() {
            let key = group_by.iter().map(|column| {
                let (value, mut text) = (column.value(row), String::new());
                value.push_to(&mut text);
                match value {
                    column::Value::Date(_) => query.days.folded(&text).to_owned(),
                    _ => text,
                }
            });
            let of_row = sums.iter().map(|column| match column.value(row) {
                column::Value::Decimal(value) => value,
                _ => Decimal::ZERO,
            });
            let one = GroupTotals {
                records: 1,
                sums: of_row.collect(),
            };
            totals.add(key.collect(), one)?;
        }
    }
    Ok(totals)
}
