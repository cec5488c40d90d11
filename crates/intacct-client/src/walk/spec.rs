//! What a walk reads.

use intacct_xml::request::{Filter, Query, QueryOptions};
use intacct_xml::values::parse_timestamp;
use intacct_xml::{FieldName, ObjectName};
use time::{OffsetDateTime, UtcOffset};

use crate::error::{Error, Result};

/// A half-open range of modified time. Whole seconds, as the source has no finer ones: fractions are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkWindow {
    pub(super) low: Option<OffsetDateTime>,
    pub(super) high: OffsetDateTime,
}

impl WalkWindow {
    /// From `low`, included, to `high`, not included. Without `low`, from the beginning.
    ///
    /// `high` must lie in the past by the source's clock, by as much as the source may be late in showing records
    /// (two minutes are usual), or records modified during the walk are missed.
    #[must_use]
    pub fn new(low: Option<OffsetDateTime>, high: OffsetDateTime) -> Self {
        Self {
            low: low.map(whole_seconds),
            high: whole_seconds(high),
        }
    }

    /// The first moment in it; none is the beginning of time.
    #[must_use]
    pub fn low(&self) -> Option<OffsetDateTime> {
        self.low
    }

    /// The first moment behind it.
    #[must_use]
    pub fn high(&self) -> OffsetDateTime {
        self.high
    }
}

fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0)
        .unwrap_or(at)
        .to_offset(UtcOffset::UTC)
}

/// Whether a walk through a window first reads the records that have no modified time.
///
/// A record that was created and never modified can have none, and matches no window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NullPass {
    /// All of them.
    #[default]
    All,
    /// Those that also match a filter, such as a time of creation.
    Matching(Filter),
    /// None.
    Skip,
}

/// What a [`Walk`](super::Walk) reads, and by which fields it finds its way.
#[derive(Clone, Debug)]
pub struct WalkSpec {
    pub(super) object: ObjectName,
    pub(super) select: Vec<FieldName>,
    pub(super) key: FieldName,
    pub(super) range: Range,
    pub(super) filter: Option<Filter>,
    pub(super) options: QueryOptions,
    pub(super) doc_par_id: Option<String>,
    pub(super) page_size: u32,
    pub(super) source_offset: UtcOffset,
    pub(super) refusals: Refusals,
}

/// What a walk through a window does when the gateway refuses a page of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusals {
    /// It ends with the refusal.
    #[default]
    End,
    /// It reads smaller parts of the window, down to two seconds: for objects of which the gateway cannot
    /// give some page (`AUDITHISTORY`).
    Narrow,
}

#[derive(Clone, Debug)]
pub(super) enum Range {
    /// Everything, by key.
    Keys,
    /// What was modified in a window.
    Window {
        modified: FieldName,
        window: WalkWindow,
        nulls: NullPass,
    },
}

impl WalkSpec {
    /// Everything of an object, by its key (`RECORDNO`): for full loads, for listing keys, and for objects without a
    /// modified field.
    ///
    /// # Errors
    /// `Config` when the object cannot be queried so.
    pub fn by_key(object: ObjectName, key: FieldName) -> Result<Self> {
        let spec = Self {
            object,
            select: vec![key.clone()],
            key,
            range: Range::Keys,
            filter: None,
            options: QueryOptions::default(),
            doc_par_id: None,
            page_size: Query::LARGEST_PAGE,
            source_offset: UtcOffset::UTC,
            refusals: Refusals::default(),
        };
        Ok(spec)
    }

    /// What was modified in a window (`WHENMODIFIED`), by modified time and key.
    ///
    /// # Errors
    /// `Config` when key and modified field are the same.
    pub fn by_modified(
        object: ObjectName,
        key: FieldName,
        modified: FieldName,
        window: WalkWindow,
    ) -> Result<Self> {
        if key == modified {
            return Err(Error::invalid(
                "the key field and the modified field of a walk are the same",
            ));
        }
        let mut spec = Self::by_key(object, key)?;
        spec.select.push(modified.clone());
        spec.range = Range::Window {
            modified,
            window,
            nulls: NullPass::default(),
        };
        Ok(spec)
    }

    /// The same walk reading these fields too. Key and modified field are always read.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldName>) -> Self {
        for field in fields {
            if !self.select.contains(&field) {
                self.select.push(field);
            }
        }
        self
    }

    /// The same walk over the records that also match this filter. Its result must not change while the walk lasts, or
    /// what changes may be missed.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The same walk with another treatment of records without a modified time. Nothing changes for a walk by key.
    #[must_use]
    pub fn with_null_pass(mut self, choice: NullPass) -> Self {
        if let Range::Window { nulls, .. } = &mut self.range {
            *nulls = choice;
        }
        self
    }

    /// The same walk with these options of its queries, such as private records of entities.
    #[must_use]
    pub fn with_options(mut self, options: QueryOptions) -> Self {
        self.options = options;
        self
    }

    /// The same walk over one transaction definition.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The same walk with this zone of the source's timestamps. A client sets its own.
    #[must_use]
    pub const fn with_source_offset(mut self, offset: UtcOffset) -> Self {
        self.source_offset = offset;
        self
    }

    /// The same walk with this answer to pages that the gateway refuses.
    #[must_use]
    pub const fn with_refusals(mut self, choice: Refusals) -> Self {
        self.refusals = choice;
        self
    }

    /// The same walk in pages of 1 to 2000 records. A client sets its own.
    ///
    /// # Errors
    /// `Config` for another size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self> {
        if !(1..=Query::LARGEST_PAGE).contains(&page_size) {
            return Err(Error::invalid(format!(
                "a walk in pages of {page_size} records; set 1 to 2000"
            )));
        }
        self.page_size = page_size;
        Ok(self)
    }

    /// The same walk through another window.
    pub(super) fn within(&self, other: WalkWindow) -> Self {
        let mut spec = self.clone();
        if let Range::Window { window, .. } = &mut spec.range {
            *window = other;
        }
        spec
    }

    /// The moment that the text of a modified field stands for.
    pub(super) fn instant_of(
        &self,
        text: &str,
    ) -> std::result::Result<OffsetDateTime, intacct_xml::Error> {
        let at = parse_timestamp(text)?.assume_offset(self.source_offset);
        Ok(at.to_offset(UtcOffset::UTC))
    }

    /// The object that is read.
    #[must_use]
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    /// The key field.
    #[must_use]
    pub fn key(&self) -> &FieldName {
        &self.key
    }

    /// The modified field, in a walk through a window.
    #[must_use]
    pub fn modified(&self) -> Option<&FieldName> {
        match &self.range {
            Range::Keys => None,
            Range::Window { modified, .. } => Some(modified),
        }
    }
}
