//! A server for the time, and what `COPY` alone makes of the rows.

use std::sync::Arc;
use std::time::Duration;

use intacct_sync_postgres_fixture::{Disk, Server};
use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink};
use sync_core::Sink;
use sync_core::encode::CopyRows;

use crate::{Cost, Failure, Start, batches, cpu, lines, load, ranges};

pub(crate) async fn run(rows: usize) -> Result<(), Failure> {
    let Some(server) = Server::start_with(Disk::Awaited) else {
        println!("skipped: no Postgres is found here");
        return Ok(());
    };
    let database = server.database();
    let connection = SecretString::from(database.settings());
    let options = PostgresOptions::default().schema("books");
    let process = std::fs::read_to_string(server.folder().join("data/postmaster.pid"))?;
    let process: u32 = process.lines().next().unwrap_or_default().parse()?;
    let busy = move || cpu::with_children(process);
    load(&PostgresSink::open(&connection, options)?, rows, &busy).await?;

    // A table of its own that our rows fit, so that the same bytes can be copied.
    let options = PostgresOptions::default().schema("copied");
    let sink = PostgresSink::open(&connection, options)?;
    let stream = Arc::new(lines::ledger_lines()?);
    sink.prepare(&sink.plan(&stream).await?).await?;
    for (what, make) in [
        ("COPY alone into a table with a key", "INCLUDING INDEXES"),
        ("COPY alone into a table without one", "EXCLUDING INDEXES"),
    ] {
        database.ask(&format!(
            "DROP TABLE IF EXISTS plain; CREATE TABLE plain (LIKE copied.ledger_line {make});
             ALTER TABLE plain DROP COLUMN _fivetran_synced, DROP COLUMN _fivetran_deleted"
        ));
        let cost = copy_alone(&database.settings(), &stream, rows, &busy).await?;
        cost.say(what, rows);
    }
    Ok(())
}

/// Sends the rows of each batch by one `COPY`, a transaction of its own, straight into a table.
async fn copy_alone(
    settings: &str,
    stream: &Arc<sync_core::StreamDescriptor>,
    rows: usize,
    server: &dyn Fn() -> Duration,
) -> Result<Cost, Failure> {
    let (client, connection) = tokio_postgres::connect(settings, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let mut cost = Cost::default();
    for range in ranges(rows) {
        let batches = batches(stream, range, 0)?;
        let start = Start::now(server);
        for batch in &batches {
            copy(&client, batch).await?;
        }
        cost.add(start, server);
    }
    drop(client);
    connection.await??;
    Ok(cost)
}

async fn copy(client: &tokio_postgres::Client, batch: &sync_core::Batch) -> Result<(), Failure> {
    use futures_util::SinkExt as _;
    let encoder = CopyRows::new(batch.rows())?;
    let copy = client
        .copy_in("COPY plain FROM STDIN (FORMAT binary)")
        .await?;
    let mut copy = std::pin::pin!(copy);
    let mut chunk = CopyRows::HEADER.to_vec();
    let mut row = 0;
    while row < batch.len() {
        row = encoder.append(row..batch.len(), 128 << 10, &mut chunk)?;
        copy.feed(bytes::Bytes::from(std::mem::take(&mut chunk)))
            .await?;
    }
    copy.feed(bytes::Bytes::from_static(CopyRows::TRAILER))
        .await?;
    copy.finish().await?;
    Ok(())
}
