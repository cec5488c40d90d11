//! Running a bound query over what is stored.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::aggregate::State;
use super::eval::Rows;
use super::from::nulls;
use super::plan::{
    Aggregate, Body, Direction, Expr, Grouping, Join, JoinKind, Query, Relation, Select, Source,
    Window, WindowFunction,
};
use crate::bigquery::catalog::{Catalog, Table};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Key, MICROS_PER_DAY, Row, Value};

/// One row of each source.
type Tuple = Vec<Row>;

/// The places of tuples that a window looks at together, with the values they are sorted by.
type Partition = Vec<(usize, Vec<Value>)>;

/// The run of one statement.
pub(super) struct Run<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) now: i64,
    /// What subqueries gave that read nothing of the rows around them.
    kept: RefCell<HashMap<usize, Arc<Vec<Row>>>>,
    keys: RefCell<HashMap<usize, Arc<HashSet<Key>>>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(catalog: &'a Catalog, now: i64) -> Self {
        Self {
            catalog,
            now,
            kept: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// Runs a query; `outer` are the rows of the queries around it.
    pub(super) fn query(
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
    pub(super) fn subquery(
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
    pub(super) fn keys(
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

    fn from(&self, sources: &[Source], outer: Option<&Rows<'_>>) -> Result<Vec<Tuple>, Refusal> {
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
                    return Err(super::bare::unknown("a join of UNNEST with a condition"));
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
    pub(super) fn matches(
        &self,
        tuples: &[Tuple],
        rows: &[Row],
        equal: &[(Expr, Expr)],
        rest: Option<&Expr>,
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Vec<usize>>, Refusal> {
        let first = tuples.first().map_or(0, Vec::len);
        let mut index: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
        let mut every = Vec::new();
        if equal.is_empty() {
            every = (0..rows.len()).collect();
        } else {
            for (place, row) in rows.iter().enumerate() {
                let around = Rows {
                    tuple: std::slice::from_ref(row),
                    first,
                    outer,
                };
                if let Some(key) = self.key(equal.iter().map(|(_, right)| right), &around)? {
                    index.entry(key).or_default().push(place);
                }
            }
        }
        let mut matches = Vec::with_capacity(tuples.len());
        let mut pair: Tuple = Vec::new();
        for tuple in tuples {
            let candidates: &[usize] = if equal.is_empty() {
                &every
            } else {
                let around = Rows::new(tuple, outer);
                match self.key(equal.iter().map(|(left, _)| left), &around)? {
                    None => &[],
                    Some(key) => index.get(&key).map_or(&[], Vec::as_slice),
                }
            };
            let Some(rest) = rest else {
                matches.push(candidates.to_vec());
                continue;
            };
            let mut found = Vec::new();
            for &place in candidates {
                pair.clear();
                pair.extend(tuple.iter().cloned());
                pair.push(Arc::clone(&rows[place]));
                if self.holds(rest, &Rows::new(&pair, outer))? {
                    found.push(place);
                }
            }
            matches.push(found);
        }
        Ok(matches)
    }

    /// The values of a key; none where one of them is null, which equals nothing.
    pub(super) fn key<'e>(
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
    pub(super) fn scan(&self, source: &Source) -> Result<Vec<Row>, Refusal> {
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

    fn groups(
        &self,
        grouping: &Grouping,
        tuples: Vec<Tuple>,
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Tuple>, Refusal> {
        let mut places: HashMap<Vec<Key>, usize> = HashMap::new();
        let mut groups: Vec<(Vec<Key>, Vec<Tuple>)> = Vec::new();
        for tuple in tuples {
            let around = Rows::new(&tuple, outer);
            let key: Result<Vec<_>, _> = grouping
                .keys
                .iter()
                .map(|key| self.eval(&key.expr, &around).map(Key))
                .collect();
            let key = key?;
            let place = match places.get(&key) {
                Some(place) => *place,
                None => {
                    places.insert(key.clone(), groups.len());
                    groups.push((key, Vec::new()));
                    groups.len() - 1
                }
            };
            groups[place].1.push(tuple);
        }
        if groups.is_empty() && grouping.keys.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        let mut grouped = Vec::with_capacity(groups.len());
        for (key, tuples) in groups {
            let key: Row = key.into_iter().map(|Key(value)| value).collect();
            let mut values = Vec::with_capacity(grouping.aggregates.len());
            for aggregate in &grouping.aggregates {
                values.push(self.aggregate(aggregate, &tuples, outer)?);
            }
            grouped.push(vec![key, values.into()]);
        }
        Ok(grouped)
    }

    fn aggregate(
        &self,
        aggregate: &Aggregate,
        tuples: &[Tuple],
        outer: Option<&Rows<'_>>,
    ) -> Result<Value, Refusal> {
        let mut state = State::new(aggregate);
        for tuple in tuples {
            let value = match &aggregate.argument {
                None => Value::Bool(true),
                Some(argument) => self.eval(&argument.expr, &Rows::new(tuple, outer))?,
            };
            state.take(value)?;
        }
        state.finish()
    }

    /// Gives each tuple a row with the values of the window functions.
    fn windows(
        &self,
        windows: &[Window],
        tuples: &mut [Tuple],
        outer: Option<&Rows<'_>>,
    ) -> Result<(), Refusal> {
        let mut values = vec![vec![Value::Null; windows.len()]; tuples.len()];
        for (at, window) in windows.iter().enumerate() {
            for partition in self.partitions(window, tuples, outer)? {
                let mut state = match &window.function {
                    WindowFunction::Aggregate(aggregate) => {
                        Some((aggregate, State::new(aggregate)))
                    }
                    _ => None,
                };
                let mut from = 0;
                let mut dense = 0;
                while from < partition.len() {
                    // Rows that are equal by the order are peers.
                    let same = |place: &&(usize, Vec<Value>)| {
                        window.order.is_empty() && state.is_some()
                            || !window.order.is_empty()
                                && compare_keys(&partition[from].1, &place.1, window).is_eq()
                    };
                    let peers = partition[from..].iter().take_while(same).count().max(1);
                    dense += 1;
                    let peers = &partition[from..from + peers];
                    if let Some((aggregate, state)) = &mut state {
                        for (place, _) in peers {
                            let value = match &aggregate.argument {
                                None => Value::Bool(true),
                                Some(argument) => {
                                    let around = Rows::new(&tuples[*place], outer);
                                    self.eval(&argument.expr, &around)?
                                }
                            };
                            state.take(value)?;
                        }
                    }
                    let result = state
                        .as_ref()
                        .map(|(_, state)| state.finish())
                        .transpose()?;
                    for (number, (place, _)) in peers.iter().enumerate() {
                        let count =
                            |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
                        values[*place][at] = match (&window.function, &result) {
                            (WindowFunction::RowNumber, _) => count(from + number + 1),
                            (WindowFunction::Rank, _) => count(from + 1),
                            (WindowFunction::DenseRank, _) => count(dense),
                            (WindowFunction::Aggregate(_), Some(result)) => result.clone(),
                            (WindowFunction::Aggregate(_), None) => Value::Null,
                        };
                    }
                    from += peers.len();
                }
            }
        }
        for (tuple, values) in tuples.iter_mut().zip(values) {
            tuple.push(values.into());
        }
        Ok(())
    }

    /// The places of the tuples by partition, each sorted, with the values they are sorted by.
    fn partitions(
        &self,
        window: &Window,
        tuples: &[Tuple],
        outer: Option<&Rows<'_>>,
    ) -> Result<Vec<Partition>, Refusal> {
        let mut places: HashMap<Vec<Key>, usize> = HashMap::new();
        let mut partitions: Vec<Partition> = Vec::new();
        for (place, tuple) in tuples.iter().enumerate() {
            let around = Rows::new(tuple, outer);
            let key: Result<Vec<_>, _> = window
                .partition
                .iter()
                .map(|expr| self.eval(expr, &around).map(Key))
                .collect();
            let order: Result<Vec<_>, _> = window
                .order
                .iter()
                .map(|(expr, _)| self.eval(expr, &around))
                .collect();
            let next = partitions.len();
            let partition = *places.entry(key?).or_insert(next);
            if partition == next {
                partitions.push(Vec::new());
            }
            partitions[partition].push((place, order?));
        }
        for partition in &mut partitions {
            partition.sort_by(|(_, left), (_, right)| compare_keys(left, right, window));
        }
        Ok(partitions)
    }
}

fn compare_keys(left: &[Value], right: &[Value], window: &Window) -> Ordering {
    let terms = left.iter().zip(right).zip(&window.order);
    terms
        .map(|((left, right), (_, direction))| ordered(left, right, *direction))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
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
