//! Service accounts with a key.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::json;
use sync_http::Timing;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::endpoint::{TokenEndpoint, field};
use super::key::ServiceAccountKey;
use super::{AuthOptions, NewToken, TokenProvider, jwt};
use crate::error::Result;

/// What is signed is true from this long ago, so that a clock that is a little fast does no harm.
const BACKDATED: i64 = 10;

/// What is signed is true for an hour, the longest that Google takes.
const LIFETIME: i64 = 3600;

/// A service account whose signature is exchanged for a token at Google's token endpoint (Google Identity, "Using OAuth 2.0
/// for Server to Server Applications").
#[derive(Debug)]
pub struct ServiceAccount {
    key: ServiceAccountKey,
    scope: String,
    endpoint: TokenEndpoint,
}

impl ServiceAccount {
    /// The account of this key.
    ///
    /// # Errors
    ///
    /// `Config` when the key file names a token endpoint that is neither Google's nor
    /// [trusted](AuthOptions::trusting).
    pub fn new(key: ServiceAccountKey, options: &AuthOptions) -> Result<Self> {
        Ok(Self {
            endpoint: TokenEndpoint::trusted(&key.token_uri, options)?,
            scope: options.scopes.join(" "),
            key,
        })
    }

    fn form(&self) -> Result<Zeroizing<String>> {
        let now = self.endpoint.timing.now().unix_timestamp();
        let issued = now.saturating_sub(BACKDATED);
        let claims = json!({
            "iss": self.key.client_email,
            "scope": self.scope,
            "aud": self.key.token_uri.as_str(),
            "iat": issued,
            "exp": issued.saturating_add(LIFETIME),
        });
        let assertion = jwt::signed(&self.key.pair, self.key.key_id.as_deref(), &claims)?;
        let mut form = Zeroizing::new(String::with_capacity(2048));
        field(
            &mut form,
            "grant_type",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        );
        field(&mut form, "assertion", assertion.expose_secret());
        Ok(form)
    }
}

#[async_trait]
impl TokenProvider for ServiceAccount {
    async fn fetch(&self) -> Result<NewToken> {
        let asked = self.endpoint.post(|| self.form()).await;
        asked.map_err(|error| error.with("account", self.key.client_email.as_str()))
    }
}

/// A service account whose signature is itself the token: no token endpoint to depend on. Not for domain-wide delegation
/// (AIP-4111, "Self-signed JWT").
#[derive(Debug)]
pub struct SelfSigned {
    key: ServiceAccountKey,
    scope: String,
    timing: Timing,
}

impl SelfSigned {
    /// The account of this key.
    #[must_use]
    pub fn new(key: ServiceAccountKey, options: &AuthOptions) -> Self {
        Self {
            key,
            scope: options.scopes.join(" "),
            timing: options.timing.clone(),
        }
    }
}

#[async_trait]
impl TokenProvider for SelfSigned {
    async fn fetch(&self) -> Result<NewToken> {
        let now: OffsetDateTime = self.timing.now();
        let issued = now.unix_timestamp().saturating_sub(BACKDATED);
        let claims = json!({
            "iss": self.key.client_email,
            "sub": self.key.client_email,
            "scope": self.scope,
            "iat": issued,
            "exp": issued.saturating_add(LIFETIME),
        });
        let token = jwt::signed(&self.key.pair, self.key.key_id.as_deref(), &claims)?;
        let lifetime = LIFETIME.saturating_sub(BACKDATED).unsigned_abs();
        Ok(NewToken::new(token, Duration::from_secs(lifetime)))
    }
}
