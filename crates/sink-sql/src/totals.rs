//! Control totals from what a database answers.

use std::collections::btree_map::Entry;

use sync_core::totals::{ControlTotals, GroupTotals};
use sync_core::{Decimal, Error, ErrorKind, Result};

/// Adds one group's count and sums, as the database wrote them; it may be there already, because null
/// and empty text are one group.
///
/// # Errors
///
/// [`ErrorKind::Data`] where a sum has more than 38 digits.
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
    match totals.groups.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(more);
        }
        Entry::Occupied(mut occupied) => {
            let group = occupied.get_mut();
            group.records += more.records;
            for (sum, next) in group.sums.iter_mut().zip(more.sums) {
                *sum = sum.checked_add(next).ok_or_else(|| {
                    Error::new(ErrorKind::Data, "a control total has more than 38 digits")
                })?;
            }
        }
    }
    Ok(())
}
