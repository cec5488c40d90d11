//! Times, as they stand in parameters and in the order of states.

use sync_core::column::Value;
use time::{OffsetDateTime, UtcOffset};

use sync_core::BatchPlace;

/// A time to the microsecond as a parameter's text: `2026-01-31 18:02:00.000000+00:00`.
pub(super) fn text(time: OffsetDateTime) -> String {
    let mut text = String::with_capacity(32);
    Value::Timestamp(microseconds(time)).push_to(&mut text);
    text.push_str("+00:00");
    text
}

/// A time without what is less than a microsecond, in UTC.
pub(super) fn cut(time: OffsetDateTime) -> OffsetDateTime {
    let utc = time.to_offset(UtcOffset::UTC);
    utc.replace_microsecond(utc.microsecond()).unwrap_or(utc)
}

/// The first microsecond that is not before a time: what is kept lies before the one exactly where it lies
/// before the other.
pub(super) fn not_before(time: OffsetDateTime) -> OffsetDateTime {
    let cut = cut(time);
    if cut < time {
        cut.saturating_add(time::Duration::MICROSECOND)
    } else {
        cut
    }
}

/// The time of microseconds since 1970.
pub(super) fn from_microseconds(microseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000).ok()
}

/// Where the states of a batch stand in the order of all: the end of its window, and its number there. Sorts
/// as text.
pub(super) fn version(place: &BatchPlace) -> String {
    let until = text(place.window.until);
    let until = until.replacen(' ', "T", 1).replacen("+00:00", "Z", 1);
    format!("{until}/{:012}", place.ordinal)
}

fn microseconds(time: OffsetDateTime) -> i64 {
    let microseconds = time.unix_timestamp_nanos().div_euclid(1000);
    // Ten thousand years either side of the epoch are far inside 64 bits of microseconds.
    i64::try_from(microseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sync_core::{Operation, Window};
    use time::macros::datetime;

    use super::*;

    fn place(until: OffsetDateTime, ordinal: u64) -> BatchPlace {
        BatchPlace {
            pipeline: "books".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: Window { from: None, until },
            ordinal,
        }
    }

    #[test]
    fn a_version_says_window_and_number() {
        assert_eq!(
            version(&place(datetime!(2026-01-31 18:02:00 UTC), 12)),
            "2026-01-31T18:02:00.000000Z/000000000012"
        );
    }

    proptest! {
        #[test]
        fn versions_sort_as_batches_are_ordered(
            (one, first) in (0_i64..4_000_000_000, 0_u64..1_000_000),
            (other, second) in (0_i64..4_000_000_000, 0_u64..1_000_000),
        ) {
            let at = |second| OffsetDateTime::from_unix_timestamp(second).unwrap();
            let (left, right) = (version(&place(at(one), first)), version(&place(at(other), second)));
            prop_assert_eq!(left.cmp(&right), (one, first).cmp(&(other, second)));
        }
    }

    #[test]
    fn a_bound_between_two_microseconds_is_the_next() {
        let bound = datetime!(2026-01-31 18:02:00.000_000_5 UTC);
        assert_eq!(text(not_before(bound)), "2026-01-31 18:02:00.000001+00:00");
        assert_eq!(not_before(cut(bound)), cut(bound));
    }
}
