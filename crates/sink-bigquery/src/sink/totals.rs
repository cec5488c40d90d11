//! Control totals, taken where the rows are.

use sync_core::batch::system;
use sync_core::totals::{ControlTotals, Days, GroupTotals};
use sync_core::{Condition, Decimal, Error, ErrorKind, Result, StreamDescriptor, TotalsQuery};
use time::Date;

use super::column_type::ColumnType;
use super::moment;
use super::names::{folded, quoted};
use super::request::{Request, Value};

/// A query for totals, and what its columns are.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// The types of the columns by which is grouped.
    pub(super) groups: Vec<ColumnType>,
    /// How many sums there are.
    pub(super) sums: usize,
}

/// The query for counts and sums of the live rows by group.
///
/// # Errors
///
/// [`ErrorKind::Config`] where a condition is about a column that the stream lacks,
/// [`ErrorKind::Unsupported`] where a column has no texts to compare.
pub(super) fn ask(table: &str, query: &TotalsQuery) -> Result<Asked> {
    let stream = &query.stream;
    stream.validate()?;
    let mut selected = Vec::new();
    let mut groups = Vec::new();
    for (place, name) in stream.totals.group_by.iter().enumerate() {
        let column_type = ColumnType::of(stream.field(name)?.data_type())?;
        let shown = shown(&quoted(&folded(name)), column_type, query.days);
        selected.push(format!("{shown} AS `g{place}`"));
        groups.push(column_type);
    }
    selected.push("COUNT(*) AS `records`".to_owned());
    for (place, name) in stream.totals.sums.iter().enumerate() {
        selected.push(format!("SUM({}) AS `s{place}`", quoted(&folded(name))));
    }
    let mut sql = format!(
        "SELECT {} FROM {table} WHERE {} = FALSE",
        selected.join(", "),
        quoted(system::DELETED)
    );
    let mut parameters = Vec::new();
    // Without a column that says when a record was modified, the bound is to have no effect.
    if let (Some(bound), Some(column)) = (query.modified_before, &stream.modified) {
        let column = quoted(&folded(column));
        sql.push_str(&format!(" AND ({column} IS NULL OR {column} < @before)"));
        parameters.push((
            "before".to_owned(),
            Value::Timestamp(moment::not_before(bound)),
        ));
    }
    for (place, condition) in query.matching.iter().enumerate() {
        let met = met(stream, condition, place, &mut parameters)?;
        sql.push_str(&format!(" AND {met}"));
    }
    if !groups.is_empty() {
        let names: Vec<_> = (0..groups.len())
            .map(|place| format!("`g{place}`"))
            .collect();
        sql.push_str(&format!(" GROUP BY {}", names.join(", ")));
    }
    let mut request = Request::new(sql);
    for (name, value) in parameters {
        request = request.with(name, value);
    }
    Ok(Asked {
        request,
        groups,
        sums: stream.totals.sums.len(),
    })
}

/// A column's value as text, as the source's side writes it.
fn shown(column: &str, column_type: ColumnType, days: Days) -> String {
    match column_type {
        ColumnType::Text => column.to_owned(),
        ColumnType::Date if days == Days::ToMonths => format!("FORMAT_DATE('%Y-%m', {column})"),
        ColumnType::Timestamp => {
            format!("FORMAT_TIMESTAMP('%Y-%m-%d %H:%M:%E6S', {column}, 'UTC')")
        }
        _ => format!("CAST({column} AS STRING)"),
    }
}

/// Whether a row meets a condition.
fn met(
    stream: &StreamDescriptor,
    condition: &Condition,
    place: usize,
    parameters: &mut Vec<(String, Value)>,
) -> Result<String> {
    let column_type = ColumnType::of(stream.field(condition.column())?.data_type())?;
    let column = quoted(&folded(condition.column()));
    let unsupported = || {
        let what = "a condition cannot be about a column of this type";
        Error::new(ErrorKind::Unsupported, what)
            .with("stream", stream.name.as_str())
            .with("column", condition.column())
    };
    match condition {
        Condition::OneOf { values, .. } => {
            let takes_none = values.iter().any(String::is_empty);
            let some = values.iter().filter(|value| !value.is_empty()).cloned();
            let listed = match column_type {
                // Empty text and none are one to the source.
                ColumnType::Text => Value::Texts(values.clone()),
                ColumnType::Date => Value::Dates(some.filter_map(|it| day(&it)).collect()),
                // What is no number is in no column of numbers.
                ColumnType::Integer => {
                    Value::Integers(some.filter_map(|it| it.parse().ok()).collect())
                }
                ColumnType::Boolean => {
                    Value::Booleans(some.filter_map(|it| it.parse().ok()).collect())
                }
                _ => return Err(unsupported()),
            };
            let name = format!("c{place}");
            let mut any = Vec::with_capacity(2);
            if !listed.is_empty() {
                any.push(format!("{column} IN UNNEST(@{name})"));
                parameters.push((name, listed));
            }
            if takes_none {
                any.push(format!("{column} IS NULL"));
            }
            if any.is_empty() {
                any.push("FALSE".to_owned());
            }
            Ok(format!("({})", any.join(" OR ")))
        }
        Condition::Between { first, last, .. } => {
            if column_type != ColumnType::Date {
                return Err(unsupported());
            }
            let mut all = vec![format!("{column} IS NOT NULL")];
            for (day, sign, which) in [(first, ">=", "first"), (last, "<=", "last")] {
                if let Some(day) = day {
                    let name = format!("c{place}_{which}");
                    all.push(format!("{column} {sign} @{name}"));
                    parameters.push((name, Value::Date(*day)));
                }
            }
            Ok(format!("({})", all.join(" AND ")))
        }
        _ => Err(unsupported()),
    }
}

fn day(text: &str) -> Option<Date> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text, format).ok()
}

/// Adds one group's count and sums, as BigQuery answers them.
///
/// # Errors
///
/// [`ErrorKind::Data`] where a sum has more than 38 digits.
pub(super) fn add(
    totals: &mut ControlTotals,
    groups: &[ColumnType],
    key: Vec<Option<String>>,
    records: u64,
    sums: Vec<Option<String>>,
) -> Result<()> {
    if records == 0 {
        return Ok(());
    }
    let key = groups.iter().zip(key).map(|(column_type, text)| {
        let is_decimal = matches!(column_type, ColumnType::Numeric | ColumnType::BigNumeric);
        match text {
            Some(text) if is_decimal => Ok(text.parse::<Decimal>()?.to_string()),
            text => Ok(text.unwrap_or_default()),
        }
    });
    let key = key.collect::<Result<Vec<_>>>()?;
    let sums = sums.into_iter().map(|sum| match sum {
        Some(sum) => sum.parse(),
        None => Ok(Decimal::ZERO),
    });
    let sums = sums.collect::<Result<_>>()?;
    totals.add(key, GroupTotals { records, sums })
}
