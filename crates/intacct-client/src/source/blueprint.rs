//! What is wanted of an object: by the catalogue, or by whoever added it.

use intacct_xml::metadata::{DataType as WireType, FieldDefinition, ObjectDefinition};
use intacct_xml::request::Filter;
use intacct_xml::{FieldName, ObjectName};
use sync_core::{DeleteMode, Error, ErrorKind, Result, StreamName};

use super::catalogue::{Definition, Deletion, FieldType, Reading};
use super::contract::name_of;
use super::options::{Books, FieldChoice, ObjectStream};

/// A stream as it is wanted, before it is known which fields may be queried.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) stream: StreamName,
    pub(super) object: ObjectName,
    pub(super) doc_par_id: Option<String>,
    pub(super) reading: Reading,
    pub(super) delete_mode: DeleteMode,
    /// The fields that identify a record.
    pub(super) key: Vec<String>,
    /// The field that says when a record was last changed.
    pub(super) modified: Option<String>,
    pub(super) keep_together: Option<String>,
    /// The object whose RECORDNO the field `keep_together` holds: its lines go with it.
    pub(super) owner: Option<ObjectName>,
    /// The field that says in which period a record counts.
    pub(super) period: Option<String>,
    /// A record's own id, its parent's, and the fields that stand before them in a path.
    pub(super) hierarchy: Option<HierarchyFields>,
    pub(super) sums: Vec<String>,
    pub(super) group_by: Vec<String>,
    pub(super) also_by: Vec<Vec<String>>,
    /// Book, entity, period and account.
    pub(super) roles: [Option<String>; 4],
    pub(super) fallbacks: Vec<(String, String)>,
    pub(super) fields: Vec<(String, FieldType)>,
    pub(super) custom_fields: CustomFields,
    pub(super) filter: Option<Filter>,
}

/// The fields that a path through a hierarchy is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HierarchyFields {
    /// A tree of records: each names its parent.
    Parents { id: String, parent: String },
    /// Fixed levels: the values of these fields, the outermost first.
    Levels(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CustomFields {
    /// What the company added comes behind the fields that are named.
    Added,
    /// Only the fields that are named.
    LeftOut,
}

impl Blueprint {
    /// One of the default streams.
    pub(super) fn of_default(definition: &Definition, books: &Books) -> Result<Self> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let pairs = definition.fallbacks.iter();
        let fields = definition.fields();
        Ok(Self {
            stream: StreamName::new(definition.stream)?,
            object: name_of(ObjectName::new(definition.object))?,
            doc_par_id: None,
            reading: definition.reading,
            delete_mode: match definition.deletion {
                Deletion::Mark => DeleteMode::Mark,
                Deletion::Remove => DeleteMode::Remove,
            },
            key: owned(definition.key),
            modified: (definition.reading == Reading::ByModified).then(|| WHENMODIFIED.to_owned()),
            keep_together: definition.keep_together.map(str::to_owned),
            owner: definition
                .owner()
                .map(|owner| name_of(ObjectName::new(owner)))
                .transpose()?,
            period: definition.period().map(str::to_owned),
            hierarchy: definition.hierarchy(),
            sums: owned(definition.sums),
            group_by: owned(definition.group_by),
            also_by: definition.also_by().iter().map(|it| owned(it)).collect(),
            roles: definition.roles().map(|field| field.map(str::to_owned)),
            fallbacks: pairs
                .map(|&(to, from)| (to.to_owned(), from.to_owned()))
                .collect(),
            fields: fields
                .map(|(name, data_type)| (name.to_owned(), data_type))
                .collect(),
            custom_fields: CustomFields::Added,
            filter: definition.filter(books)?,
        })
    }

    /// Any object, by what `lookup` says of it.
    ///
    /// # Errors
    /// `Config` where the object has nothing that identifies its records and none was named, or lacks a
    /// field that was asked for.
    pub(super) fn of_object(wanted: &ObjectStream, found: &ObjectDefinition) -> Result<Self> {
        let refuse =
            |what: &str| Error::new(ErrorKind::Config, what).with("object", wanted.object.as_str());
        let has = |name: &str| found.field(name).is_some();
        let key: Vec<String> = if wanted.key.is_empty() {
            let usual = [RECORDNO, "id", "ID"].into_iter().find(|name| has(name));
            let usual = usual.ok_or_else(|| {
                refuse("the object has neither RECORDNO nor id; name the fields that identify a record")
            })?;
            vec![usual.to_owned()]
        } else {
            wanted.key.iter().map(ToString::to_string).collect()
        };
        let is_time = |name: &&str| {
            let field = found.field(name);
            field.is_some_and(|field| field.data_type == WireType::Timestamp)
        };
        let modified = [WHENMODIFIED, "updatedAt"].into_iter().find(is_time);
        let one_key = key.len() == 1;
        let modified = modified.filter(|_| one_key).map(str::to_owned);
        let reading = match &modified {
            _ if !one_key => Reading::ByOffset,
            Some(_) => Reading::ByModified,
            None => Reading::Whole,
        };
        let needed = key.iter().chain(&modified);
        let mut names: Vec<String> = match &wanted.fields {
            FieldChoice::Only(names) => {
                let unknown = |name: &&FieldName| {
                    !has(name.as_str()) && !super::contract::is_related(name.as_str(), found)
                };
                if let Some(unknown) = names.iter().find(unknown) {
                    let error = refuse("the object has no such field; lookup lists them");
                    return Err(error.with("field", unknown.as_str()));
                }
                names.iter().map(ToString::to_string).collect()
            }
            FieldChoice::All => {
                let named = found.fields.iter().filter(|it| !is_personal(&it.id));
                let named = named.filter(|it| FieldName::new(&it.id).is_ok());
                named.map(|it| it.id.clone()).collect()
            }
        };
        for name in needed {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let fields = names.into_iter().map(|name| {
            let field_type = match found.field(&name) {
                // Keys of any type are text: they are compared with other columns, not computed with.
                _ if key.contains(&name) => FieldType::Text,
                Some(field) => field_type_of(field),
                None => FieldType::Text,
            };
            (name, field_type)
        });
        Ok(Self {
            stream: wanted.stream.clone(),
            object: wanted.object.clone(),
            doc_par_id: wanted.doc_par_id.clone(),
            reading,
            delete_mode: wanted.delete_mode,
            fields: fields.collect(),
            modified,
            key,
            keep_together: None,
            owner: None,
            period: None,
            hierarchy: None,
            sums: Vec::new(),
            group_by: Vec::new(),
            also_by: Vec::new(),
            roles: [const { None }; 4],
            fallbacks: Vec::new(),
            custom_fields: CustomFields::LeftOut,
            filter: wanted.filter.clone(),
        })
    }
}

pub(super) const RECORDNO: &str = "RECORDNO";
pub(super) const WHENMODIFIED: &str = "WHENMODIFIED";

/// The type of a column by what `lookup` says of its field.
pub(super) fn field_type_of(field: &FieldDefinition) -> FieldType {
    match &field.data_type {
        WireType::Integer | WireType::Sequence => FieldType::Integer,
        WireType::Decimal if field.id.contains("EXCHANGE_RATE") => FieldType::Rate,
        WireType::Decimal | WireType::Currency | WireType::Percent => FieldType::Amount,
        WireType::Boolean => FieldType::Boolean,
        WireType::Date => FieldType::Date,
        WireType::Timestamp => FieldType::Timestamp,
        _ => FieldType::Text,
    }
}

/// Whether a field holds what nobody wants in a warehouse unasked.
pub(super) fn is_personal(field: &str) -> bool {
    const PARTS: [&str; 8] = [
        "SSN",
        "TAXID",
        "BIRTHDATE",
        "PASSWORD",
        "ACCOUNTNUMBER",
        "ROUTINGNUMBER",
        "CARDNUM",
        "FEDERALID",
    ];
    let upper = field.to_ascii_uppercase();
    PARTS.iter().any(|part| upper.contains(part))
}
