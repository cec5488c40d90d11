//! What is to become of a stream's columns, as a person writes it down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::contract::ContractMode;
use super::keys::HashKeys;
use super::kind::ColumnKind;
use super::mapped::digest;
use crate::stream::StreamName;

/// The mappings of a pipeline's streams, and how far their schemas may change.
///
/// As TOML:
///
/// ```toml
/// contract = "evolve"
///
/// [streams.vendor]
/// contract = "freeze"
///
/// [streams.vendor.columns]
/// name       = { rename = "vendor_name" }
/// comments   = { treat = "drop" }
/// creditlimit = { treat = { cast = "decimal(2)" } }
/// taxid      = { rename = "tax_hash", treat = { hash = "people" } }
/// cardnumber = { treat = { mask = { keep_last = 4 } } }
///
/// [streams.vendor.add]
/// region = { text = "EMEA" }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Shaping {
    /// What streams that say nothing of their own go by.
    pub contract: ContractMode,
    /// The streams that are changed on their way, by their names.
    pub streams: BTreeMap<StreamName, StreamMapping>,
}

/// What becomes of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamMapping {
    /// How far its schema may change; as the pipeline's other streams where nothing is said.
    pub contract: Option<ContractMode>,
    /// What becomes of its columns, by the names that the source's stream gives them. A column that is
    /// not named here stays as it is.
    pub columns: BTreeMap<String, ColumnMapping>,
    /// Columns that every row gets, by their names.
    pub add: BTreeMap<String, Constant>,
}

/// What becomes of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ColumnMapping {
    /// The name that it gets: at most 63 lower-case letters, digits and underscores, starting with a
    /// letter, so that every destination takes it without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// What happens to its values.
    pub treat: Treatment,
}

/// What happens to a column's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Treatment {
    /// Nothing.
    #[default]
    Keep,
    /// The column does not reach the destination.
    Drop,
    /// It becomes another type, where no value can lose anything by it; a value that does not fit sends
    /// its record to the dead letters. Empty text becomes null.
    ///
    /// Text is read as an integer (`12`, `-3`; no leading zeros), a decimal (`1234.50`), a boolean
    /// (`true`, `T`, `Y` and their opposites, in any case), a date (`2026-01-31`, `01/31/2026`) or a
    /// timestamp (`2026-01-31T18:02:00Z`, `2026-01-31 18:02:00` in UTC). Everything becomes text. A
    /// decimal becomes an integer where it is whole, and a decimal of fewer places where it has no more;
    /// an integer becomes a decimal; a boolean becomes 0 or 1.
    Cast(ColumnKind),
    /// Its text is replaced by the HMAC-SHA-256 of its UTF-8 bytes under the named key, in 64 lower-case
    /// hex digits. Equal values have equal hashes in all columns and streams that name the same key, so
    /// they still join. Null and empty text stay. Values of other types are hashed as
    /// [`Value::push_to`](crate::column::Value::push_to) writes them.
    Hash(HashKeyName),
    /// Characters are replaced by `*`. Null and empty text stay; the number of characters can be seen.
    Mask(Mask),
}

/// The name of a key in [`HashKeys`](super::HashKeys).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashKeyName(pub String);

/// How much of a text can still be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Mask {
    /// So many characters at the end stay, of texts that are longer than twice as many; of shorter ones
    /// nothing does, for else most of them would stay.
    pub keep_last: usize,
}

impl Mask {
    /// Nothing but these last characters can be read.
    pub fn keep_last(characters: usize) -> Self {
        Self {
            keep_last: characters,
        }
    }
}

/// A value that every row gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constant {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A decimal as text, such as `0.25`: of nine places, or as many as it has, if that is more.
    Decimal(String),
    /// True or false.
    Boolean(bool),
    /// A day as text, such as `2026-01-31`.
    Date(String),
    /// A time as text, such as `2026-01-31T18:02:00Z`.
    Timestamp(String),
}

impl ColumnMapping {
    /// The column gets another name.
    pub fn rename(name: impl Into<String>) -> Self {
        Self::default().named(name)
    }

    /// Its values are changed.
    pub fn treat(treatment: Treatment) -> Self {
        Self {
            rename: None,
            treat: treatment,
        }
    }

    /// And it gets another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.rename = Some(name.into());
        self
    }
}

impl StreamMapping {
    /// Says what becomes of one column.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, mapping: ColumnMapping) -> Self {
        self.columns.insert(name.into(), mapping);
        self
    }

    /// Adds a column.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, value: Constant) -> Self {
        self.add.insert(name.into(), value);
        self
    }

    /// Says how far the stream's schema may change.
    #[must_use]
    pub fn contract(mut self, mode: ContractMode) -> Self {
        self.contract = Some(mode);
        self
    }
}

impl Shaping {
    /// Says what becomes of one stream.
    #[must_use]
    pub fn stream(mut self, name: StreamName, mapping: StreamMapping) -> Self {
        self.streams.insert(name, mapping);
        self
    }

    /// What the ledger's settings say of it: the digests of mappings, by which their changes are seen.
    pub(crate) fn told(&self, keys: &HashKeys) -> serde_json::Value {
        let streams = self.streams.iter().map(|(name, mapping)| {
            let told = serde_json::json!({
                "contract": self.mode(name),
                "mapping": digest(mapping, keys),
            });
            (name.as_str().to_owned(), told)
        });
        let streams: serde_json::Map<_, _> = streams.collect();
        serde_json::json!({ "contract": self.contract, "streams": streams })
    }

    /// How far the schema of a stream may change.
    pub fn mode(&self, stream: &StreamName) -> ContractMode {
        let own = self.streams.get(stream).and_then(|it| it.contract);
        own.unwrap_or(self.contract)
    }
}
