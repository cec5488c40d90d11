//! Account balances: read whole, one reporting period after the other.
//!
//! GLACCOUNTBALANCE is documented through `readByQuery` only, and only with the name of a
//! budgetable reporting period (developer.intacct.com, Account Balances).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use intacct_xml::request::{FieldList, Order, Query, ReadByQuery, quote_literal};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use sync_core::ledger_check::{BalanceColumns, LedgerCheck, LineColumns, PeriodColumns};
use sync_core::{Condition, Error, ErrorKind, Result, SourceBatch, StreamDescriptor, StreamName};

use super::contract::{Contract, name_of};
use super::discovery::{Denied, Known};
use super::options::Books;
use super::{is_absent, request_error};
use crate::Client;

/// The check of ledger lines against balances, where the company has all that it needs.
///
/// What is debited stands in TOTDEBIT, and what adjusting journals debit in TOTADJDEBIT; a book's lines are
/// taken for the sum of both.
pub(super) fn check(found: &BTreeMap<StreamName, Known>) -> Option<LedgerCheck> {
    let descriptor = |name: &str| {
        let known = found.iter().find(|(stream, _)| stream.as_str() == name);
        known.map(|(_, known)| &known.contract.descriptor)
    };
    let has = |stream: &StreamDescriptor, names: &[&str]| {
        names.iter().all(|name| stream.field(name).is_ok())
    };
    let (lines, balances, periods) = (
        descriptor("gl_detail")?,
        descriptor("gl_account_balance")?,
        descriptor("reporting_period")?,
    );
    let place = ["bookid", "accountno", "locationid"];
    let of_lines = ["entry_date", "debitamount", "creditamount"];
    let of_balances = ["period", "openbal", "totdebit", "totcredit", "endbal"];
    let of_periods = ["name", "start_date", "end_date"];
    let is_whole = has(lines, &place)
        && has(lines, &of_lines)
        && has(balances, &place)
        && has(balances, &of_balances)
        && has(periods, &of_periods);
    let place = place.map(str::to_owned);
    let with_adjustments = |names: [&str; 2]| {
        let held = names.into_iter().filter(|name| has(balances, &[name]));
        held.map(str::to_owned).collect()
    };
    is_whole.then(|| LedgerCheck {
        lines: LineColumns {
            stream: lines.name.clone(),
            place: place.clone(),
            day: "entry_date".to_owned(),
            debit: "debitamount".to_owned(),
            credit: "creditamount".to_owned(),
            counted: has(lines, &["entry_state"]).then(|| Condition::is("entry_state", POSTED)),
        },
        balances: BalanceColumns {
            stream: balances.name.clone(),
            place,
            period: "period".to_owned(),
            opening: "openbal".to_owned(),
            debits: with_adjustments(["totdebit", "totadjdebit"]),
            credits: with_adjustments(["totcredit", "totadjcredit"]),
            ending: "endbal".to_owned(),
        },
        periods: PeriodColumns {
            stream: periods.name.clone(),
            name: "name".to_owned(),
            first: "start_date".to_owned(),
            last: "end_date".to_owned(),
        },
    })
}

/// The state of lines that count in balances, as answers and filters name it.
const POSTED: &str = "Posted";

#[derive(Deserialize)]
struct Period {
    #[serde(rename = "NAME")]
    name: Option<String>,
    #[serde(rename = "BUDGETING")]
    budgetable: Option<bool>,
}

/// The balances of all budgetable periods.
pub(super) fn read(
    client: Client,
    contract: Arc<Contract>,
    books: Books,
) -> impl Stream<Item = Result<SourceBatch>> + Send + 'static {
    let of_client = client.clone();
    let names = stream::once(async move { periods(&of_client).await });
    let names = names
        .map_ok(|names| stream::iter(names).map(Ok::<_, Error>))
        .try_flatten();
    names
        .map_ok(move |name| of_period(&client, &contract, &name, &books))
        .try_flatten()
}

async fn periods(client: &Client) -> Result<Vec<String>> {
    let field = |name: &str| name_of(FieldName::new(name));
    let object = name_of(ObjectName::new("REPORTINGPERIOD"))?;
    let query = Query::new(object, [field("NAME")?, field("BUDGETING")?])
        .map_err(request_error)?
        .with_order([
            Order::ascending(field("START_DATE")?),
            Order::ascending(field("NAME")?),
        ]);
    let pages: Vec<_> = client.query_as::<Period>(query).try_collect().await?;
    let periods = pages.into_iter().flat_map(|page| page.records);
    Ok(periods
        .filter(|it| it.budgetable == Some(true))
        .filter_map(|it| it.name)
        .collect())
}

fn of_period(
    client: &Client,
    contract: &Arc<Contract>,
    period: &str,
    books: &Books,
) -> BoxStream<'static, Result<SourceBatch>> {
    let pages = asked(contract, period, books).map(|read| {
        client
            .read_by_query_batches(read, Arc::clone(&contract.wire_schema))
            .map_err(Error::from)
    });
    let contract = Arc::clone(contract);
    let pages = match pages {
        Ok(pages) => pages.left_stream(),
        Err(error) => stream::once(async { Err(error) }).right_stream(),
    };
    pages
        .and_then(move |page| {
            let contract = Arc::clone(&contract);
            async move {
                let mut batch = SourceBatch::new(contract.as_described(page.records.batch, None)?);
                let rejected = page.records.rejected.into_iter();
                batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
                Ok(batch)
            }
        })
        .boxed()
}

fn asked(contract: &Contract, period: &str, books: &Books) -> Result<ReadByQuery> {
    let quoted = |text: &str| quote_literal(text).map_err(request_error);
    let mut condition = format!("PERIOD = {}", quoted(period)?);
    if let Books::Only(ids) = books {
        let ids = ids
            .iter()
            .map(|id| quoted(id))
            .collect::<Result<Vec<_>>>()?;
        condition.push_str(&format!(" AND BOOKID in ({})", ids.join(", ")));
    }
    let fields = FieldList::Named(contract.select.clone());
    Ok(ReadByQuery::new(contract.object.clone(), condition).with_fields(fields))
}

/// Whether the user may read balances: one of the first period tells.
pub(super) async fn probe(
    client: &Client,
    contract: &Contract,
    books: &Books,
) -> Result<Option<Denied>> {
    let periods = match periods(client).await {
        Ok(periods) => periods,
        Err(error) if error.kind() == ErrorKind::Permission => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(period) = periods.first() else {
        return Ok(None);
    };
    let asked = asked(contract, period, books)?;
    let asked = asked.with_page_size(1).map_err(request_error)?;
    match client.call(asked).await {
        Ok(_) => Ok(None),
        Err(error) if is_absent(&error) => Ok(Some(Denied::new(contract.object.as_str(), error))),
        Err(error) => Err(error.into()),
    }
}
