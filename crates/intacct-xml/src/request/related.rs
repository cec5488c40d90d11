//! `readRelated` and `readView`: reads over the custom parts of a company.

use super::query::checked_page_size;
use super::read::{FieldList, checked_keys};
use super::writer::Writer;
use crate::error::Error;
use crate::name::{FieldName, ObjectName};

/// Reads the records that stand in a custom relation to others (developer.intacct.com, Queries).
#[derive(Clone, Debug)]
pub struct ReadRelated {
    object: ObjectName,
    relation: FieldName,
    keys: Vec<String>,
    fields: FieldList,
}

impl ReadRelated {
    /// Reads what a relation of an object leads to from the records with these record numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for no key, more than 100, or one that is empty or holds a
    /// comma.
    pub fn new<K: Into<String>>(
        object: ObjectName,
        relation: FieldName,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, Error> {
        let keys = keys.into_iter().map(Into::into).collect();
        let keys = checked_keys("readRelated", &object, keys)?;
        Ok(Self {
            object,
            relation,
            keys,
            fields: FieldList::All,
        })
    }

    /// Only these fields. Default: all.
    #[must_use]
    pub fn with_fields(mut self, fields: FieldList) -> Self {
        self.fields = fields;
        self
    }

    /// The object that the relation leaves from.
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("readRelated");
        writer.element("object", self.object.as_str());
        writer.element("keys", &self.keys.join(","));
        writer.element("relation", self.relation.as_str());
        writer.element("fields", &self.fields.to_text());
        writer.close("readRelated");
    }
}

/// Reads a view of the user interface, with the view's own columns and filters.
#[derive(Clone, Debug)]
pub struct ReadView {
    view: String,
    page_size: u32,
}

impl ReadView {
    /// The most records of a page, and the default.
    pub const LARGEST_PAGE: u32 = 1000;

    /// Reads the view of this name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty name.
    pub fn new(view: impl Into<String>) -> Result<Self, Error> {
        let view = view.into();
        if view.trim().is_empty() {
            return Err(Error::invalid("a readView without a view").advise("name the view"));
        }
        Ok(Self {
            view,
            page_size: Self::LARGEST_PAGE,
        })
    }

    /// In pages of 1 to 1000 records.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self, Error> {
        self.page_size = checked_page_size(page_size, Self::LARGEST_PAGE)?;
        Ok(self)
    }

    /// The view.
    pub fn view(&self) -> &str {
        &self.view
    }

    /// How many records a page has.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("readView");
        writer.element("view", &self.view);
        writer.element("pagesize", &self.page_size.to_string());
        writer.close("readView");
    }
}
