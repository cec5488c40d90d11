//! Names and ids that go into a document as they are, each checked once, where it is made.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, shown};

/// The integration name of an Intacct object, such as `VENDOR`, in the case that `lookup` gives it.
///
/// `[A-Za-z_][A-Za-z0-9_.-]*`, so that it can be an element name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

/// The name of a field, such as `RECORDNO` or, over a relation, `DISPLAYCONTACT.MAILADDRESS.CITY`.
///
/// `[A-Za-z_][A-Za-z0-9_.-]*`, so that it can be an element name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldName(String);

/// What a request or one of its functions is called, and echoed back as: 1 to 256 characters, none of
/// them a control character.
///
/// With [`Uniqueness::Once`](crate::request::Uniqueness) the *function's* control id decides whether
/// the gateway has executed it before (developer.intacct.com, Requests).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControlId(String);

impl ObjectName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it cannot be an element name.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        checked_name(name.into(), "object").map(Self)
    }
}

impl FieldName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it cannot be an element name.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        checked_name(name.into(), "field").map(Self)
    }

    /// Checks several names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the first that cannot be an element name.
    pub fn list<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Vec<Self>, Error> {
        names.into_iter().map(Self::new).collect()
    }
}

impl ControlId {
    /// Checks an id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is empty, longer than 256 characters
    /// or holds a character that would not come back as it was sent.
    pub fn new(id: impl Into<String>) -> Result<Self, Error> {
        const LONGEST: usize = 256;
        let id = id.into();
        let length = id.chars().count();
        if !(1..=LONGEST).contains(&length) {
            return Err(
                Error::invalid(format!("a control id has {length} characters"))
                    .advise("give it 1 to 256"),
            );
        }
        if id
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'))
        {
            return Err(Error::invalid("a control id holds a control character")
                .advise("use letters, digits and punctuation"));
        }
        Ok(Self(id))
    }
}

fn checked_name(name: String, what: &str) -> Result<String, Error> {
    let mut bytes = name.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if starts_well && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
        return Ok(name);
    }
    Err(Error::invalid(format!(
        "\"{}\" is not the name of an {what} or of a field",
        shown(&name)
    ))
    .advise(
        "names are letters, digits, _ . and -, and begin with a letter or _; take them from lookup",
    ))
}

macro_rules! text_newtype {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    )*};
}

text_newtype!(ObjectName, FieldName, ControlId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_elements_are_refused() {
        for bad in ["", "1A", "A B", "A<", "A&B", ".A", "-A", "Ä", "A:B", "A\n"] {
            assert!(FieldName::new(bad).is_err(), "{bad:?}");
            assert!(ObjectName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["A", "_x", "PAYTO.TAXGROUP.NAME", "Rasset-2", "createdBy"] {
            assert_eq!(FieldName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn control_ids_have_1_to_256_characters() {
        assert!(ControlId::new("").is_err());
        assert!(ControlId::new("é".repeat(256)).is_ok());
        assert!(ControlId::new("é".repeat(257)).is_err());
        assert!(ControlId::new("a\tb").is_err());
    }
}
