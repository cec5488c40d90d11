//! Aggregates while their values come in.

use std::collections::HashSet;

use super::eval::arithmetic;
use super::plan::{Aggregate, AggregateFunction, Arithmetic};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Key, Type, Value};

/// An aggregate while its values come in.
pub(super) struct State {
    function: AggregateFunction,
    kind: Type,
    seen: Option<HashSet<Key>>,
    count: i64,
    value: Value,
}

impl State {
    pub(super) fn new(aggregate: &Aggregate) -> Self {
        Self {
            function: aggregate.function,
            kind: aggregate.kind(),
            seen: aggregate.distinct.then(HashSet::new),
            count: 0,
            value: Value::Null,
        }
    }

    pub(super) fn take(&mut self, value: Value) -> Result<(), Refusal> {
        if value.is_null() {
            return Ok(());
        }
        if let Some(seen) = &mut self.seen
            && !seen.insert(Key(value.clone()))
        {
            return Ok(());
        }
        let is_true = matches!(value, Value::Bool(true));
        match self.function {
            AggregateFunction::CountIf => self.count += i64::from(is_true),
            _ => self.count += 1,
        }
        let first = self.value.is_null();
        match self.function {
            AggregateFunction::Count | AggregateFunction::CountIf => {}
            _ if first => {
                self.value = match (&self.kind, value) {
                    // The average of integers is a double.
                    (Type::Float64, Value::Int(number)) => Value::Float(number as f64),
                    (_, value) => value,
                };
            }
            AggregateFunction::Sum | AggregateFunction::Average => {
                let value = match (&self.kind, value) {
                    (Type::Float64, Value::Int(number)) => Value::Float(number as f64),
                    (_, value) => value,
                };
                self.value =
                    arithmetic(Arithmetic::Add, &self.value, &value).map_err(Refusal::query)?;
            }
            AggregateFunction::Least if value.order(&self.value).is_lt() => self.value = value,
            AggregateFunction::Greatest if value.order(&self.value).is_gt() => self.value = value,
            AggregateFunction::All if !is_true => self.value = value,
            AggregateFunction::Any if is_true => self.value = value,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<Value, Refusal> {
        Ok(match self.function {
            AggregateFunction::Count | AggregateFunction::CountIf => Value::Int(self.count),
            AggregateFunction::Average if self.count > 0 => {
                let count = super::cast::cast(&Value::Int(self.count), &self.kind);
                let count = count.map_err(Refusal::query)?;
                arithmetic(Arithmetic::Divide, &self.value, &count).map_err(Refusal::query)?
            }
            _ => self.value.clone(),
        })
    }
}
