//! What a source reads, and how.

use intacct_xml::request::Filter;
use intacct_xml::{FieldName, ObjectName};
use sync_core::{DeleteMode, Result, StreamName};
use time::Duration;

use super::contract::stream_name_of;

/// What an [`IntacctSource`](super::IntacctSource) reads. By default the default streams, all books,
/// and whatever the company has added to them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Which of the default streams are read.
    pub defaults: DefaultStreams,
    /// Further objects, or other ways to read the default ones.
    pub objects: Vec<ObjectStream>,
    /// Whether the objects of user-defined dimensions are read too.
    pub dimensions: UserDefinedDimensions,
    /// Which books the ledger's lines and balances are read of.
    pub books: Books,
    /// How far behind the end of a window of changes the window of deletes ends that the audit history
    /// is asked for. A delete that is younger is found by comparing keys, where the numbers of records
    /// differ, or in the next run. Default 30 minutes.
    pub audit_lag: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            defaults: DefaultStreams::All,
            objects: Vec::new(),
            dimensions: UserDefinedDimensions::default(),
            books: Books::All,
            audit_lag: Duration::minutes(30),
        }
    }
}

impl SourceOptions {
    /// The same options with one more object. It takes the place of a stream of the same name.
    #[must_use]
    pub fn with_object(mut self, object: ObjectStream) -> Self {
        self.objects.push(object);
        self
    }

    /// The same options with these of the default streams.
    #[must_use]
    pub fn with_defaults(mut self, defaults: DefaultStreams) -> Self {
        self.defaults = defaults;
        self
    }

    /// The same options with the objects of user-defined dimensions, or without.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: UserDefinedDimensions) -> Self {
        self.dimensions = dimensions;
        self
    }

    /// The same options with these books.
    #[must_use]
    pub fn with_books(mut self, books: Books) -> Self {
        self.books = books;
        self
    }
}

/// Which of the default streams are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultStreams {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(Vec<StreamName>),
    /// All but these.
    AllBut(Vec<StreamName>),
}

impl DefaultStreams {
    pub(super) fn includes(&self, stream: &str) -> bool {
        let named = |names: &[StreamName]| names.iter().any(|name| name.as_str() == stream);
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::AllBut(names) => !named(names),
        }
    }
}

/// Whether the objects of user-defined dimensions are read (developer.intacct.com, Dimensions). The columns
/// that lines have of them come along in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserDefinedDimensions {
    /// They are not, unless they are added by name.
    #[default]
    LeftOut,
    /// Each is a stream with all its fields.
    Added,
}

/// Which books are read (`BOOKID`: ACCRUAL, CASH, GAAPADJACCRUAL, a user's book, ...;
/// developer.intacct.com, Account Balances).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Books {
    /// All that the company has.
    #[default]
    All,
    /// 1 to 1000 of them by their ids.
    Only(Vec<String>),
}

/// Which fields of an object are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldChoice {
    /// All that `lookup` lists, but bank accounts, tax ids, social security numbers, dates of birth and
    /// passwords.
    #[default]
    All,
    /// These, in their order, whatever they hold, and those without which the object cannot be read.
    /// Dotted names follow the relations that `lookup` lists.
    Only(Vec<FieldName>),
}

/// An object that is read beside the default ones: a standard object, a custom object, or one of a
/// user-defined dimension. What it needs to be read is found out by `lookup`.
///
/// Its columns have the types that `lookup` says. Where it has WHENMODIFIED (or `updatedAt`), changes
/// are read; otherwise the whole object in each run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectStream {
    /// The integration name, in the case that `lookup` takes it.
    pub object: ObjectName,
    /// The stream's name. By default the object's in lower case, or the default stream's of that object.
    pub stream: StreamName,
    /// The fields.
    pub fields: FieldChoice,
    /// The fields that identify a record; RECORDNO, else `id`, where none are named. An object that
    /// has several is read by offset.
    pub key: Vec<FieldName>,
    /// Only the records that match. What matches must not change without the record being modified, or
    /// records come and go unnoticed.
    pub filter: Option<Filter>,
    /// The transaction definition, for SODOCUMENT, PODOCUMENT and INVDOCUMENT.
    pub doc_par_id: Option<String>,
    /// What a delete does.
    pub delete_mode: DeleteMode,
}

impl ObjectStream {
    /// All fields of an object.
    ///
    /// # Errors
    /// `Config` when no stream can be called so.
    pub fn new(object: ObjectName) -> Result<Self> {
        let stream = stream_name_of(object.as_str())?;
        Ok(Self {
            object,
            stream,
            fields: FieldChoice::default(),
            key: Vec::new(),
            filter: None,
            doc_par_id: None,
            delete_mode: DeleteMode::Mark,
        })
    }

    /// The same object as a stream of another name.
    #[must_use]
    pub fn named(mut self, stream: StreamName) -> Self {
        self.stream = stream;
        self
    }

    /// The same object with these fields.
    #[must_use]
    pub fn with_fields(mut self, fields: FieldChoice) -> Self {
        self.fields = fields;
        self
    }

    /// The same object with these fields as its key.
    #[must_use]
    pub fn with_key(mut self, key: impl IntoIterator<Item = FieldName>) -> Self {
        self.key = key.into_iter().collect();
        self
    }

    /// The same object without the records that do not match.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The same object of one transaction definition.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The same object with this treatment of deleted records.
    #[must_use]
    pub fn with_delete_mode(mut self, delete_mode: DeleteMode) -> Self {
        self.delete_mode = delete_mode;
        self
    }
}
