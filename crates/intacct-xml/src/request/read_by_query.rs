//! `readByQuery` and `readMore`, the legacy reads.

use super::query::checked_page_size;
use super::read::FieldList;
use super::writer::Writer;
use crate::error::Error;
use crate::name::ObjectName;

/// Reads records by an SQL-like condition (developer.intacct.com, Queries, legacy).
///
/// The condition knows `< > >= <= = like in`, `IS NULL`, `AND`, `OR`, `NOT` and parentheses, but no
/// order, no join and no dotted field.
/// Literals of enumerations and booleans are the stored codes, dates are `mm/dd/yyyy`.
/// Put every literal through [`quote_literal`].
#[derive(Clone, Debug)]
pub struct ReadByQuery {
    object: ObjectName,
    query: String,
    fields: FieldList,
    page_size: u32,
    doc_par_id: Option<String>,
}

/// Goes on with the result of a [`ReadByQuery`], a [`ReadView`](super::ReadView) or a
/// [`ReadReport`](super::ReadReport): the next page of the same size.
///
/// A result id belongs to the session and the endpoint that gave it; send it there and nowhere else,
/// and never keep it as a place to resume from.
#[derive(Clone, Debug)]
pub struct ReadMore {
    of: Listing,
    id: String,
}

#[derive(Clone, Copy, Debug)]
enum Listing {
    Result,
    Report,
}

/// A text as a literal of a [`ReadByQuery`] condition: in single quotes, those within it escaped.
///
/// ```
/// use intacct_xml::request::quote_literal;
///
/// # fn main() -> Result<(), intacct_xml::Error> {
/// let query = format!("NAME = {} AND STATUS = 'T'", quote_literal("O'Neill & Söhne")?);
/// assert_eq!(query, r"NAME = 'O\'Neill & Söhne' AND STATUS = 'T'");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the text holds a backslash, for which no
/// escape is documented; use [`Query`](super::Query) for such a value.
pub fn quote_literal(text: &str) -> Result<String, Error> {
    if text.contains('\\') {
        return Err(
            Error::invalid("a literal of a readByQuery condition holds a backslash")
                .advise("there is no documented way to write it; use query with a filter"),
        );
    }
    Ok(format!("'{}'", text.replace('\'', "\\'")))
}

impl ReadByQuery {
    /// The most records of a page, and the default.
    pub const LARGEST_PAGE: u32 = 1000;

    /// Reads the records that meet the condition; all of them if it is empty.
    pub fn new(object: ObjectName, query: impl Into<String>) -> Self {
        Self {
            object,
            query: query.into(),
            fields: FieldList::All,
            page_size: Self::LARGEST_PAGE,
            doc_par_id: None,
        }
    }

    /// Only these fields. Default: all.
    #[must_use]
    pub fn with_fields(mut self, fields: FieldList) -> Self {
        self.fields = fields;
        self
    }

    /// In pages of 1 to 1000 records.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self, Error> {
        self.page_size = checked_page_size(page_size, Self::LARGEST_PAGE)?;
        Ok(self)
    }

    /// Of one transaction definition.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The object that is read.
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    /// How many records a page has.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// The same read without what stands in quotes.
    pub(super) fn shape(&self) -> Self {
        let unescaped = self.query.replace("\\'", "");
        let outside: Vec<&str> = unescaped.split('\'').step_by(2).collect();
        Self {
            query: outside.join("''"),
            page_size: Self::LARGEST_PAGE,
            ..self.clone()
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("readByQuery");
        writer.element("object", self.object.as_str());
        writer.element("query", &self.query);
        writer.element("fields", &self.fields.to_text());
        writer.element("pagesize", &self.page_size.to_string());
        writer.optional("docparid", self.doc_par_id.as_deref());
        writer.close("readByQuery");
    }
}

impl ReadMore {
    /// The next page of a result.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the id is empty: then the first page was
    /// the whole result.
    pub fn new(result_id: impl Into<String>) -> Result<Self, Error> {
        Self::of(Listing::Result, result_id.into())
    }

    /// The report that a [`ReadReport`](super::ReadReport) began: that it is not ready, or its next
    /// page. With its last page the gateway deletes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the id is empty.
    pub fn report(report_id: impl Into<String>) -> Result<Self, Error> {
        Self::of(Listing::Report, report_id.into())
    }

    fn of(of: Listing, id: String) -> Result<Self, Error> {
        if id.is_empty() {
            return Err(Error::invalid("a readMore without an id").advise(
                "a result without an id fits on its first page; there is no more to read",
            ));
        }
        Ok(Self { of, id })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let name = match self.of {
            Listing::Result => "resultId",
            Listing::Report => "reportId",
        };
        writer.open("readMore");
        writer.element(name, &self.id);
        writer.close("readMore");
    }
}
