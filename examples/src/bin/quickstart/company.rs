//! The simulated company: its gateway, what happens in it, and the truth about its records.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use intacct_sim::{RunningSimulator, Simulator};
use serde::{Deserialize, Serialize};

use crate::options::Options;

pub(crate) struct Company {
    gateway: String,
    http: reqwest::Client,
    /// Runs in this process, unless it was there before.
    simulator: Option<RunningSimulator>,
}

/// What happened to the records of one object.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
}

/// What happened in the company, by object.
pub(crate) type Change = BTreeMap<String, Changed>;

impl Company {
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        if let Some(gateway) = &options.gateway {
            return Ok(Self {
                gateway: gateway.clone(),
                http,
                simulator: None,
            });
        }
        let simulator = Simulator::builder()
            .seed(options.seed)
            .scale(options.scale.into())
            .start()
            .await?;
        Ok(Self {
            gateway: simulator.url().to_owned(),
            http,
            simulator: Some(simulator),
        })
    }

    /// The address that a client is pointed at.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Lets a round of changes happen, always the same ones.
    pub(crate) async fn change(&self, round: u32) -> Result<Change> {
        let body = serde_json::json!({ "round": round }).to_string();
        let request = self.http.post(self.control("change")?).body(body);
        let answer = request
            .send()
            .await
            .context("the simulator does not answer")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("the simulator refuses round {round}: {text}");
        }
        serde_json::from_str(&text).context("the simulator's answer is not understood")
    }

    /// Every record of an object as the company has it, in pieces of NDJSON.
    pub(crate) async fn truth(&self, object: &str) -> Result<reqwest::Response> {
        let request = self.http.get(self.control(&format!("objects/{object}"))?);
        let answer = request
            .send()
            .await
            .context("the simulator does not answer")?;
        answer
            .error_for_status()
            .context("the simulator does not show its records")
    }

    pub(crate) async fn stop(self) {
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
    }

    fn control(&self, path: &str) -> Result<String> {
        let root = self
            .gateway
            .split("/ia/")
            .next()
            .filter(|root| root.starts_with("http"));
        let root = root.context("--gateway takes the address that intacct-sim prints")?;
        Ok(format!("{root}/sim/{path}"))
    }
}
