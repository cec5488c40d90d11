//! Tie-out: whether the destination equals the source, why not, and how both are told.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;

use crate::batch::RecordKey;
use crate::decimal::Decimal;
use crate::id::{Digest, RunId};
use crate::stream::{Roles, StreamName};
use crate::totals::GroupKey;

/// The measure that counts records; the others are columns.
pub const RECORDS: &str = "records";

/// Whether the destination equals the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
#[non_exhaustive]
pub enum TieOut {
    /// Counts and sums are equal, to the last digit, as of this time.
    Equal {
        /// The end of the window.
        #[serde(with = "time::serde::rfc3339")]
        as_of: OffsetDateTime,
        /// Records on both sides.
        records: u64,
        /// Groups compared.
        groups: u64,
        /// Sums compared in each.
        sums: u64,
        /// Records that were left out on both sides, because the source changed them after that time:
        /// they belong to the next run.
        in_flight: u64,
    },
    /// They are not, and it is known of every record that makes the difference why: it was rejected, came
    /// late, or is gone at the source since.
    Explained {
        /// The end of the window.
        #[serde(with = "time::serde::rfc3339")]
        as_of: OffsetDateTime,
        /// Records of the source.
        source_records: u64,
        /// Records of the destination.
        destination_records: u64,
        /// Where they differ, and why.
        differences: Vec<Difference>,
        /// As in [`TieOut::Equal`].
        in_flight: u64,
    },
    /// They are not, and that should not be: something is unexplained, or was changed in the destination.
    Different {
        /// The end of the window.
        #[serde(with = "time::serde::rfc3339")]
        as_of: OffsetDateTime,
        /// Records of the source.
        source_records: u64,
        /// Records of the destination.
        destination_records: u64,
        /// Where they differ, and why as far as that is known.
        differences: Vec<Difference>,
        /// As in [`TieOut::Equal`].
        in_flight: u64,
    },
    /// They were not compared.
    NotCompared {
        /// Why.
        reason: String,
    },
}

impl TieOut {
    /// Whether both sides were compared and are equal.
    pub fn is_equal(&self) -> bool {
        matches!(self, Self::Equal { .. })
    }

    /// Whether they are equal but for what the source changed since it was read.
    pub fn holds(&self) -> bool {
        let is_later = |it: &Explanation| {
            matches!(
                it.reason,
                Reason::ChangedMeanwhile | Reason::ReadAtOtherTime
            )
        };
        match self {
            Self::Equal { .. } => true,
            Self::Explained { differences, .. } => differences
                .iter()
                .flat_map(|it| &it.explanations)
                .all(is_later),
            Self::Different { .. } | Self::NotCompared { .. } => false,
        }
    }

    /// Whether both sides were compared, and are equal but for what is explained.
    pub fn is_explained(&self) -> bool {
        matches!(self, Self::Equal { .. } | Self::Explained { .. })
    }

    /// Where they differ.
    pub fn differences(&self) -> &[Difference] {
        match self {
            Self::Explained { differences, .. } | Self::Different { differences, .. } => {
                differences
            }
            Self::Equal { .. } | Self::NotCompared { .. } => &[],
        }
    }

    /// The time that the comparison is as of; none where nothing was compared.
    pub fn as_of(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Equal { as_of, .. }
            | Self::Explained { as_of, .. }
            | Self::Different { as_of, .. } => Some(*as_of),
            Self::NotCompared { .. } => None,
        }
    }

    /// `equal`, `explained`, `different` or `not_compared`.
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Equal { .. } => "equal",
            Self::Explained { .. } => "explained",
            Self::Different { .. } => "different",
            Self::NotCompared { .. } => "not_compared",
        }
    }

    /// Records of the source and of the destination.
    pub fn records(&self) -> Option<(u64, u64)> {
        match self {
            Self::Equal { records, .. } => Some((*records, *records)),
            Self::Explained {
                source_records,
                destination_records,
                ..
            }
            | Self::Different {
                source_records,
                destination_records,
                ..
            } => Some((*source_records, *destination_records)),
            Self::NotCompared { .. } => None,
        }
    }
}

/// A measure of a group in which two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The columns that the group is one of.
    pub by: Vec<String>,
    /// Their values; empty text where there is none.
    pub group: GroupKey,
    /// What differs: [`RECORDS`], or the column whose sums do.
    pub measure: String,
    /// What the source has.
    #[serde(serialize_with = "as_text")]
    pub source: Decimal,
    /// What the destination has.
    #[serde(serialize_with = "as_text")]
    pub destination: Decimal,
    /// Why, as far as that is known: for the group as a whole.
    pub explanations: Vec<Explanation>,
    /// Whether that accounts for all of it, to the last digit.
    pub accounted_for: bool,
}

impl Difference {
    /// A difference of which nothing is known.
    pub fn new(
        by: &[String],
        group: &[String],
        measure: &str,
        source: Decimal,
        destination: Decimal,
    ) -> Self {
        Self {
            by: by.to_vec(),
            group: group.to_vec(),
            measure: measure.to_owned(),
            source,
            destination,
            explanations: Vec::new(),
            accounted_for: false,
        }
    }

    /// What the source has more than the destination; none where that has more than 38 digits.
    pub fn difference(&self) -> Option<Decimal> {
        self.source.checked_sub(self.destination)
    }

    /// The explanations in words.
    pub fn explanation(&self) -> String {
        let mut words: Vec<_> = self.explanations.iter().map(ToString::to_string).collect();
        if !self.accounted_for {
            words.push(if words.is_empty() {
                "not explained".to_owned()
            } else {
                "the rest is not explained".to_owned()
            });
        }
        words.join("; ")
    }

    /// Whether nobody need worry: every record is known, and why.
    pub fn is_explained(&self) -> bool {
        self.accounted_for && self.explanations.iter().all(|it| it.reason.explains())
    }
}

impl fmt::Display for Difference {
    /// `bookid ACCRUAL, accountno 1000: amount 10.00, in the destination 9.99: 1 record was rejected (17)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (column, value)) in self.by.iter().zip(&self.group).enumerate() {
            let between = if position == 0 { "" } else { ", " };
            write!(f, "{between}{column} {value}")?;
        }
        let opening = if self.by.is_empty() { "" } else { ": " };
        let (source, destination) = (self.source, self.destination);
        if self.measure == RECORDS {
            let (source, destination) = (source.normalised(), destination.normalised());
            let (source, destination) = (source.unscaled(), destination.unscaled());
            write!(
                f,
                "{opening}{source} records, in the destination {destination}"
            )?;
        } else {
            let measure = &self.measure;
            write!(
                f,
                "{opening}{measure} {source}, in the destination {destination}"
            )?;
        }
        write!(f, ": {}", self.explanation())
    }
}

/// Why records make a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Why.
    pub reason: Reason,
    /// How many records.
    pub records: u64,
    /// Their keys, the first ten.
    pub keys: Vec<RecordKey>,
    /// How many of them count in a period that is closed.
    pub in_closed_period: u64,
}

#[cfg(feature = "pipeline")]
impl Explanation {
    pub(crate) const KEYS: usize = 10;

    /// No records yet.
    pub(crate) fn new(reason: Reason) -> Self {
        Self {
            reason,
            records: 0,
            keys: Vec::new(),
            in_closed_period: 0,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = if self.records == 1 {
            "record"
        } else {
            "records"
        };
        write!(f, "{} {records} {}", self.records, self.reason)?;
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let more = if self.records > keys.len() as u64 {
            ", ..."
        } else {
            ""
        };
        write!(f, " ({}{more})", keys.join(", "))?;
        match self.in_closed_period {
            0 => Ok(()),
            closed => write!(f, ", {closed} of them in a closed period"),
        }
    }
}

/// Why a record makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The source changed it since it was read, and says no time by which it could be left out: the next
    /// run reads it.
    ChangedMeanwhile,
    /// It could not be read, or was refused; it is among the dead letters.
    Rejected,
    /// It became visible after its window was read; the next run's lookback brings it.
    Late,
    /// It is gone at the source; the next run that looks for deletes finds it.
    DeletedAtSource,
    /// The source shows it as changed, with a time of change that no run will read again, or none that is
    /// new.
    NotNoticed,
    /// It was delivered, and is not in the destination any more.
    RemovedFromDestination,
    /// The destination's values are not those that were delivered.
    ChangedInDestination,
    /// It is in the destination, and was never delivered by this pipeline.
    AddedToDestination,
    /// It counts in a closed period that was verified before.
    InClosedPeriod,
    /// The two streams were read at different times, and lines changed in between.
    ReadAtOtherTime,
}

impl Reason {
    /// Whether a difference by it is one that the pipeline knows of by itself, and nothing for a person to
    /// look after but, perhaps, the dead letters.
    pub fn explains(self) -> bool {
        matches!(
            self,
            Self::ChangedMeanwhile
                | Self::Rejected
                | Self::Late
                | Self::DeletedAtSource
                | Self::ReadAtOtherTime
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ChangedMeanwhile => "changed at the source since it was read",
            Self::Rejected => "rejected",
            Self::Late => "visible late at the source",
            Self::DeletedAtSource => "deleted at the source since",
            Self::NotNoticed => "changed at the source without a time of change that is read again",
            Self::RemovedFromDestination => "delivered and removed from the destination",
            Self::ChangedInDestination => "delivered and changed in the destination",
            Self::AddedToDestination => "in the destination without having been delivered",
            Self::InClosedPeriod => "changed in a closed period",
            Self::ReadAtOtherTime => "changed between the readings of the two",
        })
    }
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// Counts and sums of a stream, of the source and of the destination.
    ControlTotals,
    /// Movements of ledger lines and the balances that the source keeps, both in the destination.
    LedgerBalances,
    /// Debits and credits of journal entries.
    JournalEntries,
    /// A closed period, as it was when it was verified and as it is.
    ClosedPeriod,
}

impl Check {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlTotals => "control_totals",
            Self::LedgerBalances => "ledger_balances",
            Self::JournalEntries => "journal_entries",
            Self::ClosedPeriod => "closed_period",
        }
    }
}

/// The outcome of a comparison, as a destination keeps it beside the data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TieOutRecord {
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Whose books these are.
    pub company: String,
    /// The stream.
    pub stream: StreamName,
    /// What was compared.
    pub check: Check,
    /// When, by the clock that rows are stamped by.
    pub compared_at: OffsetDateTime,
    /// The outcome.
    pub tie_out: TieOut,
    /// What the columns of groups are to an accountant.
    pub roles: Roles,
    /// The hash of the ledger's entry that says the same.
    pub ledger_entry: Digest,
}

/// A row of `sync_tie_out`: number 0 is the verdict, the others are differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TieOutRow {
    /// 0, or the number of the difference.
    pub number: u64,
    /// What differs; [`RECORDS`] for the verdict.
    pub measure: String,
    /// The group as a JSON object; none for the verdict.
    pub group: Option<String>,
    /// The book.
    pub book: Option<String>,
    /// The entity or location.
    pub entity: Option<String>,
    /// The period or day.
    pub period: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// What the source has.
    pub source: Option<Decimal>,
    /// What the destination has.
    pub destination: Option<Decimal>,
    /// What the source has more.
    pub difference: Option<Decimal>,
    /// Why, in words.
    pub explanation: Option<String>,
}

impl TieOutRecord {
    /// Differences of one comparison that are kept as rows; all of them are in the ledger.
    pub const MOST_DIFFERENCES: usize = 1_000;

    /// The verdict, then a row for each difference.
    pub fn rows(&self) -> Vec<TieOutRow> {
        let count = |records: u64| Decimal::new(i128::from(records), 0);
        let (source, destination) = self.tie_out.records().unzip();
        let (source, destination) = (source.and_then(count), destination.and_then(count));
        let difference = source.zip(destination);
        let verdict = TieOutRow {
            measure: RECORDS.to_owned(),
            source,
            destination,
            difference: difference.and_then(|(source, other)| source.checked_sub(other)),
            explanation: self.summary(),
            ..TieOutRow::default()
        };
        let differences = self.tie_out.differences().iter();
        let differences = differences.take(Self::MOST_DIFFERENCES);
        let differences = differences.zip(1..).map(|(difference, number)| {
            let of_role = |role: &Option<String>| {
                let column = role.as_ref()?;
                let position = difference.by.iter().position(|name| name == column)?;
                difference.group.get(position).cloned()
            };
            let group = difference.by.iter().zip(&difference.group);
            let group: serde_json::Map<_, _> = group
                .map(|(column, value)| (column.clone(), value.clone().into()))
                .collect();
            TieOutRow {
                number,
                measure: difference.measure.clone(),
                group: Some(serde_json::Value::Object(group).to_string()),
                book: of_role(&self.roles.book),
                entity: of_role(&self.roles.entity),
                period: of_role(&self.roles.period),
                account: of_role(&self.roles.account),
                source: Some(difference.source),
                destination: Some(difference.destination),
                difference: difference.difference(),
                explanation: Some(difference.explanation()),
            }
        });
        std::iter::once(verdict).chain(differences).collect()
    }

    fn summary(&self) -> Option<String> {
        let left_out = |in_flight: u64| {
            let what = "changed at the source after this time and belong to the next run";
            (in_flight > 0).then(|| format!("{in_flight} records {what}"))
        };
        match &self.tie_out {
            TieOut::Equal { in_flight, .. } => left_out(*in_flight),
            TieOut::NotCompared { reason } => Some(reason.clone()),
            TieOut::Explained {
                differences,
                in_flight,
                ..
            }
            | TieOut::Different {
                differences,
                in_flight,
                ..
            } => {
                let told = format!("{} differences", differences.len());
                let left_out = left_out(*in_flight).map(|it| format!("; {it}"));
                Some(told + left_out.as_deref().unwrap_or_default())
            }
        }
    }
}

fn as_text<S: serde::Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
