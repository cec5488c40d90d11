//! The modelled company: its records, and the few operations through which they change.
//!
//! Nothing outside these operations touches an amount, so that documents, ledger and balances
//! agree after every one of them.

mod balances;
mod chart;
mod edit;
mod events;
pub(crate) mod fields;
mod generate;
mod names;
mod rows;
mod stamp;
mod story;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub(crate) use self::balances::{BalanceRow, Balances};
pub(crate) use self::generate::generate;
pub(crate) use self::rows::*;
pub(crate) use self::story::first_instant;
use crate::company::Changes;
use crate::table::{Head, Row, Table};

/// No record: a link that leads nowhere.
pub(crate) const NONE: u32 = u32::MAX;
/// No date.
pub(crate) const NO_DATE: i32 = i32::MIN;
/// Currencies in use; the first is the base currency of every entity.
pub(crate) const CURRENCIES: [&str; 4] = ["USD", "EUR", "GBP", "CAD"];

/// Everything that the company has on file.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) seed: u64,
    /// The instant at which the company's clock started; day counts of stories start here.
    pub(crate) start: i64,
    pub(crate) entities: Table<Location>,
    pub(crate) locations: Table<Location>,
    pub(crate) departments: Table<Department>,
    pub(crate) classes: Table<Plain>,
    pub(crate) projects: Table<Project>,
    pub(crate) customers: Table<Party>,
    pub(crate) vendors: Table<Party>,
    pub(crate) employees: Table<Employee>,
    pub(crate) accounts: Table<Account>,
    pub(crate) journals: Table<Journal>,
    pub(crate) periods: Table<Period>,
    pub(crate) users: Table<User>,
    pub(crate) bills: Table<Document>,
    pub(crate) bill_items: Table<Item>,
    pub(crate) payments: Table<Payment>,
    pub(crate) payment_details: Table<PaymentDetail>,
    pub(crate) invoices: Table<Document>,
    pub(crate) invoice_items: Table<Item>,
    pub(crate) batches: Table<Batch>,
    pub(crate) entries: Table<Entry>,
    pub(crate) audit: Table<Audit>,
    pub(crate) assets: Table<Asset>,
    pub(crate) regions: Table<Region>,
    /// Descriptions, by number; the first is empty.
    pub(crate) texts: Vec<String>,
    /// Bills that may still be paid, oldest first.
    pub(crate) open_bills: Vec<u32>,
    /// Invoices that may still be received.
    pub(crate) open_invoices: Vec<u32>,
    pub(crate) balances: Balances,
    balance_rows: OnceLock<Table<BalanceRow>>,
}

/// A line of a journal entry that is about to be posted.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) account: u16,
    pub(crate) department: u8,
    pub(crate) location: u8,
    pub(crate) class: u8,
    pub(crate) project: u16,
    pub(crate) employee: u16,
    pub(crate) customer: u32,
    pub(crate) debit: bool,
    pub(crate) amount: i64,
    pub(crate) trx_amount: i64,
    pub(crate) text: u32,
}

impl Posting {
    /// A line without dimensions but its location.
    pub(crate) fn plain(account: u16, location: u8, debit: bool, amount: i64) -> Self {
        Self {
            account,
            department: 0,
            location,
            class: 0,
            project: 0,
            employee: 0,
            customer: NONE,
            debit,
            amount,
            trx_amount: amount,
            text: 0,
        }
    }
}

/// The header of a journal entry that is about to be posted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    pub(crate) journal: u8,
    pub(crate) date: i32,
    pub(crate) currency: u8,
    pub(crate) rate: u32,
    pub(crate) entity: u8,
    pub(crate) origin: Origin,
    pub(crate) text: u32,
}

impl Books {
    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", String::as_str)
    }

    /// Balances by account, period, department and location, as they follow from the ledger.
    pub(crate) fn balance_rows(&self) -> &Table<BalanceRow> {
        self.balance_rows.get_or_init(|| self.balances.rows(self))
    }

    /// Brings every order and view up to date after changes.
    pub(crate) fn settle(&mut self) {
        self.balance_rows = OnceLock::new();
        self.entities.settle();
        self.locations.settle();
        self.departments.settle();
        self.classes.settle();
        self.projects.settle();
        self.customers.settle();
        self.vendors.settle();
        self.employees.settle();
        self.accounts.settle();
        self.journals.settle();
        self.periods.settle();
        self.users.settle();
        self.bills.settle();
        self.bill_items.settle();
        self.payments.settle();
        self.payment_details.settle();
        self.invoices.settle();
        self.invoice_items.settle();
        self.batches.settle();
        self.entries.settle();
        self.audit.settle();
        self.assets.settle();
        self.regions.settle();
    }

    /// Posts a journal entry. Its lines balance; that is the caller's duty.
    pub(crate) fn post(&mut self, heading: Heading, lines: &[Posting], at: u32) -> u32 {
        debug_assert_eq!(
            lines
                .iter()
                .map(|l| if l.debit { l.amount } else { -l.amount })
                .sum::<i64>(),
            0
        );
        let journal = self.journals.complete(u32::from(heading.journal));
        journal.last_number += 1;
        let number = journal.last_number;
        let batch = self.batches.push(Batch {
            head: head(at, heading.entity),
            number,
            journal: heading.journal,
            date: heading.date,
            currency: heading.currency,
            rate: heading.rate,
            origin: heading.origin,
            text: heading.text,
            first_entry: self.entries.slots(),
            entries: lines.len() as u32,
            reversed: NO_DATE,
            reversed_key: 0,
            reversed_from: NO_DATE,
        });
        for (number, line) in lines.iter().enumerate() {
            let entry = self.entries.push(Entry {
                head: head(at, heading.entity),
                amount: line.amount,
                trx_amount: line.trx_amount,
                batch,
                text: line.text,
                customer: line.customer,
                project: line.project,
                account: line.account,
                line: number as u16 + 1,
                employee: line.employee,
                department: line.department,
                location: line.location,
                class: line.class,
                debit: line.debit,
            });
            self.count(entry, at, 1);
        }
        batch
    }

    /// Takes a journal entry out of the books, with its lines.
    pub(crate) fn unpost(&mut self, batch: u32, at: u32) {
        for entry in self.batches.get(batch).entry_slots() {
            self.count(entry, at, -1);
            self.entries.remove(entry);
        }
        self.batches.remove(batch);
    }

    /// Changes the amounts of one line; the caller changes another line of the entry by as much.
    pub(crate) fn restate(&mut self, entry: u32, amount: i64, trx_amount: i64, at: u32) {
        self.count(entry, at, -1);
        let line = self.entries.change(entry, at);
        line.amount = amount;
        line.trx_amount = trx_amount;
        self.count(entry, at, 1);
    }

    /// Marks the ledger lines of an entry as changed: they show the state of their document.
    pub(crate) fn touch_entries(&mut self, batch: u32, at: u32) {
        if batch != NONE {
            for entry in self.batches.get(batch).entry_slots() {
                self.entries.change(entry, at);
            }
        }
    }

    fn count(&mut self, entry: u32, at: u32, sign: i64) {
        let entry = self.entries.get(entry);
        let batch = self.batches.get(entry.batch);
        let book = self.journals.get(u32::from(batch.journal)).book;
        self.balances.add(book, entry, batch.date, at, sign);
    }

    /// How many records each object has gained, changed and lost since `before`.
    pub(crate) fn changes_since(
        &self,
        before: &Marks,
        at_or_after: u32,
    ) -> BTreeMap<String, Changes> {
        let now = self.marks();
        let mut changes = BTreeMap::new();
        for (name, mark) in now.0 {
            let old = before.0.get(name).copied().unwrap_or_default();
            let created = mark.slots - old.slots;
            let deleted = mark.deleted - old.deleted;
            let updated = self.updated(name, old.slots, at_or_after);
            if created + deleted + updated > 0 {
                let changed = Changes {
                    created: u64::from(created),
                    updated: u64::from(updated),
                    deleted: u64::from(deleted),
                };
                changes.insert(name.to_owned(), changed);
            }
        }
        changes
    }

    /// Where every table stands, to tell later what has changed.
    pub(crate) fn marks(&self) -> Marks {
        let mut marks = BTreeMap::new();
        macro_rules! mark {
            ($($name:literal => $table:ident),* $(,)?) => {
                $(marks.insert($name, Mark {
                    slots: self.$table.slots(),
                    deleted: self.$table.slots() - self.$table.by_key().len() as u32,
                });)*
            };
        }
        mark! {
            "VENDOR" => vendors, "CUSTOMER" => customers, "PROJECT" => projects,
            "EMPLOYEE" => employees, "DEPARTMENT" => departments, "CLASS" => classes,
            "LOCATION" => locations, "LOCATIONENTITY" => entities, "GLACCOUNT" => accounts,
            "GLJOURNAL" => journals, "REPORTINGPERIOD" => periods, "USERINFO" => users,
            "APBILL" => bills, "APBILLITEM" => bill_items, "APPYMT" => payments,
            "APPYMTDETAIL" => payment_details, "ARINVOICE" => invoices,
            "ARINVOICEITEM" => invoice_items, "GLBATCH" => batches, "GLENTRY" => entries,
            "GLDETAIL" => entries, "AUDITHISTORY" => audit,
            "asset" => assets, "region" => regions,
        }
        Marks(marks)
    }

    fn updated(&self, name: &str, old_slots: u32, since: u32) -> u32 {
        fn count<T: Row>(table: &Table<T>, old_slots: u32, since: u32) -> u32 {
            let changed = table
                .by_modified()
                .iter()
                .rev()
                .take_while(|&&slot| table.get(slot).head().modified >= since);
            changed.filter(|&&slot| slot < old_slots).count() as u32
        }
        match name {
            "VENDOR" => count(&self.vendors, old_slots, since),
            "CUSTOMER" => count(&self.customers, old_slots, since),
            "PROJECT" => count(&self.projects, old_slots, since),
            "EMPLOYEE" => count(&self.employees, old_slots, since),
            "DEPARTMENT" => count(&self.departments, old_slots, since),
            "CLASS" => count(&self.classes, old_slots, since),
            "LOCATION" => count(&self.locations, old_slots, since),
            "LOCATIONENTITY" => count(&self.entities, old_slots, since),
            "GLACCOUNT" => count(&self.accounts, old_slots, since),
            "APBILL" => count(&self.bills, old_slots, since),
            "APBILLITEM" => count(&self.bill_items, old_slots, since),
            "APPYMT" => count(&self.payments, old_slots, since),
            "APPYMTDETAIL" => count(&self.payment_details, old_slots, since),
            "ARINVOICE" => count(&self.invoices, old_slots, since),
            "ARINVOICEITEM" => count(&self.invoice_items, old_slots, since),
            "GLBATCH" => count(&self.batches, old_slots, since),
            "asset" => count(&self.assets, old_slots, since),
            "GLENTRY" | "GLDETAIL" => count(&self.entries, old_slots, since),
            _ => 0,
        }
    }
}

/// Sizes of all tables at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Marks(BTreeMap<&'static str, Mark>);

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    slots: u32,
    deleted: u32,
}

/// The head of a record made at an instant, owned by an entity (0: none).
pub(crate) fn head(at: u32, entity: u8) -> Head {
    Head {
        created: at,
        modified: at,
        created_by: 1,
        modified_by: 1,
        entity,
        ..Head::default()
    }
}
