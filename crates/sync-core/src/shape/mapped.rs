//! A stream as its mapping makes it, checked before anything runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::Field;
use serde::Serialize;

use super::keys::HashKeys;
use super::kind::{ColumnKind, USUAL_SCALE};
use super::mapping::{ColumnMapping, Constant, Shaping, StreamMapping, Treatment};
use super::treat::{Treat, can_cast, read};
use crate::column::Value;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Digest, Hasher};
use crate::stream::{StreamDescriptor, StreamName, metadata};

/// A reason why a mapping cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The stream.
    pub stream: StreamName,
    /// The column, by the name that the mapping calls it; none where the stream itself is at fault.
    pub column: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}: {}", self.stream, self.message),
            None => write!(f, "{}: {}", self.stream, self.message),
        }
    }
}

/// Everything that is wrong with the mappings of these streams, which are all that the source has.
pub fn check(streams: &[StreamDescriptor], shaping: &Shaping, keys: &HashKeys) -> Vec<Problem> {
    let nothing = StreamMapping::default();
    let mut problems = Vec::new();
    for name in shaping.streams.keys() {
        if !streams.iter().any(|stream| stream.name == *name) {
            problems.push(Problem {
                stream: name.clone(),
                column: None,
                message: "the source has no such stream: correct or remove its mapping".into(),
            });
        }
    }
    for stream in streams {
        let mapping = shaping.streams.get(&stream.name).unwrap_or(&nothing);
        if let Err(found) = Mapped::of(stream, mapping, keys) {
            problems.extend(found);
        }
    }
    problems
}

/// One error that names all problems.
pub(crate) fn refusal(problems: &[Problem]) -> Error {
    let what = "the mapping cannot be carried out";
    let told = problems.iter().fold(
        Error::new(ErrorKind::Config, what).with("problems", problems.len().to_string()),
        |error, problem| error.with("problem", problem.to_string()),
    );
    match problems.first() {
        Some(first) => told.with("stream", first.stream.as_str()),
        None => told,
    }
}

/// A stream as its mapping makes it, before its contract is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    pub(super) source: Arc<StreamDescriptor>,
    pub(super) columns: Vec<MappedColumn>,
    /// Columns that do not reach the destination.
    pub(super) dropped: Vec<String>,
    /// Equal for mappings that do the same to the same columns, with the same keys.
    pub(super) digest: Digest,
}

#[derive(Clone, Debug)]
pub(super) struct MappedColumn {
    pub(super) field: Field,
    pub(super) kind: ColumnKind,
    pub(super) supply: Supply,
    /// Whether the mapping names it, so that it was asked for.
    pub(super) asked_for: bool,
}

impl MappedColumn {
    pub(super) fn name(&self) -> &str {
        self.field.name()
    }
}

/// Where the values of a column come from.
#[derive(Clone, Debug)]
pub(super) enum Supply {
    /// From this column of the source.
    Column { name: String, treat: Treat },
    /// All rows have the same.
    Constant(Fixed),
    /// All are null.
    Nothing,
}

/// A constant that was read.
#[derive(Clone, Debug)]
pub(super) enum Fixed {
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Boolean(bool),
    Date(i32),
    Timestamp(i64),
}

impl Fixed {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(value) => Value::Text(value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Decimal(value) => Value::Decimal(*value),
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Date(value) => Value::Date(*value),
            Self::Timestamp(value) => Value::Timestamp(*value),
        }
    }

    fn read(constant: &Constant) -> Result<(Self, ColumnKind), &'static str> {
        let parsed = |text: &str, kind| match read(text, kind)? {
            Value::Decimal(value) => Ok(Self::Decimal(value)),
            Value::Date(value) => Ok(Self::Date(value)),
            Value::Timestamp(value) => Ok(Self::Timestamp(value)),
            _ => Err("an empty text is no such value"),
        };
        let (kind, text) = match constant {
            Constant::Text(text) => return Ok((Self::Text(text.clone()), ColumnKind::Text)),
            Constant::Integer(value) => return Ok((Self::Integer(*value), ColumnKind::Integer)),
            Constant::Boolean(value) => return Ok((Self::Boolean(*value), ColumnKind::Boolean)),
            Constant::Decimal(text) => {
                let places = text.split_once('.').map_or(0, |(_, places)| places.len());
                let scale = u8::try_from(places).unwrap_or(u8::MAX).max(USUAL_SCALE);
                (ColumnKind::Decimal { scale }, text)
            }
            Constant::Date(text) => (ColumnKind::Date, text),
            Constant::Timestamp(text) => (ColumnKind::Timestamp, text),
        };
        Ok((parsed(text, kind)?, kind))
    }
}

impl Mapped {
    pub(crate) fn of(
        source: &StreamDescriptor,
        mapping: &StreamMapping,
        keys: &HashKeys,
    ) -> Result<Self, Vec<Problem>> {
        let mut checking = Checking {
            source,
            keys,
            problems: Vec::new(),
        };
        for name in mapping.columns.keys() {
            if source.field(name).is_err() {
                checking.refuse(name, "the stream has no such column: correct or remove it");
            }
        }
        let (mut columns, mut dropped) = (Vec::new(), Vec::new());
        for field in source.schema.fields() {
            let asked = mapping.columns.get(field.name());
            if asked.is_some_and(|it| it.treat == Treatment::Drop) {
                dropped.push(field.name().clone());
            }
            columns.extend(checking.column(field, asked));
        }
        for (name, constant) in &mapping.add {
            columns.extend(checking.constant(name, constant));
        }
        checking.names(&columns, &dropped, mapping);
        if checking.problems.is_empty() {
            Ok(Self {
                source: Arc::new(source.clone()),
                columns,
                dropped,
                digest: digest(mapping, keys),
            })
        } else {
            Err(checking.problems)
        }
    }

    /// The name that a column of the source has behind the mapping.
    pub(super) fn renamed(&self, column: &str) -> Option<&MappedColumn> {
        self.columns
            .iter()
            .find(|it| matches!(&it.supply, Supply::Column { name, .. } if name == column))
    }
}

/// What a person wrote, and what tells its keys from others; not the keys.
pub(super) fn digest(mapping: &StreamMapping, keys: &HashKeys) -> Digest {
    let written = serde_json::json!({ "columns": mapping.columns, "add": mapping.add });
    let mut hasher = Hasher::new("intacct-sync/mapping/1").part(written.to_string().as_bytes());
    for treated in mapping.columns.values() {
        if let Treatment::Hash(name) = &treated.treat
            && let Some(key) = keys.get(name)
        {
            hasher.push(key.check().as_bytes());
        }
    }
    hasher.digest()
}

struct Checking<'a> {
    source: &'a StreamDescriptor,
    keys: &'a HashKeys,
    problems: Vec<Problem>,
}

impl Checking<'_> {
    fn refuse(&mut self, column: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            stream: self.source.name.clone(),
            column: Some(column.to_owned()),
            message: message.into(),
        });
    }

    fn column(&mut self, field: &Field, asked: Option<&ColumnMapping>) -> Option<MappedColumn> {
        let before = ColumnKind::of(field.data_type())?;
        let Some(asked) = asked else {
            return Some(MappedColumn {
                field: field.clone(),
                kind: before,
                supply: Supply::Column {
                    name: field.name().clone(),
                    treat: Treat::Keep,
                },
                asked_for: false,
            });
        };
        let source = field.name();
        if let Some(name) = &asked.rename
            && !is_plain(name)
        {
            let what = format!("the name {name:?} {PLAIN_NAMES}");
            self.refuse(source, what);
        }
        self.purpose(source, before, &asked.treat);
        let treat = match &asked.treat {
            Treatment::Keep => Treat::Keep,
            Treatment::Drop => {
                if asked.rename.is_some() {
                    let what = "it is both dropped and renamed: do one of them";
                    self.refuse(source, what);
                }
                return None;
            }
            Treatment::Cast(to) => {
                if !can_cast(before, *to) {
                    self.refuse(source, format!("no {before} can become a {to}"));
                }
                Treat::Cast(*to)
            }
            Treatment::Hash(name) => match self.keys.get(name) {
                Some(key) => Treat::Hash(key.clone()),
                None => {
                    let what = format!("there is no key {:?} to hash it by: give one", name.0);
                    self.refuse(source, what);
                    return None;
                }
            },
            Treatment::Mask(mask) => {
                if !matches!(before, ColumnKind::Text | ColumnKind::Integer) {
                    let what = format!("a {before} is not masked: hash or drop it");
                    self.refuse(source, what);
                }
                Treat::Mask {
                    keep_last: mask.keep_last,
                }
            }
        };
        let kind = treat.kind(before);
        let name = asked.rename.as_ref().unwrap_or(source);
        let field = match treat {
            Treat::Keep => field.clone().with_name(name),
            _ => Field::new(name, kind.data_type(), !self.source.key.contains(source))
                .with_metadata(field.metadata().clone()),
        };
        Some(MappedColumn {
            field,
            kind,
            supply: Supply::Column {
                name: source.clone(),
                treat,
            },
            asked_for: true,
        })
    }

    /// Refuses what would take the sense of a column that the sync itself goes by.
    fn purpose(&mut self, column: &str, kind: ColumnKind, treatment: &Treatment) {
        let of = self.source;
        let is = |name: &Option<String>| name.as_deref() == Some(column);
        let is_same_text = match treatment {
            Treatment::Keep => return,
            Treatment::Cast(to) => {
                *to == kind || (kind, *to) == (ColumnKind::Integer, ColumnKind::Text)
            }
            _ => false,
        };
        let done = match treatment {
            Treatment::Keep => "kept",
            Treatment::Drop => "dropped",
            Treatment::Cast(_) => "cast so",
            Treatment::Hash(_) => "hashed",
            Treatment::Mask(_) => "masked",
        };
        if is(&of.modified) {
            let why = "windows are cut by it, and both sides counted by it";
            self.refuse(
                column,
                format!("it cannot be {done}: {why}; rename it at most"),
            );
        }
        if is(&of.period) {
            let why = "the keys of both sides are compared by its days";
            self.refuse(
                column,
                format!("it cannot be {done}: {why}; rename it at most"),
            );
        }
        if is_same_text {
            return;
        }
        if of.key.iter().any(|name| name == column) {
            let why = "it identifies records, and the source is asked by it which of them still \
                       exist, which nothing can be asked by that cannot be turned back";
            self.refuse(
                column,
                format!("it cannot be {done}: {why}; rename it at most"),
            );
        } else if is(&of.keep_together) {
            let why = "records are held together by it, and the source tells by it which are gone";
            self.refuse(
                column,
                format!("it cannot be {done}: {why}; rename it at most"),
            );
        }
    }

    fn constant(&mut self, name: &str, constant: &Constant) -> Option<MappedColumn> {
        if !is_plain(name) {
            self.refuse(name, format!("the name {name:?} {PLAIN_NAMES}"));
        }
        match Fixed::read(constant) {
            Ok((value, kind)) => Some(MappedColumn {
                field: Field::new(name, kind.data_type(), true)
                    .with_metadata([(metadata::SOURCE_TYPE.to_owned(), "constant".to_owned())]),
                kind,
                supply: Supply::Constant(value),
                asked_for: true,
            }),
            Err(why) => {
                self.refuse(name, format!("its value is {why}"));
                None
            }
        }
    }

    /// Databases compare column names without regard to case.
    fn names(&mut self, columns: &[MappedColumn], dropped: &[String], mapping: &StreamMapping) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for column in columns {
            let written = match &column.supply {
                Supply::Column { name, .. } => name.as_str(),
                _ => column.name(),
            };
            if let Some(other) = seen.insert(folded(column.name()), written.to_owned()) {
                let what = format!(
                    "it would be called {:?}, as {other:?} is: rename one of them",
                    column.name()
                );
                self.refuse(written, what);
            }
        }
        if columns.is_empty() && !dropped.is_empty() && mapping.add.is_empty() {
            let message = "all columns are dropped: leave the stream out instead".to_owned();
            let stream = self.source.name.clone();
            self.problems.push(Problem {
                stream,
                column: None,
                message,
            });
        }
    }
}

const PLAIN_NAMES: &str = "is not taken by every destination: at most 63 lower-case letters, digits \
                           and underscores, starting with a letter";

fn is_plain(name: &str) -> bool {
    StreamName::new(name).is_ok()
}

pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
