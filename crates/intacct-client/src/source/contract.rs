//! From what a company has (`lookup`) and what is wanted (the catalogue) to a stream's contract.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::metadata::{self as wire, FieldDefinition, ObjectDefinition};
use intacct_xml::response::{RejectedRecord, WIRE_NAME};
use intacct_xml::{FieldName, ObjectName};
use sync_core::stream::{TotalsShape, metadata};
use sync_core::{
    DeleteDetection, DeleteMode, Error, ErrorKind, RecordKey, Result, StreamDescriptor, StreamName,
    UnreadableRecord,
};

use super::catalogue::{Definition, Deletion, FieldType, Reading};

/// The places of money and quantities.
const AMOUNT_SCALE: i8 = 9;
/// The places of exchange rates.
const RATE_SCALE: i8 = 18;

/// How one stream is read from one company.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) object: ObjectName,
    pub(super) reading: Reading,
    pub(super) descriptor: Arc<StreamDescriptor>,
    /// The fields to ask for.
    pub(super) select: Vec<FieldName>,
    /// The fields that identify a record.
    pub(super) key: Vec<FieldName>,
    /// The columns as pages are read into them: as the descriptor's, but for keys of several
    /// fields, any of which may be empty on the wire.
    pub(super) wire_schema: SchemaRef,
    /// The same for listings of keys.
    pub(super) wire_keys: SchemaRef,
    fallbacks: Vec<(String, String)>,
}

impl Contract {
    /// The contract of a default stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the object lacks its key or its time of change: it cannot
    /// be read in any way that is certain.
    pub(super) fn new(definition: &Definition, found: &ObjectDefinition) -> Result<Self> {
        let columns = columns(definition, found)?;
        let has = |field: &str| columns.iter().any(|column| column.wire == field);
        let key: Vec<&str> = definition
            .key
            .iter()
            .copied()
            .filter(|field| has(field))
            .collect();
        let modified = (definition.reading == Reading::ByModified).then_some("WHENMODIFIED");
        for needed in definition.key.first().into_iter().copied().chain(modified) {
            if !has(needed) {
                let what = "the object lacks a field without which it cannot be read in order";
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .with("object", definition.object)
                    .with("field", needed));
            }
        }

        let of_several = key.len() > 1;
        let is_key = |column: &Column| key.contains(&column.wire.as_str());
        let described = columns.iter().map(|column| column.field(!is_key(column)));
        let on_the_wire = columns
            .iter()
            .map(|column| column.field(of_several || !is_key(column)));
        let key_fields = on_the_wire.clone().zip(&columns);
        let key_fields = key_fields
            .filter(|(_, column)| is_key(column))
            .map(|(field, _)| field);
        let about = HashMap::from([(metadata::SOURCE_NAME.into(), definition.object.into())]);
        let schema =
            |fields: Vec<Field>| Arc::new(Schema::new_with_metadata(fields, about.clone()));
        let (wire_schema, wire_keys) =
            (schema(on_the_wire.collect()), schema(key_fields.collect()));

        let named = |fields: &[&str]| -> Vec<String> {
            fields
                .iter()
                .filter(|field| has(field))
                .map(|field| column_name(field))
                .collect()
        };
        // The gateway sums nothing but numbers.
        let is_number = |field: &&str| found.field(field).is_some_and(|it| adds_up(&it.data_type));
        let sums: Vec<&str> = definition.sums.iter().copied().filter(is_number).collect();
        let descriptor = StreamDescriptor {
            name: StreamName::new(definition.stream)?,
            schema: schema(described.collect()),
            key: named(&key),
            modified: modified.map(column_name),
            delete_detection: match definition.reading {
                Reading::ByModified => DeleteDetection::KeySet,
                Reading::Whole | Reading::ByPeriod => DeleteDetection::FullRead,
            },
            delete_mode: match definition.deletion {
                Deletion::Mark => DeleteMode::Mark,
                Deletion::Remove => DeleteMode::Remove,
            },
            keep_together: definition
                .keep_together
                .filter(|field| has(field))
                .map(column_name),
            totals: TotalsShape {
                sums: named(&sums),
                group_by: named(definition.group_by),
            },
        };
        descriptor.validate()?;
        let fallbacks = definition
            .fallbacks
            .iter()
            .filter(|(to, from)| has(to) && has(from));
        Ok(Self {
            object: name_of(ObjectName::new(definition.object))?,
            reading: definition.reading,
            descriptor: Arc::new(descriptor),
            select: field_names(columns.iter().map(|column| column.wire.as_str()))?,
            key: field_names(key.iter().copied())?,
            wire_schema,
            wire_keys,
            fallbacks: fallbacks
                .map(|(to, from)| (column_name(to), column_name(from)))
                .collect(),
        })
    }

    /// The wire's name of a column.
    pub(super) fn field_of(&self, column: &str) -> Result<FieldName> {
        let field = self.descriptor.field(column)?;
        name_of(FieldName::new(wire_name(field)))
    }

    /// The one field that identifies a record.
    pub(super) fn only_key(&self) -> Result<&FieldName> {
        self.key
            .first()
            .filter(|_| self.key.len() == 1)
            .ok_or_else(|| {
                let what = "an object is walked over by one key field";
                Error::new(ErrorKind::Internal, what).with("object", self.object.as_str())
            })
    }

    /// Rows as the descriptor promises them: no empty keys where several fields make one, and
    /// fallbacks filled in.
    pub(super) fn as_described(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let of_several = self.descriptor.key.len() > 1;
        if !of_several && self.fallbacks.is_empty() {
            return Ok(rows);
        }
        let mut fields: Vec<Arc<Field>> = Vec::with_capacity(rows.num_columns());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
        for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            let fallback = self.fallbacks.iter().find(|(to, _)| to == field.name());
            let filler = fallback.and_then(|(_, from)| rows.column_by_name(from));
            let is_key = of_several && self.descriptor.key.contains(field.name());
            let text = column.as_any().downcast_ref::<StringArray>();
            columns.push(match text {
                Some(text) if is_key || filler.is_some() => {
                    let filler = filler.and_then(|it| it.as_any().downcast_ref::<StringArray>());
                    Arc::new(filled(text, filler, is_key))
                }
                _ => Arc::clone(column),
            });
            let described = field
                .as_ref()
                .clone()
                .with_nullable(field.is_nullable() && !is_key);
            fields.push(Arc::new(described));
        }
        let schema = Schema::new_with_metadata(fields, rows.schema_ref().metadata().clone());
        RecordBatch::try_new(Arc::new(schema), columns).map_err(|error| {
            Error::new(ErrorKind::Internal, "a page does not fit its stream").caused_by(error)
        })
    }

    /// A record that could not be read, as the pipeline keeps it.
    pub(super) fn unreadable(&self, record: RejectedRecord) -> UnreadableRecord {
        let text_of = |field: &FieldName| {
            record
                .fields
                .iter()
                .find(|(name, _)| name == field.as_str())
                .map(|(_, text)| text)
        };
        let values: Option<Vec<&str>> = match &self.key[..] {
            [only] => text_of(only)
                .and_then(Option::as_deref)
                .map(|text| vec![text]),
            several => several
                .iter()
                .map(|key| text_of(key).map(|text| text.as_deref().unwrap_or("")))
                .collect(),
        };
        UnreadableRecord {
            key: values.map(RecordKey::new),
            column: column_name(&record.field),
            text: record.text.clone().unwrap_or_default(),
            reason: record.reason.clone(),
            fields: record.fields,
        }
    }
}

/// Text with gaps filled from another column, then, for keys, with nothing.
fn filled(text: &StringArray, filler: Option<&StringArray>, is_key: bool) -> StringArray {
    let rows = 0..text.len();
    rows.map(|row| {
        let own = text.is_valid(row).then(|| text.value(row));
        let other = filler
            .filter(|filler| filler.is_valid(row))
            .map(|filler| filler.value(row));
        own.or(other).or(is_key.then_some(""))
    })
    .collect()
}

/// A column, and the field that fills it.
struct Column {
    name: String,
    wire: String,
    data_type: DataType,
    about: HashMap<String, String>,
}

impl Column {
    fn field(&self, nullable: bool) -> Field {
        Field::new(&self.name, self.data_type.clone(), nullable).with_metadata(self.about.clone())
    }
}

/// The wanted fields that the company has, then its custom fields.
fn columns(definition: &Definition, found: &ObjectDefinition) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for (wire, field_type) in definition.fields() {
        let defined = found.field(wire);
        if defined.is_some() || is_related(wire, found) {
            columns.push(column(
                column_name(wire),
                wire,
                arrow_type(field_type),
                defined,
            ));
        }
    }
    for defined in found.fields.iter().filter(|field| field.is_custom) {
        if columns.iter().any(|column| column.wire == defined.id)
            || FieldName::new(&defined.id).is_err()
        {
            continue;
        }
        let name = custom_name(&defined.id);
        if let Some(other) = columns.iter().find(|column| column.name == name) {
            let what = "two fields fold to one column name; rename one of them in Intacct";
            return Err(Error::new(ErrorKind::Config, what)
                .with("object", definition.object)
                .with("fields", format!("{}, {}", other.wire, defined.id)));
        }
        columns.push(column(
            name,
            &defined.id,
            arrow_type_of(&defined.data_type),
            Some(defined),
        ));
    }
    Ok(columns)
}

/// Fields of related objects are not listed by `lookup`, but the relation is.
pub(super) fn is_related(wire: &str, found: &ObjectDefinition) -> bool {
    let relation = wire.split_once('.').map(|(relation, _)| relation);
    relation.is_some_and(|path| found.relationships.iter().any(|it| it.object_path == path))
}

fn column(
    name: String,
    wire: &str,
    data_type: DataType,
    defined: Option<&FieldDefinition>,
) -> Column {
    let mut about = HashMap::from([
        (WIRE_NAME.to_owned(), wire.to_owned()),
        (metadata::SOURCE_NAME.to_owned(), wire.to_owned()),
    ]);
    if let Some(defined) = defined {
        about.insert(
            metadata::SOURCE_TYPE.into(),
            defined.data_type.as_str().into(),
        );
        let texts = [
            (metadata::LABEL, &defined.label),
            (metadata::DESCRIPTION, &defined.description),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                about.insert(key.into(), text.clone());
            }
        }
    }
    Column {
        name,
        wire: wire.to_owned(),
        data_type,
        about,
    }
}

fn wire_name(field: &Field) -> &str {
    field.metadata().get(WIRE_NAME).map_or("", String::as_str)
}

/// `DISPLAYCONTACT.MAILADDRESS.CITY` as `displaycontact_mailaddress_city`.
fn column_name(wire: &str) -> String {
    wire.to_ascii_lowercase().replace(['.', '-'], "_")
}

/// As [`column_name`], and never one that is reserved.
fn custom_name(wire: &str) -> String {
    let name = column_name(wire);
    if name.starts_with('_') {
        format!("x{name}")
    } else {
        name
    }
}

fn arrow_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Text => DataType::Utf8,
        FieldType::Integer => DataType::Int64,
        FieldType::Amount => DataType::Decimal128(38, AMOUNT_SCALE),
        FieldType::Rate => DataType::Decimal128(38, RATE_SCALE),
        FieldType::Boolean => DataType::Boolean,
        FieldType::Date => DataType::Date32,
        FieldType::Timestamp => timestamp(),
    }
}

fn arrow_type_of(data_type: &wire::DataType) -> DataType {
    match data_type {
        wire::DataType::Integer | wire::DataType::Sequence => DataType::Int64,
        wire::DataType::Decimal | wire::DataType::Currency | wire::DataType::Percent => {
            DataType::Decimal128(38, AMOUNT_SCALE)
        }
        wire::DataType::Boolean => DataType::Boolean,
        wire::DataType::Date => DataType::Date32,
        wire::DataType::Timestamp => timestamp(),
        _ => DataType::Utf8,
    }
}

fn adds_up(data_type: &wire::DataType) -> bool {
    use wire::DataType::{Currency, Decimal, Integer, Percent};
    matches!(data_type, Currency | Decimal | Integer | Percent)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn field_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<FieldName>> {
    names.map(|name| name_of(FieldName::new(name))).collect()
}

pub(super) fn name_of<T>(name: Result<T, intacct_xml::Error>) -> Result<T> {
    name.map_err(|error| {
        Error::new(ErrorKind::Config, "a name cannot stand in a request").caused_by(error)
    })
}
