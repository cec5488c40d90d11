//! The functions that the gateway knows, with their arguments as the schema allows them.

use roxmltree::Node;

use super::request::{Problems, child, elements, leaf, name};
use crate::select::{Case, Operator};

#[derive(Debug)]
pub(crate) enum Call {
    GetApiSession(LocationArgument),
    Query(Query),
    ReadByQuery(ReadByQuery),
    ReadMore(String),
    Read {
        object: String,
        keys: Vec<String>,
        fields: String,
        by_name: bool,
    },
    Lookup(String),
    Inspect {
        object: String,
        detail: bool,
    },
    ReadUserFormatting(String),
    GetDimensions,
}

impl Call {
    /// The name that results carry.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::GetApiSession(_) => "getAPISession",
            Self::Query(_) => "query",
            Self::ReadByQuery(_) => "readByQuery",
            Self::ReadMore(_) => "readMore",
            Self::Read { by_name: false, .. } => "read",
            Self::Read { by_name: true, .. } => "readByName",
            Self::Lookup(_) => "lookup",
            Self::Inspect { .. } => "inspect",
            Self::ReadUserFormatting(_) => "readUserFormatting",
            Self::GetDimensions => "getDimensions",
        }
    }

    /// The object that the call is about, where it names one.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Query(query) => Some(&query.object),
            Self::ReadByQuery(query) => Some(&query.object),
            Self::Read { object, .. } | Self::Lookup(object) | Self::Inspect { object, .. } => {
                Some(object)
            }
            _ => None,
        }
    }
}

/// The entity that a new session is for.
#[derive(Debug)]
pub(crate) enum LocationArgument {
    /// The one of the session at hand.
    Same,
    Top,
    Entity(String),
}

#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) object: String,
    pub(crate) select: Vec<Selected>,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<(String, bool)>,
    pub(crate) case: Case,
    pub(crate) show_private: bool,
    pub(crate) format: String,
    pub(crate) page_size: i64,
    pub(crate) offset: i64,
}

#[derive(Debug)]
pub(crate) enum Selected {
    Field(String),
    Aggregate(Aggregate, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

impl Aggregate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum => "SUM",
            Self::Avg => "AVG",
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
    }
}

#[derive(Debug)]
pub(crate) enum Filter {
    Compare(Operator, String, String),
    Like {
        field: String,
        pattern: String,
        wanted: bool,
    },
    Between(String, String, String),
    In {
        field: String,
        values: Vec<String>,
        wanted: bool,
    },
    Null {
        field: String,
        wanted: bool,
    },
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

#[derive(Debug)]
pub(crate) struct ReadByQuery {
    pub(crate) object: String,
    pub(crate) query: String,
    pub(crate) fields: String,
    pub(crate) page_size: i64,
    pub(crate) format: String,
}

/// Reads the one element of a `function`; what the schema forbids becomes a problem.
pub(crate) fn read(node: Node<'_, '_>, problems: &mut Problems) -> Option<Call> {
    match name(node) {
        "getAPISession" => {
            all_of(node, &["locationid"], problems);
            Some(Call::GetApiSession(match child(node, "locationid") {
                None => LocationArgument::Same,
                Some(location) => match leaf(location, problems) {
                    text if text.is_empty() => LocationArgument::Top,
                    text => LocationArgument::Entity(text),
                },
            }))
        }
        "query" => query(node, problems).map(Call::Query),
        "readByQuery" => {
            all_of(
                node,
                &[
                    "object",
                    "query",
                    "fields",
                    "pagesize",
                    "returnFormat",
                    "docparid",
                ],
                problems,
            );
            required(node, "query", problems);
            Some(Call::ReadByQuery(ReadByQuery {
                object: required(node, "object", problems),
                query: optional(node, "query", problems).unwrap_or_default(),
                fields: optional(node, "fields", problems).unwrap_or_else(|| "*".to_owned()),
                page_size: number(node, "pagesize", 100, problems),
                format: optional(node, "returnFormat", problems)
                    .unwrap_or_else(|| "xml".to_owned()),
            }))
        }
        "readMore" => {
            all_of(node, &["resultId", "object", "view", "reportId"], problems);
            let mut choice = elements(node);
            match (choice.next(), choice.next()) {
                (Some(one), None) if name(one) == "resultId" => {
                    Some(Call::ReadMore(leaf(one, problems)))
                }
                (Some(_), None) => Some(Call::ReadMore(String::new())),
                _ => {
                    problems.add("'readMore' must hold exactly one element");
                    None
                }
            }
        }
        "read" | "readByName" => {
            all_of(
                node,
                &["object", "keys", "fields", "returnFormat", "docparid"],
                problems,
            );
            let keys = optional(node, "keys", problems).unwrap_or_default();
            Some(Call::Read {
                object: required(node, "object", problems),
                keys: keys
                    .split(',')
                    .map(|key| key.trim().to_owned())
                    .filter(|key| !key.is_empty())
                    .collect(),
                fields: optional(node, "fields", problems).unwrap_or_else(|| "*".to_owned()),
                by_name: name(node) == "readByName",
            })
        }
        "lookup" => {
            all_of(node, &["object", "name", "docparid"], problems);
            let object = optional(node, "object", problems)
                .or_else(|| optional(node, "name", problems))
                .unwrap_or_default();
            if object.is_empty() {
                problems.add("element 'object' is missing in 'lookup'");
            }
            Some(Call::Lookup(object))
        }
        "inspect" => {
            all_of(node, &["object", "name"], problems);
            let object = optional(node, "object", problems)
                .or_else(|| optional(node, "name", problems))
                .unwrap_or_default();
            if object.is_empty() {
                problems.add("element 'object' is missing in 'inspect'");
            }
            let detail = match node.attribute("detail") {
                None | Some("0") => false,
                Some("1") => true,
                Some(other) => {
                    problems.add(format!("attribute 'detail' must be 0 or 1, not '{other}'"));
                    false
                }
            };
            Some(Call::Inspect { object, detail })
        }
        "readUserFormatting" => {
            all_of(node, &["key", "userId"], problems);
            let user = optional(node, "userId", problems)
                .or_else(|| optional(node, "key", problems))
                .unwrap_or_default();
            Some(Call::ReadUserFormatting(user))
        }
        "getDimensions" => Some(Call::GetDimensions),
        other => {
            problems.add(format!("element '{other}' is not allowed in 'function'"));
            None
        }
    }
}

fn query(node: Node<'_, '_>, problems: &mut Problems) -> Option<Query> {
    all_of(
        node,
        &[
            "object", "select", "filter", "orderby", "options", "pagesize", "offset", "docparid",
        ],
        problems,
    );
    let object = required(node, "object", problems);
    let mut select = Vec::new();
    match child(node, "select") {
        None => problems.add("element 'select' is missing in 'query'"),
        Some(part) => {
            for part in elements(part) {
                let field = leaf(part, problems);
                if field.is_empty() {
                    problems.add(format!("element '{}' in 'select' is empty", name(part)));
                }
                let aggregate = match name(part) {
                    "field" => None,
                    "count" => Some(Aggregate::Count),
                    "sum" => Some(Aggregate::Sum),
                    "avg" => Some(Aggregate::Avg),
                    "min" => Some(Aggregate::Min),
                    "max" => Some(Aggregate::Max),
                    other => {
                        problems.add(format!("element '{other}' is not allowed in 'select'"));
                        continue;
                    }
                };
                select.push(match aggregate {
                    None => Selected::Field(field),
                    Some(aggregate) => Selected::Aggregate(aggregate, field),
                });
            }
            if select.is_empty() {
                problems.add("'select' must hold at least one element");
            }
        }
    }
    let filter = child(node, "filter").and_then(|part| {
        let mut parts = elements(part);
        match (parts.next(), parts.next()) {
            (Some(one), None) => filter(one, problems),
            (None, _) => {
                problems.add("'filter' must hold an operator");
                None
            }
            _ => {
                problems.add("'filter' must hold exactly one operator; combine with 'and' or 'or'");
                None
            }
        }
    });
    let order = child(node, "orderby")
        .map(|part| order(part, problems))
        .unwrap_or_default();
    let mut options = Options::default();
    if let Some(part) = child(node, "options") {
        options = Options::read(part, problems);
    }
    Some(Query {
        object,
        select,
        filter,
        order,
        case: options.case,
        show_private: options.show_private,
        format: options.format,
        page_size: number(node, "pagesize", 100, problems),
        offset: number(node, "offset", 0, problems),
    })
}

fn order(node: Node<'_, '_>, problems: &mut Problems) -> Vec<(String, bool)> {
    let mut order = Vec::new();
    for part in elements(node) {
        if name(part) != "order" {
            problems.add(format!(
                "element '{}' is not allowed in 'orderby'",
                name(part)
            ));
            continue;
        }
        let mut parts = elements(part);
        let field = match parts.next() {
            Some(field) if name(field) == "field" => leaf(field, problems),
            _ => {
                problems.add("'order' must begin with 'field'");
                continue;
            }
        };
        let descending = match parts.next().map(|part| name(part).to_owned()).as_deref() {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(other) => {
                problems.add(format!("element '{other}' is not allowed in 'order'"));
                false
            }
        };
        if parts.next().is_some() {
            problems.add("'order' holds too many elements");
        }
        order.push((field, descending));
    }
    if order.is_empty() {
        problems.add("'orderby' must hold at least one 'order'");
    }
    order
}

struct Options {
    case: Case,
    show_private: bool,
    format: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            case: Case::Sensitive,
            show_private: false,
            format: "xml".to_owned(),
        }
    }
}

impl Options {
    fn read(node: Node<'_, '_>, problems: &mut Problems) -> Self {
        const ALLOWED: [&str; 3] = ["caseinsensitive", "showprivate", "returnformat"];
        let mut options = Self::default();
        let mut next = 0;
        for part in elements(node) {
            let text = leaf(part, problems);
            let place = ALLOWED.iter().position(|allowed| *allowed == name(part));
            match place {
                Some(place) if place >= next => next = place + 1,
                _ => problems.add(format!(
                    "element '{}' is not allowed in 'options' here",
                    name(part)
                )),
            }
            let yes = text == "true";
            if name(part) != "returnformat" && !yes && text != "false" {
                problems.add(format!(
                    "'{}' must be true or false, not '{text}'",
                    name(part)
                ));
            }
            match name(part) {
                "caseinsensitive" if yes => options.case = Case::Insensitive,
                "showprivate" => options.show_private = yes,
                "returnformat" => options.format = text,
                _ => {}
            }
        }
        options
    }
}

fn filter(node: Node<'_, '_>, problems: &mut Problems) -> Option<Filter> {
    let operator = name(node);
    if operator == "and" || operator == "or" {
        let parts: Vec<_> = elements(node)
            .filter_map(|part| filter(part, problems))
            .collect();
        if elements(node).count() < 2 {
            problems.add(format!("'{operator}' must hold two or more operators"));
        }
        return Some(if operator == "and" {
            Filter::And(parts)
        } else {
            Filter::Or(parts)
        });
    }
    let least_most = match operator {
        "equalto"
        | "notequalto"
        | "lessthan"
        | "lessthanorequalto"
        | "greaterthan"
        | "greaterthanorequalto"
        | "like"
        | "notlike" => (1, 1),
        "between" => (2, 2),
        "in" | "notin" => (1, 1_000),
        "isnull" | "isnotnull" => (0, 0),
        other => {
            problems.add(format!("element '{other}' is not an operator"));
            return None;
        }
    };
    let mut parts = elements(node);
    let field = match parts.next() {
        Some(part) if name(part) == "field" => leaf(part, problems),
        _ => {
            problems.add(format!("'{operator}' must begin with 'field'"));
            return None;
        }
    };
    let mut values = Vec::new();
    for part in parts {
        if name(part) == "value" {
            values.push(leaf(part, problems));
        } else {
            problems.add(format!(
                "element '{}' is not allowed in '{operator}'",
                name(part)
            ));
        }
    }
    if values.len() < least_most.0 || values.len() > least_most.1 {
        problems.add(match least_most {
            (least, most) if least == most => {
                format!(
                    "'{operator}' must hold {most} 'value', not {}",
                    values.len()
                )
            }
            (least, most) => {
                format!(
                    "'{operator}' must hold {least} to {most} 'value', not {}",
                    values.len()
                )
            }
        });
        return None;
    }
    if matches!(operator, "in" | "notin") {
        return Some(Filter::In {
            field,
            values,
            wanted: operator == "in",
        });
    }
    let mut values = values.into_iter();
    let first = values.next().unwrap_or_default();
    let compare = |operator| Filter::Compare(operator, field.clone(), first.clone());
    Some(match operator {
        "equalto" => compare(Operator::Equal),
        "notequalto" => compare(Operator::NotEqual),
        "lessthan" => compare(Operator::Less),
        "lessthanorequalto" => compare(Operator::LessOrEqual),
        "greaterthan" => compare(Operator::Greater),
        "greaterthanorequalto" => compare(Operator::GreaterOrEqual),
        "between" => Filter::Between(field, first, values.next().unwrap_or_default()),
        "isnull" | "isnotnull" => Filter::Null {
            field,
            wanted: operator == "isnull",
        },
        _ => Filter::Like {
            field,
            pattern: first,
            wanted: operator == "like",
        },
    })
}

/// Checks that children are among those named, in any order, each at most once.
fn all_of(node: Node<'_, '_>, allowed: &[&str], problems: &mut Problems) {
    let mut seen: Vec<&str> = Vec::new();
    for part in elements(node) {
        let part = name(part);
        if !allowed.contains(&part) {
            problems.add(format!(
                "element '{part}' is not allowed in '{}'",
                name(node)
            ));
        } else if seen.contains(&part) {
            problems.add(format!("element '{part}' is repeated in '{}'", name(node)));
        }
        seen.push(part);
    }
}

fn optional(node: Node<'_, '_>, wanted: &str, problems: &mut Problems) -> Option<String> {
    child(node, wanted).map(|part| leaf(part, problems))
}

fn required(node: Node<'_, '_>, wanted: &str, problems: &mut Problems) -> String {
    optional(node, wanted, problems).unwrap_or_else(|| {
        problems.add(format!("element '{wanted}' is missing in '{}'", name(node)));
        String::new()
    })
}

fn number(node: Node<'_, '_>, wanted: &str, default: i64, problems: &mut Problems) -> i64 {
    match optional(node, wanted, problems) {
        None => default,
        Some(text) => text.parse().unwrap_or_else(|_| {
            problems.add(format!("'{wanted}' must be a whole number, not '{text}'"));
            default
        }),
    }
}
