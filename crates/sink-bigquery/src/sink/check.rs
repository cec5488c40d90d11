//! What a person must know before a run.

use sync_core::{Finding, Severity};
use time::Duration;

use super::bookkeeping;
use super::options::Mode;
use super::request::Request;
use super::resource;
use super::warehouse::Warehouse;
use crate::client::names::Location;
use crate::client::{Field, FieldType, Table, TableSchema};
use crate::{ErrorKind, Reason};

/// Further apart, and times of BigQuery and of this machine tell different stories.
const TOLERANCE: Duration = Duration::seconds(5);

/// How long the table lives by which the right to make tables is tried, where it cannot be removed again.
const PROBE_LIFE: Duration = Duration::hours(1);

/// Looks at the dataset, its location, the rights to run jobs and to make tables, and the clock.
///
/// Whether tables may be made BigQuery tells only whoever makes one: an empty one is made, and removed.
pub(super) async fn check(warehouse: &Warehouse) -> Vec<Finding> {
    let dataset = &warehouse.options().dataset;
    let subject = format!("dataset {dataset} of BigQuery");
    let mut findings = Vec::new();
    match warehouse.client().datasets().get(dataset).await {
        Ok(there) => {
            let location = there
                .location
                .as_ref()
                .map_or("an unknown location", Location::as_str);
            let told =
                format!("it lies in {location}, where all jobs run; it never moves from there");
            findings.push(Finding::new(Severity::Info, &subject, told));
            let asked = warehouse.client().location();
            if let (Some(asked), Some(lies)) = (asked, &there.location)
                && !asked.as_str().eq_ignore_ascii_case(lies.as_str())
            {
                let what = format!("jobs are to run in {asked}, and the dataset lies in {lies}");
                let remedy = "name the dataset's location, or none, and it is asked for";
                findings.push(Finding::new(Severity::Failure, &subject, what).remedy(remedy));
                return findings;
            }
            if there.default_table_expiration_ms.is_some() {
                let what = "new tables remove themselves after a time, and the books with them";
                let remedy = "switch off the dataset's default expiration of tables";
                findings.push(Finding::new(Severity::Failure, &subject, what).remedy(remedy));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (severity, remedy) = match &warehouse.options().create_dataset_in {
                Some(_) => (
                    Severity::Info,
                    "it is made when the first stream is prepared",
                ),
                None => (
                    Severity::Failure,
                    "make it in the location that the data must stay in",
                ),
            };
            let what = "the dataset does not exist";
            findings.push(Finding::new(severity, &subject, what).remedy(remedy));
            return findings;
        }
        Err(error) => {
            findings.push(unable(&subject, "the dataset cannot be looked at", &error));
            return findings;
        }
    }
    jobs(warehouse, &subject, &mut findings).await;
    tables(warehouse, &subject, &mut findings).await;
    if warehouse.options().mode == Mode::Streaming {
        let what = "rows are streamed, which BigQuery charges for by the byte; the default mode loads free of charge";
        findings.push(Finding::new(Severity::Info, &subject, what));
    }
    findings
}

/// The right to run jobs, and the clock.
async fn jobs(warehouse: &Warehouse, subject: &str, findings: &mut Vec<Finding>) {
    let asked = Request::new("SELECT CURRENT_TIMESTAMP() AS `now`");
    let client = match warehouse.jobs().await {
        Ok(client) => client,
        Err(error) => {
            findings.push(Finding::new(Severity::Failure, subject, error.chain()));
            return;
        }
    };
    let asked = match asked.query() {
        Ok(asked) => asked,
        Err(error) => {
            return findings.push(Finding::new(Severity::Failure, subject, error.chain()));
        }
    };
    let asked = async { client.query(asked).await?.all().await };
    let rows = match asked.await {
        Ok(rows) => rows,
        Err(error) => {
            let what = "no job can be run";
            let finding = unable(subject, what, &error);
            findings.push(finding.remedy("grant roles/bigquery.jobUser on the project that pays"));
            return;
        }
    };
    let there = rows
        .first()
        .and_then(|row| row.timestamp("now").ok().flatten());
    let apart = there.map(|there| (there - warehouse.client().timing().now()).abs());
    if let Some(apart) = apart.filter(|apart| *apart > TOLERANCE) {
        let what = format!(
            "its clock and this machine's are {} seconds apart",
            apart.whole_seconds()
        );
        let remedy =
            "set this machine's clock by a time server: tokens and the times in tables go by it";
        findings.push(Finding::new(Severity::Warning, subject, what).remedy(remedy));
    }
}

/// The right to make tables, and those of others.
async fn tables(warehouse: &Warehouse, subject: &str, findings: &mut Vec<Finding>) {
    let tables = warehouse.client().tables();
    let name = format!("_sync_check_{:08x}", fastrand::u32(..));
    let probe = match resource::reference(&warehouse.options().dataset, &name) {
        Ok(reference) => reference,
        Err(error) => return findings.push(unable(subject, "no table can be named", &error)),
    };
    let expires = warehouse.client().timing().now() + PROBE_LIFE;
    let millis = i64::try_from(expires.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    let schema = TableSchema::new([Field::new("nothing", FieldType::String)]);
    let table = Table::new(probe.clone())
        .with_schema(schema)
        .with_expiration_time(millis);
    match tables.insert(&table).await {
        Ok(_) => {
            if let Err(error) = tables.delete(&probe).await {
                findings.push(unable(subject, "a table cannot be removed", &error));
            }
        }
        Err(error) if error.reason() == Reason::Duplicate => {}
        Err(error) => {
            let finding = unable(subject, "no table can be made", &error);
            findings.push(finding.remedy("grant roles/bigquery.dataEditor on the dataset"));
            return;
        }
    }
    match tables.list(&warehouse.options().dataset).await {
        Ok(all) => {
            let foreign = all.iter().filter(|it| !resource::is_ours(&it.labels));
            let foreign = foreign.map(|it| it.table_reference.table_id.as_str());
            let foreign: Vec<_> = foreign.filter(|id| *id != name).collect();
            if !foreign.is_empty() {
                let what = format!(
                    "the dataset also holds tables or views that this sync did not make: {}",
                    foreign.join(", ")
                );
                let remedy = "they stay as they are; a stream of the same name would be refused";
                findings.push(Finding::new(Severity::Info, subject, what).remedy(remedy));
            }
            let has_marks = all
                .iter()
                .any(|it| it.table_reference.table_id.as_str() == bookkeeping::BATCHES);
            if !has_marks {
                let what = "nothing was synchronised into it yet";
                findings.push(Finding::new(Severity::Info, subject, what));
            }
        }
        Err(error) => findings.push(unable(subject, "its tables cannot be listed", &error)),
    }
}

fn unable(subject: &str, what: &str, error: &crate::Error) -> Finding {
    Finding::new(Severity::Failure, subject, format!("{what}: {error}"))
}
