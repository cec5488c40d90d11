//! The functions that the gateway knows, with their arguments as the schema allows them.

mod legacy;
mod query;
mod write;

use roxmltree::Node;

pub(crate) use self::legacy::GetList;
pub(crate) use self::query::{Aggregate, Filter, Query, Selected};
pub(crate) use self::write::Draft;
use super::format::Format;
use super::request::{Problems, child, elements, leaf, name};

#[derive(Debug)]
pub(crate) enum Call {
    GetApiSession(LocationArgument),
    Query(Query),
    ReadByQuery(ReadByQuery),
    ReadMore(More),
    Read(Read),
    ReadRelated {
        read: Read,
        relation: String,
    },
    ReadView {
        view: String,
        page_size: i64,
        format: Format,
    },
    ReadReport(ReadReport),
    Lookup(String),
    Inspect {
        object: String,
        detail: bool,
    },
    ReadUserFormatting(String),
    ReadEntityDetails,
    GetUserPermissions(String),
    GetDimensions,
    GetAuditTrail {
        object: String,
        key: String,
    },
    GetList(GetList),
    Create(Vec<Draft>),
    Update(Vec<Draft>),
    Delete {
        object: String,
        keys: Vec<String>,
    },
}

/// Every name that [`Call::name`] gives.
pub(crate) const FUNCTIONS: [&str; 20] = [
    "create",
    "delete",
    "getAPISession",
    "getAuditTrail",
    "getDimensions",
    "getUserPermissions",
    "get_list",
    "inspect",
    "lookup",
    "query",
    "read",
    "readByName",
    "readByQuery",
    "readEntityDetails",
    "readMore",
    "readRelated",
    "readReport",
    "readUserFormatting",
    "readView",
    "update",
];

impl Call {
    /// The name that results carry.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::GetApiSession(_) => "getAPISession",
            Self::Query(_) => "query",
            Self::ReadByQuery(_) => "readByQuery",
            Self::ReadMore(_) => "readMore",
            Self::Read(Read { by_name: false, .. }) => "read",
            Self::Read(Read { by_name: true, .. }) => "readByName",
            Self::ReadRelated { .. } => "readRelated",
            Self::ReadView { .. } => "readView",
            Self::ReadReport(_) => "readReport",
            Self::Lookup(_) => "lookup",
            Self::Inspect { .. } => "inspect",
            Self::ReadUserFormatting(_) => "readUserFormatting",
            Self::ReadEntityDetails => "readEntityDetails",
            Self::GetUserPermissions(_) => "getUserPermissions",
            Self::GetDimensions => "getDimensions",
            Self::GetAuditTrail { .. } => "getAuditTrail",
            Self::GetList(_) => "get_list",
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Delete { .. } => "delete",
        }
    }

    /// The object that the call is about, where it names one.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Query(query) => Some(&query.object),
            Self::ReadByQuery(query) => Some(&query.object),
            Self::Read(read) | Self::ReadRelated { read, .. } => Some(&read.object),
            Self::Lookup(object)
            | Self::Inspect { object, .. }
            | Self::GetAuditTrail { object, .. }
            | Self::Delete { object, .. } => Some(object),
            Self::GetList(list) => list.target(),
            Self::Create(drafts) | Self::Update(drafts) => {
                drafts.first().map(|draft| &*draft.object)
            }
            _ => None,
        }
    }

    /// As how many transactions the call is billed: a read as one whatever its records, a write as
    /// one a record; what opens sessions and describes the company is free.
    pub(crate) fn transactions(&self) -> u64 {
        match self {
            Self::Create(drafts) | Self::Update(drafts) => drafts.len() as u64,
            Self::Delete { keys, .. } => keys.len() as u64,
            Self::GetApiSession(_)
            | Self::Lookup(_)
            | Self::Inspect { .. }
            | Self::ReadUserFormatting(_)
            | Self::ReadEntityDetails
            | Self::GetUserPermissions(_)
            | Self::GetDimensions => 0,
            _ => 1,
        }
    }

    /// Whether the call changes the company.
    pub(crate) fn writes(&self) -> bool {
        matches!(
            self,
            Self::Create(_) | Self::Update(_) | Self::Delete { .. }
        )
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
pub(crate) struct ReadByQuery {
    pub(crate) object: String,
    pub(crate) query: String,
    pub(crate) fields: String,
    pub(crate) page_size: i64,
    pub(crate) format: Format,
}

/// What `readMore` goes on with.
#[derive(Debug)]
pub(crate) enum More {
    Result(String),
    Report(String),
    /// The latest result of this object, or view.
    Latest(String),
}

/// `read` and `readByName`.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) object: String,
    pub(crate) keys: Vec<String>,
    pub(crate) fields: String,
    pub(crate) by_name: bool,
    pub(crate) format: Format,
}

#[derive(Debug)]
pub(crate) struct ReadReport {
    pub(crate) report: String,
    /// The attribute `type`: none for original custom reports.
    pub(crate) kind: Option<String>,
    /// The definition of the report is wanted, not its records.
    pub(crate) definition: bool,
    /// Parameters by name.
    pub(crate) arguments: Vec<(String, String)>,
    /// Seconds for which the caller would wait.
    pub(crate) wait: i64,
    pub(crate) page_size: i64,
    pub(crate) format: Format,
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
        "query" => query::query(node, problems).map(Call::Query),
        "readByQuery" => Some(Call::ReadByQuery(read_by_query(node, problems))),
        "readMore" => read_more(node, problems).map(Call::ReadMore),
        "read" | "readByName" => Some(Call::Read(keys_read(node, &[], problems))),
        "readRelated" => Some(Call::ReadRelated {
            read: keys_read(node, &["relation"], problems),
            relation: required(node, "relation", problems),
        }),
        "readView" => {
            all_of(
                node,
                &["view", "pagesize", "returnFormat", "filters"],
                problems,
            );
            Some(Call::ReadView {
                view: required(node, "view", problems),
                page_size: number(node, "pagesize", 100, problems),
                format: format(node, problems),
            })
        }
        "readReport" => Some(Call::ReadReport(read_report(node, problems))),
        "lookup" => {
            all_of(node, &["object", "name", "docparid"], problems);
            Some(Call::Lookup(object_or_name(node, problems)))
        }
        "inspect" => {
            all_of(node, &["object", "name"], problems);
            Some(Call::Inspect {
                object: object_or_name(node, problems),
                detail: attribute_is(node, "detail", ["0", "1"], problems),
            })
        }
        "readUserFormatting" => {
            all_of(node, &["key", "userId"], problems);
            let user = optional(node, "userId", problems)
                .or_else(|| optional(node, "key", problems))
                .unwrap_or_default();
            Some(Call::ReadUserFormatting(user))
        }
        "readEntityDetails" => {
            all_of(node, &[], problems);
            Some(Call::ReadEntityDetails)
        }
        "getUserPermissions" => {
            all_of(node, &["userId"], problems);
            Some(Call::GetUserPermissions(required(node, "userId", problems)))
        }
        "getDimensions" => {
            all_of(node, &[], problems);
            Some(Call::GetDimensions)
        }
        "getAuditTrail" => {
            all_of(node, &["object", "recordNo", "objectKey"], problems);
            let keys: Vec<_> = ["recordNo", "objectKey"]
                .into_iter()
                .filter_map(|wanted| optional(node, wanted, problems))
                .collect();
            if keys.len() != 1 {
                problems.add("'getAuditTrail' must hold one of 'recordNo', 'objectKey'");
            }
            Some(Call::GetAuditTrail {
                object: required(node, "object", problems),
                key: keys.into_iter().next().unwrap_or_default(),
            })
        }
        "get_list" => legacy::get_list(node, problems).map(Call::GetList),
        "create" => Some(Call::Create(write::drafts(node, problems))),
        "update" => Some(Call::Update(write::drafts(node, problems))),
        "delete" => {
            all_of(node, &["object", "keys"], problems);
            Some(Call::Delete {
                object: required(node, "object", problems),
                keys: list(&required(node, "keys", problems)),
            })
        }
        other => {
            problems.add(format!("element '{other}' is not allowed in 'function'"));
            None
        }
    }
}

fn read_by_query(node: Node<'_, '_>, problems: &mut Problems) -> ReadByQuery {
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
    ReadByQuery {
        object: required(node, "object", problems),
        query: optional(node, "query", problems).unwrap_or_default(),
        fields: optional(node, "fields", problems).unwrap_or_else(|| "*".to_owned()),
        page_size: number(node, "pagesize", 100, problems),
        format: format(node, problems),
    }
}

fn read_more(node: Node<'_, '_>, problems: &mut Problems) -> Option<More> {
    all_of(node, &["resultId", "object", "view", "reportId"], problems);
    let mut choice = elements(node);
    let (Some(one), None) = (choice.next(), choice.next()) else {
        problems.add("'readMore' must hold exactly one element");
        return None;
    };
    let id = leaf(one, problems);
    Some(match name(one) {
        "resultId" => More::Result(id),
        "reportId" => More::Report(id),
        _ => More::Latest(id),
    })
}

/// The arguments of `read` and its kin, which may hold `more` elements.
fn keys_read(node: Node<'_, '_>, more: &[&str], problems: &mut Problems) -> Read {
    let mut allowed = vec!["object", "keys", "fields", "returnFormat", "docparid"];
    allowed.extend_from_slice(more);
    all_of(node, &allowed, problems);
    Read {
        object: required(node, "object", problems),
        keys: list(&optional(node, "keys", problems).unwrap_or_default()),
        fields: optional(node, "fields", problems).unwrap_or_else(|| "*".to_owned()),
        by_name: name(node) == "readByName",
        format: format(node, problems),
    }
}

/// The most seconds that `waitTime` may ask for.
const LONGEST_WAIT: i64 = 30;

fn read_report(node: Node<'_, '_>, problems: &mut Problems) -> ReadReport {
    all_of(
        node,
        &[
            "report",
            "arguments",
            "waitTime",
            "pagesize",
            "returnFormat",
            "listSeparator",
        ],
        problems,
    );
    let kind = node.attribute("type").map(str::to_owned);
    if let Some(kind) = kind
        .as_deref()
        .filter(|kind| !["interactive", "STANDARD"].contains(kind))
    {
        problems.add(format!(
            "attribute 'type' must be interactive or STANDARD, not '{kind}'"
        ));
    }
    let wait = number(node, "waitTime", 0, problems);
    if !(0..=LONGEST_WAIT).contains(&wait) {
        problems.add(format!(
            "'waitTime' must be 0 to {LONGEST_WAIT}, not {wait}"
        ));
    }
    let arguments = child(node, "arguments").map(|arguments| {
        elements(arguments)
            .map(|argument| (name(argument).to_owned(), leaf(argument, problems)))
            .collect()
    });
    ReadReport {
        report: required(node, "report", problems),
        kind,
        definition: attribute_is(node, "returnDef", ["false", "true"], problems),
        arguments: arguments.unwrap_or_default(),
        wait,
        page_size: number(node, "pagesize", 100, problems),
        format: format(node, problems),
    }
}

fn object_or_name(node: Node<'_, '_>, problems: &mut Problems) -> String {
    let object = optional(node, "object", problems)
        .or_else(|| optional(node, "name", problems))
        .unwrap_or_default();
    if object.is_empty() {
        problems.add(format!("element 'object' is missing in '{}'", name(node)));
    }
    object
}

/// The members of a list that is separated by commas.
fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

fn format(node: Node<'_, '_>, problems: &mut Problems) -> Format {
    optional(node, "returnFormat", problems)
        .map_or(Format::Xml, |text| Format::read(&text, problems))
}

/// Whether an attribute has the second of two words; without it, it has the first.
fn attribute_is(
    node: Node<'_, '_>,
    attribute: &str,
    words: [&str; 2],
    problems: &mut Problems,
) -> bool {
    let text = node.attribute(attribute).unwrap_or(words[0]);
    if !words.contains(&text) {
        problems.add(format!(
            "attribute '{attribute}' must be {} or {}, not '{text}'",
            words[0], words[1]
        ));
    }
    text == words[1]
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
