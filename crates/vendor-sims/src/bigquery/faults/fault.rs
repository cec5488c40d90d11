//! What can go wrong.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// An error in the place of the answer.
    Refuse(Refuse),
    /// The connection ends without an answer, or within it.
    Cut(Cut),
    /// 401 `authError`, as for a token that is not known.
    Unauthorized,
    /// 403 `rateLimitExceeded`.
    RateLimitExceeded,
    /// 403 `quotaExceeded`.
    QuotaExceeded,
    /// 413 with a page of HTML, as a front end answers.
    TooLarge,
    /// The answer comes late.
    Slow {
        /// Milliseconds.
        before_ms: u64,
    },
    /// The job that is submitted is asked about so often before it is done.
    SlowJob {
        /// How often.
        polls: u32,
    },
    /// The job that is submitted fails without having done anything.
    FailJob {
        /// The reason of its `errorResult`, such as `backendError`.
        reason: String,
        /// Its message.
        #[serde(default)]
        message: String,
    },
    /// Every k-th row of an `insertAll` is not stored, with an error that is no mistake of it; the
    /// others are.
    RowErrors {
        /// k.
        every: usize,
        /// The reason, such as `backendError` or `timeout`.
        reason: String,
    },
    /// An `insertAll` is answered well, and its rows are not stored.
    LoseRows,
    /// An `insertAll` stores its rows whatever their insert ids.
    ForgetInsertIds,
    /// A piece of a resumable upload is stored to its half only.
    HalfPiece,
    /// A resumable upload is lost: 410.
    LoseUpload,
}

impl Fault {
    /// Whether it can happen to a call; one that cannot is not counted.
    pub(super) fn concerns(&self, call: &str) -> bool {
        match self {
            Self::SlowJob { .. } | Self::FailJob { .. } => {
                matches!(
                    call,
                    "jobs.insert" | "jobs.upload" | "jobs.upload.put" | "jobs.query"
                )
            }
            Self::RowErrors { .. } | Self::LoseRows | Self::ForgetInsertIds => {
                call == "tabledata.insertAll"
            }
            Self::HalfPiece | Self::LoseUpload => call == "jobs.upload.put",
            _ => true,
        }
    }
}

/// An error in the place of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Refuse {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The machine key of the error.
    #[serde(default)]
    pub reason: String,
    /// Its message.
    #[serde(default)]
    pub message: String,
    /// Seconds of a `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The form of the body.
    #[serde(default)]
    pub body: Body,
    /// Whether the call does what it does before the error hides it.
    #[serde(default)]
    pub stored: bool,
}

impl Refuse {
    /// An error in JSON, in the place of what the call would have done.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: String::new(),
            retry_after: None,
            body: Body::Json,
            stored: false,
        }
    }

    /// The call does what it does, and then the error hides it.
    #[must_use]
    pub fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    /// With this message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// As the API answers.
    #[default]
    Json,
    /// As a front end answers.
    Html,
    /// Nothing.
    Empty,
}

/// Where a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// Before the call did anything.
    Before,
    /// After it did all, before the answer.
    After,
    /// After it did all, in the middle of the answer.
    Amid,
}
