//! From what a company has (`lookup`) and what is wanted (the catalogue) to a stream's contract.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::metadata::{self as wire, FieldDefinition, ObjectDefinition};
use intacct_xml::request::Filter;
use intacct_xml::response::{RejectedRecord, WIRE_NAME};
use intacct_xml::{FieldName, ObjectName};
use sync_core::entry::{EntryRule, LineAmounts};
use sync_core::stream::{Roles, TotalsShape, metadata};
use sync_core::{
    Condition, DeleteDetection, Error, ErrorKind, Finding, RecordKey, Result, Severity,
    StreamDescriptor, StreamName, UnreadableRecord,
};

use super::blueprint::{Blueprint, CustomFields, HierarchyFields, field_type_of};
use super::catalogue::{DEFINITIONS, FieldType, Reading};

/// The places of money and quantities.
const AMOUNT_SCALE: i8 = 9;
/// The places of exchange rates.
const RATE_SCALE: i8 = 18;

/// The column that a hierarchy is flattened to: `100 > 110 > 111`, the record itself last.
pub(super) const PATH_COLUMN: &str = "hierarchy_path";

/// How one stream is read from one company.
#[derive(Clone, Debug)]
pub(super) struct Contract {
    pub(super) object: ObjectName,
    pub(super) doc_par_id: Option<String>,
    pub(super) reading: Reading,
    pub(super) descriptor: Arc<StreamDescriptor>,
    /// The fields to ask for.
    pub(super) select: Vec<FieldName>,
    /// The fields that identify a record.
    pub(super) key: Vec<FieldName>,
    /// The time of making, where it is one that the system sets: records that were never modified are
    /// found by it.
    pub(super) created: Option<FieldName>,
    /// The object whose lines these are.
    pub(super) owner: Option<ObjectName>,
    pub(super) hierarchy: Option<HierarchyFields>,
    /// Only these records.
    pub(super) filter: Option<Filter>,
    /// How many of the columns the company added.
    pub(super) custom_columns: usize,
    /// The columns as pages are read into them: as the descriptor's, but for keys of several
    /// fields, any of which may be empty on the wire, and without those that are made here.
    pub(super) wire_schema: SchemaRef,
    /// The same for listings of keys.
    pub(super) wire_keys: SchemaRef,
    fallbacks: Vec<(String, String)>,
}

impl Contract {
    /// The contract of a stream, without the fields that queries refuse, and what must be known of it.
    /// `deletes` is how they are found where changes are read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the object lacks its key or its time of change: it cannot
    /// be read in any way that is certain.
    pub(super) fn new(
        wanted: &Blueprint,
        found: &ObjectDefinition,
        refused: &[FieldName],
        deletes: DeleteDetection,
    ) -> Result<(Self, Vec<Finding>)> {
        let Columns {
            columns,
            custom,
            findings,
        } = Columns::of(wanted, found, refused);
        let has = |field: &str| columns.iter().any(|column| column.wire == field);
        let key: Vec<&str> = wanted.key.iter().map(String::as_str).collect();
        let key: Vec<&str> = key.into_iter().filter(|field| has(field)).collect();
        for needed in wanted.key.first().into_iter().chain(&wanted.modified) {
            if !has(needed) {
                let what = "the object lacks a field without which it cannot be read in order";
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .with("object", wanted.object.as_str())
                    .with("field", needed));
            }
        }

        let of_several = key.len() > 1;
        let is_key = |column: &Column| key.contains(&column.wire.as_str());
        let mut described: Vec<Field> = columns
            .iter()
            .map(|column| column.field(!is_key(column)))
            .collect();
        let hierarchy = wanted.hierarchy.clone().filter(|fields| match fields {
            HierarchyFields::Parents { id, parent } => has(id) && has(parent),
            HierarchyFields::Levels(levels) => levels.iter().all(|field| has(field)),
        });
        if hierarchy.is_some() {
            described.push(path_field());
        }
        let on_the_wire = columns
            .iter()
            .map(|column| column.field(of_several || !is_key(column)));
        let key_fields = on_the_wire.clone().zip(&columns);
        let key_fields = key_fields
            .filter(|(_, column)| is_key(column))
            .map(|(field, _)| field);
        let object = wanted.object.as_str();
        let about = HashMap::from([(metadata::SOURCE_NAME.into(), object.to_owned())]);
        let schema =
            |fields: Vec<Field>| Arc::new(Schema::new_with_metadata(fields, about.clone()));
        let (wire_schema, wire_keys) =
            (schema(on_the_wire.collect()), schema(key_fields.collect()));

        let named = |fields: &[&str]| -> Vec<String> {
            let held = fields.iter().filter(|field| has(field));
            held.map(|field| column_name(field)).collect()
        };
        // The gateway sums nothing but numbers.
        let is_number = |field: &&str| found.field(field).is_some_and(|it| adds_up(&it.data_type));
        let sums = wanted.sums.iter().map(String::as_str);
        let sums: Vec<&str> = sums.filter(is_number).collect();
        let group_by: Vec<&str> = wanted.group_by.iter().map(String::as_str).collect();
        let held = |field: &Option<String>| {
            let field = field.as_deref().filter(|field| has(field));
            field.map(column_name)
        };
        let modified = wanted.modified.as_deref();
        let mut descriptor = StreamDescriptor {
            name: wanted.stream.clone(),
            schema: schema(described),
            key: named(&key),
            modified: modified.map(column_name),
            delete_detection: match wanted.reading {
                Reading::ByModified => deletes,
                Reading::Whole | Reading::ByPeriod | Reading::ByOffset => DeleteDetection::FullRead,
            },
            delete_mode: wanted.delete_mode,
            keep_together: held(&wanted.keep_together),
            entries: None,
            period: held(&wanted.period),
            totals: TotalsShape {
                sums: named(&sums),
                group_by: named(&group_by),
                // A list that lacks a field would be another grouping than the one that was meant.
                also_by: wanted
                    .also_by
                    .iter()
                    .filter(|fields| fields.iter().all(|field| has(field)))
                    .map(|fields| fields.iter().map(|field| column_name(field)).collect())
                    .collect(),
                roles: {
                    let [book, entity, period, account] = wanted.roles.each_ref().map(held);
                    Roles {
                        book,
                        entity,
                        period,
                        account,
                    }
                },
            },
        };
        descriptor.entries = entries_of(wanted.object.as_str(), &descriptor);
        descriptor.validate()?;
        let is_moment = |field: &&&str| {
            let defined = found.field(field);
            has(field) && defined.is_some_and(|it| it.data_type == wire::DataType::Timestamp)
        };
        let created = ["AUWHENCREATED", "WHENCREATED", "createdAt"];
        let created = created.iter().find(is_moment);
        let fallbacks = wanted
            .fallbacks
            .iter()
            .filter(|(to, from)| has(to) && has(from));
        let contract = Self {
            object: wanted.object.clone(),
            doc_par_id: wanted.doc_par_id.clone(),
            reading: wanted.reading,
            descriptor: Arc::new(descriptor),
            select: field_names(columns.iter().map(|column| column.wire.as_str()))?,
            key: field_names(key.iter().copied())?,
            created: created
                .map(|field| name_of(FieldName::new(*field)))
                .transpose()?,
            owner: wanted.owner.clone(),
            hierarchy,
            filter: wanted.filter.clone(),
            custom_columns: custom,
            wire_schema,
            wire_keys,
            fallbacks: fallbacks
                .map(|(to, from)| (column_name(to), column_name(from)))
                .collect(),
        };
        Ok((contract, findings))
    }

    /// The wire's name of a column.
    pub(super) fn field_of(&self, column: &str) -> Result<FieldName> {
        let field = self.descriptor.field(column)?;
        name_of(FieldName::new(wire_name(field)))
    }

    /// The column of a field.
    pub(super) fn column_of(&self, wire: &str) -> Option<&str> {
        let fields = self.wire_schema.fields().iter();
        let named = |field: &&Arc<Field>| wire_name(field) == wire;
        fields
            .into_iter()
            .find(named)
            .map(|field| field.name().as_str())
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

    /// Rows as the descriptor promises them: no empty keys where several fields make one, fallbacks
    /// filled in, and the path of the hierarchy behind them. Listings of keys have no path.
    pub(super) fn as_described(
        &self,
        rows: RecordBatch,
        paths: Option<StringArray>,
    ) -> Result<RecordBatch> {
        let of_several = self.descriptor.key.len() > 1;
        if !of_several && self.fallbacks.is_empty() && paths.is_none() {
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
        if let Some(paths) = paths {
            fields.push(Arc::new(path_field()));
            columns.push(Arc::new(paths));
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

/// How the lines of the ledger make up entries: debits equal credits by book and base currency, where lines
/// are not statistical (developer.intacct.com, General Ledger Detail).
fn entries_of(object: &str, descriptor: &StreamDescriptor) -> Option<EntryRule> {
    if object != "GLDETAIL" {
        return None;
    }
    let has = |name: &str| descriptor.field(name).is_ok();
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let needed = ["batchkey", "bookid", "debitamount", "creditamount"];
    let statistical = has("statistical").then(|| {
        // A line that does not say so is none.
        Condition::one_of("statistical", ["false", ""])
    });
    needed.iter().all(|name| has(name)).then(|| EntryRule {
        entry: "batchkey".to_owned(),
        within: match has("basecurr") {
            true => named(&["bookid", "basecurr"]),
            false => named(&["bookid"]),
        },
        amounts: LineAmounts::DebitAndCredit {
            debit: "debitamount".to_owned(),
            credit: "creditamount".to_owned(),
        },
        counted: statistical,
    })
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

/// The columns of a stream.
struct Columns {
    columns: Vec<Column>,
    /// How many of them the company added.
    custom: usize,
    findings: Vec<Finding>,
}

impl Columns {
    /// The wanted fields that the company has, then what the company added: custom fields, and
    /// user-defined dimensions (`GLDIM...`).
    fn of(wanted: &Blueprint, found: &ObjectDefinition, refused: &[FieldName]) -> Self {
        let mut columns = Self {
            columns: Vec::new(),
            custom: 0,
            findings: Vec::new(),
        };
        let readable = |wire: &str| !refused.iter().any(|field| field.as_str() == wire);
        for (wire, field_type) in &wanted.fields {
            let defined = found.field(wire);
            if defined.is_none() && !is_related(wire, found) {
                let what = format!("the company has no field {wire}; the column is left out");
                columns.note(wanted, Severity::Info, what);
            } else if readable(wire) {
                let field_type = columns.told(wanted, *field_type, defined);
                columns.add(wanted, wire, field_type, defined);
            }
        }
        if wanted.custom_fields == CustomFields::LeftOut {
            columns.custom = found.fields.iter().filter(|it| is_added(it)).count();
            return columns;
        }
        for defined in found.fields.iter().filter(|field| is_added(field)) {
            let known = columns.columns.iter().any(|it| it.wire == defined.id);
            if known || FieldName::new(&defined.id).is_err() || !readable(&defined.id) {
                continue;
            }
            columns.custom += 1;
            columns.add(wanted, &defined.id, field_type_of(defined), Some(defined));
        }
        columns
    }

    fn add(
        &mut self,
        wanted: &Blueprint,
        wire: &str,
        field_type: FieldType,
        defined: Option<&FieldDefinition>,
    ) {
        let name = column_name(wire);
        let made_here = || (name == PATH_COLUMN).then_some("the path of the hierarchy");
        let other = self.columns.iter().find(|column| column.name == name);
        let other = other.map(|column| column.wire.as_str()).or_else(made_here);
        if let Some(other) = other {
            let what = format!(
                "the fields {other} and {wire} fold to the same column {name}; {wire} is left out"
            );
            let finding = Finding::new(Severity::Warning, wanted.stream.as_str(), what);
            let remedy = "give one of the two another integration name in Intacct";
            self.findings.push(finding.remedy(remedy));
            return;
        }
        self.columns
            .push(column(name, wire, arrow_type(field_type), defined));
    }

    /// Whether a field is a day or a moment differs between objects and companies under one name.
    fn told(
        &mut self,
        wanted: &Blueprint,
        field_type: FieldType,
        defined: Option<&FieldDefinition>,
    ) -> FieldType {
        let Some(defined) = defined else {
            return field_type;
        };
        match (field_type, field_type_of(defined)) {
            (FieldType::Date, FieldType::Timestamp) | (FieldType::Timestamp, FieldType::Date) => {
                let (wire, told) = (&defined.id, defined.data_type.as_str());
                let what = format!("the field {wire} is of type {told} in this company");
                self.note(wanted, Severity::Info, what);
                field_type_of(defined)
            }
            _ => field_type,
        }
    }

    fn note(&mut self, wanted: &Blueprint, severity: Severity, what: String) {
        self.findings
            .push(Finding::new(severity, wanted.stream.as_str(), what));
    }
}

fn is_added(field: &FieldDefinition) -> bool {
    field.is_custom || field.id.starts_with("GLDIM")
}

/// The fields to ask for, before it is known which of them are refused.
pub(super) fn candidates(wanted: &Blueprint, found: &ObjectDefinition) -> Result<Vec<FieldName>> {
    let columns = Columns::of(wanted, found, &[]).columns;
    field_names(columns.iter().map(|column| column.wire.as_str()))
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

/// `DISPLAYCONTACT.MAILADDRESS.CITY` as `displaycontact_mailaddress_city`; never a name that is
/// reserved.
fn column_name(wire: &str) -> String {
    let name = wire.to_ascii_lowercase().replace(['.', '-'], "_");
    if name.starts_with('_') {
        format!("x{name}")
    } else {
        name
    }
}

/// The stream of an object: the default one's name, else the object's own in lower case.
pub(super) fn stream_name_of(object: &str) -> Result<StreamName> {
    let default = DEFINITIONS.iter().find(|it| it.object == object);
    StreamName::new(default.map_or_else(|| column_name(object), |it| it.stream.to_owned()))
}

fn path_field() -> Field {
    let about = HashMap::from([
        (metadata::LABEL.to_owned(), "Hierarchy path".to_owned()),
        (
            metadata::DESCRIPTION.to_owned(),
            "The ids from the top down to this record, parted by \" > \"".to_owned(),
        ),
    ]);
    Field::new(PATH_COLUMN, DataType::Utf8, true).with_metadata(about)
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

pub(super) fn name_of<T, E>(name: Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    name.map_err(|error| {
        Error::new(ErrorKind::Config, "a name cannot stand in a request").caused_by(error)
    })
}
