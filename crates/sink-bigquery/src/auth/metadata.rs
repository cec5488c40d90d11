//! Tokens from the machine: Compute Engine, Kubernetes Engine, Cloud Run, Cloud Functions.

use std::time::Duration;

use async_trait::async_trait;
use sync_http::header::{HeaderName, HeaderValue};
use sync_http::{Answer, ProxyMode, Request};
use url::Url;

use super::default::Environment;
use super::endpoint::{TokenEndpoint, token};
use super::{AuthOptions, NewToken, TokenProvider};
use crate::client::names::ProjectId;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

const FLAVOR: &str = "metadata-flavor";

/// The metadata server of a machine on Google Cloud (Compute Engine documentation, "Authenticate workloads using service
/// accounts"). It is on the machine's own network: no TLS, and no proxy.
#[derive(Debug)]
pub struct MetadataServer {
    root: Url,
    scopes: String,
    endpoint: TokenEndpoint,
}

impl MetadataServer {
    /// The server at its usual name, or where `GCE_METADATA_HOST` says.
    ///
    /// # Errors
    ///
    /// `Config` when that is no address.
    pub fn new(environment: &Environment, options: &AuthOptions) -> Result<Self> {
        let host = environment
            .text("GCE_METADATA_HOST")
            .or_else(|| environment.text("GCE_METADATA_ROOT"));
        let host = host.as_deref().unwrap_or("metadata.google.internal");
        let root = Url::parse(&format!("http://{host}/computeMetadata/v1/"))
            .map_err(|source| Error::config("GCE_METADATA_HOST is no host").caused_by(source))?;
        let patience = Duration::from_secs(3);
        let mut asking = options.clone();
        asking.http = asking
            .http
            .with_proxy(ProxyMode::Off)
            .with_timeouts(patience, patience, patience);
        Ok(Self {
            endpoint: TokenEndpoint::new(root.clone(), &asking)?,
            root,
            scopes: options.scopes.join(","),
        })
    }

    /// Whether there is such a server: asked once, answered or not.
    pub async fn is_there(&self) -> bool {
        match self.endpoint.execute(self.request("instance/", &[])).await {
            Ok(answer) => is_metadata(&answer),
            Err(_) => false,
        }
    }

    /// The project that the machine belongs to.
    ///
    /// # Errors
    ///
    /// `Unavailable` when there is no metadata server.
    pub async fn project_id(&self) -> Result<ProjectId> {
        let answer = self.get("project/project-id", &[]).await?;
        let text = std::str::from_utf8(&answer.body).unwrap_or_default();
        ProjectId::new(text.trim())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        self.endpoint
            .ask(|| async {
                let answer = self.endpoint.execute(self.request(path, query)).await?;
                if !is_metadata(&answer) {
                    let message =
                        "what answers is no metadata server; this machine is not on Google Cloud";
                    return Err(Error::new(ErrorKind::Config, Reason::Credentials, message));
                }
                Ok(answer)
            })
            .await
    }

    fn request(&self, path: &str, query: &[(&str, &str)]) -> Request {
        let mut url = self.root.clone();
        url.set_path(&format!("{}{path}", self.root.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let flavor = HeaderName::from_static(FLAVOR);
        Request::get(url).with_header(flavor, HeaderValue::from_static("Google"))
    }
}

#[async_trait]
impl TokenProvider for MetadataServer {
    async fn fetch(&self) -> Result<NewToken> {
        let path = "instance/service-accounts/default/token";
        let query = [("scopes", self.scopes.as_str())];
        self.endpoint
            .ask(|| async {
                let answer = self.endpoint.execute(self.request(path, &query)).await?;
                if !is_metadata(&answer) && answer.status < 500 {
                    let message =
                        "what answers is no metadata server; this machine is not on Google Cloud";
                    return Err(Error::new(ErrorKind::Config, Reason::Credentials, message));
                }
                token(&answer)
            })
            .await
    }
}

fn is_metadata(answer: &Answer) -> bool {
    let flavor = answer.headers.get(FLAVOR);
    flavor.is_some_and(|flavor| flavor.as_bytes().eq_ignore_ascii_case(b"google"))
}
