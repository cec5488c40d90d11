//! Groups of rows and their aggregates.

use std::collections::HashMap;

use super::{Run, Tuple};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::aggregate::State;
use crate::bigquery::sql::eval::Rows;
use crate::bigquery::sql::plan::{Aggregate, Grouping};
use crate::bigquery::value::{Key, Row, Value};

impl Run<'_> {
    pub(super) fn groups(
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
}
