//! `get_list`, a reader of the time before the generic functions: its own names for objects,
//! fields and conditions.

use roxmltree::Node;

use super::super::request::{Problems, child, elements, leaf, name};
use super::query::Filter;
use super::{optional, required};
use crate::select::Operator;

#[derive(Debug)]
pub(crate) struct GetList {
    /// The legacy name.
    pub(crate) object: &'static LegacyObject,
    pub(crate) start: usize,
    pub(crate) most: usize,
    pub(crate) show_private: bool,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<(String, bool)>,
    /// Legacy names of the fields that are wanted; all when there are none.
    pub(crate) fields: Vec<String>,
}

impl GetList {
    /// The object that the legacy one is a view of.
    pub(crate) fn target(&self) -> Option<&str> {
        Some(self.object.target)
    }
}

/// A legacy object: its name, the object behind it, and its fields as pairs of legacy name and
/// field.
#[derive(Debug)]
pub(crate) struct LegacyObject {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

impl LegacyObject {
    /// The field behind a legacy name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static str> {
        let known = self.fields.iter().find(|(legacy, _)| *legacy == name);
        known.map(|(_, field)| *field)
    }
}

const OBJECTS: [LegacyObject; 8] = [
    LegacyObject {
        name: "vendor",
        target: "VENDOR",
        fields: &[
            ("recordno", "RECORDNO"),
            ("vendorid", "VENDORID"),
            ("name", "NAME"),
            ("termname", "TERMNAME"),
            ("taxid", "TAXID"),
            ("creditlimit", "CREDITLIMIT"),
            ("totaldue", "TOTALDUE"),
            ("comments", "COMMENTS"),
            ("onhold", "ONHOLD"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "customer",
        target: "CUSTOMER",
        fields: &[
            ("recordno", "RECORDNO"),
            ("customerid", "CUSTOMERID"),
            ("name", "NAME"),
            ("termname", "TERMNAME"),
            ("taxid", "TAXID"),
            ("creditlimit", "CREDITLIMIT"),
            ("totaldue", "TOTALDUE"),
            ("comments", "COMMENTS"),
            ("onhold", "ONHOLD"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "glaccount",
        target: "GLACCOUNT",
        fields: &[
            ("glaccountno", "ACCOUNTNO"),
            ("title", "TITLE"),
            ("normalbalance", "NORMALBALANCE"),
            ("accounttype", "ACCOUNTTYPE"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "department",
        target: "DEPARTMENT",
        fields: &[
            ("departmentid", "DEPARTMENTID"),
            ("title", "TITLE"),
            ("parentid", "PARENTID"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "location",
        target: "LOCATION",
        fields: &[
            ("locationid", "LOCATIONID"),
            ("name", "NAME"),
            ("parentid", "PARENTID"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "class",
        target: "CLASS",
        fields: &[
            ("classid", "CLASSID"),
            ("name", "NAME"),
            ("description", "DESCRIPTION"),
            ("status", "STATUS"),
            ("whenmodified", "WHENMODIFIED"),
        ],
    },
    LegacyObject {
        name: "bill",
        target: "APBILL",
        fields: &[
            ("key", "RECORDNO"),
            ("vendorid", "VENDORID"),
            ("billno", "RECORDID"),
            ("datecreated", "WHENCREATED"),
            ("datedue", "WHENDUE"),
            ("totalamount", "TOTALENTERED"),
            ("totalpaid", "TOTALPAID"),
            ("totaldue", "TOTALDUE"),
            ("description", "DESCRIPTION"),
            ("state", "STATE"),
        ],
    },
    LegacyObject {
        name: "invoice",
        target: "ARINVOICE",
        fields: &[
            ("key", "RECORDNO"),
            ("customerid", "CUSTOMERID"),
            ("invoiceno", "RECORDID"),
            ("datecreated", "WHENCREATED"),
            ("datedue", "WHENDUE"),
            ("totalamount", "TOTALENTERED"),
            ("totalpaid", "TOTALPAID"),
            ("totaldue", "TOTALDUE"),
            ("description", "DESCRIPTION"),
            ("state", "STATE"),
        ],
    },
];

pub(super) fn get_list(node: Node<'_, '_>, problems: &mut Problems) -> Option<GetList> {
    let wanted = node.attribute("object").unwrap_or_default();
    let object = OBJECTS.iter().find(|object| object.name == wanted);
    if object.is_none() {
        problems.add(format!(
            "attribute 'object' of 'get_list' cannot be '{wanted}'"
        ));
    }
    let object = object?;
    let mut count = |attribute: &str, default: usize| match node.attribute(attribute) {
        None => default,
        Some(text) => text.parse().unwrap_or_else(|_| {
            problems.add(format!(
                "attribute '{attribute}' must be a number of 0 or more, not '{text}'"
            ));
            default
        }),
    };
    let (start, most) = (count("start", 0), count("maxitems", 100));
    let mut next = 0;
    for part in elements(node) {
        let place = ["filter", "sorts", "fields"]
            .iter()
            .position(|allowed| *allowed == name(part));
        match place {
            Some(place) if place >= next => next = place + 1,
            _ => problems.add(format!(
                "element '{}' is not allowed in 'get_list' here",
                name(part)
            )),
        }
    }
    let filter = child(node, "filter").and_then(|part| {
        let mut parts = elements(part);
        match (parts.next(), parts.next()) {
            (Some(one), None) => condition(object, one, problems),
            _ => {
                problems.add("'filter' must hold one 'expression' or 'logical'");
                None
            }
        }
    });
    let mut order = Vec::new();
    for part in child(node, "sorts").into_iter().flat_map(elements) {
        if name(part) != "sortfield" {
            problems.add(format!(
                "element '{}' is not allowed in 'sorts'",
                name(part)
            ));
        }
        let descending = part.attribute("order") == Some("desc");
        order.push((field(object, &leaf(part, problems), problems), descending));
    }
    let mut fields = Vec::new();
    for part in child(node, "fields").into_iter().flat_map(elements) {
        let wanted = leaf(part, problems);
        field(object, &wanted, problems);
        fields.push(wanted);
    }
    Some(GetList {
        object,
        start,
        most,
        show_private: super::attribute_is(node, "showprivate", ["false", "true"], problems),
        filter,
        order,
        fields,
    })
}

fn condition(object: &LegacyObject, node: Node<'_, '_>, problems: &mut Problems) -> Option<Filter> {
    match name(node) {
        "logical" => {
            let parts: Vec<_> = elements(node)
                .filter_map(|part| condition(object, part, problems))
                .collect();
            match node.attribute("logical_operator") {
                Some("and") => Some(Filter::And(parts)),
                Some("or") => Some(Filter::Or(parts)),
                _ => {
                    problems.add("attribute 'logical_operator' must be and or or");
                    None
                }
            }
        }
        "expression" => {
            let wanted = required(node, "field", problems);
            let field = field(object, &wanted, problems);
            let operator = required(node, "operator", problems);
            let value = optional(node, "value", problems).unwrap_or_default();
            let compare = |operator| Some(Filter::Compare(operator, field.clone(), value.clone()));
            match &*operator {
                "=" => compare(Operator::Equal),
                "!=" => compare(Operator::NotEqual),
                "<" => compare(Operator::Less),
                "<=" => compare(Operator::LessOrEqual),
                ">" => compare(Operator::Greater),
                ">=" => compare(Operator::GreaterOrEqual),
                "like" => Some(Filter::Like {
                    field,
                    pattern: value,
                    wanted: true,
                }),
                "is null" => Some(Filter::Null {
                    field,
                    wanted: true,
                }),
                other => {
                    problems.add(format!("'{other}' is not an operator"));
                    None
                }
            }
        }
        other => {
            problems.add(format!("element '{other}' is not allowed in 'filter'"));
            None
        }
    }
}

fn field(object: &LegacyObject, wanted: &str, problems: &mut Problems) -> String {
    match object.field(wanted) {
        Some(field) => field.to_owned(),
        None => {
            problems.add(format!("'{}' has no field '{wanted}'", object.name));
            String::new()
        }
    }
}
