//! Streams as the store keeps them, so that a replay need not ask the source what they are. What is
//! compared of them is left out: a replay compares nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde::{Deserialize, Serialize};

use super::stored::{from_json, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::stream::{DeleteDetection, DeleteMode, StreamDescriptor, StreamName};

/// The text that is stored.
pub(super) fn write(stream: &StreamDescriptor) -> Result<String> {
    let column = |field: &Arc<Field>| {
        Ok(Column {
            name: field.name().clone(),
            data_type: Type::of(field.data_type())?,
            nullable: field.is_nullable(),
            about: field.metadata().clone().into_iter().collect(),
        })
    };
    to_json(&Described {
        name: stream.name.clone(),
        columns: (stream.schema.fields().iter())
            .map(column)
            .collect::<Result<_>>()?,
        key: stream.key.clone(),
        modified: stream.modified.clone(),
        delete_detection: stream.delete_detection,
        delete_mode: stream.delete_mode,
        keep_together: stream.keep_together.clone(),
        period: stream.period.clone(),
    })
}

/// The stream of a text that [`write`] gave.
pub(super) fn read(text: &str) -> Result<StreamDescriptor> {
    let described: Described = from_json(text)?;
    let fields = described.columns.into_iter().map(|column| {
        let about: HashMap<_, _> = column.about.into_iter().collect();
        Field::new(column.name, column.data_type.data_type(), column.nullable).with_metadata(about)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut stream = StreamDescriptor::new(described.name, schema, described.key)?;
    stream.modified = described.modified;
    stream.delete_detection = described.delete_detection;
    stream.delete_mode = described.delete_mode;
    stream.keep_together = described.keep_together;
    stream.period = described.period;
    stream.validate()?;
    Ok(stream)
}

#[derive(Serialize, Deserialize)]
struct Described {
    name: StreamName,
    columns: Vec<Column>,
    key: Vec<String>,
    modified: Option<String>,
    delete_detection: DeleteDetection,
    delete_mode: DeleteMode,
    keep_together: Option<String>,
    period: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    data_type: Type,
    nullable: bool,
    /// In the order of their names, so that equal streams have equal texts.
    about: BTreeMap<String, String>,
}

/// The types that a batch may carry.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    Text,
    Integer,
    Boolean,
    Date,
    Timestamp,
    Decimal(u8, i8),
}

impl Type {
    fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Boolean => Self::Boolean,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::Timestamp,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, *scale),
            other => {
                let what = "a batch cannot carry a column of this type";
                let error = Error::new(ErrorKind::Unsupported, what);
                return Err(error.with("type", other.to_string()));
            }
        })
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::metadata;

    #[test]
    fn a_stream_is_read_as_it_was_written() {
        let about = |name: &str| {
            let (name, kind) = (name.to_owned(), "CURRENCY".to_owned());
            HashMap::from([
                (metadata::SOURCE_NAME.to_owned(), name),
                (metadata::SOURCE_TYPE.to_owned(), kind),
            ])
        };
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let fields = vec![
            Field::new("recordno", DataType::Utf8, false).with_metadata(about("RECORDNO")),
            Field::new("line", DataType::Int64, false),
            Field::new("posted", DataType::Boolean, true),
            Field::new("entry_date", DataType::Date32, true),
            Field::new("whenmodified", timestamp, true),
            Field::new("amount", DataType::Decimal128(38, 9), true),
        ];
        let key = vec!["recordno".to_owned(), "line".into()];
        let name = StreamName::new("gl_detail").unwrap();
        let mut stream = StreamDescriptor::new(name, Arc::new(Schema::new(fields)), key).unwrap();
        stream.modified = Some("whenmodified".into());
        stream.delete_detection = DeleteDetection::AuditHistory;
        stream.delete_mode = DeleteMode::Remove;
        stream.keep_together = Some("recordno".into());
        stream.period = Some("entry_date".into());
        let text = write(&stream).unwrap();
        let read = read(&text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{stream:?}"));
        assert_eq!(write(&read).unwrap(), text);
    }
}
