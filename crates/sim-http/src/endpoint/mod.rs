//! The port that a simulator listens on, and the server behind it.

mod connection;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{self, Next};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use self::connection::Connection;
use self::connection::Connections;
use crate::error::{Error, ErrorKind};

/// How long a server that stops waits for the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Where a simulator listens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// The address; port 0 takes a free one. By default that, of the loopback interface.
    pub listen: SocketAddr,
    /// Whether other machines may reach it; simulators protect nothing. Off by default.
    pub allow_remote: bool,
    /// Takes a line about each request: method, path, status, bytes and time taken.
    pub log: Option<fn(&str)>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            log: None,
        }
    }
}

impl Endpoint {
    /// Binds the address.
    ///
    /// # Errors
    /// `Invalid` when the address is not of this machine alone and that was not allowed; `Network`
    /// when it cannot be bound.
    pub async fn bind(&self) -> Result<Bound, Error> {
        let listen = self.listen;
        if !listen.ip().is_loopback() && !self.allow_remote {
            return Err(Error::invalid(format!(
                "{listen} can be reached from elsewhere; allow that, or listen on 127.0.0.1"
            )));
        }
        let listener = TcpListener::bind(listen).await.map_err(|source| {
            Error::new(ErrorKind::Network, format!("cannot listen on {listen}")).because(source)
        })?;
        let address = listener.local_addr().map_err(|source| {
            Error::new(ErrorKind::Network, "the address listened on is not known").because(source)
        })?;
        Ok(Bound {
            listener,
            address,
            log: self.log,
        })
    }
}

/// An address that is bound and not yet answered on.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    log: Option<fn(&str)>,
}

impl Bound {
    /// The address, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on the caller's tokio runtime. Handlers get a [`Connection`] as their `ConnectInfo`.
    pub fn serve(self, router: Router) -> Server {
        let router = match self.log {
            Some(log) => logged(router, log),
            None => router,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let connections = Connections(self.listener);
        let task = tokio::spawn(async move {
            let shutdown = async {
                // A dropped sender stops the server too.
                let _ = stopped.await;
            };
            let router = router.into_make_service_with_connect_info::<Connection>();
            let _ = axum::serve(connections, router)
                .with_graceful_shutdown(shutdown)
                .await;
        });
        Server {
            address: self.address,
            stop: Some(stop),
            task,
        }
    }
}

fn logged(router: Router, log: fn(&str)) -> Router {
    router.layer(middleware::from_fn(
        move |request: Request, next: Next| async move {
            let started = Instant::now();
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let response = next.run(request).await;
            let bytes = response.headers().get(header::CONTENT_LENGTH);
            let bytes = bytes
                .and_then(|bytes| bytes.to_str().ok())
                .unwrap_or("-")
                .to_owned();
            let (status, taken) = (response.status().as_u16(), started.elapsed().as_millis());
            log(&format!(
                "{method} {path} {status} {bytes} bytes {taken} ms"
            ));
            response
        },
    ))
}

/// A server that answers; it stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits until the last answer is out, a second at most: clients
    /// that keep idle connections must not keep the server.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if tokio::time::timeout(LAST_ANSWERS, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }

    /// Serves until the task is stopped from outside.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
