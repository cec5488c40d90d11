//! What a sink says of a batch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result};
use crate::id::BatchId;

/// Whether a batch can still be lost by the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It is there and stays.
    Durable,
    /// It was taken, and is durable once [`Sink::flush`](crate::Sink::flush) has returned.
    Accepted,
}

/// Why a record was rejected, for programs to choose by. The reason that stands beside it is for people.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionClass {
    /// It could not be read: a value does not fit the type that the source declares.
    Unreadable,
    /// The destination cannot hold a value without loss.
    Unfit,
    /// A rule of the destination refuses it: a constraint, a trigger.
    Refused,
    /// The destination's user may not write this record.
    Permission,
    /// The destination has a later state of it.
    Superseded,
    /// The stream's contract discards it.
    Contract,
    /// Not known: what older versions kept.
    #[default]
    Unknown,
}

impl RejectionClass {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::Unfit,
        Self::Refused,
        Self::Permission,
        Self::Superseded,
        Self::Contract,
        Self::Unknown,
    ];

    /// The word that stands in reports, exports and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unfit => "unfit",
            Self::Refused => "refused",
            Self::Permission => "permission",
            Self::Superseded => "superseded",
            Self::Contract => "contract",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RejectionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RejectionClass {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|class| class.as_str() == text);
        named.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let what = "no reason class is called so; choose one of those that are known";
            Error::new(ErrorKind::Config, what)
                .with("class", text)
                .with("known", known)
        })
    }
}

/// A record that the destination refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Its row in the batch.
    pub row: usize,
    /// The column at fault, where it is known.
    pub column: Option<String>,
    /// Why, for programs.
    #[serde(default)]
    pub class: RejectionClass,
    /// Why, for people.
    pub reason: String,
}

/// The sink's answer for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The batch.
    pub batch: BatchId,
    /// Whether it can still be lost.
    pub durability: Durability,
    /// The records that the destination refused; all others are there.
    pub rejected: Vec<Rejection>,
    /// The destination's own name for what it did, such as a job id.
    pub job: Option<String>,
    /// When the destination had it.
    pub at: OffsetDateTime,
}

impl Receipt {
    /// All rows are there to stay.
    pub fn durable(batch: BatchId, at: OffsetDateTime) -> Self {
        Self {
            batch,
            durability: Durability::Durable,
            rejected: Vec::new(),
            job: None,
            at,
        }
    }
}

/// The answer to [`Sink::flush`](crate::Sink::flush): everything written before is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReceipt {
    /// How many batches became durable by it.
    pub batches: u64,
}

/// Whether a batch is in the destination, asked after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Landed {
    /// It is.
    Yes(Receipt),
    /// It is not.
    No,
    /// The destination cannot tell. Writing it again has the same effect as once.
    Unknown,
}
