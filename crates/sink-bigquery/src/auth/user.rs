//! A user's own credentials, as gcloud keeps them.

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::endpoint::{TokenEndpoint, field};
use super::key::{credentials, file_type, other_type};
use super::{AuthOptions, NewToken, TokenProvider};
use crate::client::names::ProjectId;
use crate::error::Result;

/// What `gcloud auth application-default login` leaves behind: a refresh token, exchanged for tokens that last an hour.
pub struct AuthorizedUser {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    quota_project: Option<ProjectId>,
    endpoint: TokenEndpoint,
}

#[derive(Deserialize)]
struct UserFile {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    #[serde(default)]
    quota_project_id: Option<String>,
    #[serde(default)]
    token_uri: Option<String>,
}

impl AuthorizedUser {
    /// The credentials as the JSON text of gcloud's file.
    ///
    /// # Errors
    ///
    /// `Config` when it is not such a file, or names a token endpoint that is neither Google's nor
    /// [trusted](AuthOptions::trusting).
    pub fn from_text(text: &SecretString, options: &AuthOptions) -> Result<Self> {
        Self::from_json(text.expose_secret(), options)
    }

    pub(super) fn from_json(text: &str, options: &AuthOptions) -> Result<Self> {
        match file_type(text)?.as_deref() {
            Some("authorized_user") => {}
            other => return Err(other_type(other)),
        }
        // serde_json may quote what it does not understand; the secrets stay out of the error.
        let file: UserFile = serde_json::from_str(text).map_err(|_| {
            credentials(
                "the file has not all of client_id, client_secret and refresh_token as texts; log in again (gcloud auth \
                 application-default login)",
            )
        })?;
        let token_uri = file
            .token_uri
            .as_deref()
            .unwrap_or("https://oauth2.googleapis.com/token");
        let token_uri = Url::parse(token_uri).map_err(|source| {
            credentials("the token_uri of the file is no address").caused_by(source)
        })?;
        Ok(Self {
            client_id: file.client_id,
            client_secret: file.client_secret.into(),
            refresh_token: file.refresh_token.into(),
            quota_project: file.quota_project_id.map(ProjectId::new).transpose()?,
            endpoint: TokenEndpoint::trusted(&token_uri, options)?,
        })
    }

    /// The project that requests count against, for [`Options`](crate::client::Options).
    #[must_use]
    pub fn quota_project(&self) -> Option<&ProjectId> {
        self.quota_project.as_ref()
    }
}

#[async_trait]
impl TokenProvider for AuthorizedUser {
    async fn fetch(&self) -> Result<NewToken> {
        let form = || {
            let mut form = Zeroizing::new(String::with_capacity(1024));
            field(&mut form, "grant_type", "refresh_token");
            field(&mut form, "client_id", &self.client_id);
            field(
                &mut form,
                "client_secret",
                self.client_secret.expose_secret(),
            );
            field(
                &mut form,
                "refresh_token",
                self.refresh_token.expose_secret(),
            );
            Ok(form)
        };
        self.endpoint.post(form).await
    }
}

impl fmt::Debug for AuthorizedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedUser")
            .field("client_id", &self.client_id)
            .field("quota_project", &self.quota_project)
            .finish_non_exhaustive()
    }
}
