//! Counts and sums that the gateway makes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use intacct_xml::FieldName;
use intacct_xml::request::{Aggregate, Query, Selection};

use crate::client::Client;
use crate::error::Result;

/// One group of an aggregate query. `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    values: HashMap<String, Option<String>>,
    select: Arc<[Selection]>,
}

impl Client {
    /// The groups of a query with aggregates, all of them (developer.intacct.com, Queries).
    ///
    /// # Errors
    /// `Conflict` when the groups change while they are read; give the query an order.
    pub async fn aggregate(&self, query: Query) -> Result<Vec<Group>> {
        let select: Arc<[Selection]> = query.select().into();
        let mut groups = Vec::new();
        let mut pages = self.query_as::<HashMap<String, Option<String>>>(query);
        while let Some(page) = pages.try_next().await? {
            groups.extend(page.records.into_iter().map(|values| Group {
                values,
                select: Arc::clone(&select),
            }));
        }
        Ok(groups)
    }
}

impl Group {
    /// The value of a field that the groups are made by; none if it is empty.
    #[must_use]
    pub fn field(&self, field: &FieldName) -> Option<&str> {
        self.value(field.as_str())
    }

    /// The value of an aggregate; none if there was nothing to make it from.
    ///
    /// The vendor shows it under `SUM.AMOUNT` and under the field's bare name. The bare name is taken only where it can
    /// mean nothing else.
    #[must_use]
    pub fn aggregate(&self, aggregate: Aggregate, field: &FieldName) -> Option<&str> {
        let qualified = format!("{}.{field}", aggregate.element().to_ascii_uppercase());
        if self.values.contains_key(&qualified) {
            return self.value(&qualified);
        }
        let about_field = self.select.iter().filter(|selection| match selection {
            Selection::Field(other) | Selection::Aggregate(_, other) => other == field,
            _ => false,
        });
        let asked = Selection::Aggregate(aggregate, field.clone());
        let only = about_field.eq([&asked]);
        only.then(|| self.value(field.as_str())).flatten()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Option::as_deref)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}
