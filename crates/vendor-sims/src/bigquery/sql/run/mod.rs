//! Running a bound query over what is stored.

mod grouped;
mod sources;
mod windows;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::bigquery::catalog::Catalog;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::eval::Rows;
use crate::bigquery::sql::plan::{Body, Direction, Expr, Query, Select};
use crate::bigquery::value::{Key, Row, Value};

/// One row of each source.
type Tuple = Vec<Row>;

/// The run of one statement.
pub(crate) struct Run<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) now: i64,
    /// What subqueries gave that read nothing of the rows around them.
    kept: RefCell<HashMap<usize, Arc<Vec<Row>>>>,
    keys: RefCell<HashMap<usize, Arc<HashSet<Key>>>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(catalog: &'a Catalog, now: i64) -> Self {
        Self {
            catalog,
            now,
            kept: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// Runs a query; `outer` are the rows of the queries around it.
    pub(crate) fn query(
        &self,
        query: &Query,
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Row>, Refusal> {
        let (mut rows, shown) = match &query.body {
            Body::Select(select) => (self.select(select, outer)?, select.shown),
            Body::Union { parts, distinct } => {
                let mut rows = Vec::new();
                for part in parts {
                    rows.extend(self.query(part, outer)?);
                }
                if *distinct {
                    rows = unique(rows);
                }
                (rows, query.columns.len())
            }
        };
        if !query.order.is_empty() {
            rows.sort_by(|left, right| {
                let terms = query.order.iter();
                terms
                    .map(|term| ordered(&left[term.place], &right[term.place], term.direction))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            });
        }
        let count = |expr: &Option<Expr>, otherwise: usize| -> Result<usize, Refusal> {
            match expr {
                None => Ok(otherwise),
                Some(expr) => match self.eval(expr, &Rows::new(&[], outer))? {
                    Value::Int(count @ 0..) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
                    _ => Err(Refusal::query(
                        "LIMIT and OFFSET are numbers that are not negative",
                    )),
                },
            }
        };
        let offset = count(&query.offset, 0)?;
        let limit = count(&query.limit, usize::MAX)?;
        let rows = rows.into_iter().skip(offset).take(limit);
        Ok(rows
            .map(|row| {
                if row.len() == shown {
                    row
                } else {
                    row[..shown].into()
                }
            })
            .collect())
    }

    /// What a subquery gives, kept where it is the same for every row.
    pub(crate) fn subquery(
        &self,
        query: &Arc<Query>,
        rows: &Rows<'_>,
    ) -> Result<Arc<Vec<Row>>, Refusal> {
        if query.is_correlated {
            return Ok(Arc::new(self.query(query, Some(rows))?));
        }
        let place = Arc::as_ptr(query) as usize;
        if let Some(kept) = self.kept.borrow().get(&place) {
            return Ok(Arc::clone(kept));
        }
        let given = Arc::new(self.query(query, None)?);
        self.kept.borrow_mut().insert(place, Arc::clone(&given));
        Ok(given)
    }

    /// The first column of what a subquery gives, to be looked up in.
    pub(crate) fn keys(
        &self,
        query: &Arc<Query>,
        rows: &Rows<'_>,
    ) -> Result<Arc<HashSet<Key>>, Refusal> {
        let place = Arc::as_ptr(query) as usize;
        if let Some(kept) = self.keys.borrow().get(&place) {
            return Ok(Arc::clone(kept));
        }
        let given = self.subquery(query, rows)?;
        let keys = Arc::new(given.iter().map(|row| Key(row[0].clone())).collect());
        if !query.is_correlated {
            self.keys.borrow_mut().insert(place, Arc::clone(&keys));
        }
        Ok(keys)
    }

    fn select(&self, select: &Select, outer: Option<&Rows<'_>>) -> Result<Vec<Row>, Refusal> {
        let mut tuples = self.from(&select.from, outer)?;
        let keep = |tuples: &mut Vec<Tuple>, condition: &Expr| -> Result<(), Refusal> {
            let mut failed = None;
            tuples.retain(|tuple| {
                let holds = self.holds(condition, &Rows::new(tuple, outer));
                holds.unwrap_or_else(|refusal| {
                    failed.get_or_insert(refusal);
                    false
                })
            });
            failed.map_or(Ok(()), Err)
        };
        if let Some(filter) = &select.filter {
            keep(&mut tuples, filter)?;
        }
        if let Some(grouping) = &select.grouping {
            tuples = self.groups(grouping, tuples, outer)?;
        }
        if let Some(having) = &select.having {
            keep(&mut tuples, having)?;
        }
        if !select.windows.is_empty() {
            self.windows(&select.windows, &mut tuples, outer)?;
        }
        if let Some(qualify) = &select.qualify {
            keep(&mut tuples, qualify)?;
        }
        let mut rows = Vec::with_capacity(tuples.len());
        for tuple in &tuples {
            let around = Rows::new(tuple, outer);
            let row: Result<Row, _> = select
                .projection
                .iter()
                .map(|expr| self.eval(expr, &around))
                .collect();
            rows.push(row?);
        }
        Ok(if select.distinct { unique(rows) } else { rows })
    }
}

fn ordered(left: &Value, right: &Value, direction: Direction) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if direction.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if direction.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if direction.descending => right.order(left),
        _ => left.order(right),
    }
}

fn unique(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = HashSet::new();
    let key = |row: &Row| row.iter().cloned().map(Key).collect::<Vec<_>>();
    rows.into_iter()
        .filter(|row| seen.insert(key(row)))
        .collect()
}
