//! `query`, the preferred read.

use super::filter::Filter;
use super::writer::Writer;
use crate::error::Error;
use crate::name::{FieldName, ObjectName};

/// Reads fields, or aggregates of fields, of the records that a filter selects
/// (developer.intacct.com, Queries).
///
/// Without an order the order is undefined, and each offset is a query of its own: records that
/// appear or go between two pages shift all later ones. To read everything, page by key.
#[derive(Clone, Debug)]
pub struct Query {
    object: ObjectName,
    select: Vec<Selection>,
    filter: Option<Filter>,
    order: Vec<Order>,
    options: QueryOptions,
    page_size: u32,
    offset: u64,
    doc_par_id: Option<String>,
}

/// What a [`Query`] gives of each record, or of each group of records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The field itself; beside an aggregate it is what the groups are made by.
    Field(FieldName),
    /// An aggregate over a field.
    Aggregate(Aggregate, FieldName),
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aggregate {
    /// How many.
    Count,
    /// The mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// The sum.
    Sum,
}

/// One key to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    field: FieldName,
    direction: &'static str,
}

/// Settings of a [`Query`]; all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Compare text without regard to case.
    pub case_insensitive: bool,
    /// Include records that are private to an entity, when asked at the top level.
    pub show_private: bool,
}

impl Query {
    /// The most records of a page. Every page is a billed call, so it is also the default.
    pub const LARGEST_PAGE: u32 = 2000;

    /// A query for something of an object.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if nothing is selected; there is no `*`
    /// here, ask for the fields by [`Lookup`](super::Lookup). Also if RECORDNO stands beside an
    /// aggregate, because then every record is a group of its own.
    pub fn new<S: Into<Selection>>(
        object: ObjectName,
        select: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let select: Vec<Selection> = select.into_iter().map(Into::into).collect();
        if select.is_empty() {
            return Err(
                Error::invalid(format!("a query of {object} selects no field"))
                    .advise("name the fields; lookup lists them"),
            );
        }
        let aggregates = select
            .iter()
            .any(|one| matches!(one, Selection::Aggregate(..)));
        let by_record = select
            .iter()
            .any(|one| matches!(one, Selection::Field(field) if field.as_str() == "RECORDNO"));
        if aggregates && by_record {
            return Err(
                Error::invalid(format!("a query of {object} groups by RECORDNO"))
                    .advise("leave RECORDNO out, or the aggregates"),
            );
        }
        Ok(Self {
            object,
            select,
            filter: None,
            order: Vec::new(),
            options: QueryOptions::default(),
            page_size: Self::LARGEST_PAGE,
            offset: 0,
            doc_par_id: None,
        })
    }

    /// Only the records that the filter selects.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// In this order; the first key weighs most.
    #[must_use]
    pub fn with_order(mut self, order: impl IntoIterator<Item = Order>) -> Self {
        self.order = order.into_iter().collect();
        self
    }

    /// With these settings.
    #[must_use]
    pub fn with_options(mut self, options: QueryOptions) -> Self {
        self.options = options;
        self
    }

    /// In pages of 1 to 2000 records.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self, Error> {
        self.page_size = checked_page_size(page_size, Self::LARGEST_PAGE)?;
        Ok(self)
    }

    /// Beginning with this record, counted from 0.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Of one transaction definition; SODOCUMENT, PODOCUMENT and INVDOCUMENT need it for their
    /// custom fields.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The object that is read.
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    /// What is selected.
    pub fn select(&self) -> &[Selection] {
        &self.select
    }

    /// Which records.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// In which order.
    pub fn order(&self) -> &[Order] {
        &self.order
    }

    /// How many records a page has.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// The first record of the page, counted from 0.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The same query wherever it reads: without values, and from the first record.
    pub(super) fn shape(&self) -> Self {
        Self {
            filter: self.filter.as_ref().map(Filter::shape),
            page_size: Self::LARGEST_PAGE,
            offset: 0,
            ..self.clone()
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("query");
        writer.open("select");
        for selection in &self.select {
            match selection {
                Selection::Field(field) => writer.element("field", field.as_str()),
                Selection::Aggregate(aggregate, field) => {
                    writer.element(aggregate.element(), field.as_str());
                }
            }
        }
        writer.close("select");
        writer.element("object", self.object.as_str());
        writer.optional("docparid", self.doc_par_id.as_deref());
        if let Some(filter) = &self.filter {
            writer.open("filter");
            filter.write(writer);
            writer.close("filter");
        }
        if !self.order.is_empty() {
            writer.open("orderby");
            for order in &self.order {
                writer.open("order");
                writer.element("field", order.field.as_str());
                writer.empty(order.direction);
                writer.close("order");
            }
            writer.close("orderby");
        }
        if self.options != QueryOptions::default() {
            writer.open("options");
            if self.options.case_insensitive {
                writer.element("caseinsensitive", "true");
            }
            if self.options.show_private {
                writer.element("showprivate", "true");
            }
            writer.close("options");
        }
        writer.element("pagesize", &self.page_size.to_string());
        if self.offset > 0 {
            writer.element("offset", &self.offset.to_string());
        }
        writer.close("query");
    }
}

impl From<FieldName> for Selection {
    fn from(field: FieldName) -> Self {
        Self::Field(field)
    }
}

impl Aggregate {
    /// The element that asks for it; the answer calls the value `FUNCTION.FIELD` in upper case, or
    /// the bare field.
    pub fn element(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Average => "avg",
            Self::Minimum => "min",
            Self::Maximum => "max",
            Self::Sum => "sum",
        }
    }
}

impl Order {
    /// The smallest or earliest first.
    pub fn ascending(field: FieldName) -> Self {
        Self {
            field,
            direction: "ascending",
        }
    }

    /// The largest or latest first.
    pub fn descending(field: FieldName) -> Self {
        Self {
            field,
            direction: "descending",
        }
    }

    /// The field that is ordered by.
    pub fn field(&self) -> &FieldName {
        &self.field
    }
}

pub(super) fn checked_page_size(page_size: u32, largest: u32) -> Result<u32, Error> {
    if (1..=largest).contains(&page_size) {
        return Ok(page_size);
    }
    Err(Error::invalid(format!("a page size of {page_size}"))
        .advise(format!("ask for 1 to {largest} records a page")))
}
