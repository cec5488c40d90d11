//! The command line.

use std::path::PathBuf;

use clap::Parser;
use intacct_sync_examples::simulated::Scale;

/// Moves a simulated company's books from Sage Intacct into a SQLite file or a Postgres database,
/// twice, and proves that they are the same.
///
/// Exits with 0 only if the destination equals the books, record for record and to the cent.
#[derive(Clone, Debug, Parser)]
#[command(name = "quickstart", version)]
pub(crate) struct Options {
    /// Where finance.db, the ledger and the spool are kept. Started again with the same folder, it
    /// goes on from there.
    #[arg(long, default_value = "quickstart-data", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// The company is a function of this number.
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub(crate) seed: u64,

    /// How many ledger lines the company has.
    #[arg(long, default_value = "small", value_enum)]
    pub(crate) scale: Scale,

    /// Writes to the schema `sage_intacct` of a Postgres database instead of finance.db. The file holds
    /// the connection string, such as `postgres://user:password@host/database`.
    #[arg(long, value_name = "FILE", env = "QUICKSTART_POSTGRES_URL_FILE")]
    pub(crate) postgres_url_file: Option<PathBuf>,

    /// Prints one JSON document instead of tables, and no progress.
    #[arg(long)]
    pub(crate) json: bool,

    /// Reads from an intacct-sim that is running already and that nothing has changed yet, with the
    /// same seed and scale, instead of starting one.
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
}

impl Options {
    /// Where the books go, for people.
    pub(crate) fn destination(&self) -> String {
        match self.postgres_url_file {
            Some(_) => "schema sage_intacct of the Postgres database".to_owned(),
            None => self.database().display().to_string(),
        }
    }

    /// The SQLite file.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("finance.db")
    }
}
