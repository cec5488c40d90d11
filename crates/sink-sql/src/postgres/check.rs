//! What a person must know before a run.

use sync_core::clock::Clock;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{Meaning, meaning, tokio_postgres};
use sync_core::{Finding, Severity};
use time::{Duration, OffsetDateTime};

use super::dialect::Postgres;
use crate::bookkeeping;
use crate::dialect::Dialect as _;

/// Further apart, and times of the server and of this machine tell different stories.
const TOLERANCE: Duration = Duration::seconds(5);

/// Looks at version, encoding, durability, permissions, clock and foreign tables, without changing
/// anything.
pub(super) async fn check(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    subject: &str,
    clock: &dyn Clock,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let looked = async {
        server(transaction, subject, clock, &mut findings).await?;
        permissions(transaction, dialect, subject, &mut findings).await?;
        tables(transaction, dialect, subject, &mut findings).await
    };
    if let Err(cause) = looked.await {
        let Meaning { why, advice, .. } = meaning(&cause);
        let told = cause.as_db_error().map(|told| told.message().to_owned());
        let told = told.unwrap_or_else(|| cause.to_string());
        let message = format!("it cannot be looked at, because {why} ({told})");
        findings.push(Finding::new(Severity::Failure, subject, message).remedy(advice));
    }
    findings
}

/// Version, encoding, durability, clock.
async fn server(
    transaction: &Transaction<'_>,
    subject: &str,
    clock: &dyn Clock,
    findings: &mut Vec<Finding>,
) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT current_setting('server_version'), current_setting('server_encoding'), \
                 current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', \
                 pg_catalog.pg_is_in_recovery(), \
                 (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let row = transaction.query_one(sql, &[]).await?;
    let (version, encoding): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let told = format!("Postgres {version} with encoding {encoding} holds it");
    findings.push(Finding::new(Severity::Info, subject, told));
    if !row.try_get::<_, bool>(2)? {
        let what = "the server does not wait for its disk (fsync or full_page_writes is off)";
        findings
            .push(Finding::new(Severity::Warning, subject, what).remedy(
                "switch both on: after a crash of the machine the database may be damaged",
            ));
    }
    if row.try_get(3)? {
        let what = "the server is a standby, which only reads";
        findings.push(Finding::new(Severity::Failure, subject, what).remedy("name the primary"));
    }
    let there =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(row.try_get::<_, i64>(4)?) * 1000);
    let apart = there.map_or(Duration::MAX, |there| (there - clock.now()).abs());
    if apart > TOLERANCE {
        let what = format!(
            "its clock and this machine's are {} seconds apart",
            apart.whole_seconds()
        );
        findings.push(
            Finding::new(Severity::Warning, subject, what)
                .remedy("set both by a time server, so that times in the tables can be compared"),
        );
    }
    Ok(())
}

async fn permissions(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    subject: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT pg_catalog.has_database_privilege(current_database(), 'CREATE'), \
                 pg_catalog.has_database_privilege(current_database(), 'TEMPORARY'), \
                 (SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') \
                    AND pg_catalog.has_schema_privilege(oid, 'USAGE') \
                  FROM pg_catalog.pg_namespace WHERE nspname = $1), \
                 quote_ident(current_user), quote_ident(current_database())";
    let row = transaction.query_one(sql, &[&dialect.schema()]).await?;
    let (user, database): (String, String) = (row.try_get(3)?, row.try_get(4)?);
    let schema = dialect.identifier(dialect.schema());
    let mut lacks = |what: &str, remedy: String| {
        findings.push(Finding::new(Severity::Failure, subject, what).remedy(remedy));
    };
    match row.try_get::<_, Option<bool>>(2)? {
        None if !row.try_get::<_, bool>(0)? => lacks(
            "the schema does not exist, and the user may not create it",
            format!("CREATE SCHEMA {schema} AUTHORIZATION {user}"),
        ),
        Some(false) => lacks(
            "the user may not create tables in the schema",
            format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {user}"),
        ),
        _ => {}
    }
    if !row.try_get::<_, bool>(1)? {
        lacks(
            "the user may not create temporary tables",
            format!("GRANT TEMPORARY ON DATABASE {database} TO {user}"),
        );
    }
    Ok(())
}

/// Tables of ours that cannot be written, and tables of others.
async fn tables(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    subject: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), tokio_postgres::Error> {
    let mut ours: Vec<String> = bookkeeping::NAMES.map(str::to_owned).into();
    // Who may not read it is told so below.
    let readable = "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), 'SELECT')";
    let columns = dialect.table(bookkeeping::COLUMNS);
    let readable = transaction.query_one(readable, &[&columns]).await?;
    if readable.try_get::<_, Option<bool>>(0)? == Some(true) {
        let sql = format!(
            "SELECT DISTINCT {} FROM {}",
            dialect.identifier("table_name"),
            columns
        );
        for row in transaction.query(&sql, &[]).await? {
            ours.push(row.try_get(0)?);
        }
    }
    let sql = "SELECT held.relname::text, \
                 pg_catalog.has_table_privilege(held.oid, 'SELECT') \
                   AND pg_catalog.has_table_privilege(held.oid, 'INSERT') \
                   AND pg_catalog.has_table_privilege(held.oid, 'UPDATE') \
                   AND pg_catalog.has_table_privilege(held.oid, 'DELETE') \
               FROM pg_catalog.pg_class AS held \
               JOIN pg_catalog.pg_namespace AS space ON space.oid = held.relnamespace \
               WHERE space.nspname = $1 AND held.relkind IN ('r', 'p', 'v', 'm', 'f') \
               ORDER BY 1";
    let (mut closed, mut foreign) = (Vec::new(), Vec::new());
    for row in transaction.query(sql, &[&dialect.schema()]).await? {
        let (name, writable): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        match (ours.contains(&name), writable) {
            (true, true) => {}
            (true, false) => closed.push(name),
            (false, _) => foreign.push(name),
        }
    }
    if !closed.is_empty() {
        let what = format!("the user may not write these tables: {}", closed.join(", "));
        findings.push(
            Finding::new(Severity::Failure, subject, what)
                .remedy("write as the user who made them, or grant all privileges on them"),
        );
    }
    if !foreign.is_empty() {
        let what = format!(
            "the schema also holds tables or views that this sync did not make: {}",
            foreign.join(", ")
        );
        findings.push(
            Finding::new(Severity::Info, subject, what)
                .remedy("they stay as they are; a stream of the same name would be refused"),
        );
    }
    Ok(())
}
