//! Streams: kinds of objects that are synchronised, and everything known of them before reading.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, Field, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::column;
use crate::entry::EntryRule;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Digest, Hasher};

/// Keys of a field's metadata: where a column comes from.
pub mod metadata {
    /// The name of the field at the source, verbatim.
    pub const SOURCE_NAME: &str = "source.name";
    /// The type that the source declares.
    pub const SOURCE_TYPE: &str = "source.type";
    /// What the source calls the field on a person's screen.
    pub const LABEL: &str = "label";
    /// What the source says of the field.
    pub const DESCRIPTION: &str = "description";
}

/// The name of a stream and of its table: `gl_detail`, `ap_bill_item`.
///
/// Lower-case letters, digits and underscores, starting with a letter, at most 63 bytes, so that
/// every destination takes it without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

impl StreamName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where it breaks the rule above.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            && name.len() <= 63;
        if well_formed {
            return Ok(Self(name));
        }
        let rule = "a stream's name is at most 63 lower-case letters, digits and underscores, \
                    starting with a letter";
        Err(Error::new(ErrorKind::Config, rule).with("name", name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for StreamName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// How records that vanished at the source are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeleteDetection {
    /// They are not.
    None,
    /// Every run reads the whole stream, so what was not read is gone.
    FullRead,
    /// The keys of all live records are listed and compared, when the counts differ.
    KeySet,
    /// The source keeps a list of what was deleted. What it does not tell, or tells of no record in
    /// particular, is found as by [`KeySet`](Self::KeySet).
    AuditHistory,
}

impl fmt::Display for DeleteDetection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::FullRead => "full read",
            Self::KeySet => "key set",
            Self::AuditHistory => "audit history",
        })
    }
}

/// What a delete does to the row in the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeleteMode {
    /// The row stays, marked `_deleted`.
    Mark,
    /// The row goes. For lines whose readers know no mark.
    Remove,
}

/// What the source and the destination are asked for, to be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalsShape {
    /// The decimal columns whose sums are compared.
    pub sums: Vec<String>,
    /// The columns by which counts and sums are grouped.
    pub group_by: Vec<String>,
    /// Other columns by which they are grouped too, each list by itself: two short lists cost a source
    /// less than the groups of both together.
    pub also_by: Vec<Vec<String>>,
    /// What some of the columns are to an accountant.
    pub roles: Roles,
}

impl TotalsShape {
    /// The same totals grouped by other columns.
    #[must_use]
    pub fn grouped_by(&self, columns: Vec<String>) -> Self {
        Self {
            sums: self.sums.clone(),
            group_by: columns,
            also_by: Vec::new(),
            roles: self.roles.clone(),
        }
    }

    /// All groupings, the first one first.
    pub fn groupings(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.group_by).chain(&self.also_by)
    }
}

/// What columns are to an accountant, so that whoever reads of a difference finds book, entity, period
/// and account in places of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The book.
    pub book: Option<String>,
    /// The entity or location.
    pub entity: Option<String>,
    /// The day or period in which a record counts.
    pub period: Option<String>,
    /// The account.
    pub account: Option<String>,
}

/// Everything known of a stream before its records are read.
#[derive(Clone, Debug)]
pub struct StreamDescriptor {
    /// Its name, and its table's.
    pub name: StreamName,
    /// The columns that the source delivers, without those that the pipeline adds.
    pub schema: SchemaRef,
    /// The columns that identify a record. None of them is nullable.
    pub key: Vec<String>,
    /// The timestamp column that says when a record last changed. Without one, every run reads all.
    pub modified: Option<String>,
    /// How deletes are found.
    pub delete_detection: DeleteDetection,
    /// What a delete does.
    pub delete_mode: DeleteMode,
    /// A column whose equal neighbours are never parted into two batches, such as a journal line's entry.
    pub keep_together: Option<String>,
    /// A date column by whose days the keys of both sides can be compared in parts, such as the day on
    /// which a ledger line counts.
    pub period: Option<String>,
    /// What tie-out compares besides the number of records.
    pub totals: TotalsShape,
    /// How lines of a ledger make up entries whose debits equal their credits.
    pub entries: Option<EntryRule>,
}

impl StreamDescriptor {
    /// A stream that is identified by `key`, with nothing else known of it.
    ///
    /// # Errors
    ///
    /// As [`StreamDescriptor::validate`].
    pub fn new(name: StreamName, schema: SchemaRef, key: Vec<String>) -> Result<Self> {
        let descriptor = Self {
            name,
            schema,
            key,
            modified: None,
            delete_detection: DeleteDetection::None,
            delete_mode: DeleteMode::Mark,
            keep_together: None,
            period: None,
            totals: TotalsShape::default(),
            entries: None,
        };
        descriptor.validate()?;
        Ok(descriptor)
    }

    /// Checks that every column named exists, with a type that serves its purpose.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming stream and column.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str, column: &str| {
            Error::new(ErrorKind::Config, what)
                .with("stream", self.name.as_str())
                .with("column", column)
        };
        for field in self.schema.fields() {
            if field.name().starts_with('_') {
                return Err(refuse(
                    "names that begin with an underscore are reserved",
                    field.name(),
                ));
            }
            if !column::is_supported(field.data_type()) {
                return Err(refuse(
                    "a batch cannot carry a column of this type",
                    field.name(),
                ));
            }
        }
        if self.key.is_empty() {
            return Err(refuse("a stream needs a key", ""));
        }
        for name in &self.key {
            if self.field(name)?.is_nullable() {
                return Err(refuse("a key column must not be nullable", name));
            }
        }
        if let Some(name) = &self.modified
            && !matches!(self.field(name)?.data_type(), DataType::Timestamp(..))
        {
            return Err(refuse("the time of change must be a timestamp", name));
        }
        for name in &self.totals.sums {
            if !matches!(self.field(name)?.data_type(), DataType::Decimal128(..)) {
                return Err(refuse("only decimal columns can be summed", name));
            }
        }
        let grouping = self.totals.groupings().flatten();
        for name in grouping.chain(&self.keep_together) {
            self.field(name)?;
        }
        if let Some(rule) = &self.entries {
            rule.validate(self)?;
        }
        if let Some(name) = &self.period
            && *self.field(name)?.data_type() != DataType::Date32
        {
            return Err(refuse("a period is a date", name));
        }
        Ok(())
    }

    /// One of the columns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the schema has no such column.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.schema.field_with_name(name).map_err(|_| {
            Error::new(ErrorKind::Config, "the stream has no such column")
                .with("stream", self.name.as_str())
                .with("column", name)
        })
    }

    /// A digest of names, types and key: equal for equal contracts.
    pub fn contract(&self) -> Digest {
        let mut hasher = Hasher::new("intacct-sync/contract/1").part(self.name.as_str().as_bytes());
        for field in self.schema.fields() {
            hasher.push(field.name().as_bytes());
            hasher.push(field.data_type().to_string().as_bytes());
        }
        for name in &self.key {
            hasher.push(name.as_bytes());
        }
        hasher.digest()
    }
}
