//! The rows of the `FROM` clause: tables, subqueries, arrays, and how they are joined.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Run, Tuple};
use crate::bigquery::catalog::Table;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::bare::unknown;
use crate::bigquery::sql::eval::Rows;
use crate::bigquery::sql::from::nulls;
use crate::bigquery::sql::plan::{Expr, Join, JoinKind, Relation, Source};
use crate::bigquery::value::{Key, MICROS_PER_DAY, Row, Value};

/// Rows by what a join asks of them.
pub(crate) struct Index<'a> {
    rows: &'a [Row],
    equal: &'a [(Expr, Expr)],
    rest: Option<&'a Expr>,
    by_key: HashMap<Vec<Key>, Vec<usize>>,
    /// All of them, where no key is asked for.
    every: Vec<usize>,
}

impl Run<'_> {
    pub(super) fn from(
        &self,
        sources: &[Source],
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Tuple>, Refusal> {
        // Without a FROM there is one row with nothing in it.
        let mut tuples: Vec<Tuple> = vec![Vec::new()];
        for (place, source) in sources.iter().enumerate() {
            if let Relation::Unnest { array, offset } = &source.relation {
                let mut next = Vec::new();
                for tuple in tuples {
                    let value = self.eval(array, &Rows::new(&tuple, outer))?;
                    for row in elements(&value, *offset, source.width) {
                        let mut tuple = tuple.clone();
                        tuple.push(row);
                        next.push(tuple);
                    }
                }
                tuples = next;
                if let Join::On { .. } = source.join {
                    return Err(unknown("a join of UNNEST with a condition"));
                }
                continue;
            }
            let rows = self.scan(source)?;
            tuples = match &source.join {
                Join::Cross if place == 0 => rows.into_iter().map(|row| vec![row]).collect(),
                Join::Cross => {
                    let pair = |tuple: &Tuple, row: &Row| {
                        let mut tuple = tuple.clone();
                        tuple.push(Arc::clone(row));
                        tuple
                    };
                    let pairs = tuples
                        .iter()
                        .flat_map(|tuple| rows.iter().map(move |row| pair(tuple, row)));
                    pairs.collect()
                }
                Join::On { kind, equal, rest } => {
                    let matches = self.matches(&tuples, &rows, equal, rest.as_ref(), outer)?;
                    let widths: Vec<_> = sources[..place].iter().map(|it| it.width).collect();
                    joined(*kind, &tuples, &rows, &matches, &widths, source.width)
                }
            };
        }
        Ok(tuples)
    }

    /// For each tuple the places of the rows that it matches.
    pub(crate) fn matches(
        &self,
        tuples: &[Tuple],
        rows: &[Row],
        equal: &[(Expr, Expr)],
        rest: Option<&Expr>,
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Vec<usize>>, Refusal> {
        let first = tuples.first().map_or(0, Vec::len);
        let index = self.index(rows, first, equal, rest, outer)?;
        let mut matches = Vec::with_capacity(tuples.len());
        for tuple in tuples {
            let mut found = Vec::new();
            self.find(&index, tuple, outer, &mut found)?;
            matches.push(found);
        }
        Ok(matches)
    }

    /// Rows, to be found by tuples of so many sources before them.
    pub(crate) fn index<'i>(
        &self,
        rows: &'i [Row],
        first: usize,
        equal: &'i [(Expr, Expr)],
        rest: Option<&'i Expr>,
        outer: Option<&Rows<'_>>,
    ) -> Result<Index<'i>, Refusal> {
        let mut index = Index {
            rows,
            equal,
            rest,
            by_key: HashMap::new(),
            every: Vec::new(),
        };
        if equal.is_empty() {
            index.every = (0..rows.len()).collect();
            return Ok(index);
        }
        for (place, row) in rows.iter().enumerate() {
            let around = Rows {
                tuple: std::slice::from_ref(row),
                first,
                outer,
            };
            if let Some(key) = self.key(equal.iter().map(|(_, right)| right), &around)? {
                index.by_key.entry(key).or_default().push(place);
            }
        }
        Ok(index)
    }

    /// Puts the places of the rows that a tuple matches in `found`, in place of what is there.
    pub(crate) fn find(
        &self,
        index: &Index<'_>,
        tuple: &[Row],
        outer: Option<&Rows<'_>>,
        found: &mut Vec<usize>,
    ) -> Result<(), Refusal> {
        found.clear();
        let candidates: &[usize] = if index.equal.is_empty() {
            &index.every
        } else {
            let around = Rows::new(tuple, outer);
            match self.key(index.equal.iter().map(|(left, _)| left), &around)? {
                None => &[],
                Some(key) => index.by_key.get(&key).map_or(&[], Vec::as_slice),
            }
        };
        let Some(rest) = index.rest else {
            found.extend_from_slice(candidates);
            return Ok(());
        };
        for &place in candidates {
            let mut pair = tuple.to_vec();
            pair.push(Arc::clone(&index.rows[place]));
            if self.holds(rest, &Rows::new(&pair, outer))? {
                found.push(place);
            }
        }
        Ok(())
    }

    /// The values of a key; none where one of them is null, which equals nothing.
    pub(crate) fn key<'e>(
        &self,
        exprs: impl Iterator<Item = &'e Expr>,
        rows: &Rows<'_>,
    ) -> Result<Option<Vec<Key>>, Refusal> {
        let mut key = Vec::with_capacity(1);
        for expr in exprs {
            match self.eval(expr, rows)? {
                Value::Null => return Ok(None),
                Value::Float(number) if number.is_nan() => return Ok(None),
                value => key.push(Key(value)),
            }
        }
        Ok(Some(key))
    }

    /// The rows of a source that is not an array.
    pub(crate) fn scan(&self, source: &Source) -> Result<Vec<Row>, Refusal> {
        match &source.relation {
            Relation::Table(name) => {
                let table = self.catalog.table(name)?;
                Ok(self.rows(table, source.width))
            }
            Relation::Derived(query) => self.query(query, None),
            Relation::Known(rows) => Ok(rows.clone()),
            Relation::Unnest { .. } => Ok(Vec::new()),
        }
    }

    /// The rows of a table, with its pseudo columns where more columns are asked for than it has.
    fn rows(&self, table: &Table, width: usize) -> Vec<Row> {
        let columns = table.schema.fields.len();
        let rows = table.rows().iter();
        if width <= columns {
            return rows.map(|row| Arc::clone(&row.values)).collect();
        }
        let extended = rows.map(|row| {
            let time = table.partition_time(row, self.now);
            let date = match &time {
                Value::Timestamp(micros) => {
                    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY));
                    days.map_or(Value::Null, Value::Date)
                }
                _ => Value::Null,
            };
            let pseudo = [time, date].into_iter().take(width - columns);
            row.values.iter().cloned().chain(pseudo).collect()
        });
        extended.collect()
    }
}

fn joined(
    kind: JoinKind,
    tuples: &[Tuple],
    rows: &[Row],
    matches: &[Vec<usize>],
    widths: &[usize],
    width: usize,
) -> Vec<Tuple> {
    let mut out = Vec::new();
    let mut hit = vec![false; rows.len()];
    for (tuple, found) in tuples.iter().zip(matches) {
        for &place in found {
            hit[place] = true;
            let mut tuple = tuple.clone();
            tuple.push(Arc::clone(&rows[place]));
            out.push(tuple);
        }
        if found.is_empty() && matches!(kind, JoinKind::Left | JoinKind::Full) {
            let mut tuple = tuple.clone();
            tuple.push(nulls(width));
            out.push(tuple);
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let missed = rows.iter().zip(hit).filter(|(_, hit)| !hit);
        for (row, _) in missed {
            let mut tuple: Tuple = widths.iter().map(|width| nulls(*width)).collect();
            tuple.push(Arc::clone(row));
            out.push(tuple);
        }
    }
    out
}

/// The rows that an array stands for.
fn elements(array: &Value, offset: bool, width: usize) -> Vec<Row> {
    let Value::Array(values) = array else {
        return Vec::new();
    };
    let columns = if offset { width - 1 } else { width };
    let rows = values.iter().zip(0..).map(|(value, number)| {
        let mut row: Vec<Value> = match value {
            Value::Struct(fields) => fields.to_vec(),
            Value::Null => vec![Value::Null; columns],
            value => vec![value.clone()],
        };
        if offset {
            row.push(Value::Int(number));
        }
        Row::from(row)
    });
    rows.collect()
}
