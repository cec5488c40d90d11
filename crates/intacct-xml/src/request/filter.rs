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
    /// The field lies between two values, both included. The gateway wants the smaller or earlier
    /// first: whole numbers, dates and timestamps are put into that order.
    pub fn between(field: FieldName, low: impl Into<Value>, high: impl Into<Value>) -> Self {
        let (low, high) = (low.into(), high.into());
        let values = if high.is_before(&low) {
            vec![high, low]
        } else {
            vec![low, high]
        };
        Self::condition("between", field, values)
    }

    /// The field equals one of the values. More than 1000, which the gateway refuses in one
    /// condition, become several.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for no value: nothing would match.
    pub fn one_of<V: Into<Value>>(
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        Self::list("in", Connective::Or, field, values)
    }

    /// The field equals none of the values. More than 1000, which the gateway refuses in one
    /// condition, become several.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for no value: everything would match.
    pub fn none_of<V: Into<Value>>(
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        Self::list("notin", Connective::And, field, values)
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
        connective: Connective,
        field: FieldName,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, Error> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if values.is_empty() {
            let what = format!("the filter {operator} on {field} has no values");
            return Err(Error::invalid(what).advise("give it at least one"));
        }
        let parts = values
            .chunks(MOST_VALUES)
            .map(|part| Self::condition(operator, field.clone(), part.to_vec()));
        Self::combine(connective, parts)
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
    use crate::escape::XmlBuffer;

    fn field(name: &str) -> FieldName {
        FieldName::new(name).unwrap()
    }

    fn xml(filter: &Filter) -> String {
        let mut out = XmlBuffer::new();
        filter.write(&mut Writer::new(&mut out));
        out.into_string()
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
    fn long_lists_are_split() {
        assert!(Filter::one_of(field("A"), Vec::<i64>::new()).is_err());
        let one = xml(&Filter::one_of(field("A"), 0..1000_i64).unwrap());
        assert!(one.starts_with("<in>"), "{one}");
        let several = xml(&Filter::one_of(field("A"), 0..2001_i64).unwrap());
        assert!(several.starts_with("<or><in>"));
        assert_eq!(several.matches("<in>").count(), 3);
        assert_eq!(several.matches("<value>").count(), 2001);
        let none = xml(&Filter::none_of(field("A"), 0..1001_i64).unwrap());
        assert!(none.starts_with("<and><notin>"), "all of them must hold");
        assert_eq!(none.matches("<value>").count(), 1001);
    }

    #[test]
    fn the_ends_of_a_range_are_put_in_order() {
        use time::macros::{date, datetime};
        let ends = |filter: Filter| {
            let xml = xml(&filter);
            let ends = xml.split("<value>").skip(1);
            let ends = ends.map(|rest| rest.split_once('<').unwrap().0.to_owned());
            ends.collect::<Vec<_>>()
        };
        assert_eq!(ends(Filter::between(field("A"), 10, 9)), ["9", "10"]);
        let (early, late) = (date!(2025 - 12 - 31), date!(2026 - 01 - 01));
        let expected = ["12/31/2025", "01/01/2026"];
        assert_eq!(ends(Filter::between(field("A"), late, early)), expected);
        assert_eq!(ends(Filter::between(field("A"), early, late)), expected);
        let (early, late) = (datetime!(2025-12-31 23:00), datetime!(2026-01-01 01:00));
        let expected = ["12/31/2025 23:00:00", "01/01/2026 01:00:00"];
        assert_eq!(ends(Filter::between(field("A"), late, early)), expected);
        assert_eq!(ends(Filter::between(field("A"), "b", "a")), ["b", "a"]);
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(
            xml(&Filter::between(field("N"), "a & b", "<")),
            "<between><field>N</field><value>a &amp; b</value><value>&lt;</value></between>"
        );
    }
}
