//! Asking: whose company it is, and what can be read of each object.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use intacct_client::source::permission_remedy;
use intacct_client::{Client, ErrorKind, Planned, Reason};
use intacct_xml::metadata::ObjectDefinition;
use intacct_xml::request::{
    Call, FieldList, Filter, Order, Query, QueryOptions, ReadByQuery, ReadUserFormatting, Value,
    quote_literal,
};
use intacct_xml::response::Element;
use intacct_xml::{FieldName, ObjectName};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::options::Options;

/// What finance teams ask for, by application.
const FINANCE: [(&str, &[&str]); 5] = [
    (
        "General Ledger",
        &[
            "GLACCOUNT",
            "STATACCOUNT",
            "GLJOURNAL",
            "REPORTINGPERIOD",
            "GLBATCH",
            "GLENTRY",
            "GLDETAIL",
            "GLACCOUNTBALANCE",
        ],
    ),
    (
        "Accounts Payable",
        &["VENDOR", "APBILL", "APBILLITEM", "APPYMT", "APPYMTDETAIL"],
    ),
    (
        "Accounts Receivable",
        &[
            "CUSTOMER",
            "ARINVOICE",
            "ARINVOICEITEM",
            "ARPYMT",
            "ARPYMTDETAIL",
        ],
    ),
    (
        "Company",
        &[
            "LOCATIONENTITY",
            "LOCATION",
            "DEPARTMENT",
            "CLASS",
            "EMPLOYEE",
            "PROJECT",
            "ITEM",
        ],
    ),
    ("Platform", &["AUDITHISTORY"]),
];

/// A view over all ledgers times out without a filter: it is asked for its latest month alone.
const NEVER_WHOLE: [&str; 1] = ["GLDETAIL"];
const LATEST: Duration = Duration::days(31);

/// The company as this user sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Company {
    pub(crate) company: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) entity: Option<String>,
    pub(crate) host: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) gateway_time: OffsetDateTime,
    pub(crate) formatting: Part<Formatting>,
    pub(crate) entities: Part<Vec<Entity>>,
    pub(crate) dimensions: Part<Vec<DimensionSeen>>,
    pub(crate) permissions: Part<Vec<Granted>>,
    pub(crate) objects_known: usize,
    pub(crate) objects: Vec<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forecast: Option<Cost>,
    /// Functions sent, each billed as a transaction.
    pub(crate) calls: u64,
}

/// What reading every readable object with a record number for the first time would take.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) records: u64,
    pub(crate) calls: u64,
    pub(crate) seconds: u64,
    pub(crate) milliseconds_a_call: u64,
}

/// What was asked for, or why it cannot be had.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part<T> {
    Known(T),
    Refused(String),
}

/// How the user sees dates and times.
#[derive(Debug, Serialize)]
pub(crate) struct Formatting {
    pub(crate) locale: Option<String>,
    pub(crate) date_format: Option<String>,
    pub(crate) clock: Option<String>,
    pub(crate) gmt_offset: String,
}

/// An entity of the company.
#[derive(Debug, Serialize)]
pub(crate) struct Entity {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) currency: Option<String>,
    pub(crate) first_fiscal_month: Option<String>,
}

/// A dimension.
#[derive(Debug, Serialize)]
pub(crate) struct DimensionSeen {
    pub(crate) object: String,
    pub(crate) label: Option<String>,
    /// What users of this company call it.
    pub(crate) term: Option<String>,
    pub(crate) user_defined: bool,
    pub(crate) in_ledger: bool,
}

/// What the user may do in an application.
#[derive(Debug, Serialize)]
pub(crate) struct Granted {
    pub(crate) application: String,
    pub(crate) policies: BTreeMap<String, Vec<String>>,
}

/// What can be read of an object.
#[derive(Debug, Serialize)]
pub(crate) struct Object {
    pub(crate) application: Option<&'static str>,
    pub(crate) object: String,
    pub(crate) label: Option<String>,
    #[serde(flatten)]
    pub(crate) access: Access,
    pub(crate) fields: Option<usize>,
    pub(crate) custom_fields: Option<usize>,
}

/// Whether it can be read.
#[derive(Debug, Serialize)]
#[serde(tag = "access", rename_all = "snake_case")]
pub(crate) enum Access {
    Readable {
        /// Records that match `counted`.
        records: Option<u64>,
        /// Which ones were counted, where it is not all.
        counted: Option<String>,
        /// The greatest time of change, as the gateway writes it.
        last_modified: Option<String>,
    },
    Absent,
    Denied {
        why: String,
        remedy: String,
    },
    Failed {
        why: String,
    },
}

/// An object's definition, and what can be read of it.
#[derive(Debug, Serialize)]
pub(crate) struct Described {
    #[serde(flatten)]
    pub(crate) object: Object,
    pub(crate) described: Vec<Field>,
    pub(crate) relations: Vec<Relation>,
}

/// A field.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    pub(crate) custom: bool,
    pub(crate) required: bool,
    pub(crate) values: Vec<String>,
}

/// Where dotted field names lead to.
#[derive(Debug, Serialize)]
pub(crate) struct Relation {
    pub(crate) path: String,
    pub(crate) object: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) by: Option<String>,
}

/// Asks about the company, and about each object in turn.
pub(crate) async fn company(client: &Client, options: &Options) -> Result<Company> {
    let session = client.login().await.context("the login failed")?;
    let known = client
        .objects()
        .await
        .context("the company's objects cannot be listed")?;
    let finance = FINANCE.iter().flat_map(|(application, objects)| {
        objects
            .iter()
            .map(|object| (Some(*application), (*object).to_owned()))
    });
    let mut asked: Vec<_> = finance.collect();
    if options.all {
        let others = known.iter().filter(|known| {
            let mut named = FINANCE.iter().flat_map(|(_, objects)| *objects);
            !named.any(|object| known.name.eq_ignore_ascii_case(object))
        });
        asked.extend(others.map(|other| (None, other.name.clone())));
    }
    let progress = progress(asked.len() as u64, options.json);
    let mut objects = Vec::with_capacity(asked.len());
    for (application, name) in asked {
        progress.set_message(name.clone());
        let label = known
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(&name));
        let label = label.and_then(|known| known.label.clone());
        let object = ObjectName::new(name).context("an object's name cannot be asked for")?;
        let asked = ask(client, &object).await?;
        objects.push(Object {
            application,
            label,
            ..asked.0
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    let forecast = match options.forecast {
        true => Some(forecast(client, &objects).await?),
        false => None,
    };
    let user = session.user_id.clone();
    let user = user.unwrap_or_else(|| client.config().credentials.user.id.clone());
    let formats = ReadUserFormatting::of_login(user.as_str())?;
    let gateway_time = client.source_time().await?.replace_nanosecond(0)?;
    Ok(Company {
        formatting: part(formatting(client, formats).await)?,
        entities: part(entities(client).await)?,
        dimensions: part(dimensions(client).await)?,
        permissions: part(permissions(client, &user).await)?,
        company: session.company_id,
        user: session.user_id,
        entity: session.entity_id,
        host: session.host,
        gateway_time,
        objects_known: known.len(),
        objects,
        forecast,
        calls: client.calls().total().sent,
    })
}

/// Of the objects that are read by record number, and whole.
async fn forecast(client: &Client, objects: &[Object]) -> Result<Cost> {
    let whole = objects
        .iter()
        .filter(|object| matches!(&object.access, Access::Readable { counted: None, .. }));
    let planned = whole.map(|object| {
        let options = QueryOptions {
            show_private: true,
            ..QueryOptions::default()
        };
        let mut planned = Planned::new(ObjectName::new(object.object.as_str())?)?;
        if object.object == "AUDITHISTORY" {
            planned.field = FieldName::new("ID")?;
        }
        Ok(planned.with_options(options))
    });
    let planned = planned.collect::<Result<Vec<_>>>()?;
    let forecast = client
        .forecast(&planned)
        .await
        .context("a forecast cannot be made")?;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Cost {
        records: forecast.objects.iter().map(|object| object.records).sum(),
        calls: forecast.calls,
        seconds: forecast.duration.as_secs(),
        milliseconds_a_call: millis(forecast.pace),
    })
}

/// A refusal is a part of what is found out; a network that is down is not.
fn part<T>(asked: intacct_client::Result<T>) -> Result<Part<T>> {
    match asked {
        Ok(known) => Ok(Part::Known(known)),
        Err(error) => match error.kind() {
            ErrorKind::Permission
            | ErrorKind::Rejected
            | ErrorKind::NotFound
            | ErrorKind::Config => Ok(Part::Refused(said(&error))),
            _ => Err(error.into()),
        },
    }
}

async fn formatting(
    client: &Client,
    user: ReadUserFormatting,
) -> intacct_client::Result<Formatting> {
    let found = client.user_formatting(user).await?;
    Ok(Formatting {
        locale: found.locale,
        date_format: found.date_format,
        clock: found.clock,
        gmt_offset: found.gmt_offset.to_string(),
    })
}

async fn entities(client: &Client) -> intacct_client::Result<Vec<Entity>> {
    let found = client.entity_details().await?;
    let entities = found.into_iter().map(|entity| Entity {
        id: entity.id,
        name: entity.name,
        currency: entity.currency,
        first_fiscal_month: entity.first_fiscal_month,
    });
    Ok(entities.collect())
}

async fn dimensions(client: &Client) -> intacct_client::Result<Vec<DimensionSeen>> {
    let found = client.dimensions().await?;
    let dimensions = found.into_iter().map(|dimension| DimensionSeen {
        object: dimension.object_name,
        label: dimension.label,
        term: dimension.term,
        user_defined: dimension.user_defined,
        in_ledger: dimension.in_ledger,
    });
    Ok(dimensions.collect())
}

async fn permissions(client: &Client, user: &str) -> intacct_client::Result<Vec<Granted>> {
    let found = client.user_permissions(user).await?;
    let granted = found.into_iter().map(|application| Granted {
        application: application.application,
        policies: application
            .policies
            .into_iter()
            .map(|policy| (policy.name, policy.rights))
            .collect(),
    });
    Ok(granted.collect())
}

/// Asks about these objects, field by field.
pub(crate) async fn objects(client: &Client, names: &[String]) -> Result<Vec<Described>> {
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let object = ObjectName::new(name.as_str())
            .with_context(|| format!("{name:?} cannot be the name of an object"))?;
        let (object, definition) = ask(client, &object).await?;
        let (fields, relationships) = match definition {
            Some(definition) => (definition.fields, definition.relationships),
            None => (Vec::new(), Vec::new()),
        };
        let described = fields.into_iter().map(|field| Field {
            name: field.id,
            label: field.label,
            data_type: field.data_type.to_string(),
            custom: field.is_custom,
            required: field.required,
            values: field.valid_values,
        });
        let relations = relationships.into_iter().map(|relation| Relation {
            path: relation.object_path,
            object: relation.object_name,
            kind: relation.relationship_type,
            by: relation.related_by,
        });
        all.push(Described {
            object,
            described: described.collect(),
            relations: relations.collect(),
        });
    }
    Ok(all)
}

/// What the company says about an object: its definition, and a page of one record.
async fn ask(client: &Client, name: &ObjectName) -> Result<(Object, Option<ObjectDefinition>)> {
    let mut object = Object {
        application: None,
        object: name.to_string(),
        label: None,
        access: Access::Absent,
        fields: None,
        custom_fields: None,
    };
    let definition = match client.lookup(name).await {
        Ok(definition) => definition,
        Err(error) => {
            object.access = refused(name, &error)?;
            return Ok((object, None));
        }
    };
    object.fields = Some(definition.fields.len());
    let custom = definition.fields.iter().filter(|field| field.is_custom);
    object.custom_fields = Some(custom.count());
    object.access = match count(client, name, &definition).await {
        Ok(access) => access,
        Err(error) => refused(name, &error.downcast()?)?,
    };
    Ok((object, Some(definition)))
}

/// What a refusal says about the object; errors that are not about it go on.
fn refused(name: &ObjectName, error: &intacct_client::Error) -> Result<Access> {
    Ok(match error.kind() {
        ErrorKind::Permission => Access::Denied {
            why: said(error),
            remedy: permission_remedy(name.as_str(), error),
        },
        _ if error.reason() == Reason::UnknownObject => Access::Absent,
        ErrorKind::Rejected | ErrorKind::Timeout | ErrorKind::Protocol => Access::Failed {
            why: error.to_string(),
        },
        _ => return Err(error.clone()).with_context(|| format!("{name} cannot be asked for")),
    })
}

/// The gateway's own words, as far as it has any.
fn said(error: &intacct_client::Error) -> String {
    let mut texts = error.gateway_errors().iter();
    let text = texts.find_map(|it| it.description2.clone().or_else(|| it.description.clone()));
    text.unwrap_or_else(|| error.to_string())
}

async fn count(
    client: &Client,
    name: &ObjectName,
    definition: &ObjectDefinition,
) -> Result<Access> {
    let field = |wanted: &str| {
        let mut fields = definition.fields.iter();
        let found = fields.find(|field| field.id.eq_ignore_ascii_case(wanted));
        found.and_then(|field| FieldName::new(field.id.as_str()).ok())
    };
    let key = field("RECORDNO").or_else(|| field("id"));
    let modified = field("WHENMODIFIED")
        .or_else(|| field("updatedAt"))
        .or_else(|| field("ACCESSTIME"));
    if name.as_str() == "GLACCOUNTBALANCE" {
        return balances(client).await;
    }
    let Some(key) = key.or_else(|| modified.clone()) else {
        let why = "it has neither a record number nor a time of change: not counted".to_owned();
        return Ok(Access::Failed { why });
    };
    let mut select = vec![key];
    select.extend(modified.clone().filter(|modified| *modified != select[0]));
    let options = QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    };
    let mut query = Query::new(name.clone(), select)?
        .with_page_size(1)?
        .with_options(options);
    let mut counted = None;
    if let Some(modified) = &modified {
        query = query.with_order([Order::descending(modified.clone())]);
        if NEVER_WHOLE.contains(&name.as_str()) {
            let since = client.source_time().await? - LATEST;
            let since = Value::instant(since, client.config().source_offset);
            counted = Some(format!("modified in the last {} days", LATEST.whole_days()));
            query = query.with_filter(Filter::greater_than_or_equal_to(modified.clone(), since));
        }
    }
    let (records, first) = page_of_one(client, query).await?;
    let last_modified = modified.zip(first).and_then(|(modified, first)| {
        first
            .text_of(modified.as_str())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    });
    Ok(Access::Readable {
        records,
        counted,
        last_modified,
    })
}

/// Balances have no key and are read by reporting period: those of the last one that has ended.
async fn balances(client: &Client) -> Result<Access> {
    let field = FieldName::new;
    let today = client.source_time().await?.date();
    let ended = Filter::less_than(field("END_DATE")?, today)
        .and(Filter::equal_to(field("BUDGETING")?, true));
    let periods = Query::new(ObjectName::new("REPORTINGPERIOD")?, [field("NAME")?])?
        .with_filter(ended)
        .with_order([Order::descending(field("END_DATE")?)])
        .with_page_size(1)?;
    let (_, period) = page_of_one(client, periods).await?;
    let Some(period) = period.as_ref().and_then(|period| period.text_of("NAME")) else {
        let why = "no budgetable reporting period has ended: balances are read by those".to_owned();
        return Ok(Access::Failed { why });
    };
    let condition = format!("PERIOD = {}", quote_literal(period)?);
    let read = ReadByQuery::new(ObjectName::new("GLACCOUNTBALANCE")?, condition)
        .with_fields(FieldList::Named(vec![field("ACCOUNTNO")?]))
        .with_page_size(1)?;
    let (records, _) = page_of_one(client, read).await?;
    Ok(Access::Readable {
        records,
        counted: Some(format!("of {period}")),
        last_modified: None,
    })
}

/// How many records there are, and the first.
async fn page_of_one(
    client: &Client,
    call: impl Into<Call>,
) -> Result<(Option<u64>, Option<Element>)> {
    let answer = client.call(call).await?;
    let total = answer
        .attributes
        .and_then(|attributes| attributes.total_count);
    Ok((total, answer.records.into_iter().next()))
}

fn progress(length: u64, silent: bool) -> ProgressBar {
    let target = if silent {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
