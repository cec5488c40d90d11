//! Objects that a test defines itself: any fields, any records.

use std::borrow::Cow;
use std::collections::HashMap;

use sim_http::{Error, ErrorKind};

use crate::object::{DataType, FieldInfo, Object, Orders};
use crate::value::{Class, Comparable, Value};

/// The definition and the first records of an object.
///
/// RECORDNO, where the object has it, holds digits only and is unique. WHENMODIFIED, where the
/// object has it, is kept up by edits that do not set it themselves. Values are wire texts: dates
/// `mm/dd/yyyy`, timestamps `mm/dd/yyyy hh:mm:ss`, an empty text for null.
#[derive(Clone, Debug)]
pub struct ObjectSpec {
    name: String,
    fields: Vec<FieldInfo>,
    business_key: Option<String>,
    dimension: Option<String>,
    records: Vec<Vec<(String, String)>>,
}

impl ObjectSpec {
    /// Starts the definition of an object with its integration name, such as `VENDOR`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fields: Vec::new(),
            business_key: None,
            dimension: None,
            records: Vec::new(),
        }
    }

    /// Adds a field with its name and type.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        let name = name.into();
        let class = if name == RECORDNO {
            Class::Number
        } else {
            data_type.class()
        };
        self.fields.push(FieldInfo {
            name: Cow::Owned(name),
            data_type,
            class,
            codes: &[],
            custom: false,
            required: false,
            read_only: false,
        });
        self
    }

    /// Adds a field that the company has added itself: `lookup` says so by ISCUSTOM.
    #[must_use]
    pub fn custom_field(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self = self.field(name, data_type);
        if let Some(field) = self.fields.last_mut() {
            field.custom = true;
        }
        self
    }

    /// Makes the object a user-defined dimension, which `getDimensions` lists under this term.
    #[must_use]
    pub fn user_defined_dimension(mut self, term: impl Into<String>) -> Self {
        self.dimension = Some(term.into());
        self
    }

    /// Names the field by which `readByName` finds records.
    #[must_use]
    pub fn business_key(mut self, field: impl Into<String>) -> Self {
        self.business_key = Some(field.into());
        self
    }

    /// Adds a record from pairs of field name and wire text; fields not named are empty.
    #[must_use]
    pub fn record<N: Into<String>, V: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.records.push(
            fields
                .into_iter()
                .map(|(name, text)| (name.into(), text.into()))
                .collect(),
        );
        self
    }
}

const RECORDNO: &str = "RECORDNO";
const WHENMODIFIED: &str = "WHENMODIFIED";

/// The records of one such object.
#[derive(Clone, Debug)]
pub(crate) struct GenericTable {
    name: String,
    fields: Vec<FieldInfo>,
    key_field: Option<usize>,
    modified_field: Option<usize>,
    /// WHENCREATED, where it is to the second; on some objects it is the date of a document.
    created_field: Option<usize>,
    business_key: Option<usize>,
    dimension: Option<String>,
    rows: Vec<GenericRow>,
    by_key: Vec<u32>,
    by_modified: Vec<u32>,
    slots: HashMap<u64, u32>,
}

#[derive(Clone, Debug)]
struct GenericRow {
    key: u64,
    modified: Option<i64>,
    texts: Vec<Box<str>>,
    live: bool,
}

impl GenericTable {
    pub(crate) fn new(spec: ObjectSpec) -> Result<Self, Error> {
        let place = |name: &str| spec.fields.iter().position(|field| field.name == name);
        let mut table = Self {
            key_field: place(RECORDNO),
            modified_field: place(WHENMODIFIED),
            created_field: place("WHENCREATED")
                .filter(|&field| spec.fields[field].data_type == DataType::Timestamp),
            business_key: spec.business_key.as_deref().and_then(place),
            dimension: spec.dimension,
            name: spec.name,
            fields: spec.fields.clone(),
            rows: Vec::new(),
            by_key: Vec::new(),
            by_modified: Vec::new(),
            slots: HashMap::new(),
        };
        for record in spec.records {
            table.add(
                record
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.as_str())),
            )?;
        }
        table.settle();
        Ok(table)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its term, where it is a user-defined dimension.
    pub(crate) fn dimension(&self) -> Option<&str> {
        self.dimension.as_deref()
    }

    /// Adds a record; `now` becomes its WHENMODIFIED unless it brings its own.
    pub(crate) fn create<'f>(
        &mut self,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
        now: &str,
    ) -> Result<(), Error> {
        let mut fields: Vec<_> = fields.into_iter().collect();
        if self.modified_field.is_some() && !fields.iter().any(|(name, _)| *name == WHENMODIFIED) {
            fields.push((WHENMODIFIED, now));
        }
        self.add(fields)?;
        self.settle();
        Ok(())
    }

    pub(crate) fn update<'f>(
        &mut self,
        key: u64,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
        now: &str,
    ) -> Result<(), Error> {
        let slot = self.slot(key)?;
        let mut texts = self.rows[slot as usize].texts.clone();
        let mut stamped = false;
        for (name, text) in fields {
            let field = self.place(name)?;
            if Some(field) == self.key_field {
                return Err(Error::refused(format!(
                    "RECORDNO of {} {key} cannot change",
                    self.name
                )));
            }
            stamped |= Some(field) == self.modified_field;
            texts[field] = text.into();
        }
        if let Some(field) = self.modified_field.filter(|_| !stamped) {
            texts[field] = now.into();
        }
        let row = self.read(texts)?;
        self.rows[slot as usize] = GenericRow { key, ..row };
        self.settle();
        Ok(())
    }

    /// Gives records another WHENMODIFIED, or none; false where the object has no such field.
    pub(crate) fn stamp(&mut self, slots: &[u32], at: Option<i64>) -> bool {
        let Some(field) = self.modified_field else {
            return false;
        };
        let mut text = Vec::new();
        if let Some(at) = at {
            crate::calendar::push_instant(&mut text, at);
        }
        let text = String::from_utf8_lossy(&text);
        for &slot in slots {
            let row = &mut self.rows[slot as usize];
            row.modified = at;
            row.texts[field] = text.as_ref().into();
        }
        self.settle();
        true
    }

    pub(crate) fn delete(&mut self, key: u64) -> Result<(), Error> {
        let slot = self.slot(key)?;
        self.rows[slot as usize].live = false;
        self.slots.remove(&key);
        self.settle();
        Ok(())
    }

    fn slot(&self, key: u64) -> Result<u32, Error> {
        self.slots.get(&key).copied().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{} has no record {key}", self.name),
            )
        })
    }

    fn place(&self, name: &str) -> Result<usize, Error> {
        self.fields
            .iter()
            .position(|field| field.name == name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!("{} has no field {name}", self.name),
                )
            })
    }

    fn add<'f>(
        &mut self,
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<(), Error> {
        let mut texts: Vec<Box<str>> = vec!["".into(); self.fields.len()];
        for (name, text) in fields {
            texts[self.place(name)?] = text.into();
        }
        let mut row = self.read(texts)?;
        let slot = self.rows.len() as u32;
        if self.key_field.is_none() {
            row.key = u64::from(slot) + 1;
        }
        if self.slots.insert(row.key, slot).is_some() {
            let message = format!("{} already has a record {}", self.name, row.key);
            return Err(Error::refused(message));
        }
        self.rows.push(row);
        Ok(())
    }

    fn read(&self, texts: Vec<Box<str>>) -> Result<GenericRow, Error> {
        for (text, field) in texts.iter().zip(&self.fields) {
            if Comparable::read(text, field.class).is_none() {
                let message = format!(
                    "{}.{} is {}: {text:?} is none; give its text as the gateway writes it",
                    self.name,
                    field.name,
                    field.data_type.name()
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let key = match self.key_field {
            None => 0,
            Some(field) => texts[field].parse().map_err(|_| {
                let message = format!("{} needs a RECORDNO of digits", self.name);
                Error::new(ErrorKind::Invalid, message)
            })?,
        };
        let modified = self
            .modified_field
            .and_then(|field| crate::calendar::parse_instant(&texts[field]));
        Ok(GenericRow {
            key,
            modified,
            texts,
            live: true,
        })
    }

    fn settle(&mut self) {
        let rows = &self.rows;
        let live = || (0..rows.len() as u32).filter(|&slot| rows[slot as usize].live);
        self.by_key = live().collect();
        self.by_key
            .sort_unstable_by_key(|&slot| rows[slot as usize].key);
        if self.modified_field.is_some() {
            self.by_modified = self.by_key.clone();
            // The sort is stable, so that equal times keep the order of their keys.
            self.by_modified
                .sort_by_key(|&slot| rows[slot as usize].modified);
        }
    }
}

impl<'a> Object<'a> for &'a GenericTable {
    fn name(&self) -> &'a str {
        &self.name
    }

    fn label(&self) -> &'a str {
        &self.name
    }

    fn field_count(&self) -> usize {
        self.fields.len()
    }

    fn field(&self, field: usize) -> &'a FieldInfo {
        &self.fields[field]
    }

    fn value(&self, slot: u32, field: usize) -> Value<'a> {
        let table: &'a GenericTable = self;
        match &*table.rows[slot as usize].texts[field] {
            "" => Value::Null,
            text => Value::Wire(text, table.fields[field].class),
        }
    }

    fn orders(&self) -> Orders<'a> {
        Orders {
            by_key: &self.by_key,
            by_modified: &self.by_modified,
        }
    }

    fn key(&self, slot: u32) -> u64 {
        self.rows[slot as usize].key
    }

    fn modified(&self, slot: u32) -> Option<i64> {
        self.rows[slot as usize].modified
    }

    fn created(&self, slot: u32) -> Option<i64> {
        let field = self.created_field?;
        crate::calendar::parse_instant(&self.rows[slot as usize].texts[field])
    }

    fn is_live(&self, slot: u32) -> bool {
        self.rows.get(slot as usize).is_some_and(|row| row.live)
    }

    fn has_record_number(&self) -> bool {
        self.key_field.is_some()
    }

    fn business_key(&self) -> Option<usize> {
        self.business_key
    }
}
