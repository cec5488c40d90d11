//! A position in a walk.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use crate::error::Error;

/// Everything up to and including this record has been released.
///
/// As text, for keeping: `1767225600:42` for a record modified at that Unix time with the key 42, `-:42` for one in the
/// pass over records without a modified time, or in a walk by key alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// When the record was modified; none in the pass over records that have no modified time, and in a walk by key.
    pub modified: Option<OffsetDateTime>,
    /// The record's key.
    pub key: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.modified {
            Some(modified) => write!(f, "{}:{}", modified.unix_timestamp(), self.key),
            None => write!(f, "-:{}", self.key),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::invalid("a cursor is not in the form that this client writes");
        let (modified, key) = text.split_once(':').ok_or_else(refused)?;
        if key.is_empty() {
            return Err(refused());
        }
        let modified = match modified {
            "-" => None,
            seconds => {
                let seconds = seconds.parse().map_err(|_| refused())?;
                Some(OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| refused())?)
            }
        };
        Ok(Self {
            modified,
            key: key.to_owned(),
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    proptest! {
        #[test]
        fn text_and_back(seconds in proptest::option::of(-1_000_000_000_i64..5_000_000_000), key in "\\PC{1,20}") {
            let modified = seconds.map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap());
            let cursor = Cursor { modified, key };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn other_text_is_refused_without_panic(text in "\\PC{0,20}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert!(!cursor.key.is_empty());
            }
        }
    }
}
