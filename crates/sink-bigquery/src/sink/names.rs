//! Names of columns, as BigQuery takes them.

use std::collections::BTreeMap;

use sync_core::{Error, ErrorKind, Result};

/// The most characters of a column's name (BigQuery documentation, Specifying a schema).
const MOST_CHARACTERS: usize = 300;

/// What no column's name may begin with, in whatever case.
const KEPT_FOR_BIGQUERY: [&str; 10] = [
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
    "_FIELD_",
];

/// A name of letters, digits and underscores that does not begin with a digit: whatever else is in it
/// becomes an underscore.
pub(super) fn folded(name: &str) -> String {
    let kept = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let mut folded: String = name.chars().map(kept).collect();
    if folded.starts_with(|first: char| first.is_ascii_digit()) {
        folded.insert(0, 'x');
    }
    folded
}

/// The folded names of a stream's columns.
///
/// # Errors
///
/// [`ErrorKind::Config`] where BigQuery cannot tell two of them apart, which it does without regard to
/// case, or refuses one.
pub(super) fn all_folded<'a>(
    stream: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>> {
    let refuse = |what: &str, column: &str| {
        Error::new(ErrorKind::Config, what)
            .with("stream", stream)
            .with("column", column.escape_default().to_string())
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut all = Vec::new();
    for name in names {
        let folded = folded(name);
        if folded.is_empty() || folded.len() > MOST_CHARACTERS {
            let what = "a column's name has no character, or more than the 300 that BigQuery takes";
            return Err(refuse(what, name));
        }
        let upper = folded.to_ascii_uppercase();
        if KEPT_FOR_BIGQUERY.iter().any(|kept| upper.starts_with(kept)) {
            let what =
                "BigQuery keeps names that begin like this column's for itself: rename or drop it";
            return Err(refuse(what, name));
        }
        if let Some(other) = seen.insert(upper, name) {
            let what = "two columns have the same name for BigQuery: rename or drop one of the two";
            return Err(refuse(what, name).with("other", other.escape_default().to_string()));
        }
        all.push(folded);
    }
    Ok(all)
}

/// A column's name in a statement.
pub(super) fn quoted(name: &str) -> String {
    // Only folded names come here, which have no backtick.
    format!("`{name}`")
}

/// Names in a statement, behind each other.
pub(super) fn all_quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(quoted).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_folded_name_is_one_that_bigquery_takes(name in ".{1,40}") {
            let folded = folded(&name);
            let mut letters = folded.chars();
            prop_assert!(letters.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_'));
            prop_assert!(letters.all(|it| it.is_ascii_alphanumeric() || it == '_'));
            prop_assert_eq!(super::folded(&folded), folded);
        }

        #[test]
        fn no_two_columns_become_one(names in prop::collection::vec("[a-cA-C._]{1,3}", 1..6)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Ok(folded) = all_folded("vendor", names.iter().copied()) {
                let mut apart: Vec<_> = folded.iter().map(|it| it.to_ascii_lowercase()).collect();
                apart.sort();
                apart.dedup();
                prop_assert_eq!(apart.len(), names.len());
            }
        }
    }

    #[test]
    fn names_that_fold_into_one_are_refused_by_both_names() {
        let refused = all_folded("vendor", ["a.b", "A_B"]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        let told: Vec<_> = refused.context().map(|(_, value)| value).collect();
        assert_eq!(told, ["vendor", "A_B", "a.b"]);
    }

    #[test]
    fn names_that_bigquery_keeps_are_refused() {
        for name in ["_partitiontime", "_FILE_NAME", "_table_suffix", ""] {
            assert!(all_folded("vendor", [name]).is_err(), "{name}");
        }
    }
}
