//! The schema of a table: reading it from a resource, showing it, and which changes are additive.
//!
//! docs.cloud.google.com/bigquery, Specifying a schema; Modifying table schemas.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::Type;

/// Columns, nested ones counted.
const MOST_COLUMNS: usize = 10_000;
/// Levels of nesting.
const MOST_LEVELS: usize = 15;
/// Characters of a description of a column.
const LONGEST_DESCRIPTION: usize = 1_024;
/// Characters of a column's name.
const LONGEST_NAME: usize = 300;
/// What no column's name begins with, in any case.
const FORBIDDEN: [&str; 9] = [
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
];

/// Whether a column may be null, and whether it holds several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Nullable,
    Required,
    Repeated,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Nullable => "NULLABLE",
            Self::Required => "REQUIRED",
            Self::Repeated => "REPEATED",
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The type of one value, also where the column is repeated.
    pub(crate) element: Type,
    pub(crate) mode: Mode,
    pub(crate) description: Option<String>,
    /// Digits in all, and of these behind the point.
    pub(crate) precision: Option<(u32, u32)>,
    /// Characters of a STRING, bytes of BYTES.
    pub(crate) max_length: Option<usize>,
    /// What the simulator keeps and does not act on.
    other: Map<String, Json>,
    pub(crate) fields: Vec<Field>,
}

/// The columns of a table in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schema {
    pub(crate) fields: Arc<[Field]>,
}

impl Field {
    pub(crate) fn new(name: &str, element: Type, mode: Mode) -> Self {
        let fields = match &element {
            Type::Struct(fields) => fields
                .iter()
                .map(|(name, kind)| Self::of(name, kind))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            name: name.to_owned(),
            element,
            mode,
            description: None,
            precision: None,
            max_length: None,
            other: Map::new(),
            fields,
        }
    }

    /// A nullable column of a type, repeated where the type is an array.
    pub(crate) fn of(name: &str, kind: &Type) -> Self {
        match kind {
            Type::Array(element) => Self::new(name, (**element).clone(), Mode::Repeated),
            kind => Self::new(name, kind.clone(), Mode::Nullable),
        }
    }

    /// One value of a repeated column, which is never null.
    pub(crate) fn as_element(&self) -> Self {
        Self {
            mode: Mode::Required,
            ..self.clone()
        }
    }

    /// The type in statements.
    pub(crate) fn kind(&self) -> Type {
        match self.mode {
            Mode::Repeated => Type::Array(Box::new(self.element.clone())),
            _ => self.element.clone(),
        }
    }

    fn parse(json: &Json, level: usize, count: &mut usize) -> Result<Self, Refusal> {
        *count += 1;
        if *count > MOST_COLUMNS {
            return Err(Refusal::invalid(format!(
                "Too many total leaf fields: {count}. The maximum is {MOST_COLUMNS}."
            )));
        }
        if level > MOST_LEVELS {
            return Err(Refusal::invalid(format!(
                "Too deeply nested: the maximum is {MOST_LEVELS} levels."
            )));
        }
        let text = |key: &str| json[key].as_str();
        let name = text("name").unwrap_or_default();
        check_name(name)?;
        let mode = match text("mode").map(str::to_ascii_uppercase).as_deref() {
            None | Some("NULLABLE") => Mode::Nullable,
            Some("REQUIRED") => Mode::Required,
            Some("REPEATED") => Mode::Repeated,
            Some(other) => {
                return Err(Refusal::invalid(format!(
                    "Field {name} has an unknown mode: {other}."
                )));
            }
        };
        let kind = text("type").unwrap_or_default();
        let (element, fields) = match element_type(kind) {
            Some(element) => (element, Vec::new()),
            None if matches!(kind.to_ascii_uppercase().as_str(), "RECORD" | "STRUCT") => {
                let fields = json["fields"].as_array().map_or(&[][..], Vec::as_slice);
                if fields.is_empty() {
                    return Err(Refusal::invalid(format!(
                        "Field {name} is type RECORD but has no schema"
                    )));
                }
                let fields = parse_all(fields, level + 1, count)?;
                (record(&fields), fields)
            }
            None => {
                return Err(Refusal::invalid(format!(
                    "Invalid value for type: {kind} is not a valid value"
                ))
                .at("schema"));
            }
        };
        let description = text("description").map(str::to_owned);
        if description
            .as_deref()
            .is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION)
        {
            return Err(Refusal::invalid(format!(
                "The description for field {name} is too long. The maximum length is {LONGEST_DESCRIPTION} characters."
            )));
        }
        let max_length = int(json, "maxLength")?.and_then(|length| usize::try_from(length).ok());
        if max_length.is_some() && !matches!(element, Type::String | Type::Bytes) {
            return Err(Refusal::invalid(format!(
                "Field {name}: maxLength is for STRING and BYTES"
            )));
        }
        let precision = precision(json, name, &element)?;
        let kept = [
            "defaultValueExpression",
            "roundingMode",
            "collation",
            "policyTags",
        ];
        let other = kept
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), json.get(*key)?.clone())))
            .collect();
        Ok(Self {
            name: name.to_owned(),
            element,
            mode,
            description,
            precision,
            max_length,
            other,
            fields,
        })
    }

    fn resource(&self) -> Json {
        let mut out = Map::new();
        out.insert("name".to_owned(), json!(self.name));
        out.insert("type".to_owned(), json!(self.element.wire_name()));
        out.insert("mode".to_owned(), json!(self.mode.name()));
        if let Some(description) = &self.description {
            out.insert("description".to_owned(), json!(description));
        }
        if let Some((precision, scale)) = self.precision {
            out.insert("precision".to_owned(), json!(precision.to_string()));
            if scale > 0 {
                out.insert("scale".to_owned(), json!(scale.to_string()));
            }
        }
        if let Some(length) = self.max_length {
            out.insert("maxLength".to_owned(), json!(length.to_string()));
        }
        out.extend(self.other.clone());
        if !self.fields.is_empty() {
            let fields: Vec<_> = self.fields.iter().map(Self::resource).collect();
            out.insert("fields".to_owned(), json!(fields));
        }
        Json::Object(out)
    }

    /// Whether this column may take the place of `old` without rewriting the table.
    fn follows(&self, old: &Self, table: &str, path: &str) -> Result<(), Refusal> {
        let changed = |from: &str, to: &str, what: &str| {
            Err(Refusal::invalid(format!(
                "Provided Schema does not match Table {table}. Field {path} has changed {what} from {from} to {to}"
            )))
        };
        if self.element.wire_name() != old.element.wire_name() {
            return changed(old.element.wire_name(), self.element.wire_name(), "type");
        }
        let is_relaxed = old.mode == Mode::Required && self.mode == Mode::Nullable;
        if self.mode != old.mode && !is_relaxed {
            return changed(old.mode.name(), self.mode.name(), "mode");
        }
        if self.max_length != old.max_length || self.precision != old.precision {
            let wider = match (old.max_length, self.max_length) {
                (Some(_), None) => true,
                (Some(old), Some(new)) => new >= old,
                (None, new) => new.is_none(),
            };
            let larger = match (old.precision, self.precision) {
                (Some(_), None) => true,
                (Some((p, s)), Some((new_p, new_s))) => new_s >= s && new_p - new_s >= p - s,
                (None, new) => new.is_none(),
            };
            if !wider || !larger {
                return Err(Refusal::invalid(format!(
                    "Provided Schema does not match Table {table}. Field {path} has changed its type parameters"
                )));
            }
        }
        extends(&self.fields, &old.fields, table, &format!("{path}."))
    }
}

/// Reads a number of a resource: an int64 stands as text.
fn int(json: &Json, key: &str) -> Result<Option<i64>, Refusal> {
    match &json[key] {
        Json::Null => Ok(None),
        Json::Number(number) => Ok(number.as_i64()),
        Json::String(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::invalid(format!("Invalid value at '{key}': \"{text}\""))),
        _ => Err(Refusal::invalid(format!("Invalid value at '{key}'"))),
    }
}

fn precision(json: &Json, name: &str, element: &Type) -> Result<Option<(u32, u32)>, Refusal> {
    let (precision, scale) = (int(json, "precision")?, int(json, "scale")?);
    let Some(precision) = precision else {
        return match scale {
            None => Ok(None),
            Some(_) => Err(Refusal::invalid(format!(
                "Field {name}: scale needs a precision"
            ))),
        };
    };
    let scale = scale.unwrap_or(0);
    let (digits, most) = match element {
        Type::Numeric => (29, 9),
        Type::BigNumeric => (38, 38),
        _ => {
            return Err(Refusal::invalid(format!(
                "Field {name}: precision is for NUMERIC and BIGNUMERIC"
            )));
        }
    };
    let fits =
        (0..=most).contains(&scale) && precision >= scale.max(1) && precision - scale <= digits;
    match (fits, u32::try_from(precision), u32::try_from(scale)) {
        (true, Ok(precision), Ok(scale)) => Ok(Some((precision, scale))),
        _ => Err(Refusal::invalid(format!(
            "Field {name}: precision {precision} and scale {scale} are not possible for {element}"
        ))),
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let mut characters = name.chars();
    let starts = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let goes_on = characters.all(|next| next.is_ascii_alphanumeric() || next == '_');
    if !starts || !goes_on || name.len() > LONGEST_NAME {
        return Err(Refusal::invalid(format!(
            "Invalid field name \"{name}\". Fields must contain only letters, numbers, and underscores, start with a letter or underscore, and be at most {LONGEST_NAME} characters long."
        )));
    }
    let upper = name.to_ascii_uppercase();
    match FORBIDDEN.iter().find(|prefix| upper.starts_with(**prefix)) {
        None => Ok(()),
        Some(prefix) => Err(Refusal::invalid(format!(
            "Invalid field name \"{name}\". Field names are not allowed to start with the (case-insensitive) prefix {prefix}"
        ))),
    }
}

/// The type that a resource names; none for records and for names that are not known.
pub(crate) fn element_type(name: &str) -> Option<Type> {
    Some(match name.to_ascii_uppercase().as_str() {
        "STRING" => Type::String,
        "BYTES" => Type::Bytes,
        "INTEGER" | "INT64" => Type::Int64,
        "FLOAT" | "FLOAT64" => Type::Float64,
        "BOOLEAN" | "BOOL" => Type::Bool,
        "TIMESTAMP" => Type::Timestamp,
        "DATE" => Type::Date,
        "TIME" => Type::Time,
        "DATETIME" => Type::Datetime,
        "NUMERIC" => Type::Numeric,
        "BIGNUMERIC" => Type::BigNumeric,
        "JSON" => Type::Json,
        _ => return None,
    })
}

fn record(fields: &[Field]) -> Type {
    Type::Struct(
        fields
            .iter()
            .map(|field| (field.name.clone(), field.kind()))
            .collect(),
    )
}

fn parse_all(fields: &[Json], level: usize, count: &mut usize) -> Result<Vec<Field>, Refusal> {
    let mut seen = HashSet::new();
    let mut parsed = Vec::with_capacity(fields.len());
    for field in fields {
        let field = Field::parse(field, level, count)?;
        if !seen.insert(field.name.to_ascii_lowercase()) {
            return Err(Refusal::invalid(format!(
                "Duplicate field name found: {}. Field names are case-insensitive.",
                field.name
            )));
        }
        parsed.push(field);
    }
    Ok(parsed)
}

/// Whether `new` holds all of `old` in its place and adds only nullable or repeated columns at
/// the end.
fn extends(new: &[Field], old: &[Field], table: &str, path: &str) -> Result<(), Refusal> {
    for (place, was) in old.iter().enumerate() {
        let Some(is) = new
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(&was.name))
        else {
            return Err(Refusal::invalid(format!(
                "Provided Schema does not match Table {table}. Field {path}{} is missing in new schema",
                was.name
            )));
        };
        if is != place {
            return Err(Refusal::new(
                412,
                "conditionNotMet",
                format!(
                    "Precondition Failed: field {path}{} has changed its place",
                    was.name
                ),
            ));
        }
        new[is].follows(was, table, &format!("{path}{}", was.name))?;
    }
    match new[old.len().min(new.len())..]
        .iter()
        .find(|field| field.mode == Mode::Required)
    {
        None => Ok(()),
        Some(field) => Err(Refusal::invalid(format!(
            "Provided Schema does not match Table {table}. Cannot add required fields to an existing schema. (field: {path}{})",
            field.name
        ))),
    }
}

impl Schema {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self {
            fields: fields.into(),
        }
    }

    /// Reads a `TableSchema`.
    pub(crate) fn parse(json: &Json) -> Result<Self, Refusal> {
        let fields = json["fields"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Self::new(parse_all(fields, 1, &mut 0)?))
    }

    /// The `TableSchema` of a resource.
    pub(crate) fn resource(&self) -> Json {
        let fields: Vec<_> = self.fields.iter().map(Field::resource).collect();
        json!({ "fields": fields })
    }

    /// The place of a column; names do not mind case.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.fields
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// Refuses a schema that is not this one with columns added or relaxed.
    pub(crate) fn check_successor(&self, new: &Self, table: &str) -> Result<(), Refusal> {
        extends(&new.fields, &self.fields, table, "")
    }
}
