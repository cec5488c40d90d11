//! What sessions, definitions and questions about the company answer, as types.
//!
//! Read the answer into a [`Tree`](crate::response::Tree) and give the records of the function here.
//! developer.intacct.com, API sessions, Queries, Objects, Dimensions, Entities, Users, Audit trails and Custom reports.

mod company;
mod report;

use std::fmt;

pub use self::company::{
    ApplicationPermissions, AuditEntry, Dimension, EntityDetails, Policy, UserFormatting,
};
pub use self::report::{ReportDefinition, ReportParameter};
use crate::error::{Error, shown};
use crate::response::Element;
use crate::secret::SessionId;

/// The session that `getAPISession` opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApiSession {
    /// The id that later requests carry.
    pub session_id: SessionId,
    /// The URL that belongs to the session; all its requests go there.
    pub endpoint: String,
    /// The entity that the session is for; `None` at the top level.
    pub location_id: Option<String>,
}

/// What `lookup` says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectDefinition {
    /// The integration name.
    pub name: String,
    /// The transaction definition, for documents.
    pub document_type: Option<String>,
    /// The fields. Owned objects, such as the lines of a bill, are not among them.
    pub fields: Vec<FieldDefinition>,
    /// The relations that dotted field names can follow.
    pub relationships: Vec<Relationship>,
}

/// A field of an [`ObjectDefinition`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldDefinition {
    /// The name that queries use and answers repeat.
    pub id: String,
    /// The name that people see.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether a record needs a value to be created.
    pub required: bool,
    /// Whether it can only be read.
    pub read_only: bool,
    /// The type of its values.
    pub data_type: DataType,
    /// The values of an enumeration.
    pub valid_values: Vec<String>,
    /// Whether the company added it.
    pub is_custom: bool,
}

/// A relation of an [`ObjectDefinition`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relationship {
    /// What stands before the dot in a field name.
    pub object_path: String,
    /// The object that it leads to.
    pub object_name: Option<String>,
    /// The name that people see.
    pub label: Option<String>,
    /// The kind, such as `MANY2ONE`.
    pub relationship_type: Option<String>,
    /// The field that holds the key.
    pub related_by: Option<String>,
}

/// The type of a field, by the vendor's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// Any text.
    Text,
    /// A whole number, sometimes written with decimals.
    Integer,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A moment.
    Timestamp,
    /// One of the valid values.
    Enum,
    /// A decimal number.
    Decimal,
    /// An amount of money.
    Currency,
    /// A decimal number of hundredths.
    Percent,
    /// A number that the system counts up.
    Sequence,
    /// A link.
    Url,
    /// A type that is not known here; its values are text.
    Other(String),
}

/// An object that `inspect` of all objects lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectType {
    /// The integration name.
    pub name: String,
    /// The name that people see.
    pub label: Option<String>,
}

/// What `inspect` says about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedObject {
    /// The integration name.
    pub name: String,
    /// The fields.
    pub fields: Vec<InspectedField>,
}

/// A field of an [`InspectedObject`]. Only the name is there unless the details were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedField {
    /// The name that queries use.
    pub name: String,
    /// The name that people see.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The group that it is shown in.
    pub group: Option<String>,
    /// The type that the field's values have inside.
    pub data_name: Option<String>,
    /// The type that the field's values have outside.
    pub external_data_name: Option<String>,
    /// Whether a record needs a value to be created.
    pub required: bool,
    /// Whether it can only be read.
    pub read_only: bool,
    /// The most characters of a value.
    pub max_length: Option<u64>,
    /// The vendor's id of the field.
    pub id: Option<String>,
}

impl ApiSession {
    /// Reads the records of a `getAPISession`.
    ///
    /// A missing `locationid` is the top level: older answers leave it out.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no session id or no endpoint.
    pub fn from_records(records: &[Element]) -> Result<Self, Error> {
        let api = named(records, "api").ok_or_else(|| Error::missing("api", "data"))?;
        let session_id = api
            .text_of("sessionid")
            .ok_or_else(|| Error::missing("sessionid", "api"))?;
        let endpoint = api
            .text_of("endpoint")
            .ok_or_else(|| Error::missing("endpoint", "api"))?;
        Ok(Self {
            session_id: SessionId::new(session_id),
            endpoint: endpoint.to_owned(),
            location_id: owned(api.text_of("locationid")),
        })
    }
}

impl ObjectDefinition {
    /// Reads the records of a `lookup`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no definition or a part of it
    /// has no name.
    pub fn from_records(records: &[Element]) -> Result<Self, Error> {
        let definition = named(records, "Type").ok_or_else(|| Error::missing("Type", "data"))?;
        Ok(Self {
            name: owned(definition.attribute("Name"))
                .ok_or_else(|| Error::missing("Name", "Type"))?,
            document_type: owned(definition.attribute("DocumentType")),
            fields: inner(definition, "Fields", "Field")
                .map(FieldDefinition::from_element)
                .collect::<Result<_, _>>()?,
            relationships: inner(definition, "Relationships", "Relationship")
                .map(Relationship::from_element)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The field of this name.
    pub fn field(&self, id: &str) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.id == id)
    }
}

impl FieldDefinition {
    fn from_element(element: &Element) -> Result<Self, Error> {
        Ok(Self {
            id: owned(element.text_of("ID")).ok_or_else(|| Error::missing("ID", "Field"))?,
            label: owned(element.text_of("LABEL")),
            description: owned(element.text_of("DESCRIPTION")),
            required: flag(element, "REQUIRED")?,
            read_only: flag(element, "READONLY")?,
            data_type: DataType::from(element.text_of("DATATYPE").unwrap_or_default()),
            valid_values: inner(element, "VALIDVALUES", "VALIDVALUE")
                .filter_map(|value| owned(value.text()))
                .collect(),
            is_custom: flag(element, "ISCUSTOM")?,
        })
    }
}

impl Relationship {
    fn from_element(element: &Element) -> Result<Self, Error> {
        Ok(Self {
            object_path: owned(element.text_of("OBJECTPATH"))
                .ok_or_else(|| Error::missing("OBJECTPATH", "Relationship"))?,
            object_name: owned(element.text_of("OBJECTNAME")),
            label: owned(element.text_of("LABEL")),
            relationship_type: owned(element.text_of("RELATIONSHIPTYPE")),
            related_by: owned(element.text_of("RELATEDBY")),
        })
    }
}

impl DataType {
    /// The vendor's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Enum => "ENUM",
            Self::Decimal => "DECIMAL",
            Self::Currency => "CURRENCY",
            Self::Percent => "PERCENT",
            Self::Sequence => "SEQUENCE",
            Self::Url => "URL",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for DataType {
    fn from(name: &str) -> Self {
        const KNOWN: [DataType; 11] = [
            DataType::Text,
            DataType::Integer,
            DataType::Boolean,
            DataType::Date,
            DataType::Timestamp,
            DataType::Enum,
            DataType::Decimal,
            DataType::Currency,
            DataType::Percent,
            DataType::Sequence,
            DataType::Url,
        ];
        KNOWN
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ObjectType {
    /// Reads the records of an `inspect` of all objects.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if a type has no name.
    pub fn from_records(records: &[Element]) -> Result<Vec<Self>, Error> {
        let types = records
            .iter()
            .filter(|record| record.name().eq_ignore_ascii_case("type"));
        types
            .map(|record| {
                let name = owned(
                    record
                        .attribute("typename")
                        .or_else(|| record.attribute("Name")),
                )
                .ok_or_else(|| Error::missing("typename", "type"))?;
                Ok(Self {
                    name,
                    label: owned(record.text()),
                })
            })
            .collect()
    }
}

impl InspectedObject {
    /// Reads the records of an `inspect` of one object, with or without the details.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no type or a field has no name.
    pub fn from_records(records: &[Element]) -> Result<Self, Error> {
        let object = named(records, "Type").ok_or_else(|| Error::missing("Type", "data"))?;
        Ok(Self {
            name: owned(
                object
                    .attribute("Name")
                    .or_else(|| object.attribute("typename")),
            )
            .ok_or_else(|| Error::missing("Name", "Type"))?,
            fields: inner(object, "Fields", "Field")
                .map(InspectedField::from_element)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl InspectedField {
    /// Without the details a field is only its name, as text.
    fn from_element(element: &Element) -> Result<Self, Error> {
        let name = owned(element.text_of("Name").or_else(|| element.text()))
            .ok_or_else(|| Error::missing("Name", "Field"))?;
        let max_length = element.text_of("maxLength").map(str::parse).transpose();
        Ok(Self {
            name,
            label: owned(element.text_of("DisplayLabel")),
            description: owned(element.text_of("Description")),
            group: owned(element.text_of("GroupName")),
            data_name: owned(element.text_of("dataName")),
            external_data_name: owned(element.text_of("externalDataName")),
            required: flag(element, "isRequired")?,
            read_only: flag(element, "isReadOnly")?,
            max_length: max_length
                .map_err(|_| Error::protocol("the maxLength of a field is not a number"))?,
            id: owned(element.text_of("id")),
        })
    }
}

fn named<'e>(records: &'e [Element], name: &str) -> Option<&'e Element> {
    records
        .iter()
        .find(|record| record.name().eq_ignore_ascii_case(name))
}

/// The elements of a list in an element.
fn inner<'e>(
    element: &'e Element,
    list: &'e str,
    item: &'e str,
) -> impl Iterator<Item = &'e Element> {
    element
        .children_named(list)
        .flat_map(move |list| list.children_named(item))
}

/// A boolean that is false where it is empty or missing.
fn flag(element: &Element, name: &'static str) -> Result<bool, Error> {
    match element.text_of(name).map(str::trim) {
        None | Some("") => Ok(false),
        Some(text) => crate::values::parse_boolean(text).map_err(|_| {
            Error::protocol(format!(
                "{name} of a field is \"{}\", not a boolean",
                shown(text)
            ))
        }),
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}
