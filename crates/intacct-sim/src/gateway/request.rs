//! The request envelope and every function in it, checked against the schema before anything runs
//! (developer.intacct.com, Web services requests).

use roxmltree::{Document, Node};

use super::call::{self, Call};

/// A request that obeys the schema.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) control: Control,
    pub(crate) operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) sender: String,
    pub(crate) password: String,
    pub(crate) control_id: String,
    /// The policy of an asynchronous request.
    pub(crate) policy: Option<String>,
    /// Whether a function control id may be used once only; the gateway's default is yes.
    pub(crate) unique: bool,
    pub(crate) whitespace: bool,
    pub(crate) additional_info: bool,
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) transaction: bool,
    pub(crate) authentication: Authentication,
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug)]
pub(crate) enum Authentication {
    Login {
        user: String,
        company: String,
        password: String,
        location: Option<String>,
    },
    Session(String),
    /// A token, which this gateway never gave to anyone.
    OAuth,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) control_id: String,
    pub(crate) call: Call,
}

/// Everything that is wrong with a document, one sentence a problem.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        // A hostile document has no end of problems; the first ones tell the story.
        if self.0.len() < 50 {
            self.0.push(problem.into());
        }
    }
}

/// Reads the body as XML; a document type declaration is refused, and so is text beside elements.
pub(crate) fn parse(body: &str) -> Result<Document<'_>, Problems> {
    let document =
        Document::parse(body).map_err(|error| Problems(vec![format!("XML error: {error}")]))?;
    let mut problems = Problems::default();
    for node in document.descendants() {
        let is_stray = node.text().is_some_and(|text| !text.trim().is_empty())
            && node.is_text()
            && node
                .parent()
                .is_some_and(|parent| elements(parent).next().is_some());
        if is_stray {
            let parent = node.parent().map_or("", name);
            problems.add(format!(
                "text is not allowed between the elements of '{parent}'"
            ));
        }
    }
    if problems.0.is_empty() {
        Ok(document)
    } else {
        Err(problems)
    }
}

/// The control block, for checking the sender before anything else.
pub(crate) fn control(document: &Document<'_>) -> Result<Control, Problems> {
    let mut problems = Problems::default();
    let root = document.root_element();
    if root.tag_name().name() != "request" {
        problems.add(format!(
            "element '{}' found where 'request' was expected",
            name(root)
        ));
        return Err(problems);
    }
    let Some(control) = elements(root)
        .next()
        .filter(|node| name(*node) == "control")
    else {
        problems.add("'request' must begin with 'control'");
        return Err(problems);
    };
    sequence(
        control,
        &[
            ("senderid", true),
            ("password", false),
            ("controlid", true),
            ("uniqueid", false),
            ("dtdversion", false),
            ("policyid", false),
            ("debug", false),
            ("includewhitespace", false),
            ("showadditionalerrorinfo", false),
        ],
        &mut problems,
    );
    let text = |name: &str| child(control, name).map(text).unwrap_or_default();
    let unique = boolean(control, "uniqueid", true, &mut problems);
    let whitespace = boolean(control, "includewhitespace", true, &mut problems);
    let additional_info = boolean(control, "showadditionalerrorinfo", false, &mut problems);
    let control_id = text("controlid");
    if control_id.is_empty() || control_id.chars().count() > 256 {
        problems.add("'controlid' must have 1 to 256 characters");
    }
    if text("dtdversion") != "3.0" {
        problems.add("'dtdversion' must be 3.0 for these functions");
    }
    if !problems.0.is_empty() {
        return Err(problems);
    }
    Ok(Control {
        sender: text("senderid"),
        password: text("password"),
        control_id,
        policy: Some(text("policyid")).filter(|policy| !policy.is_empty()),
        unique,
        whitespace,
        additional_info,
    })
}

/// The operations behind a control block that was accepted.
pub(crate) fn operations(document: &Document<'_>, control: Control) -> Result<Request, Problems> {
    let mut problems = Problems::default();
    let mut operations = Vec::new();
    for node in elements(document.root_element()).skip(1) {
        if name(node) != "operation" {
            problems.add(format!(
                "element '{}' found where 'operation' was expected",
                name(node)
            ));
            continue;
        }
        operations.extend(operation(node, &mut problems));
    }
    if operations.is_empty() && problems.0.is_empty() {
        problems.add("'request' must hold at least one 'operation'");
    }
    if problems.0.is_empty() {
        Ok(Request {
            control,
            operations,
        })
    } else {
        Err(problems)
    }
}

fn operation(node: Node<'_, '_>, problems: &mut Problems) -> Option<Operation> {
    let transaction = match node.attribute("transaction") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            problems.add(format!(
                "attribute 'transaction' must be true or false, not '{other}'"
            ));
            false
        }
    };
    let mut children = elements(node);
    let Some(first) = children
        .next()
        .filter(|node| name(*node) == "authentication")
    else {
        problems.add("'operation' must begin with 'authentication'");
        return None;
    };
    let authentication = authentication(first, problems);
    let mut functions = Vec::new();
    let mut in_content = false;
    for node in children {
        match name(node) {
            "preferences" if !in_content => {}
            "content" => {
                in_content = true;
                if elements(node).next().is_none() {
                    problems.add("'content' must hold at least one 'function'");
                }
                for node in elements(node) {
                    functions.extend(function(node, problems));
                }
            }
            other => problems.add(format!(
                "element '{other}' is not allowed in 'operation' here"
            )),
        }
    }
    Some(Operation {
        transaction,
        authentication: authentication?,
        functions,
    })
}

fn authentication(node: Node<'_, '_>, problems: &mut Problems) -> Option<Authentication> {
    let mut children = elements(node);
    let (Some(first), None) = (children.next(), children.next()) else {
        problems.add("'authentication' must hold one of 'login', 'sessionid', 'oauth'");
        return None;
    };
    match name(first) {
        "sessionid" => Some(Authentication::Session(leaf(first, problems))),
        "login" => {
            sequence(
                first,
                &[
                    ("userid", true),
                    ("companyid", true),
                    ("password", true),
                    ("clientid", false),
                    ("locationid", false),
                ],
                problems,
            );
            let text = |name: &str| child(first, name).map(text).unwrap_or_default();
            Some(Authentication::Login {
                user: text("userid"),
                company: text("companyid"),
                password: text("password"),
                location: Some(text("locationid")).filter(|location| !location.is_empty()),
            })
        }
        "oauth" => Some(Authentication::OAuth),
        other => {
            problems.add(format!(
                "element '{other}' is not allowed in 'authentication'"
            ));
            None
        }
    }
}

fn function(node: Node<'_, '_>, problems: &mut Problems) -> Option<Function> {
    if name(node) != "function" {
        problems.add(format!(
            "element '{}' is not allowed in 'content'",
            name(node)
        ));
        return None;
    }
    let control_id = node.attribute("controlid").unwrap_or_default();
    if control_id.is_empty() || control_id.chars().count() > 256 {
        problems.add("'function' needs an attribute 'controlid' of 1 to 256 characters");
    }
    let mut children = elements(node);
    let (Some(first), None) = (children.next(), children.next()) else {
        problems.add("'function' must hold exactly one element");
        return None;
    };
    let call = call::read(first, problems)?;
    Some(Function {
        control_id: control_id.to_owned(),
        call,
    })
}

pub(crate) fn name<'x>(node: Node<'x, '_>) -> &'x str {
    node.tag_name().name()
}

pub(crate) fn elements<'x, 'i>(node: Node<'x, 'i>) -> impl Iterator<Item = Node<'x, 'i>> {
    node.children().filter(Node::is_element)
}

pub(crate) fn child<'x, 'i>(node: Node<'x, 'i>, wanted: &str) -> Option<Node<'x, 'i>> {
    elements(node).find(|node| name(*node) == wanted)
}

/// All text of an element, its pieces joined.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    node.children()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect()
}

/// The text of an element that must not hold elements.
pub(crate) fn leaf(node: Node<'_, '_>, problems: &mut Problems) -> String {
    if elements(node).next().is_some() {
        problems.add(format!("element '{}' must hold text only", name(node)));
    }
    text(node)
}

fn boolean(parent: Node<'_, '_>, wanted: &str, default: bool, problems: &mut Problems) -> bool {
    match child(parent, wanted).map(text).as_deref() {
        None => default,
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        Some(other) => {
            problems.add(format!("'{wanted}' must be true or false, not '{other}'"));
            default
        }
    }
}

/// Checks that children are those named, in that order, each at most once; `true` marks those
/// that must be there.
fn sequence(node: Node<'_, '_>, allowed: &[(&str, bool)], problems: &mut Problems) {
    let mut next = 0;
    for part in elements(node) {
        match allowed.iter().position(|(wanted, _)| *wanted == name(part)) {
            Some(place) if place >= next => {
                let missing = allowed[next..place]
                    .iter()
                    .filter(|(_, required)| *required);
                for (wanted, _) in missing {
                    problems.add(format!(
                        "element '{}' found in '{}' where '{wanted}' was expected",
                        name(part),
                        name(node)
                    ));
                }
                next = place + 1;
                leaf(part, problems);
            }
            Some(_) => problems.add(format!(
                "element '{}' is out of order or repeated in '{}'",
                name(part),
                name(node)
            )),
            None => problems.add(format!(
                "element '{}' is not allowed in '{}'",
                name(part),
                name(node)
            )),
        }
    }
    for (wanted, _) in allowed
        .get(next..)
        .unwrap_or_default()
        .iter()
        .filter(|(_, must)| *must)
    {
        if child(node, wanted).is_none() {
            problems.add(format!("element '{wanted}' is missing in '{}'", name(node)));
        }
    }
}
