//! What every kind of object offers to the gateway, however its records are kept.

use std::borrow::Cow;

use crate::value::{Class, Value};

/// The data types that `lookup` names (developer.intacct.com, Queries).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataType {
    /// Any text; also the type of RECORDNO on transaction objects.
    Text,
    /// A whole number; the gateway may write one as `12.0`.
    Integer,
    /// `true` or `false`; on some fields `T` or `F`.
    Boolean,
    /// `mm/dd/yyyy`.
    Date,
    /// `mm/dd/yyyy hh:mm:ss`, 24 hours, whole seconds.
    Timestamp,
    /// One of the valid values of the field.
    Enum,
    /// A plain decimal; the zero before the point may be missing.
    Decimal,
    /// An amount of money, written like a decimal.
    Currency,
    /// A percentage, written like a decimal.
    Percent,
    /// A number that the system gives out.
    Sequence,
}

impl DataType {
    /// The word that `lookup` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Enum => "ENUM",
            Self::Decimal => "DECIMAL",
            Self::Currency => "CURRENCY",
            Self::Percent => "PERCENT",
            Self::Sequence => "SEQUENCE",
        }
    }

    pub(crate) fn class(self) -> Class {
        match self {
            Self::Text | Self::Enum => Class::Text,
            Self::Integer | Self::Decimal | Self::Currency | Self::Percent | Self::Sequence => {
                Class::Number
            }
            Self::Boolean => Class::Bool,
            Self::Date => Class::Date,
            Self::Timestamp => Class::Instant,
        }
    }
}

/// A field as `lookup` describes it.
#[derive(Clone, Debug)]
pub(crate) struct FieldInfo {
    pub(crate) name: Cow<'static, str>,
    pub(crate) data_type: DataType,
    /// How values are compared; RECORDNO is numeric whatever its type says.
    pub(crate) class: Class,
    /// Label and stored code of the values of an enumeration; several labels may share a code.
    pub(crate) codes: &'static [(&'static str, &'static str)],
    pub(crate) custom: bool,
    pub(crate) required: bool,
    pub(crate) read_only: bool,
}

/// A relation to one record of another object, reachable in `query` by a dotted name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relation {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// The field that holds the key of the other record.
    pub(crate) by: &'static str,
}

/// The orders in which an object's records are kept ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders<'a> {
    /// Every record, by RECORDNO.
    pub(crate) by_key: &'a [u32],
    /// Every record, by WHENMODIFIED and then RECORDNO; those without WHENMODIFIED first.
    /// Empty when the object has no WHENMODIFIED.
    pub(crate) by_modified: &'a [u32],
}

/// One kind of object of the company, while the company is being looked at.
///
/// A record is named by its slot, which stays the same as long as the record exists.
pub(crate) trait Object<'a>: Send + Sync {
    fn name(&self) -> &'a str;
    fn label(&self) -> &'a str;
    fn field_count(&self) -> usize;
    fn field(&self, field: usize) -> &'a FieldInfo;
    fn value(&self, slot: u32, field: usize) -> Value<'a>;
    fn orders(&self) -> Orders<'a>;
    /// The number by which RECORDNO orders the record.
    fn key(&self, slot: u32) -> u64;
    fn modified(&self, slot: u32) -> Option<i64>;
    /// When the record was made, where that is known to the second.
    fn created(&self, slot: u32) -> Option<i64>;

    /// Whether the record still exists.
    fn is_live(&self, slot: u32) -> bool;

    fn find(&self, name: &str) -> Option<usize> {
        (0..self.field_count()).find(|&field| self.field(field).name == name)
    }

    /// The slot of the record with this RECORDNO.
    fn slot_of(&self, key: u64) -> Option<u32> {
        let by_key = self.orders().by_key;
        self.has_record_number().then_some(())?;
        let at = by_key.partition_point(|&slot| self.key(slot) < key);
        by_key
            .get(at)
            .copied()
            .filter(|&slot| self.key(slot) == key)
    }

    /// Whether records have a RECORDNO; views of balances have none.
    fn has_record_number(&self) -> bool {
        true
    }

    /// The field by which `readByName` finds records.
    fn business_key(&self) -> Option<usize> {
        None
    }

    /// The entity that owns the record, by record number; none at top level.
    fn owner(&self, _slot: u32) -> Option<u32> {
        None
    }

    /// Whether the record is seen at top level only when private data is asked for.
    fn is_private(&self, _slot: u32) -> bool {
        false
    }

    /// Whether any record of the object belongs to an entity.
    fn has_owners(&self) -> bool {
        false
    }

    /// Whether any record of the object may be private.
    fn has_private(&self) -> bool {
        false
    }

    fn relations(&self) -> &'static [Relation] {
        &[]
    }

    /// The slot that a relation leads to, in its target object.
    fn follow(&self, _slot: u32, _relation: usize) -> Option<u32> {
        None
    }

    /// Name of the collection and of the object of the lines that belong to a record.
    fn lines(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// The slots of those lines, in their object.
    fn line_slots(&self, _slot: u32) -> Vec<u32> {
        Vec::new()
    }

    /// Whether a filter must name a budgetable reporting period.
    fn needs_period(&self) -> bool {
        false
    }
}

/// A number that chooses, always in the same way, among the gateway's spellings of a value.
pub(crate) fn quirk(key: u64, field: usize) -> u32 {
    let mixed = (key ^ ((field as u64) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) as u32
}
