//! Whom to ask: a real company, or a simulated one.

use anyhow::{Context as _, Result};
use intacct_client::{Client, ClientConfig, Credentials, EndpointTrust, Sender, User};
use intacct_sim::{RunningSimulator, Simulator};
use intacct_sync_examples::simulated;

use crate::options::Options;

pub(crate) struct Connection {
    client: Client,
    /// Runs in this process, where the company is simulated.
    simulator: Option<RunningSimulator>,
}

impl Connection {
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        let mut simulator = None;
        let mut config = match (&options.company, &options.gateway) {
            (Some(company), _) => settings(company, options)?,
            (None, Some(gateway)) => simulated::settings(gateway),
            (None, None) => {
                if !options.json {
                    eprintln!("No --company: exploring a simulated one.");
                }
                let started = Simulator::builder()
                    .seed(options.seed)
                    .scale(options.scale.into())
                    .start()
                    .await?;
                let config = simulated::settings(started.url());
                simulator = Some(started);
                config
            }
        };
        config.credentials.entity_id.clone_from(&options.entity);
        let client = Client::new(config)?;
        Ok(Self { client, simulator })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn close(self) {
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
    }
}

fn settings(company: &str, options: &Options) -> Result<ClientConfig> {
    let sender = Sender {
        id: given(&options.sender, "--sender")?,
        password: secret("INTACCT_SENDER_PASSWORD")?,
    };
    let user = User {
        company_id: company.into(),
        id: given(&options.user, "--user")?,
        password: secret("INTACCT_USER_PASSWORD")?,
    };
    let config = ClientConfig::new(Credentials::new(sender, user));
    Ok(match &options.gateway {
        Some(gateway) => config.with_endpoint(gateway, EndpointTrust::SameHost),
        None => config,
    })
}

fn given(option: &Option<String>, name: &str) -> Result<String> {
    option
        .clone()
        .with_context(|| format!("--company needs {name} too"))
}

fn secret<S: From<String>>(variable: &str) -> Result<S> {
    let password = std::env::var(variable)
        .with_context(|| format!("set {variable} in the environment to the password"))?;
    Ok(password.into())
}
