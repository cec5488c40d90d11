//! Statements with their parameters.

use sync_core::Result;
use time::{Date, OffsetDateTime};

use super::failure::while_doing;
use super::moment;
use crate::client::{FieldType, Parameter, QueryJob, QueryRequest, Value as Sent, ValueType};

/// A statement, and the values that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    sql: String,
    parameters: Vec<(String, Value)>,
}

/// A value of a parameter. None is null, because BigQuery takes no parameter that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Date(Date),
    Timestamp(OffsetDateTime),
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Booleans(Vec<bool>),
    Dates(Vec<Date>),
    Structs(Vec<Struct>),
}

/// Values under names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Struct(pub(super) Vec<(&'static str, Value)>);

impl Value {
    /// Whether it is an array of nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Texts(texts) => texts.is_empty(),
            Self::Integers(numbers) => numbers.is_empty(),
            Self::Booleans(values) => values.is_empty(),
            Self::Dates(days) => days.is_empty(),
            Self::Structs(structs) => structs.is_empty(),
            _ => false,
        }
    }
}

impl Value {
    fn sent(&self) -> crate::Result<Sent> {
        let scalar = |name| ValueType::Scalar(FieldType::from_name(name));
        let list = |of: ValueType, values: Vec<Sent>| Sent::array(of, values);
        match self {
            Self::Text(text) => Ok(Sent::string(text)),
            Self::Integer(number) => Ok(Sent::int64(*number)),
            Self::Boolean(value) => Ok(Sent::bool(*value)),
            Self::Date(day) => Sent::date(*day),
            Self::Timestamp(time) => Sent::timestamp(moment::cut(*time)),
            Self::Texts(texts) => list(scalar("STRING"), texts.iter().map(Sent::string).collect()),
            Self::Integers(numbers) => {
                let numbers = numbers.iter().map(|number| Sent::int64(*number));
                list(scalar("INT64"), numbers.collect())
            }
            Self::Booleans(values) => {
                let values = values.iter().map(|value| Sent::bool(*value));
                list(scalar("BOOL"), values.collect())
            }
            Self::Dates(days) => {
                let days = days.iter().map(|day| Sent::date(*day));
                list(scalar("DATE"), days.collect::<crate::Result<_>>()?)
            }
            Self::Structs(structs) => {
                let structs = structs.iter().map(|Struct(fields)| {
                    let fields = fields
                        .iter()
                        .map(|(name, value)| Ok((*name, value.sent()?)));
                    Ok(Sent::structure(fields.collect::<crate::Result<Vec<_>>>()?))
                });
                let structs = structs.collect::<crate::Result<Vec<_>>>()?;
                let of = structs
                    .first()
                    .map_or_else(|| scalar("STRING"), Sent::value_type);
                list(of, structs)
            }
        }
    }
}

impl Request {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
        }
    }

    /// The same with a value for one of its names.
    #[must_use]
    pub(super) fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.parameters.push((name.into(), value));
        self
    }

    /// The request for its rows.
    pub(super) fn query(&self) -> Result<QueryRequest> {
        let mut query = QueryRequest::new(&self.sql);
        query.parameters = self.sent()?;
        Ok(query)
    }

    /// The job that carries it out.
    pub(super) fn job(&self) -> Result<QueryJob> {
        let mut job = QueryJob::new(&self.sql);
        job.parameters = self.sent()?;
        Ok(job)
    }

    fn sent(&self) -> Result<Vec<Parameter>> {
        let failed = while_doing("a value cannot stand in a statement");
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| Ok(Parameter::new(name, value.sent()?)));
        parameters.collect::<crate::Result<_>>().map_err(failed)
    }

    /// As a person reads it.
    pub(super) fn shown(&self) -> String {
        let told = self.parameters.iter().map(|(name, value)| match value {
            Value::Text(text) => format!("@{name} = '{text}'"),
            other => format!("@{name} = {other:?}"),
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return self.sql.clone();
        }
        format!("{} -- {}", self.sql, told.join(", "))
    }
}
