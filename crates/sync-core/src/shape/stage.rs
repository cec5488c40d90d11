//! The stage between the source's pages and the cutter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::filter::filter_record_batch;

use super::cells::Cells;
use super::concealed::Concealed;
use super::contract::{AcceptedContract, Contract, ContractMode};
use super::mapped::{Mapped, Supply};
use super::resolve::{Decision, Difference, resolve};
use super::treat::Treat;
use crate::batch::{SourceBatch, UnreadableRecord, record_keys};
use crate::column::Column;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Severity};
use crate::stream::{Roles, StreamDescriptor, TotalsShape};
use crate::totals::ControlTotals;

/// What becomes of a stream on its way: the source's descriptor and pages on one side, the
/// destination's on the other.
///
/// Requests to the source speak the source's names; batches, ids, the store and the sink speak the
/// destination's.
#[derive(Debug)]
pub(crate) struct Shape {
    source: Arc<StreamDescriptor>,
    destination: Arc<StreamDescriptor>,
    slots: Vec<Slot>,
    left_out: Vec<LeftOut>,
    concealed: Concealed,
    contract: Contract,
    differences: Vec<Difference>,
    accepted: Option<AcceptedContract>,
    reread: bool,
    not_compared: Vec<String>,
}

/// What the source calls a group, by its column there and what the destination calls it.
pub(crate) type Seen = BTreeMap<(String, String), BTreeSet<String>>;

/// What a page is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To be delivered: what is left out of it is counted.
    Delivery,
    /// To be looked at.
    Comparison,
}

/// A column of the destination.
#[derive(Debug)]
struct Slot {
    field: Field,
    supply: Supply,
}

/// A column of the source that the contract does not take.
#[derive(Debug)]
struct LeftOut {
    column: String,
    rejects: bool,
    values: AtomicU64,
}

impl Shape {
    /// A stream of this mapping, under what was promised of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where the contract does not allow it.
    pub(crate) fn new(
        mapped: &Mapped,
        accepted: Option<AcceptedContract>,
        mode: ContractMode,
    ) -> Result<Self> {
        let promised = accepted.as_ref().map(|it| &it.contract);
        let resolution = resolve(mapped, promised, mode)?;
        let contract = resolution.contract;
        let mut slots: Vec<Slot> = contract
            .columns
            .iter()
            .map(|column| Slot {
                field: Field::new(&column.name, column.kind.data_type(), true),
                supply: Supply::Nothing,
            })
            .collect();
        let mut left_out = Vec::new();
        for (column, place) in mapped.columns.iter().zip(&resolution.places) {
            match (place, &column.supply) {
                (Some(place), supply) => {
                    let name = &contract.columns[*place].name;
                    slots[*place] = Slot {
                        field: column.field.clone().with_name(name),
                        supply: supply.clone(),
                    };
                }
                (None, Supply::Column { name, .. }) => left_out.push(LeftOut {
                    column: name.clone(),
                    rejects: resolution
                        .differences
                        .iter()
                        .any(|it| rejects(it, column.name())),
                    values: AtomicU64::new(0),
                }),
                (None, _) => {}
            }
        }
        let (source, destination, not_compared) = both_sides(mapped, &contract, &slots);
        destination.validate()?;
        let reread = resolution.reread || accepted.as_ref().is_some_and(|it| it.reread);
        Ok(Self {
            concealed: Concealed::of(mapped),
            source: Arc::new(source),
            destination: Arc::new(destination),
            slots,
            left_out,
            contract,
            differences: resolution.differences,
            accepted,
            reread,
            not_compared,
        })
    }

    /// The stream as the source is asked for it.
    pub(crate) fn source(&self) -> &Arc<StreamDescriptor> {
        &self.source
    }

    /// The stream as the destination gets it.
    pub(crate) fn destination(&self) -> &Arc<StreamDescriptor> {
        &self.destination
    }

    /// The columns of the destination that are filled from one of the source's, with its name.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.slots.iter().filter_map(|slot| match &slot.supply {
            Supply::Column { name, .. } => Some((slot.field.name().as_str(), name.as_str())),
            _ => None,
        })
    }

    /// Whether the mapping drops a column, by the name that the stream or its source gives it.
    pub(crate) fn drops(&self, column: &str) -> bool {
        self.concealed.leaves_out(column)
    }

    /// Whether the mapping hashes or masks a column, by the name that the stream or its source gives it.
    pub(crate) fn hides(&self, column: &str) -> bool {
        self.concealed.treats(column)
    }

    /// What is promised of it from now on.
    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }

    /// What was promised, where that is another contract, or nothing was.
    pub(crate) fn is_new(&self) -> bool {
        self.accepted.as_ref().map(|it| &it.contract) != Some(&self.contract)
    }

    /// What is not as it was promised.
    pub(crate) fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Whether rows in the destination still have an older shape, so that all are to be read.
    pub(crate) fn reread(&self) -> bool {
        self.reread
    }

    /// A page as the destination gets it. Rows that do not fit are among its rejected records, as the
    /// source delivered them but for values that nobody is to see. Pages of keys have key columns only.
    pub(crate) fn apply(&self, mut page: SourceBatch, on: Errand) -> Result<SourceBatch> {
        self.concealed.conceal(&mut page.rejected);
        let rows = page.rows;
        let whole = self
            .source
            .schema
            .fields()
            .iter()
            .all(|field| rows.column_by_name(field.name()).is_some());
        let mut refused = Refused::default();
        if whole {
            for left_out in &self.left_out {
                left_out.leave_out(&rows, on, &mut refused)?;
            }
        }
        let is_wanted = |slot: &&Slot| whole || self.destination.key.contains(slot.field.name());
        let wanted: Vec<&Slot> = self.slots.iter().filter(is_wanted).collect();
        let mut columns = Vec::with_capacity(wanted.len());
        for slot in &wanted {
            columns.push(slot.fill(&rows, &mut refused)?);
        }
        let schema = if whole {
            Arc::clone(&self.destination.schema)
        } else {
            let fields: Vec<Field> = wanted.iter().map(|slot| slot.field.clone()).collect();
            Arc::new(Schema::new(fields))
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let shaped =
            RecordBatch::try_new_with_options(schema, columns, &options).map_err(misfit)?;
        page.rows = if refused.0.is_empty() {
            shaped
        } else {
            page.rejected
                .extend(self.letters(&rows, &shaped, &refused)?);
            let fits: Vec<bool> = (0..shaped.num_rows())
                .map(|row| !refused.0.contains_key(&row))
                .collect();
            filter_record_batch(&shaped, &BooleanArray::from(fits)).map_err(misfit)?
        };
        Ok(page)
    }

    /// Refused rows, whole.
    fn letters(
        &self,
        rows: &RecordBatch,
        shaped: &RecordBatch,
        refused: &Refused,
    ) -> Result<Vec<UnreadableRecord>> {
        let keys = record_keys(&self.destination, shaped)?;
        let columns = Column::all(rows)?;
        let names: Vec<&String> = rows
            .schema_ref()
            .fields()
            .iter()
            .map(|it| it.name())
            .collect();
        let mut letters = Vec::with_capacity(refused.0.len());
        for (&row, why) in &refused.0 {
            let fields = names.iter().zip(&columns).map(|(name, column)| {
                let value = column.value(row);
                let mut text = String::new();
                value.push_to(&mut text);
                ((*name).clone(), (!value.is_null()).then_some(text))
            });
            let fields: Vec<(String, Option<String>)> = fields.collect();
            let at_fault = fields.iter().find(|(name, _)| *name == why.column);
            letters.push(UnreadableRecord {
                key: keys.get(row).cloned(),
                text: at_fault
                    .and_then(|(_, text)| text.clone())
                    .unwrap_or_default(),
                column: why.column.clone(),
                reason: why.reason.to_owned(),
                fields,
            });
        }
        self.concealed.conceal(&mut letters);
        Ok(letters)
    }

    /// The source's name of a column of the destination, and whether it has the same values there.
    pub(crate) fn of_source(&self, column: &str) -> Option<(&str, bool)> {
        self.slots.iter().find_map(|slot| match &slot.supply {
            Supply::Column { name, treat } if slot.field.name() == column => {
                Some((name.as_str(), matches!(treat, Treat::Keep)))
            }
            _ => None,
        })
    }

    /// The source's totals, grouped as the destination groups them. What a group is called there is noted
    /// in `seen`, for the source to be asked for it.
    pub(crate) fn totals(
        &self,
        totals: ControlTotals,
        group_by: &[String],
        seen: &mut Seen,
    ) -> Result<ControlTotals> {
        let treats: Vec<Option<(&Treat, _)>> = group_by
            .iter()
            .map(|name| {
                let kind = super::kind::ColumnKind::of(self.source.field(name).ok()?.data_type())?;
                self.slots.iter().find_map(|slot| match &slot.supply {
                    Supply::Column { name: of, treat } if of == name => Some((treat, kind)),
                    _ => None,
                })
            })
            .collect();
        if !treats
            .iter()
            .flatten()
            .any(|(treat, _)| !matches!(treat, Treat::Keep))
        {
            return Ok(totals);
        }
        let mut shaped = ControlTotals::default();
        for (mut key, group) in totals.groups {
            for ((text, treat), name) in key.iter_mut().zip(&treats).zip(group_by) {
                if let Some((treat, kind)) = treat
                    && !matches!(treat, Treat::Keep)
                {
                    let treated = treated_text(text, treat, *kind);
                    let plain = std::mem::replace(text, treated.clone());
                    seen.entry((name.clone(), treated))
                        .or_default()
                        .insert(plain);
                }
            }
            shaped.add(key, group)?;
        }
        Ok(shaped)
    }

    /// What a person must know of the stream's shape and of what was read so far.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let subject = self.source.name.as_str();
        let tell = |severity, message: String| Finding::new(severity, subject, message);
        let mut findings = Vec::new();
        for difference in &self.differences {
            let finding = tell(Severity::Warning, difference.to_string());
            findings.push(match difference {
                Difference::ColumnAdded { decision: Decision::Taken, .. } => finding.remedy(
                    "rows that are in the destination already hold null there until they change",
                ),
                Difference::ColumnGone { .. } => {
                    finding.remedy("the column stays in the destination, and turns null as rows change")
                }
                Difference::TypeChanged { into: Some(into), .. } => finding.remedy(format!(
                    "read it from {into}; the old column turns null as the stream is read whole once \
                     more"
                )),
                Difference::MappingChanged { .. } => {
                    finding.remedy("the stream is read whole once more, so that all rows follow it")
                }
                _ => finding,
            });
        }
        for left_out in &self.left_out {
            let (column, values) = (&left_out.column, left_out.values.load(Ordering::Relaxed));
            let what = if left_out.rejects {
                format!(
                    "{column} is not in the contract: {values} records that have a value in it were rejected"
                )
            } else {
                format!("{column} is not in the contract: {values} values were left out")
            };
            findings.push(
                tell(Severity::Warning, what)
                    .remedy("let the stream evolve, or name the column in its mapping"),
            );
        }
        for column in &self.not_compared {
            findings.push(tell(
                Severity::Info,
                format!(
                    "tie-out leaves {column} out, for the destination does not have it as it was"
                ),
            ));
        }
        findings
    }
}

fn rejects(difference: &Difference, name: &str) -> bool {
    match difference {
        Difference::ColumnAdded {
            column, decision, ..
        }
        | Difference::TypeChanged {
            column, decision, ..
        } => column == name && *decision == Decision::RowsRejected,
        _ => false,
    }
}

/// The descriptors of both sides, and the columns whose totals only the source could tell.
fn both_sides(
    mapped: &Mapped,
    contract: &Contract,
    slots: &[Slot],
) -> (StreamDescriptor, StreamDescriptor, Vec<String>) {
    let of_source = &mapped.source;
    let slot_of = |column: &String| {
        slots
            .iter()
            .find(|slot| matches!(&slot.supply, Supply::Column { name, .. } if name == column))
    };
    let mut not_compared = Vec::new();
    let (mut asked, mut told) = (TotalsShape::default(), TotalsShape::default());
    for sum in &of_source.totals.sums {
        match slot_of(sum) {
            Some(slot) if matches!(slot.field.data_type(), DataType::Decimal128(..)) => {
                asked.sums.push(sum.clone());
                told.sums.push(slot.field.name().clone());
            }
            _ => not_compared.push(format!("the sum of {sum}")),
        }
    }
    for group in &of_source.totals.group_by {
        match slot_of(group) {
            Some(slot) => {
                asked.group_by.push(group.clone());
                told.group_by.push(slot.field.name().clone());
            }
            None => not_compared.push(format!("the grouping by {group}")),
        }
    }
    let name_of = |column: &String| slot_of(column).map(|slot| slot.field.name().clone());
    for grouping in &of_source.totals.also_by {
        match grouping.iter().map(name_of).collect() {
            Some(columns) => told.also_by.push(columns),
            None => not_compared.push(format!("the grouping by {}", grouping.join(" and "))),
        }
    }
    let roles = &of_source.totals.roles;
    let role = |column: &Option<String>| column.as_ref().and_then(name_of);
    told.roles = Roles {
        book: role(&roles.book),
        entity: role(&roles.entity),
        period: role(&roles.period),
        account: role(&roles.account),
    };
    let fields: Vec<Field> = slots.iter().map(|slot| slot.field.clone()).collect();
    let about = of_source.schema.metadata().clone();
    let mut source = (**of_source).clone();
    source.totals = asked;
    let destination = StreamDescriptor {
        schema: Arc::new(Schema::new_with_metadata(fields, about)),
        key: contract.key.clone(),
        modified: contract.modified.clone(),
        keep_together: contract.keep_together.clone(),
        period: contract.period.clone(),
        totals: told,
        // Debits and credits are those of the books, so their columns must be as they are there.
        entries: source.entries.as_ref().and_then(|rule| {
            let untouched = |column: &String| {
                let slot = slot_of(column)?;
                let kept = matches!(
                    &slot.supply,
                    Supply::Column {
                        treat: Treat::Keep,
                        ..
                    }
                );
                kept.then(|| slot.field.name().clone())
            };
            rule.renamed(&untouched)
        }),
        ..source.clone()
    };
    (source, destination, not_compared)
}

/// Rows that do not reach the destination, and why.
#[derive(Debug, Default)]
struct Refused(BTreeMap<usize, Why>);

#[derive(Debug)]
struct Why {
    column: String,
    reason: &'static str,
}

impl Refused {
    fn add(&mut self, row: usize, column: &str, reason: &'static str) {
        self.0.entry(row).or_insert_with(|| Why {
            column: column.to_owned(),
            reason,
        });
    }
}

impl LeftOut {
    fn leave_out(&self, rows: &RecordBatch, on: Errand, refused: &mut Refused) -> Result<()> {
        let array = rows.column_by_name(&self.column).ok_or_else(lacking)?;
        let values = array.len() - array.null_count();
        if on == Errand::Delivery {
            self.values.fetch_add(values as u64, Ordering::Relaxed);
        }
        if self.rejects && values > 0 {
            for row in (0..array.len()).filter(|&row| array.is_valid(row)) {
                let reason = "the stream's contract does not have this column, or not of this type, \
                              and rejects records that do";
                refused.add(row, &self.column, reason);
            }
        }
        Ok(())
    }
}

impl Slot {
    fn fill(&self, rows: &RecordBatch, refused: &mut Refused) -> Result<ArrayRef> {
        let count = rows.num_rows();
        let (name, treat) = match &self.supply {
            Supply::Nothing => {
                return Ok(arrow_array::new_null_array(self.field.data_type(), count));
            }
            Supply::Constant(value) => {
                let mut cells = Cells::new(self.field.data_type(), count)?;
                for _ in 0..count {
                    cells.push(value.value())?;
                }
                return cells.finish();
            }
            Supply::Column { name, treat } => (name, treat),
        };
        let array = rows.column_by_name(name).ok_or_else(lacking)?;
        if matches!(treat, Treat::Keep) {
            return Ok(Arc::clone(array));
        }
        let column = Column::of(array.as_ref()).map_err(|error| error.with("column", name))?;
        let mut cells = Cells::new(self.field.data_type(), count)?;
        let mut text = String::new();
        for row in 0..count {
            match treat.apply(column.value(row), &mut text) {
                Ok(value) => cells.push(value)?,
                Err(reason) => {
                    refused.add(row, name, reason);
                    cells.push(crate::column::Value::Null)?;
                }
            }
        }
        cells.finish()
    }
}

/// The text of a group behind a treatment; a text that does not fit stays as it is, for its records are
/// not in the destination.
fn treated_text(text: &str, treat: &Treat, kind: super::kind::ColumnKind) -> String {
    let mut own = String::new();
    let treated = super::treat::read(text, kind).and_then(|value| treat.apply(value, &mut own));
    match treated {
        Ok(value) => {
            let mut treated = String::new();
            value.push_to(&mut treated);
            treated
        }
        Err(_) => text.to_owned(),
    }
}

fn lacking() -> Error {
    let what = "a page does not have the columns of its stream";
    Error::new(ErrorKind::Protocol, what)
}

fn misfit(error: arrow_schema::ArrowError) -> Error {
    lacking().caused_by(error)
}
