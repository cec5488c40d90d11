//! The filter of a query: an expression tree.

use super::value::Value;
use super::writer::Writer;
use crate::error::Error;
use crate::name::FieldName;

/// Which records a [`Query`](super::Query) gives (developer.intacct.com, Queries).
///
/// A filter is one condition or a combination of at least two; an `and` or `or` with a single child,
/// which the gateway refuses, cannot be made.
///
/// ```
/// use intacct_xml::request::Filter;
/// use intacct_xml::FieldName;
///
/// # fn main() -> Result<(), intacct_xml::Error> {
/// let modified = FieldName::new("WHENMODIFIED")?;
/// let window = Filter::greater_than_or_equal_to(modified.clone(), "01/01/2026 00:00:00")
///     .and(Filter::less_than(modified, "01/02/2026 00:00:00"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    /// An operator with its field and its values, in the vendor's words.
    Condition {
        operator: &'static str,
        field: FieldName,
        values: Vec<Value>,
    },
    /// `and` or `or` over two or more.
    Combination {
        connective: Connective,
        parts: Vec<Filter>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connective {
    And,
    Or,
}

/// The most values of an `in`.
const MOST_VALUES: usize = 1000;

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident => $operator:literal),* $(,)?) => {
        impl Filter {$(
            $(#[$doc])*
            pub fn $name(field: FieldName, value: impl Into<Value>) -> Self {
                Self::condition($operator, field, vec![value.into()])
            }
        )*}
    };
}

comparisons! {
    /// The field equals the value.
    equal_to => "equalto",
    /// The field differs from the value.
    not_equal_to => "notequalto",
    /// The field is less than the value.
    less_than => "lessthan",
    /// The field is at most the value.
    less_than_or_equal_to => "lessthanorequalto",
    /// The field is greater than the value.
    greater_than => "greaterthan",
    /// The field is at least the value.
    greater_than_or_equal_to => "greaterthanorequalto",
    /// The field matches a pattern: `%` is any text, `_` any character; neither can be escaped.
    like => "like",
    /// The field does not match a pattern.
    not_like => "notlike",
}

impl Filter {
    /// The field lies between two values, both included; the smaller or earlier is given first.
    pub fn between(field: FieldName, low: impl Into<Value>, high: impl Into<Value>) -> Self {
        Self::condition("between", field, vec![low.into(), high.into()])
    }

    /// The field equals one of 1 to 1000 values.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for fewer or more values; split more into
    /// several filters and combine them with [`Filter::any`].
    pub fn one_of<V: Into<Value>>(
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        Self::list("in", field, values)
    }

    /// The field equals none of 1 to 1000 values.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for fewer or more values; split more into
    /// several filters and combine them with [`Filter::all`].
    pub fn none_of<V: Into<Value>>(
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        Self::list("notin", field, values)
    }

    /// The field has no value.
    pub fn is_null(field: FieldName) -> Self {
        Self::condition("isnull", field, Vec::new())
    }

    /// The field has a value.
    pub fn is_not_null(field: FieldName) -> Self {
        Self::condition("isnotnull", field, Vec::new())
    }

    /// All of the filters hold. One filter alone is itself.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is none: leave the filter out
    /// instead.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        Self::combine(Connective::And, filters)
    }

    /// At least one of the filters holds. One filter alone is itself.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is none: nothing would match, so
    /// there is nothing to ask.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        Self::combine(Connective::Or, filters)
    }

    /// Both filters hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::joined(Connective::And, [self, other])
    }

    /// At least one of the two filters holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::joined(Connective::Or, [self, other])
    }

    fn condition(operator: &'static str, field: FieldName, values: Vec<Value>) -> Self {
        Self(Expression::Condition {
            operator,
            field,
            values,
        })
    }

    fn list<V: Into<Value>>(
        operator: &'static str,
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if !(1..=MOST_VALUES).contains(&values.len()) {
            return Err(Error::invalid(format!(
                "the filter {operator} on {field} has {} values",
                values.len()
            ))
            .advise("give it 1 to 1000"));
        }
        Ok(Self::condition(operator, field, values))
    }

    fn combine(
        connective: Connective,
        filters: impl IntoIterator<Item = Self>,
    ) -> Result<Self, Error> {
        let mut filters = filters.into_iter();
        let Some(first) = filters.next() else {
            return Err(
                Error::invalid("a combination of no filters").advise("give it at least one")
            );
        };
        match filters.next() {
            None => Ok(first),
            Some(second) => Ok(Self::joined(
                connective,
                [first, second].into_iter().chain(filters),
            )),
        }
    }

    /// Two or more filters as one; what is already such a combination is taken apart.
    fn joined(connective: Connective, filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for filter in filters {
            match filter.0 {
                Expression::Combination {
                    connective: inner,
                    parts: inner_parts,
                } if inner == connective => {
                    parts.extend(inner_parts);
                }
                expression => parts.push(Self(expression)),
            }
        }
        Self(Expression::Combination { connective, parts })
    }

    /// The same filter with its values left out: what it looks at, and how.
    pub(super) fn shape(&self) -> Self {
        Self(match &self.0 {
            Expression::Condition {
                operator, field, ..
            } => Expression::Condition {
                operator,
                field: field.clone(),
                values: Vec::new(),
            },
            Expression::Combination { connective, parts } => Expression::Combination {
                connective: *connective,
                parts: parts.iter().map(Self::shape).collect(),
            },
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match &self.0 {
            Expression::Condition {
                operator,
                field,
                values,
            } => {
                writer.open(operator);
                writer.element("field", field.as_str());
                for value in values {
                    writer.element("value", value.as_str());
                }
                writer.close(operator);
            }
            Expression::Combination { connective, parts } => {
                let name = match connective {
                    Connective::And => "and",
                    Connective::Or => "or",
                };
                writer.open(name);
                for part in parts {
                    part.write(writer);
                }
                writer.close(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> FieldName {
        FieldName::new(name).unwrap()
    }

    fn xml(filter: &Filter) -> String {
        let mut out = String::new();
        filter.write(&mut Writer::new(&mut out));
        out
    }

    #[test]
    fn a_single_filter_is_never_wrapped() {
        let one = Filter::equal_to(field("A"), "x");
        assert_eq!(Filter::all([one.clone()]).unwrap(), one);
        assert_eq!(Filter::any([one.clone()]).unwrap(), one);
        assert!(Filter::all([]).is_err());
        assert!(Filter::any([]).is_err());
    }

    #[test]
    fn combinations_are_flat_where_they_can_be() {
        let [a, b, c] = ["A", "B", "C"].map(|name| Filter::is_null(field(name)));
        let filter = a.clone().and(b.clone()).and(c.clone());
        assert_eq!(
            filter,
            Filter::all([a.clone(), b.clone(), c.clone()]).unwrap()
        );
        assert_eq!(
            xml(&a.or(b).and(c)),
            "<and><or><isnull><field>A</field></isnull><isnull><field>B</field></isnull></or>\
             <isnull><field>C</field></isnull></and>"
        );
    }

    #[test]
    fn lists_have_1_to_1000_values() {
        assert!(Filter::one_of(field("A"), Vec::<i64>::new()).is_err());
        assert!(Filter::one_of(field("A"), 0..1000_i64).is_ok());
        assert!(Filter::none_of(field("A"), 0..1001_i64).is_err());
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(
            xml(&Filter::between(field("N"), "a & b", "<")),
            "<between><field>N</field><value>a &amp; b</value><value>&lt;</value></between>"
        );
    }
}
