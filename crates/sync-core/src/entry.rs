//! How the lines of a ledger make up entries whose debits equal their credits.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use crate::column::{Column, Value};
use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::stream::{StreamDescriptor, TotalsShape};
use crate::totals::ControlTotals;

/// How lines make up entries, and which of their columns say what they debit and credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRule {
    /// The column that names a line's entry.
    pub entry: String,
    /// The columns within which an entry balances by itself, such as book and base currency.
    pub within: Vec<String>,
    /// What a line debits and credits.
    pub amounts: LineAmounts,
    /// Which lines count: those that meet this condition. Statistical ones do not balance.
    pub counted: Option<Condition>,
}

/// What a line debits and credits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineAmounts {
    /// A column for either, of which one is empty or nothing.
    DebitAndCredit {
        /// The decimal column of debits.
        debit: String,
        /// The decimal column of credits.
        credit: String,
    },
    /// One column, where a credit is less than nothing.
    Signed(String),
    /// An amount, and a whole number: greater than nothing for a debit, less for a credit.
    BySide {
        /// The decimal column of amounts.
        amount: String,
        /// The column of sides.
        side: String,
    },
}

/// An entry within one book and currency: the values of its columns, the entry's first.
pub type EntryKey = Vec<String>;

/// What the lines of an entry debit and credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryBalance {
    /// Sum of debits.
    pub debit: Decimal,
    /// Sum of credits.
    pub credit: Decimal,
}

impl EntryBalance {
    /// Whether debits equal credits, to the last digit.
    pub fn is_balanced(&self) -> bool {
        self.debit == self.credit
    }

    fn add(&mut self, amount: Decimal, is_debit: bool) -> Result<()> {
        let side = if is_debit {
            &mut self.debit
        } else {
            &mut self.credit
        };
        *side = side.checked_add(amount).ok_or_else(|| {
            Error::new(
                ErrorKind::Data,
                "the lines of an entry have more than 38 digits",
            )
        })?;
        Ok(())
    }
}

impl EntryRule {
    /// Checks that every column named exists, with a type that serves its purpose.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming stream and column.
    pub fn validate(&self, stream: &StreamDescriptor) -> Result<()> {
        let refuse = |what: &str, column: &str| {
            Err(Error::new(ErrorKind::Config, what)
                .with("stream", stream.name.as_str())
                .with("column", column))
        };
        for name in self.key() {
            stream.field(name)?;
        }
        if let Some(condition) = &self.counted {
            stream.field(condition.column())?;
        }
        for name in self.amounts.sums() {
            if !matches!(stream.field(&name)?.data_type(), DataType::Decimal128(..)) {
                return refuse("what lines debit and credit are decimals", &name);
            }
        }
        if let LineAmounts::BySide { side, .. } = &self.amounts
            && *stream.field(side)?.data_type() != DataType::Int64
        {
            return refuse("the side of a line is a whole number", side);
        }
        Ok(())
    }

    /// The same with other names of columns; none where one has none.
    #[cfg(feature = "pipeline")]
    pub(crate) fn renamed(&self, name: &dyn Fn(&String) -> Option<String>) -> Option<Self> {
        let counted = match &self.counted {
            Some(condition) => {
                let column = name(&condition.column().to_owned())?;
                Some(condition.clone().about(column))
            }
            None => None,
        };
        Some(Self {
            entry: name(&self.entry)?,
            within: self.within.iter().map(name).collect::<Option<_>>()?,
            amounts: match &self.amounts {
                LineAmounts::DebitAndCredit { debit, credit } => LineAmounts::DebitAndCredit {
                    debit: name(debit)?,
                    credit: name(credit)?,
                },
                LineAmounts::Signed(amount) => LineAmounts::Signed(name(amount)?),
                LineAmounts::BySide { amount, side } => LineAmounts::BySide {
                    amount: name(amount)?,
                    side: name(side)?,
                },
            },
            counted,
        })
    }

    /// The columns that tell entries apart.
    pub fn key(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.entry).chain(&self.within)
    }

    /// What the lines of rows debit and credit, by entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where a sum has more than 38 digits; [`ErrorKind::Internal`] where a column is
    /// missing.
    pub fn balances(&self, rows: &RecordBatch) -> Result<BTreeMap<EntryKey, EntryBalance>> {
        let keys: Vec<_> = self
            .key()
            .map(|name| Column::named(rows, name))
            .collect::<Result<_>>()?;
        let counted = self.counted.as_ref();
        let counted = counted.map(|it| it.met_by(rows)).transpose()?;
        let amounts = Amounts::of(&self.amounts, rows)?;
        let mut found: BTreeMap<EntryKey, EntryBalance> = BTreeMap::new();
        for row in 0..rows.num_rows() {
            if counted.as_ref().is_some_and(|counted| !counted.value(row)) {
                continue;
            }
            let key = keys.iter().map(|column| {
                let mut text = String::new();
                column.value(row).push_to(&mut text);
                text
            });
            let balance = found.entry(key.collect()).or_insert(NOTHING);
            amounts.add(row, balance)?;
        }
        Ok(found)
    }

    /// What a source is asked for to judge whole entries.
    pub fn shape(&self) -> TotalsShape {
        let mut group_by: Vec<_> = self.key().cloned().collect();
        if let LineAmounts::BySide { side, .. } = &self.amounts {
            group_by.push(side.clone());
        }
        TotalsShape {
            sums: self.amounts.sums(),
            group_by,
            ..TotalsShape::default()
        }
    }

    /// What [`EntryRule::shape`] brought, by entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where a sum has more than 38 digits.
    pub fn told(&self, totals: &ControlTotals) -> Result<BTreeMap<EntryKey, EntryBalance>> {
        let length = self.key().count();
        let mut found: BTreeMap<EntryKey, EntryBalance> = BTreeMap::new();
        for (group, totals) in &totals.groups {
            let key = group.iter().take(length).cloned().collect();
            let balance = found.entry(key).or_insert(NOTHING);
            let sums = [0, 1].map(|at| totals.sums.get(at).copied().unwrap_or(Decimal::ZERO));
            match self.amounts {
                LineAmounts::DebitAndCredit { .. } => {
                    balance.add(sums[0], true)?;
                    balance.add(sums[1], false)?;
                }
                LineAmounts::Signed(_) => balance.add(sums[0], true)?,
                LineAmounts::BySide { .. } => {
                    let side = group.get(length).map_or("", String::as_str);
                    balance.add(sums[0], !side.starts_with('-'))?;
                }
            }
        }
        Ok(found)
    }
}

const NOTHING: EntryBalance = EntryBalance {
    debit: Decimal::ZERO,
    credit: Decimal::ZERO,
};

impl LineAmounts {
    /// The columns that are summed.
    fn sums(&self) -> Vec<String> {
        match self {
            Self::DebitAndCredit { debit, credit } => vec![debit.clone(), credit.clone()],
            Self::Signed(amount) | Self::BySide { amount, .. } => vec![amount.clone()],
        }
    }
}

/// The columns of [`LineAmounts`].
enum Amounts<'a> {
    DebitAndCredit(Column<'a>, Column<'a>),
    Signed(Column<'a>),
    BySide(Column<'a>, Column<'a>),
}

impl<'a> Amounts<'a> {
    fn of(amounts: &LineAmounts, rows: &'a RecordBatch) -> Result<Self> {
        let column = |name: &str| Column::named(rows, name);
        Ok(match amounts {
            LineAmounts::DebitAndCredit { debit, credit } => {
                Self::DebitAndCredit(column(debit)?, column(credit)?)
            }
            LineAmounts::Signed(amount) => Self::Signed(column(amount)?),
            LineAmounts::BySide { amount, side } => Self::BySide(column(amount)?, column(side)?),
        })
    }

    fn add(&self, row: usize, balance: &mut EntryBalance) -> Result<()> {
        let amount = |column: &Column<'_>| match column.value(row) {
            Value::Decimal(amount) => amount,
            _ => Decimal::ZERO,
        };
        match self {
            Self::DebitAndCredit(debit, credit) => {
                balance.add(amount(debit), true)?;
                balance.add(amount(credit), false)
            }
            Self::Signed(signed) => balance.add(amount(signed), true),
            Self::BySide(unsigned, side) => {
                let is_debit = !matches!(side.value(row), Value::Integer(side) if side < 0);
                balance.add(amount(unsigned), is_debit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn decimals(cents: &[i128]) -> ArrayRef {
        let array = Decimal128Array::from_iter_values(cents.iter().copied());
        Arc::new(array.with_precision_and_scale(38, 2).unwrap())
    }

    proptest! {
        /// However a line says what it debits and credits, an entry balances or does not.
        #[test]
        fn the_three_ways_to_write_a_line_agree(
            lines in prop::collection::vec((0u8..3, -9i128..9), 0..12),
        ) {
            let entries: Vec<_> = lines.iter().map(|(entry, _)| entry.to_string()).collect();
            let amounts: Vec<_> = lines.iter().map(|(_, amount)| *amount).collect();
            let sides: Vec<i64> = amounts.iter().map(|it| if *it < 0 { -1 } else { 1 }).collect();
            let of = |chosen: fn(i128) -> i128| -> ArrayRef {
                decimals(&amounts.iter().map(|it| chosen(*it)).collect::<Vec<_>>())
            };
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("entry", Arc::new(StringArray::from(entries))),
                ("debit", of(|it| it.max(0))),
                ("credit", of(|it| -it.min(0))),
                ("amount", of(|it| it)),
                ("unsigned", of(i128::abs)),
                ("side", Arc::new(Int64Array::from(sides))),
            ];
            let rows = RecordBatch::try_from_iter(columns).unwrap();
            let net = |amounts: LineAmounts| -> Vec<_> {
                let rule = EntryRule { entry: "entry".into(), within: vec![], amounts, counted: None };
                let balances = rule.balances(&rows).unwrap();
                balances.into_iter().map(|(key, it)| (key, it.debit.checked_sub(it.credit))).collect()
            };
            let (debit, credit) = ("debit".into(), "credit".into());
            let signed = net(LineAmounts::Signed("amount".into()));
            prop_assert_eq!(&net(LineAmounts::DebitAndCredit { debit, credit }), &signed);
            let (amount, side) = ("unsigned".into(), "side".into());
            prop_assert_eq!(&net(LineAmounts::BySide { amount, side }), &signed);
        }
    }
}
