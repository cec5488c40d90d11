//! Window functions.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Run, Tuple, ordered};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::aggregate::State;
use crate::bigquery::sql::eval::Rows;
use crate::bigquery::sql::plan::{Window, WindowFunction};
use crate::bigquery::value::{Key, Value};

/// The places of tuples that a window looks at together, with the values they are sorted by.
type Partition = Vec<(usize, Vec<Value>)>;

impl Run<'_> {
    /// Gives each tuple a row with the values of the window functions.
    pub(super) fn windows(
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
