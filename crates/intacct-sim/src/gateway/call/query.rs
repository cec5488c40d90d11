//! The arguments of `query`.

use roxmltree::Node;

use super::super::format::Format;
use super::super::request::{Problems, child, elements, leaf, name};
use super::{all_of, number, required};
use crate::select::{Case, Operator};

#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) object: String,
    pub(crate) select: Vec<Selected>,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<(String, bool)>,
    pub(crate) case: Case,
    pub(crate) show_private: bool,
    pub(crate) format: Format,
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

pub(super) fn query(node: Node<'_, '_>, problems: &mut Problems) -> Option<Query> {
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
    format: Format,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            case: Case::Sensitive,
            show_private: false,
            format: Format::Xml,
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
                "returnformat" => options.format = Format::read(&text, problems),
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
