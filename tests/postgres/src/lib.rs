//! A Postgres of a test binary's own: made in a temporary folder, reached by a Unix socket in it, and
//! gone with the process, however that ends.
//!
//! The server's programs are looked for in the folder that `POSTGRES_BIN` names, in the search path,
//! and where Debian and Homebrew put them. Where there are none, [`Server::shared`] says so and gives
//! none, and the test is skipped; with `POSTGRES_REQUIRED` set it fails instead.
//!
//! Everything here panics where it fails: a test that cannot have its server has failed.
//!
//! ```no_run
//! use intacct_sync_postgres_fixture::Server;
//!
//! let Some(server) = Server::shared() else { return };
//! let database = server.database();
//! // Settings for `tokio_postgres::connect`, or for any client of libpq.
//! println!("{}", database.settings());
//! assert_eq!(database.ask("SELECT 1 + 1"), "2");
//! ```

#[cfg(unix)]
mod server;
#[cfg(unix)]
pub use server::{Database, Disk, Server, Stop};
