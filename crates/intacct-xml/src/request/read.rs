//! `read` and `readByName`: records by their keys.

use super::writer::Writer;
use crate::error::{Error, shown};
use crate::name::{FieldName, ObjectName};

/// Reads up to 100 records by record number. Owned lines come nested in their record; keys that do
/// not exist are missing from the answer.
#[derive(Clone, Debug)]
pub struct Read(ByKeys);

/// Reads up to 100 records by business id, such as VENDORID.
#[derive(Clone, Debug)]
pub struct ReadByName(ByKeys);

/// Which fields a read gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldList {
    /// All of them.
    #[default]
    All,
    /// These; an empty list is all of them, as on the wire.
    Named(Vec<FieldName>),
}

#[derive(Clone, Debug)]
struct ByKeys {
    object: ObjectName,
    keys: Vec<String>,
    fields: FieldList,
    doc_par_id: Option<String>,
}

macro_rules! by_keys {
    ($name:ident, $function:literal, $key:literal) => {
        impl $name {
            /// The most keys of one call.
            pub const MOST_KEYS: usize = MOST_KEYS;

            #[doc = concat!("Reads the records with these ", $key, "s.")]
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for no key, more than 100, or one
            /// that is empty or holds a comma, which separates them on the wire.
            pub fn new<K: Into<String>>(
                object: ObjectName,
                keys: impl IntoIterator<Item = K>,
            ) -> Result<Self, Error> {
                ByKeys::new(
                    $function,
                    object,
                    keys.into_iter().map(Into::into).collect(),
                )
                .map(Self)
            }

            /// Only these fields. Default: all.
            #[must_use]
            pub fn with_fields(mut self, fields: FieldList) -> Self {
                self.0.fields = fields;
                self
            }

            /// Of one transaction definition.
            #[must_use]
            pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
                self.0.doc_par_id = Some(doc_par_id.into());
                self
            }

            /// The object that is read.
            pub fn object(&self) -> &ObjectName {
                &self.0.object
            }

            pub(super) fn shape(&self) -> Self {
                Self(ByKeys {
                    keys: Vec::new(),
                    ..self.0.clone()
                })
            }

            pub(super) fn write(&self, writer: &mut Writer<'_>) {
                self.0.write($function, writer);
            }
        }
    };
}

by_keys!(Read, "read", "record number");
by_keys!(ReadByName, "readByName", "business id");

const MOST_KEYS: usize = 100;

impl ByKeys {
    fn new(function: &str, object: ObjectName, keys: Vec<String>) -> Result<Self, Error> {
        let keys = checked_keys(function, &object, keys)?;
        Ok(Self {
            object,
            keys,
            fields: FieldList::All,
            doc_par_id: None,
        })
    }

    fn write(&self, function: &str, writer: &mut Writer<'_>) {
        writer.open(function);
        writer.element("object", self.object.as_str());
        writer.element("keys", &self.keys.join(","));
        writer.element("fields", &self.fields.to_text());
        writer.optional("docparid", self.doc_par_id.as_deref());
        writer.close(function);
    }
}

/// Keys as the comma list of the wire can hold them.
pub(super) fn checked_keys(
    function: &str,
    object: &ObjectName,
    keys: Vec<String>,
) -> Result<Vec<String>, Error> {
    if !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(
            Error::invalid(format!("a {function} of {object} has {} keys", keys.len()))
                .advise("give it 1 to 100"),
        );
    }
    if let Some(key) = keys.iter().find(|key| key.is_empty() || key.contains(',')) {
        return Err(Error::invalid(format!(
            "a {function} of {object} has the key \"{}\"",
            shown(key)
        ))
        .advise("keys are separated by commas, so a key cannot be empty or hold one; use query"));
    }
    Ok(keys)
}

impl FieldList {
    /// The comma list of the wire.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Named(fields) if !fields.is_empty() => fields
                .iter()
                .map(FieldName::as_str)
                .collect::<Vec<_>>()
                .join(","),
            _ => "*".to_owned(),
        }
    }
}
