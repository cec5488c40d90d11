//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use intacct_sync_examples::simulated::Scale;

/// Brings a company's books from Sage Intacct into a dataset of BigQuery, and proves that they are the same.
///
/// With --sandbox both sides are simulated on this machine, and there is nothing to configure. Otherwise a
/// configuration file in TOML names company and dataset:
///
///   folder = "sync-data"             # ledger and spool; keep it
///   streams = ["gl_detail", "vendor"]  # all of them where this line is missing
///   [intacct]
///   company = "ACME"
///   user = "sync"
///   sender = "acme-sender"
///   [bigquery]
///   project = "acme-warehouse"       # runs the jobs and pays for them
///   dataset = "sage_intacct"         # has to be there
///   key_file = "key.json"            # without it: Application Default Credentials
///   mode = "staged_merge"            # or "streaming"
///
/// Intacct's passwords come from the environment alone: INTACCT_SENDER_PASSWORD and INTACCT_USER_PASSWORD.
/// The account needs roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project.
///
/// Exits with 0 only if every stream is complete and equals the source by counts and sums, and the ledger is
/// intact. Stopped at any moment and started again it goes on where it was.
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "the help shows tables of TOML, which look like links"
)]
#[derive(Clone, Debug, Parser)]
#[command(name = "intacct_to_bigquery", version, verbatim_doc_comment)]
#[command(group(ArgGroup::new("between").required(true).args(["sandbox", "config"])))]
pub(crate) struct Options {
    /// Simulates both sides.
    #[arg(long)]
    pub(crate) sandbox: bool,

    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Only looks whether all is well and what would be made; changes nothing in Intacct, and in BigQuery makes
    /// and removes one empty table.
    #[arg(long, requires = "config")]
    pub(crate) check: bool,

    /// How many ledger lines the simulated company has.
    #[arg(long, default_value = "tiny", value_enum, conflicts_with = "config")]
    pub(crate) scale: Scale,

    /// The simulated company is a function of this number.
    #[arg(
        long,
        default_value_t = 42,
        value_name = "N",
        conflicts_with = "config"
    )]
    pub(crate) seed: u64,

    /// Streams rows instead of loading them.
    #[arg(long, conflicts_with = "config")]
    pub(crate) streaming: bool,

    /// Prints one JSON document instead of tables, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}
