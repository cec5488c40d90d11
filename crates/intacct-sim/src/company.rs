//! A company: the modelled one, or objects that a test defined.

use std::collections::BTreeMap;
use std::fmt;

use sim_http::{Error, ErrorKind};

use crate::books::{self, Books};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::calendar;
use crate::generic::{GenericTable, ObjectSpec};
use crate::object::Object;

/// How large a generated company is, by ledger lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// About one thousand ledger lines.
    Tiny,
    /// About fifty thousand.
    #[default]
    Small,
    /// About one million.
    Medium,
    /// About five million.
    Large,
}

impl Scale {
    /// Ledger lines to aim at; a company has up to a tenth more.
    pub fn lines(self) -> u64 {
        match self {
            Self::Tiny => 1_000,
            Self::Small => 50_000,
            Self::Medium => 1_000_000,
            Self::Large => 5_000_000,
        }
    }
}

impl std::str::FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "tiny" => Ok(Self::Tiny),
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => {
                let message = format!("{text:?} is no scale: tiny, small, medium or large");
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
}

/// What a single edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EditOp {
    /// Makes a record.
    Create,
    /// Changes fields of a record.
    Update,
    /// Removes a record.
    Delete,
}

/// A single edit of one record.
///
/// In JSON: `{"object": "VENDOR", "op": "update", "recordno": "21", "fields": {"STATUS": "inactive"}}`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Integration name of the object.
    pub object: String,
    /// What to do.
    pub op: EditOp,
    /// RECORDNO of the record, in JSON as a text or a number; for `create` only of objects that a
    /// test defined.
    #[serde(default, deserialize_with = "text_or_number")]
    pub recordno: Option<String>,
    /// Wire texts by field name; null empties a field.
    #[serde(default)]
    pub fields: BTreeMap<String, Option<String>>,
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Key {
        Text(String),
        Number(u64),
    }
    let key = <Option<Key> as serde::Deserialize>::deserialize(deserializer)?;
    Ok(key.map(|key| match key {
        Key::Text(text) => text,
        Key::Number(number) => number.to_string(),
    }))
}

impl Edit {
    /// The making of a record.
    pub fn create(object: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            op: EditOp::Create,
            recordno: None,
            fields: BTreeMap::new(),
        }
    }

    /// A change of the record with this RECORDNO.
    pub fn update(object: impl Into<String>, recordno: impl ToString) -> Self {
        let recordno = Some(recordno.to_string());
        Self {
            object: object.into(),
            op: EditOp::Update,
            recordno,
            fields: BTreeMap::new(),
        }
    }

    /// The removal of the record with this RECORDNO.
    pub fn delete(object: impl Into<String>, recordno: impl ToString) -> Self {
        let recordno = Some(recordno.to_string());
        Self {
            object: object.into(),
            op: EditOp::Delete,
            recordno,
            fields: BTreeMap::new(),
        }
    }

    /// Sets a field to a wire text; an empty text empties it.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, text: impl Into<String>) -> Self {
        self.fields.insert(field.into(), Some(text.into()));
        self
    }

    pub(crate) fn key(&self) -> Result<u64, Error> {
        self.recordno
            .as_deref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                let message = format!("name the record of {} by its RECORDNO", self.object);
                Error::new(ErrorKind::Invalid, message)
            })
    }
}

/// Another time of last change for records of one object: for imports that put more records into
/// one second than a page holds, and for records that were never modified.
///
/// In JSON: `{"object": "GLDETAIL", "from": 500001, "to": 503000, "at": "01/31/2026 12:00:00"}`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Stamp {
    /// Integration name of the object.
    pub object: String,
    /// The least RECORDNO; from the first record on where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The greatest RECORDNO; to the last record where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// WHENMODIFIED as the gateway writes it, in UTC; none for records never modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Stamp {
    /// Makes all records of an object ones that were never modified.
    pub fn never_modified(object: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            from: None,
            to: None,
            at: None,
        }
    }

    /// Puts the last change of all records of an object into one second, such as
    /// `01/31/2026 12:00:00`.
    pub fn at(object: impl Into<String>, at: impl Into<String>) -> Self {
        Self {
            at: Some(at.into()),
            ..Self::never_modified(object)
        }
    }

    /// Only records of these numbers, both ends included.
    #[must_use]
    pub fn between(mut self, from: u64, to: u64) -> Self {
        (self.from, self.to) = (Some(from), Some(to));
        self
    }
}

/// How many records of an object a change made, altered and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Changes {
    /// Records that are new.
    pub created: u64,
    /// Records that were there before and look different now.
    pub updated: u64,
    /// Records that are gone.
    pub deleted: u64,
}

/// Everything that the simulator serves: a company's objects and their records.
#[derive(Clone)]
pub struct Company {
    objects: Objects,
    last_round: u32,
}

#[derive(Clone, Debug)]
enum Objects {
    Books(Box<Books>),
    Generic(Vec<GenericTable>),
}

/// The instant at which a company's clock starts unless another is given.
pub(crate) const START: OffsetDateTime = datetime!(2026-01-31 18:00:00 UTC);

impl fmt::Debug for Company {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A company has millions of records: its objects are enough.
        formatter
            .debug_struct("Company")
            .field("objects", &self.names())
            .finish_non_exhaustive()
    }
}

impl Default for Company {
    /// A company without any objects.
    fn default() -> Self {
        Self {
            objects: Objects::Generic(Vec::new()),
            last_round: 0,
        }
    }
}

impl Company {
    /// The modelled company: a function of seed, scale and `start`, the instant at which its
    /// clock starts. All its records were last changed three hours or
    /// more before.
    pub fn generate(seed: u64, scale: Scale, start: OffsetDateTime) -> Self {
        let books = Box::new(books::generate(seed, scale, start.unix_timestamp()));
        Self {
            objects: Objects::Books(books),
            last_round: 0,
        }
    }

    /// A company of any objects.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` when a record has a field that its object has not, a text that its
    /// type does not allow, or no RECORDNO of digits; `Refused` when two records share one.
    pub fn from_objects(objects: impl IntoIterator<Item = ObjectSpec>) -> Result<Self, Error> {
        let tables = objects
            .into_iter()
            .map(GenericTable::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            objects: Objects::Generic(tables),
            last_round: 0,
        })
    }

    /// The modelled books, if this is the modelled company.
    pub(crate) fn books(&self) -> Option<&Books> {
        match &self.objects {
            Objects::Books(books) => Some(books),
            Objects::Generic(_) => None,
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        match &self.objects {
            Objects::Books(_) => books::fields::NAMES.to_vec(),
            Objects::Generic(tables) => tables.iter().map(GenericTable::name).collect(),
        }
    }

    pub(crate) fn object<'a>(&'a self, name: &str) -> Option<Box<dyn Object<'a> + 'a>> {
        match &self.objects {
            Objects::Books(books) => books::fields::object(books, name),
            Objects::Generic(tables) => {
                let table = tables.iter().find(|table| table.name() == name)?;
                Some(Box::new(table))
            }
        }
    }

    /// The user-defined dimensions: objects and their terms.
    pub(crate) fn user_defined_dimensions(&self) -> Vec<(&str, &str)> {
        match &self.objects {
            Objects::Books(_) => Vec::new(),
            Objects::Generic(tables) => tables
                .iter()
                .filter_map(|table| Some((table.name(), table.dimension()?)))
                .collect(),
        }
    }

    /// The instant of the first change of a round.
    pub(crate) fn round_starts(&self, round: u32) -> Option<i64> {
        self.books()
            .map(|books| books::first_instant(books.start, round))
    }

    /// Applies a round of the change story; returns what it did and the instant of its last change.
    pub(crate) fn apply_round(
        &mut self,
        round: u32,
    ) -> Result<(BTreeMap<String, Changes>, i64), Error> {
        let Objects::Books(books) = &mut self.objects else {
            return Err(Error::refused(
                "objects that a test defined have no change story",
            ));
        };
        if round == 0 || round > 330 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "rounds are numbered from 1 to 330",
            ));
        }
        if round <= self.last_round {
            let last = self.last_round;
            return Err(Error::refused(format!(
                "round {round} is over: round {last} was applied before; rounds only go forward"
            )));
        }
        let before = books.marks();
        let last = books.apply_round(round);
        books.settle();
        let first = books::first_instant(books.start, round);
        self.last_round = round;
        Ok((books.changes_since(&before, first as u32), last))
    }

    pub(crate) fn stamp(&mut self, stamp: &Stamp) -> Result<u64, Error> {
        let at = match &stamp.at {
            None => None,
            Some(text) => Some(calendar::parse_instant(text).ok_or_else(|| {
                let message = format!("{text:?} is no time such as 01/31/2026 12:00:00");
                Error::new(ErrorKind::Invalid, message)
            })?),
        };
        let slots: Vec<u32> = {
            let object = self.object(&stamp.object).ok_or_else(|| {
                let message = format!("the company has no object {:?}", stamp.object);
                Error::new(ErrorKind::NotFound, message)
            })?;
            let wanted = stamp.from.unwrap_or(0)..=stamp.to.unwrap_or(u64::MAX);
            let slots = object.orders().by_key.iter().copied();
            slots
                .filter(|&slot| wanted.contains(&object.key(slot)))
                .collect()
        };
        let stamped = match &mut self.objects {
            Objects::Books(books) => {
                // Zero stands for records that were never modified.
                let at = at.map(|at| u32::try_from(at).unwrap_or(1).max(1));
                let stamped = books.stamp(&stamp.object, &slots, at);
                books.settle();
                stamped
            }
            Objects::Generic(tables) => tables
                .iter_mut()
                .find(|table| table.name() == stamp.object)
                .is_some_and(|table| table.stamp(&slots, at)),
        };
        if stamped {
            Ok(slots.len() as u64)
        } else {
            let message = format!("records of {} have no time of last change", stamp.object);
            Err(Error::refused(message))
        }
    }

    pub(crate) fn unbalance(&mut self, line: String, cents: i64, now: i64) -> Result<(), Error> {
        let Objects::Books(books) = &mut self.objects else {
            return Err(Error::refused("the company has no ledger"));
        };
        let done = books.unbalance(&Edit::update("GLENTRY", line), cents, now as u32);
        books.settle();
        done
    }

    pub(crate) fn edit(
        &mut self,
        edit: &Edit,
        now: i64,
    ) -> Result<BTreeMap<String, Changes>, Error> {
        match &mut self.objects {
            Objects::Books(books) => {
                let before = books.marks();
                let result = books.edit(edit, now as u32);
                books.settle();
                result?;
                Ok(books.changes_since(&before, now as u32))
            }
            Objects::Generic(tables) => {
                let table = tables.iter_mut().find(|table| table.name() == edit.object);
                let table = table.ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, format!("no object {}", edit.object))
                })?;
                edit_generic(table, edit, now)
            }
        }
    }
}

fn edit_generic(
    table: &mut GenericTable,
    edit: &Edit,
    now: i64,
) -> Result<BTreeMap<String, Changes>, Error> {
    let mut stamp = Vec::new();
    calendar::push_instant(&mut stamp, now);
    let stamp = String::from_utf8_lossy(&stamp);
    let fields = edit
        .fields
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_deref().unwrap_or("")));
    let mut changes = Changes::default();
    match edit.op {
        EditOp::Create => {
            let key = edit
                .recordno
                .as_deref()
                .map(|recordno| ("RECORDNO", recordno));
            table.create(fields.chain(key), &stamp)?;
            changes.created = 1;
        }
        EditOp::Update => {
            table.update(edit.key()?, fields, &stamp)?;
            changes.updated = 1;
        }
        EditOp::Delete => {
            table.delete(edit.key()?)?;
            changes.deleted = 1;
        }
    }
    Ok(BTreeMap::from([(edit.object.clone(), changes)]))
}
