//! The command line.

use clap::Parser;
use intacct_sync_examples::simulated::Scale;

/// Shows what a Sage Intacct user may read: the company, its entities and dimensions, and for each
/// object whether it can be read, how many records it has and when the last one changed.
///
/// With OBJECTs, shows their fields and relations instead.
///
/// Passwords come from the environment alone: INTACCT_SENDER_PASSWORD and INTACCT_USER_PASSWORD.
/// Without --company a simulated company is explored.
#[derive(Clone, Debug, Parser)]
#[command(name = "intacct_explore", version)]
pub(crate) struct Options {
    /// Integration names of objects to show field by field, such as VENDOR or GLDETAIL.
    #[arg(value_name = "OBJECT")]
    pub(crate) objects: Vec<String>,

    /// Asks about every object that the company has, not only the finance ones. Each costs two
    /// calls, and calls are billed.
    #[arg(long, conflicts_with = "objects")]
    pub(crate) all: bool,

    /// Also tells how many calls, and how much time, reading all of it for the first time would
    /// take. Costs one call more for each object that can be read.
    #[arg(long, conflicts_with = "objects")]
    pub(crate) forecast: bool,

    /// The company's id.
    #[arg(long, env = "INTACCT_COMPANY_ID", value_name = "ID", requires_all = ["user", "sender"])]
    pub(crate) company: Option<String>,

    /// The web-services user.
    #[arg(long, env = "INTACCT_USER_ID", value_name = "ID", requires = "company")]
    pub(crate) user: Option<String>,

    /// The web-services sender id.
    #[arg(
        long,
        env = "INTACCT_SENDER_ID",
        value_name = "ID",
        requires = "company"
    )]
    pub(crate) sender: Option<String>,

    /// Looks from inside one entity, not from the top level.
    #[arg(long, env = "INTACCT_ENTITY_ID", value_name = "ID")]
    pub(crate) entity: Option<String>,

    /// Another gateway, such as an intacct-sim that is running already.
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,

    /// Size of the simulated company.
    #[arg(long, default_value = "tiny", value_enum, conflicts_with_all = ["company", "gateway"])]
    pub(crate) scale: Scale,

    /// The simulated company is a function of this number.
    #[arg(long, default_value_t = 42, value_name = "N", conflicts_with_all = ["company", "gateway"])]
    pub(crate) seed: u64,

    /// Prints one JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}
