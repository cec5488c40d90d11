//! Key files of service accounts.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::SecretDocument;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::client::names::ProjectId;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

/// A key of a service account, from the JSON file that the console hands out. Cheap to clone. `Debug` shows whose it is
/// and not the key.
#[derive(Clone)]
pub struct ServiceAccountKey {
    pub(super) pair: Arc<KeyPair>,
    pub(super) key_id: Option<String>,
    pub(super) client_email: String,
    pub(super) token_uri: Url,
    project_id: Option<ProjectId>,
}

/// The kinds of credentials files there are.
#[derive(Deserialize)]
pub(super) struct FileType {
    #[serde(default, rename = "type")]
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    private_key_id: Option<String>,
    private_key: SecretText,
    client_email: String,
    #[serde(default)]
    token_uri: Option<String>,
}

/// Text that is wiped.
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl ServiceAccountKey {
    /// The key in a file.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be read, or is no key of a service account.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_secret(path)?;
        Self::from_json(&text).map_err(|error| error.with("path", path.display().to_string()))
    }

    /// The key as the JSON text of such a file, or the base64 of it, as it often stands in environment variables.
    ///
    /// # Errors
    ///
    /// `Config` when it is no key of a service account.
    pub fn from_text(text: &SecretString) -> Result<Self> {
        let text = text.expose_secret().trim();
        if text.starts_with('{') {
            return Self::from_json(text);
        }
        let compact: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
        let decoded = STANDARD.decode(compact.as_bytes()).map(Zeroizing::new);
        let decoded = decoded.ok().and_then(|bytes| {
            let text = std::str::from_utf8(&bytes).ok()?;
            Some(Zeroizing::new(text.to_owned()))
        });
        match decoded {
            Some(json) => Self::from_json(&json),
            None => Err(credentials(
                "the service account's key is neither JSON nor the base64 of JSON; give the text of the key file",
            )),
        }
    }

    pub(super) fn from_json(text: &str) -> Result<Self> {
        match file_type(text)?.as_deref() {
            Some("service_account") => {}
            other => return Err(other_type(other)),
        }
        // serde_json may quote what it does not understand; the key stays out of the error.
        let file: KeyFile = serde_json::from_str(text).map_err(|_| {
            credentials(
                "the key file has not all of client_email, private_key and token_uri as texts; download it anew from \
                 the console",
            )
        })?;
        let project_id = file.project_id.map(ProjectId::new).transpose()?;
        let token_uri = file
            .token_uri
            .as_deref()
            .unwrap_or("https://oauth2.googleapis.com/token");
        Ok(Self {
            pair: Arc::new(key_pair(&file.private_key.0)?),
            key_id: file.private_key_id.filter(|id| !id.is_empty()),
            client_email: file.client_email,
            token_uri: Url::parse(token_uri).map_err(|source| {
                credentials("the token_uri of the key file is no address").caused_by(source)
            })?,
            project_id,
        })
    }

    /// Whose key it is.
    #[must_use]
    pub fn client_email(&self) -> &str {
        &self.client_email
    }

    /// The project that the account belongs to.
    #[must_use]
    pub fn project_id(&self) -> Option<&ProjectId> {
        self.project_id.as_ref()
    }
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey")
            .field("client_email", &self.client_email)
            .field("key_id", &self.key_id)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

/// A file whose text is wiped.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    text.map_err(|source| {
        credentials("the credentials file cannot be read; check the path and who may read it")
            .with("path", path.display().to_string())
            .caused_by(source)
    })
}

pub(super) fn file_type(text: &str) -> Result<Option<String>> {
    let file: FileType = serde_json::from_str(text).map_err(|_| {
        credentials("the credentials are no JSON object; download the key file anew")
    })?;
    Ok(file.name)
}

pub(super) fn other_type(name: Option<&str>) -> Error {
    let error = match name {
        Some("authorized_user") => credentials(
            "these are a user's credentials, not a service account's key; use AuthorizedUser, or application default \
             credentials",
        ),
        Some(
            "external_account"
            | "external_account_authorized_user"
            | "impersonated_service_account"
            | "gdch_service_account",
        ) => {
            let message = "this client does not do credentials of this type by itself; implement TokenProvider, for \
                           instance with the crate google-cloud-auth, or use a service account's key";
            Error::new(ErrorKind::Unsupported, Reason::Credentials, message)
        }
        Some(_) => credentials("the credentials are of a type that nobody knows"),
        None => credentials(
            "the JSON has no type and is no credentials file; download the key file anew",
        ),
    };
    let known: String = name.unwrap_or("none").chars().take(40).collect();
    error.with("type", known)
}

pub(super) fn credentials(message: &str) -> Error {
    Error::new(ErrorKind::Config, Reason::Credentials, message).in_phase(sync_http::Phase::NotSent)
}

fn key_pair(pem: &SecretString) -> Result<KeyPair> {
    let unusable = || {
        credentials(
            "the private_key is no RSA key in PEM; line breaks stand in it as \\n, and the whole file is best given as \
             it was downloaded",
        )
    };
    let (label, document) =
        SecretDocument::from_pem(pem.expose_secret()).map_err(|_| unusable())?;
    let pair = match label {
        "PRIVATE KEY" => KeyPair::from_pkcs8(document.as_bytes()),
        "RSA PRIVATE KEY" => KeyPair::from_der(document.as_bytes()),
        _ => return Err(unusable()),
    };
    pair.map_err(|_| unusable())
}
