//! What a source keeps of its ledger twice: lines, and the balances that they add up to.

use crate::condition::Condition;
use crate::stream::StreamName;

/// Two streams that must agree: ledger lines, and balances by account and period that the source keeps.
///
/// Of each book, account and location, what lines debit and credit in a period is what the balance says, and
/// the opening balance with both is the ending one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerCheck {
    /// The stream of lines.
    pub lines: LineColumns,
    /// The stream of balances.
    pub balances: BalanceColumns,
    /// The stream that says which days a period has.
    pub periods: PeriodColumns,
}

/// The columns of ledger lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineColumns {
    /// The stream.
    pub stream: StreamName,
    /// Book, account and location.
    pub place: [String; 3],
    /// The day on which a line counts.
    pub day: String,
    /// The decimal column of debits.
    pub debit: String,
    /// The decimal column of credits.
    pub credit: String,
    /// Which lines count: those that are posted.
    pub counted: Option<Condition>,
}

/// The columns of balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceColumns {
    /// The stream.
    pub stream: StreamName,
    /// Book, account and location.
    pub place: [String; 3],
    /// The name of the period.
    pub period: String,
    /// The balance at its beginning; a credit balance is less than nothing.
    pub opening: String,
    /// What was debited, in one column or in several that add up.
    pub debits: Vec<String>,
    /// What was credited, likewise.
    pub credits: Vec<String>,
    /// The balance at its end.
    pub ending: String,
}

/// The columns of periods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodColumns {
    /// The stream.
    pub stream: StreamName,
    /// The period's name.
    pub name: String,
    /// Its first day.
    pub first: String,
    /// Its last day.
    pub last: String,
}
