//! Control totals from what a database answers.

use sync_core::totals::{ControlTotals, GroupTotals};
use sync_core::{Decimal, Result};

/// Adds one group's count and sums, as the database wrote them.
///
/// # Errors
///
/// [`ErrorKind::Data`](sync_core::ErrorKind::Data) where a sum has more than 38 digits.
pub(crate) fn add(
    totals: &mut ControlTotals,
    key: Vec<String>,
    records: i64,
    sums: &[Option<String>],
) -> Result<()> {
    if records <= 0 {
        return Ok(());
    }
    let sums = sums.iter().map(|sum| match sum {
        Some(sum) => sum.parse(),
        None => Ok(Decimal::ZERO),
    });
    let more = GroupTotals {
        records: records.unsigned_abs(),
        sums: sums.collect::<Result<_>>()?,
    };
    totals.add(key, more)
}
