//! A bounded number of sessions with one database.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
    Timeouts,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::failed;
use crate::error::{Error, ErrorKind, Phase, Result, Retry};

/// `trim_scale` came with this version (postgresql.org, Release 13).
const OLDEST_VERSION: u32 = 130_000;

/// How sessions with a database are opened, and how long they wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// The most sessions at the same time. 4 by default.
    pub sessions: usize,
    /// How long opening a session may take. 10 seconds by default.
    pub connect_timeout: Duration,
    /// How long a statement waits for another's lock before it fails with
    /// [`ErrorKind::Conflict`]. 60 seconds by default.
    pub lock_timeout: Duration,
    /// How long a statement may take before it fails with [`ErrorKind::Timeout`]. 10 minutes by
    /// default.
    pub statement_timeout: Duration,
    /// A file of certificates in PEM form of authorities that vouch for the server, besides those
    /// that this machine trusts.
    pub certificate_authorities: Option<PathBuf>,
    /// What the server shows beside the session, at most 63 bytes.
    pub application_name: String,
    /// The schema in which names without one are looked for; the server's own default where there is
    /// none.
    pub search_path: Option<String>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            sessions: 4,
            connect_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(60),
            statement_timeout: Duration::from_secs(600),
            certificate_authorities: None,
            application_name: "intacct-sync".to_owned(),
            search_path: None,
        }
    }
}

/// A session that goes back to its [`Database`] when it is dropped; what it had begun is rolled
/// back.
pub type Session = Client;

/// One database, and the sessions with it.
///
/// Cloning gives another handle on the same sessions.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    shown: Arc<str>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Takes a connection string, in one of the forms that `libpq` takes (postgresql.org,
    /// Connection Strings): `postgres://user:password@host/database` or
    /// `host=... dbname=... user=... password=...`. Connects to nothing yet.
    ///
    /// With `sslmode=disable` nothing is encrypted; with `sslmode=require` everything is, and the
    /// server must show a certificate for its name from an authority that is trusted. Without
    /// either, a server on another machine must, and one on this machine need not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the string or the file of authorities cannot be read.
    pub fn new(connection: &SecretString, options: &ConnectionOptions) -> Result<Self> {
        // The cause is left out: it can name a part of the string, and so of the password.
        let mut config: Config = connection.expose_secret().parse().map_err(|_| {
            let what = "the connection string cannot be read: write \
                        postgres://user:password@host:5432/database, with reserved characters of \
                        the password as %XX";
            Error::new(ErrorKind::Config, what)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            let what = "the connection string names no host: add one, or the folder of a socket";
            return Err(Error::new(ErrorKind::Config, what));
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            // Who stands between could answer that the server does not encrypt.
            let local = is_local(&config);
            config.ssl_mode(if local {
                SslMode::Prefer
            } else {
                SslMode::Require
            });
        }
        config
            .connect_timeout(options.connect_timeout)
            .application_name(&options.application_name);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(60));
        }
        let shown = shown(&config);
        let manager = Manager::from_config(
            config,
            MakeRustlsConnect::new(tls(options)?),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let settings = settings(options);
        let set_up = Hook::async_fn(move |session: &mut deadpool_postgres::ClientWrapper, _| {
            let settings = settings.clone();
            Box::pin(async move {
                let asked = session.simple_query(&settings).await;
                let answer = asked.map_err(HookError::Backend)?;
                refuse_unfit(&answer).map_err(HookError::message)
            })
        });
        let pool = Pool::builder(manager)
            .max_size(options.sessions.max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: None,
                // `connect_timeout` ends before the server has been heard of.
                create: Some(options.connect_timeout),
                recycle: Some(options.connect_timeout),
            })
            .post_create(set_up)
            .build()
            .map_err(|cause| {
                Error::new(ErrorKind::Internal, "the sessions cannot be set up").caused_by(cause)
            })?;
        Ok(Self {
            pool,
            shown: shown.into(),
        })
    }

    /// Host, port and database, for people: never the user's password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A session, as soon as one is free.
    ///
    /// # Errors
    ///
    /// What [`failed`](super::failed) makes of a refusal; [`ErrorKind::Timeout`] where the server
    /// does not answer, [`ErrorKind::Unsupported`] where its version or its encoding does not do.
    pub async fn session(&self) -> Result<Session> {
        let opened = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(cause) | PoolError::PostCreateHook(HookError::Backend(cause)) => {
                failed("the database cannot be reached", cause).in_phase(Phase::NotSent)
            }
            PoolError::PostCreateHook(HookError::Message(what)) => {
                Error::new(ErrorKind::Unsupported, what)
            }
            PoolError::Timeout(_) => Error::new(
                ErrorKind::Timeout,
                "the database did not answer in time: check host, port and network",
            )
            .retrying(Retry::Backoff),
            other => Error::new(ErrorKind::Internal, "no session can be had").caused_by(other),
        });
        opened.map_err(|error| error.with("database", &*self.shown))
    }
}

/// Statements that make a session what ours rely on, whatever the server's defaults; they also ask
/// for what [`refuse_unfit`] judges.
///
/// The server looks every second whether the other side is still there, where it can (since version
/// 14), so that the locks of a process that has died are soon free.
fn settings(options: &ConnectionOptions) -> String {
    let milliseconds = |time: Duration| time.as_millis().min(i32::MAX as u128);
    let search_path = options.search_path.as_ref().map(|schema| {
        let quoted = schema.replace('"', "\"\"");
        format!("SET search_path = \"{quoted}\"; ")
    });
    format!(
        "{}SET client_min_messages = warning; \
         SET timezone = 'UTC'; \
         SET datestyle = 'ISO, YMD'; \
         SET lock_timeout = {}; \
         SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; \
         SELECT set_config('synchronous_commit', 'on', false) \
           WHERE current_setting('synchronous_commit') = 'off'; \
         SELECT set_config(name, '1000', false) FROM pg_catalog.pg_settings \
           WHERE name = 'client_connection_check_interval'; \
         SELECT current_setting('server_version_num'), current_setting('server_encoding')",
        search_path.unwrap_or_default(),
        milliseconds(options.lock_timeout),
        milliseconds(options.statement_timeout),
        milliseconds(options.statement_timeout),
    )
}

/// Refuses a server that would not do, with a reason.
fn refuse_unfit(answer: &[SimpleQueryMessage]) -> Result<(), String> {
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let Some(last) = rows.last().filter(|row| row.len() == 2) else {
        return Err("the server does not say what it is".to_owned());
    };
    let version = last.get(0).and_then(|version| version.parse::<u32>().ok());
    if version.is_none_or(|version| version < OLDEST_VERSION) {
        return Err("the server is older than Postgres 13: use a newer one".to_owned());
    }
    match last.get(1) {
        Some("UTF8") => Ok(()),
        other => Err(format!(
            "the database's encoding is {}, which cannot hold every text: create one with ENCODING \
             'UTF8'",
            other.unwrap_or("unknown")
        )),
    }
}

/// Whether nobody can stand between: a socket, or this machine's own address.
fn is_local(config: &Config) -> bool {
    if !config.get_hostaddrs().is_empty() {
        return config
            .get_hostaddrs()
            .iter()
            .all(|address| address.is_loopback());
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let mut shown = hosts.collect::<Vec<_>>().join(",");
    if shown.is_empty() {
        let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
        shown = addresses.collect::<Vec<_>>().join(",");
    }
    for port in config.get_ports() {
        shown.push_str(&format!(":{port}"));
    }
    let database = config.get_dbname().or(config.get_user());
    format!("{shown} {}", database.unwrap_or_default())
}

/// What the server must prove. The provider is named, because the process-wide default is open
/// where another crate switches on a second one.
fn tls(options: &ConnectionOptions) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let refused = |what: &str| Error::new(ErrorKind::Config, what);
    let mut authorities = Vec::new();
    if let Some(path) = &options.certificate_authorities {
        let shown = path.display().to_string();
        let read = || -> Result<Vec<_>, rustls::pki_types::pem::Error> {
            CertificateDer::pem_file_iter(path)?.collect()
        };
        authorities = read().map_err(|cause| {
            refused("the certificates of the authorities cannot be read")
                .with("path", &shown)
                .caused_by(cause)
        })?;
        if authorities.is_empty() {
            return Err(refused("the file holds no certificate in PEM form").with("path", shown));
        }
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| refused("TLS cannot be set up").caused_by(cause))?;
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(authorities, provider)
        .map_err(|cause| refused("the trusted certificates cannot be read").caused_by(cause))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<Database> {
        Database::new(&SecretString::from(text), &ConnectionOptions::default())
    }

    #[test]
    fn no_part_of_a_password_is_ever_shown() {
        for text in [
            "postgres://books:hunter2@db.example/finance",
            "host=db.example dbname=finance user=books password=hunter2",
        ] {
            let shown = format!("{:?}", opened(text).unwrap());
            assert!(
                shown.contains("db.example") && shown.contains("finance"),
                "{shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        // An unquoted space makes the rest of the password the name of an option.
        for text in [
            "host=db.example password=good hunter2=1",
            "postgres://b:hunter2@db:99999/x",
        ] {
            let error = opened(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?} {}", error.chain()).contains("hunter2"));
        }
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_switched_off() {
        let local = |text: &str| is_local(&text.parse().unwrap());
        assert!(
            local("host=/run/postgresql") && local("host=localhost") && local("host=127.0.0.1")
        );
        assert!(!local("host=db.example") && !local("host=localhost,db.example"));
        assert!(!local("host=localhost hostaddr=192.0.2.1"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_may_be_asked_again() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = nobody.local_addr().unwrap().port();
        drop(nobody);
        let database = opened(&format!("postgres://b:hunter2@127.0.0.1:{port}/x")).unwrap();
        let error = database.session().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            (error.retry(), error.phase()),
            (Retry::Backoff, Phase::NotSent)
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
