//! Requests of every function against the vendor's schema, written here a second time.
//!
//! The rules are taken from the vendor's schema and pages, not from the writer: what may stand in an element, in which
//! order and how often. Where the schema takes any order, the rule is the order in which the vendor's own clients write.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use intacct_xml::request::{
    Accounts, Aggregate, AuditKey, Authentication, BalancePeriod, BalanceSelection, Call, Control,
    EntityContext, FieldList, Filter, Function, GetAccountBalances, GetAccountBalancesByDimensions,
    GetApiSession, GetAuditTrail, GetDimensions, GetTrialBalance, GetUserPermissions, Inspect,
    Login, Lookup, Order, Query, QueryOptions, Read, ReadByName, ReadByQuery, ReadEntityDetails,
    ReadMore, ReadRelated, ReadReport, ReadUserFormatting, ReadView, ReportArgument, ReportKind,
    Request, Selection, Statistical, Transaction, Uniqueness,
};
use intacct_xml::{ControlId, FieldName, ObjectName, SessionId};
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeSet;
use time::macros::date;

/// What may stand in an element: parts in this order.
type Rule = &'static [Part];

/// One of some names, at least and at most so many times in a row.
struct Part(&'static [&'static str], usize, usize);

const MANY: usize = usize::MAX;
const CONDITIONS: &[&str] = &[
    "equalto",
    "notequalto",
    "lessthan",
    "lessthanorequalto",
    "greaterthan",
    "greaterthanorequalto",
    "like",
    "notlike",
    "between",
    "in",
    "notin",
    "isnull",
    "isnotnull",
    "and",
    "or",
];
const FUNCTIONS: &[&str] = &[
    "getAPISession",
    "query",
    "readByQuery",
    "readMore",
    "read",
    "readByName",
    "readRelated",
    "readView",
    "readReport",
    "lookup",
    "inspect",
    "getDimensions",
    "readEntityDetails",
    "readUserFormatting",
    "getUserPermissions",
    "getAuditTrail",
    "get_accountbalances",
    "get_accountbalancesbydimensions",
    "get_trialbalance",
];

/// The rule for an element; `None` for one that holds text.
fn rule(name: &str) -> Option<Rule> {
    const DAY: Rule = &[
        Part(&["year"], 1, 1),
        Part(&["month"], 1, 1),
        Part(&["day"], 1, 1),
    ];
    const COMPARISON: Rule = &[Part(&["field"], 1, 1), Part(&["value"], 1, 1)];
    const LIST: Rule = &[Part(&["field"], 1, 1), Part(&["value"], 1, 1000)];
    const NULL: Rule = &[Part(&["field"], 1, 1)];
    const COMBINATION: Rule = &[Part(CONDITIONS, 2, MANY)];
    const BY_KEYS: Rule = &[
        Part(&["object"], 1, 1),
        Part(&["keys"], 1, 1),
        Part(&["fields"], 0, 1),
        Part(&["returnFormat"], 0, 1),
        Part(&["docparid"], 0, 1),
    ];
    Some(match name {
        "request" => &[Part(&["control"], 1, 1), Part(&["operation"], 1, MANY)],
        "control" => &[
            Part(&["senderid"], 1, 1),
            Part(&["password"], 1, 1),
            Part(&["controlid"], 1, 1),
            Part(&["uniqueid"], 0, 1),
            Part(&["dtdversion"], 0, 1),
            Part(&["policyid"], 0, 1),
            Part(&["debug"], 0, 1),
            Part(&["includewhitespace"], 0, 1),
            Part(&["showadditionalerrorinfo"], 0, 1),
        ],
        "operation" => &[
            Part(&["authentication"], 1, 1),
            Part(&["preferences"], 0, MANY),
            Part(&["content"], 0, MANY),
        ],
        "authentication" => &[Part(&["login", "sessionid", "oauth"], 1, 1)],
        "login" => &[
            Part(&["userid"], 1, 1),
            Part(&["companyid"], 1, 1),
            Part(&["password"], 1, 1),
            Part(&["clientid"], 0, 1),
            Part(&["locationid"], 0, 1),
        ],
        "content" => &[Part(&["function"], 1, MANY)],
        "function" => &[Part(FUNCTIONS, 1, 1)],
        "getAPISession" => &[Part(&["locationid"], 0, 1)],
        "query" => &[
            Part(&["select"], 1, 1),
            Part(&["object"], 1, 1),
            Part(&["docparid"], 0, 1),
            Part(&["filter"], 0, 1),
            Part(&["orderby"], 0, 1),
            Part(&["options"], 0, 1),
            Part(&["pagesize"], 0, 1),
            Part(&["offset"], 0, 1),
        ],
        "select" => &[Part(
            &["field", "count", "avg", "min", "max", "sum"],
            1,
            MANY,
        )],
        "filter" => &[Part(CONDITIONS, 1, 1)],
        "and" | "or" => COMBINATION,
        "between" => &[Part(&["field"], 1, 1), Part(&["value"], 2, 2)],
        "in" | "notin" => LIST,
        "isnull" | "isnotnull" => NULL,
        _ if CONDITIONS.contains(&name) => COMPARISON,
        "orderby" => &[Part(&["order"], 1, MANY)],
        "order" => &[
            Part(&["field"], 1, 1),
            Part(&["ascending", "descending"], 0, 1),
        ],
        "options" => &[
            Part(&["caseinsensitive"], 0, 1),
            Part(&["showprivate"], 0, 1),
            Part(&["returnformat"], 0, 1),
        ],
        "readByQuery" => &[
            Part(&["object"], 1, 1),
            Part(&["query"], 1, 1),
            Part(&["fields"], 0, 1),
            Part(&["pagesize"], 0, 1),
            Part(&["returnFormat"], 0, 1),
            Part(&["docparid"], 0, 1),
        ],
        "readMore" => &[Part(&["object", "view", "reportId", "resultId"], 1, 1)],
        "read" | "readByName" => BY_KEYS,
        "readRelated" => &[
            Part(&["object"], 1, 1),
            Part(&["keys"], 1, 1),
            Part(&["relation"], 1, 1),
            Part(&["fields"], 0, 1),
            Part(&["returnFormat"], 0, 1),
        ],
        "readView" => &[
            Part(&["view"], 1, 1),
            Part(&["pagesize"], 0, 1),
            Part(&["returnFormat"], 0, 1),
            Part(&["filters"], 0, 1),
        ],
        "readReport" => &[
            Part(&["report"], 1, 1),
            Part(&["arguments"], 0, 1),
            Part(&["waitTime"], 0, 1),
            Part(&["pagesize"], 0, 1),
            Part(&["returnFormat"], 0, 1),
            Part(&["listSeparator"], 0, 1),
        ],
        "lookup" => &[Part(&["object"], 1, 1), Part(&["docparid"], 0, 1)],
        "inspect" => &[Part(&["object"], 1, 1)],
        "getDimensions" | "readEntityDetails" => &[],
        "readUserFormatting" => &[Part(&["key", "userId"], 1, 1)],
        "getUserPermissions" => &[Part(&["userId"], 1, 1)],
        "getAuditTrail" => &[
            Part(&["object"], 1, 1),
            Part(&["recordNo", "objectKey"], 1, 1),
        ],
        "get_accountbalances" => &[
            Part(&["reportingperiodname", "startdate"], 1, 1),
            Part(&["enddate"], 0, 1),
            Part(&["glaccountno", "accountgroupname", "startaccountno"], 0, 1),
            Part(&["endaccountno"], 0, 1),
            Part(&["locationid"], 0, 1),
            Part(&["departmentid"], 0, 1),
            Part(&["showzerobalances"], 0, 1),
            Part(&["reportingbook"], 0, 1),
            Part(&["adjbooks"], 0, 1),
            Part(&["includereportingbook"], 0, 1),
            Part(&["statistical"], 0, 1),
        ],
        "get_accountbalancesbydimensions" => &[
            Part(&["reportingperiodname", "startdate"], 1, 1),
            Part(&["enddate"], 0, 1),
            Part(&["glaccountno", "accountgroupname", "startaccountno"], 0, 1),
            Part(&["endaccountno"], 0, 1),
            Part(&["reportingbook"], 0, 1),
            Part(&["adjbooks"], 0, 1),
            Part(&["includereportingbook"], 0, 1),
            Part(&["statistical"], 0, 1),
            Part(&["departmentid"], 0, 1),
            Part(&["locationid"], 0, 1),
            Part(&["groupby"], 0, 1),
        ],
        "get_trialbalance" => &[
            Part(&["reportingperiodname", "startdate"], 1, 1),
            Part(&["enddate"], 0, 1),
            Part(&["showzerobalances"], 0, 1),
            Part(&["showdeptdetail"], 0, 1),
            Part(&["showlocdetail"], 0, 1),
            Part(&["reportingbook"], 0, 1),
            Part(&["adjbooks"], 0, 1),
            Part(&["includereportingbook"], 0, 1),
            Part(&["statistical"], 0, 1),
            Part(&["departmentid"], 0, 1),
            Part(&["locationid"], 0, 1),
        ],
        "startdate" | "enddate" => DAY,
        "adjbooks" => &[Part(&["adjbook"], 1, MANY)],
        _ => return None,
    })
}

/// Children that have no order among each other: columns, conditions and functions, and the arguments of a report,
/// which are the report's own.
const UNORDERED: &[&str] = &["select", "and", "or", "arguments"];

#[derive(Clone, Debug, PartialEq)]
struct Node {
    name: String,
    children: Vec<Node>,
}

fn parse(document: &str) -> Node {
    let mut reader = Reader::from_str(document);
    let mut open = vec![Node {
        name: String::new(),
        children: Vec::new(),
    }];
    let named = |name: &str| Node {
        name: name.to_owned(),
        children: Vec::new(),
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => open.push(named(tag.name().as_ref())),
            Event::Empty(tag) => open
                .last_mut()
                .unwrap()
                .children
                .push(named(tag.name().as_ref())),
            Event::End(_) => {
                let node = open.pop().unwrap();
                open.last_mut().unwrap().children.push(node);
            }
            Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            _ => {}
        }
    }
}

fn check(node: &Node) -> Result<(), String> {
    if node.name == "arguments" {
        // A standard report takes the function that it runs; others, whatever parameters they have.
        let functions = node.children.iter();
        let mut functions = functions.filter(|child| FUNCTIONS.contains(&child.name.as_str()));
        return functions.try_for_each(check);
    }
    // The condition of a readByQuery is a text under the name of a function.
    let is_condition = node.name == "query" && node.children.is_empty();
    let Some(parts) = rule(&node.name).filter(|_| !is_condition) else {
        return match node.children.first() {
            None => Ok(()),
            Some(child) => Err(format!("{} may not hold {}", node.name, child.name)),
        };
    };
    let mut rest = node.children.as_slice();
    for Part(names, least, most) in parts {
        let found = rest
            .iter()
            .take(*most)
            .take_while(|child| names.contains(&child.name.as_str()));
        let count = found.count();
        if count < *least {
            return Err(format!("{} lacks {names:?} where it belongs", node.name));
        }
        rest = &rest[count..];
    }
    if let Some(child) = rest.first() {
        return Err(format!(
            "{} holds {} where it does not belong",
            node.name, child.name
        ));
    }
    let dates = ["startdate", "enddate"].map(|name| node.children.iter().any(|c| c.name == name));
    if dates[0] != dates[1] {
        return Err(format!("{} has one end of a time", node.name));
    }
    node.children.iter().try_for_each(check)
}

fn object() -> ObjectName {
    ObjectName::new("SODOCUMENT").unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn every_condition() -> Filter {
    let comparisons = [
        Filter::equal_to(field("A"), 1),
        Filter::not_equal_to(field("A"), 1),
        Filter::less_than(field("A"), 1),
        Filter::less_than_or_equal_to(field("A"), 1),
        Filter::greater_than(field("A"), 1),
        Filter::greater_than_or_equal_to(field("A"), 1),
        Filter::like(field("A"), "x%"),
        Filter::not_like(field("A"), "x%"),
        Filter::between(field("A"), 2, 1),
        Filter::one_of(field("A"), 0..2500).unwrap(),
        Filter::none_of(field("A"), 0..2500).unwrap(),
        Filter::is_null(field("A")),
        Filter::is_not_null(field("A"))
            .and(Filter::is_null(field("B")).or(Filter::is_null(field("C")))),
    ];
    Filter::any(comparisons).unwrap()
}

fn balances() -> BalanceSelection {
    let period = BalancePeriod::Days(date!(2026 - 01 - 01), date!(2026 - 01 - 31));
    let mut selection = BalanceSelection::new(period)
        .with_book("ACCRUAL")
        .with_location("100")
        .with_department("D");
    selection.adjustment_books = vec!["GAAP".into(), "TAX".into()];
    selection.include_book = Some(false);
    selection.statistical = Some(Statistical::Exclude);
    selection.zero_balances = Some(true);
    selection
}

fn every_call() -> Vec<Call> {
    let fields = FieldList::Named(FieldName::list(["RECORDNO", "NAME"]).unwrap());
    let select = [
        Selection::Field(field("CURRENCY")),
        Selection::Aggregate(Aggregate::Count, field("RECORDNO")),
        Selection::Aggregate(Aggregate::Sum, field("A")),
    ];
    let query = Query::new(object(), select)
        .unwrap()
        .with_doc_par_id("Sales Order")
        .with_filter(every_condition())
        .with_order([
            Order::ascending(field("X")),
            Order::descending(field("Y.Z")),
        ])
        .with_options(QueryOptions {
            case_insensitive: true,
            show_private: true,
        })
        .with_page_size(7)
        .unwrap()
        .with_offset(14);
    let parts = [
        ReportArgument::new(field("FROM"), date!(2026 - 01 - 01)),
        ReportArgument::new(field("TO"), date!(2026 - 01 - 31)),
    ];
    let by_dimensions = GetAccountBalancesByDimensions::new(balances(), ["location", "department"])
        .unwrap()
        .with_accounts(Accounts::Range("4000".into(), "4999".into()));
    let named = || BalanceSelection::new(BalancePeriod::Named("January".into()));
    vec![
        query.into(),
        Query::new(object(), [field("A")]).unwrap().into(),
        ReadByQuery::new(object(), "A = 'x'")
            .with_fields(fields.clone())
            .with_doc_par_id("D")
            .into(),
        ReadMore::new("r").unwrap().into(),
        ReadMore::report("r").unwrap().into(),
        Read::new(object(), ["1", "2"])
            .unwrap()
            .with_fields(fields.clone())
            .with_doc_par_id("D")
            .into(),
        ReadByName::new(object(), ["V"])
            .unwrap()
            .with_doc_par_id("D")
            .into(),
        ReadRelated::new(object(), field("Rx"), ["1"])
            .unwrap()
            .with_fields(fields)
            .into(),
        ReadView::new("My view")
            .unwrap()
            .with_page_size(10)
            .unwrap()
            .into(),
        ReadReport::new("Mine", ReportKind::Interactive)
            .unwrap()
            .with_arguments([ReportArgument::group(field("DATES"), parts)])
            .with_wait_seconds(30)
            .unwrap()
            .into(),
        ReadReport::new("Theirs", ReportKind::Library)
            .unwrap()
            .into(),
        ReadReport::definition("Mine", ReportKind::Custom)
            .unwrap()
            .into(),
        ReadReport::account_balances(by_dimensions.clone()).into(),
        Lookup::new(object()).with_doc_par_id("D").into(),
        Inspect::objects().into(),
        Inspect::field_names(object()).into(),
        Inspect::fields(object()).into(),
        GetDimensions.into(),
        ReadEntityDetails.into(),
        ReadUserFormatting::of_login("u").unwrap().into(),
        ReadUserFormatting::of_record(7).into(),
        GetUserPermissions::new("u").unwrap().into(),
        GetAuditTrail::new(object(), AuditKey::RecordNumber(1))
            .unwrap()
            .into(),
        GetAuditTrail::new(object(), AuditKey::ObjectKey("k".into()))
            .unwrap()
            .into(),
        GetAccountBalances::new(balances())
            .unwrap()
            .with_accounts(Accounts::One("4000".into()))
            .into(),
        GetAccountBalances::new(named())
            .unwrap()
            .with_accounts(Accounts::Group("Assets".into()))
            .into(),
        by_dimensions.into(),
        GetTrialBalance::new(balances()).unwrap().into(),
        GetTrialBalance::new(named()).unwrap().into(),
    ]
}

fn every_document() -> Vec<Node> {
    let control = || {
        Control::new("sender", "secret", ControlId::new("r").unwrap())
            .unwrap()
            .with_uniqueness(Uniqueness::Once)
            .with_policy_id("policy")
            .with_additional_error_info()
    };
    let login = || {
        let login = Login::new("company", "user", "secret").unwrap();
        let login = login.with_client("client").unwrap();
        Authentication::from(login.with_location("entity").unwrap())
    };
    let session = || Authentication::Session(SessionId::new("s"));
    let function = |id: &str, call: Call| Function::new(ControlId::new(id).unwrap(), call);
    let contexts = [
        EntityContext::Current,
        EntityContext::TopLevel,
        EntityContext::Entity("E".into()),
    ];
    let sessions = contexts.map(|context| {
        let call = GetApiSession::new(context).unwrap();
        Request::new(control(), login(), [function("f", call.into())]).unwrap()
    });
    let calls = every_call().into_iter().map(|call| {
        let pair = [
            function("f-1", call),
            function("f-2", Lookup::new(object()).into()),
        ];
        let request = Request::new(control(), session(), pair).unwrap();
        request.with_transaction(Transaction::Single)
    });
    sessions
        .into_iter()
        .chain(calls)
        .map(|request| parse(&request.to_xml()))
        .collect()
}

#[test]
fn every_request_keeps_the_order_of_the_schema() {
    let documents = every_document();
    let mut written = BTreeSet::new();
    for document in &documents {
        check(document).unwrap();
        let content = &document.children[1].children[1];
        written.extend(
            content
                .children
                .iter()
                .map(|function| function.children[0].name.clone()),
        );
    }
    let every: BTreeSet<String> = FUNCTIONS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(written, every, "there is a document of every function");
}

/// Every document in which two neighbours have changed places.
fn damaged(node: &Node) -> Vec<Node> {
    let mut all = Vec::new();
    let ordered = !UNORDERED.contains(&node.name.as_str());
    for at in 0..node.children.len() {
        let is_function = FUNCTIONS.contains(&node.children[at].name.as_str());
        if node.name == "arguments" && !is_function {
            continue;
        }
        for inner in damaged(&node.children[at]) {
            let mut copy = node.clone();
            copy.children[at] = inner;
            all.push(copy);
        }
        if ordered && at > 0 && node.children[at].name != node.children[at - 1].name {
            let mut copy = node.clone();
            copy.children.swap(at - 1, at);
            all.push(copy);
        }
    }
    all
}

#[test]
fn a_request_with_a_child_moved_is_refused() {
    let mut moved = 0;
    for document in every_document() {
        for damage in damaged(&document) {
            assert!(check(&damage).is_err(), "{damage:#?}");
            moved += 1;
        }
    }
    assert!(moved > 350, "{moved} documents were damaged");
}

#[test]
fn a_request_with_a_child_missing_or_unknown_is_refused() {
    let sound = every_document().remove(3);
    let without = |path: &[usize]| {
        let mut copy = sound.clone();
        let (last, way) = path.split_last().unwrap();
        let parent = way
            .iter()
            .fold(&mut copy, |node, at| &mut node.children[*at]);
        parent.children.remove(*last);
        check(&copy)
    };
    check(&sound).unwrap();
    assert!(without(&[0]).is_err(), "no control");
    assert!(without(&[0, 0]).is_err(), "no sender");
    assert!(without(&[1, 0]).is_err(), "no authentication");
    assert!(without(&[1, 1, 0, 0, 1]).is_err(), "no object");
    let mut unknown = sound.clone();
    unknown.children[1].children[1].children[0].children[0].name = "create".into();
    assert!(check(&unknown).is_err());
}

/// A filter of any shape.
fn any_filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        "[a-z]{0,8}".prop_map(|value| Filter::equal_to(field("A"), value)),
        (any::<i32>(), any::<i32>()).prop_map(|(a, b)| Filter::between(field("A"), a, b)),
        (1..2200_i32).prop_map(|count| Filter::one_of(field("A"), 0..count).unwrap()),
        (1..2200_i32).prop_map(|count| Filter::none_of(field("A"), 0..count).unwrap()),
        Just(Filter::is_null(field("A"))),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| Filter::all(all).unwrap()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|any| Filter::any(any).unwrap()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner).prop_map(|(a, b)| a.or(b)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_filter_can_be_built_that_the_schema_refuses(filter in any_filter()) {
        let query = Query::new(object(), [field("A")]).unwrap().with_filter(filter);
        let control = Control::new("s", "p", ControlId::new("r").unwrap()).unwrap();
        let function = Function::new(ControlId::new("f").unwrap(), query);
        let session = Authentication::Session(SessionId::new("s"));
        let request = Request::new(control, session, [function]).unwrap();
        prop_assert_eq!(check(&parse(&request.to_xml())), Ok(()));
    }
}
