//! Whole numbers as BigQuery writes them: 64 bits do not fit into JSON's numbers everywhere, so they stand in strings.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// For `#[serde(with)]` on an `Option` of a 64-bit integer: written as a string, read from a string or a number.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer, T: fmt::Display>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr,
    {
        let text = Option::<Digits>::deserialize(deserializer)?;
        text.map(|Digits(text)| {
            let parsed = text.parse();
            parsed.map_err(|_| D::Error::custom("a whole number of 64 bits is expected"))
        })
        .transpose()
    }
}

/// A number's digits, whichever way it was written.
struct Digits(String);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Digits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, in a string or not")
            }

            fn visit_str<E>(self, text: &str) -> Result<Digits, E> {
                Ok(Digits(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Digits, E> {
                Ok(Digits(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Digits, E> {
                Ok(Digits(number.to_string()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Both {
        #[serde(with = "super::optional", skip_serializing_if = "Option::is_none")]
        rows: Option<u64>,
        #[serde(with = "super::optional", skip_serializing_if = "Option::is_none")]
        millis: Option<i64>,
    }

    #[test]
    fn strings_and_numbers_are_read_and_strings_written() {
        let read = |text| serde_json::from_str::<Both>(text);
        let both = Both {
            rows: Some(u64::MAX),
            millis: Some(-3),
        };
        let text = r#"{"rows":"18446744073709551615","millis":"-3"}"#;
        assert_eq!(read(text).unwrap(), both);
        assert_eq!(serde_json::to_string(&both).unwrap(), text);
        assert_eq!(
            read(r#"{"rows":18446744073709551615,"millis":-3}"#).unwrap(),
            both
        );
        assert_eq!(read(r#"{"rows":null}"#).unwrap(), Both::default());
        for bad in [r#"{"rows":"-1"}"#, r#"{"rows":1.5}"#, r#"{"rows":""}"#] {
            read(bad).unwrap_err();
        }
    }
}
