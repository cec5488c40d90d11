//! The simulated company: how large it is, and who may read it.

use std::fmt;

use clap::ValueEnum;
use intacct_client::{ClientConfig, Credentials, EndpointTrust, Sender, User};
use serde::{Deserialize, Serialize};

/// How many ledger lines the company has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// About a thousand.
    Tiny,
    /// About fifty thousand.
    Small,
    /// About a million.
    Medium,
    /// About five million.
    Large,
}

impl From<Scale> for intacct_sim::Scale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Tiny => Self::Tiny,
            Scale::Small => Self::Small,
            Scale::Medium => Self::Medium,
            Scale::Large => Self::Large,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        })
    }
}

/// A client's settings for a simulator at this address, with the credentials that its README prints.
pub fn settings(gateway: &str) -> ClientConfig {
    let sender = Sender {
        id: "sim-sender".into(),
        password: "sim-sender-password".into(),
    };
    let user = User {
        company_id: "DEMO".into(),
        id: "sim-user".into(),
        password: "sim-user-password".into(),
    };
    ClientConfig::new(Credentials::new(sender, user))
        .with_endpoint(gateway, EndpointTrust::SameHost)
}
