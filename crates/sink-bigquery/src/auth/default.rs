//! Application default credentials: whichever the machine is set up for, in the order that Google's own tools look
//! (Google Cloud documentation, "How Application Default Credentials works").

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::key::{file_type, other_type, read_secret};
use super::{
    AuthOptions, AuthorizedUser, MetadataServer, ServiceAccount, ServiceAccountKey, TokenProvider,
};
use crate::client::names::ProjectId;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

/// Credentials that were found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// What gives tokens.
    pub provider: Arc<dyn TokenProvider>,
    /// The project: `GOOGLE_CLOUD_PROJECT`, else `GCLOUD_PROJECT`, else the key's, else the machine's.
    pub project_id: Option<ProjectId>,
    /// The project that requests count against: `GOOGLE_CLOUD_QUOTA_PROJECT`, else the file's.
    pub quota_project: Option<ProjectId>,
    /// Where they were found, for people.
    pub origin: String,
}

/// Finds credentials, in this order:
///
/// 1. the file that `GOOGLE_APPLICATION_CREDENTIALS` names: a service account's key, or a user's;
/// 2. gcloud's file: `application_default_credentials.json` in `CLOUDSDK_CONFIG`, else in `~/.config/gcloud`
///    (`%APPDATA%\gcloud` on Windows);
/// 3. the metadata server, unless `NO_GCE_CHECK` says `true`.
///
/// # Errors
///
/// - `Config` when a file that is named cannot be used, or there are no credentials at all: the message says what to set.
/// - `Unsupported` when a file is of a type that needs [`TokenProvider`] to be implemented.
pub async fn find_default(environment: &Environment, options: &AuthOptions) -> Result<Found> {
    let named = environment.text("GOOGLE_APPLICATION_CREDENTIALS");
    if let Some(path) = named {
        let origin = format!("GOOGLE_APPLICATION_CREDENTIALS: {path}");
        return from_file(environment, Path::new(&path), origin, options);
    }
    if let Some(path) = environment.gcloud_file().filter(|path| path.is_file()) {
        let origin = format!("gcloud: {}", path.display());
        return from_file(environment, &path, origin, options);
    }
    let skips = environment.text("NO_GCE_CHECK");
    if !skips.is_some_and(|skips| skips.eq_ignore_ascii_case("true")) {
        let server = MetadataServer::new(environment, options)?;
        if server.is_there().await {
            let project_id = match environment.project_id()? {
                Some(project) => Some(project),
                None => Some(server.project_id().await?),
            };
            return Ok(Found {
                provider: Arc::new(server),
                project_id,
                quota_project: environment.quota_project()?,
                origin: "metadata server".to_owned(),
            });
        }
    }
    let message = "no Google credentials were found; name a service account's key file in \
                   GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud auth application-default login, or run on Google \
                   Cloud";
    Err(Error::new(ErrorKind::Config, Reason::Credentials, message)
        .in_phase(sync_http::Phase::NotSent))
}

fn from_file(
    environment: &Environment,
    path: &Path,
    origin: String,
    options: &AuthOptions,
) -> Result<Found> {
    let text = read_secret(path)?;
    let shown = |error: Error| error.with("path", path.display().to_string());
    match file_type(&text).map_err(shown)?.as_deref() {
        Some("service_account") => {
            let key = ServiceAccountKey::from_json(&text).map_err(shown)?;
            let project_id = match environment.project_id()? {
                Some(project) => Some(project),
                None => key.project_id().cloned(),
            };
            Ok(Found {
                provider: Arc::new(ServiceAccount::new(key, options).map_err(shown)?),
                project_id,
                quota_project: environment.quota_project()?,
                origin,
            })
        }
        Some("authorized_user") => {
            let user = AuthorizedUser::from_json(&text, options).map_err(shown)?;
            let quota_project = match environment.quota_project()? {
                Some(project) => Some(project),
                None => user.quota_project().cloned(),
            };
            Ok(Found {
                provider: Arc::new(user),
                project_id: environment.project_id()?,
                quota_project,
                origin,
            })
        }
        other => Err(shown(other_type(other))),
    }
}

/// Environment variables: the process's own, or a test's. `Debug` shows names, not values.
#[derive(Clone)]
pub struct Environment(Option<HashMap<String, String>>);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(None)
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        Self(Some(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }

    /// The variable, if it is set and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        text.filter(|text| !text.is_empty())
    }

    fn project_id(&self) -> Result<Option<ProjectId>> {
        let text = self
            .text("GOOGLE_CLOUD_PROJECT")
            .or_else(|| self.text("GCLOUD_PROJECT"));
        text.map(ProjectId::new).transpose()
    }

    fn quota_project(&self) -> Result<Option<ProjectId>> {
        let text = self.text("GOOGLE_CLOUD_QUOTA_PROJECT");
        text.map(ProjectId::new).transpose()
    }

    fn gcloud_file(&self) -> Option<PathBuf> {
        let folder = match self.text("CLOUDSDK_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None if cfg!(windows) => PathBuf::from(self.text("APPDATA")?).join("gcloud"),
            None => PathBuf::from(self.text("HOME")?).join(".config/gcloud"),
        };
        Some(folder.join("application_default_credentials.json"))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.iter().flat_map(HashMap::keys).collect();
        names.sort();
        f.debug_tuple("Environment").field(&names).finish()
    }
}
