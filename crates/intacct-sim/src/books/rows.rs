//! The records, as small as they can be; what the gateway shows is worked out in `fields`.
//!
//! Links between records are slots; `department`, `location`, `class`, `project` and `employee`
//! on lines are slots plus one, 0 for none.

use std::ops::Range;

use crate::table::{Head, Row};

macro_rules! rows {
    ($($name:ident),* $(,)?) => {
        $(impl Row for $name {
            fn head(&self) -> &Head { &self.head }
            fn head_mut(&mut self) -> &mut Head { &mut self.head }
        })*
    };
}

rows!(
    Location,
    Department,
    Plain,
    Project,
    Party,
    Employee,
    Account,
    Journal,
    Period,
    User,
    Document,
    Item,
    Payment,
    PaymentDetail,
    Batch,
    Entry,
    Audit,
    Asset,
    Region,
);

/// An entity, or a place of one.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) head: Head,
    pub(crate) code: String,
    pub(crate) name: String,
    /// Slot of the location above; NONE for an entity.
    pub(crate) parent: u32,
    pub(crate) city: u8,
    pub(crate) currency: u8,
    pub(crate) tax_id: String,
    pub(crate) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Inactive,
}

#[derive(Clone, Debug)]
pub(crate) struct Department {
    pub(crate) head: Head,
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) parent: u32,
    /// Slot of the employee who leads it, or NONE.
    pub(crate) supervisor: u32,
    pub(crate) status: Status,
    pub(crate) report_title: String,
}

/// A class: an id and a name.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) head: Head,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) status: Status,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) customer: u32,
    pub(crate) manager: u32,
    pub(crate) department: u8,
    pub(crate) location: u8,
    pub(crate) begin: i32,
    pub(crate) end: i32,
    pub(crate) budget: i64,
    pub(crate) contract: i64,
    pub(crate) text: u32,
    pub(crate) status: Status,
    pub(crate) billing: u8,
}

/// A vendor or a customer.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) contact: Contact,
    pub(crate) term: u8,
    pub(crate) currency: u8,
    pub(crate) credit_limit: i64,
    pub(crate) total_due: i64,
    pub(crate) comments: String,
    pub(crate) tax_id: String,
    pub(crate) status: Status,
    pub(crate) on_hold: bool,
    pub(crate) one_time: bool,
    /// Documents that were ever made for it; it can be deleted while there are none.
    pub(crate) documents: u32,
    pub(crate) last_document: i32,
    /// The custom fields of vendors: a rating from 0 to 5 (0: empty) and a free text.
    pub(crate) rating: u8,
    pub(crate) legacy_code: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) phone: String,
    pub(crate) email: String,
    pub(crate) street: String,
    pub(crate) street2: String,
    pub(crate) city: u8,
    pub(crate) zip: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Employee {
    pub(crate) head: Head,
    pub(crate) contact: Contact,
    pub(crate) title: String,
    pub(crate) department: u8,
    pub(crate) location: u8,
    pub(crate) supervisor: u32,
    pub(crate) start: i32,
    pub(crate) end: i32,
    pub(crate) status: Status,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) head: Head,
    pub(crate) number: &'static str,
    pub(crate) title: &'static str,
    pub(crate) balance_sheet: bool,
    pub(crate) debit: bool,
    pub(crate) category: &'static str,
    pub(crate) category_key: u32,
    pub(crate) status: Status,
    pub(crate) require_department: bool,
    pub(crate) taxable: bool,
    pub(crate) tax_code: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) head: Head,
    pub(crate) symbol: &'static str,
    pub(crate) title: &'static str,
    /// Place of its book among the books.
    pub(crate) book: u8,
    pub(crate) adjusting: bool,
    pub(crate) last_number: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) start: i32,
    pub(crate) end: i32,
    pub(crate) budgeting: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) head: Head,
    pub(crate) login: String,
    pub(crate) description: String,
}

/// The state of a bill or an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentState {
    Draft,
    Submitted,
    Posted,
    Paid,
}

/// A bill or an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) head: Head,
    pub(crate) total: i64,
    pub(crate) trx_total: i64,
    pub(crate) paid: i64,
    pub(crate) trx_paid: i64,
    /// Slot of the vendor or the customer.
    pub(crate) party: u32,
    pub(crate) date: i32,
    pub(crate) due: i32,
    pub(crate) paid_on: i32,
    pub(crate) rate: u32,
    pub(crate) first_item: u32,
    pub(crate) items: u32,
    /// Slot of its journal entry, NONE while it is not posted.
    pub(crate) batch: u32,
    pub(crate) text: u32,
    pub(crate) currency: u8,
    pub(crate) term: u8,
    pub(crate) state: DocumentState,
    pub(crate) location: u8,
    pub(crate) on_hold: bool,
    /// Made by purchasing, not entered in accounts payable.
    pub(crate) purchased: bool,
    /// Custom field of bills: 0 for empty.
    pub(crate) cost_code: u8,
}

impl Document {
    pub(crate) fn due_amount(&self) -> i64 {
        self.total - self.paid
    }

    pub(crate) fn is_posted(&self) -> bool {
        matches!(self.state, DocumentState::Posted | DocumentState::Paid)
    }

    pub(crate) fn item_slots(&self) -> Range<u32> {
        self.first_item..self.first_item + self.items
    }
}

/// A line of a bill or an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) head: Head,
    pub(crate) amount: i64,
    pub(crate) trx_amount: i64,
    pub(crate) paid: i64,
    pub(crate) trx_paid: i64,
    /// Slot of its bill or invoice.
    pub(crate) document: u32,
    /// Slot of a customer to whom a bill line is charged on, or NONE.
    pub(crate) customer: u32,
    pub(crate) text: u32,
    pub(crate) project: u16,
    pub(crate) account: u16,
    pub(crate) line: u16,
    pub(crate) department: u8,
    pub(crate) location: u8,
    pub(crate) class: u8,
}

/// A payment to a vendor.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) head: Head,
    pub(crate) total: i64,
    pub(crate) trx_total: i64,
    pub(crate) vendor: u32,
    pub(crate) date: i32,
    pub(crate) rate: u32,
    pub(crate) batch: u32,
    pub(crate) text: u32,
    pub(crate) currency: u8,
    pub(crate) method: u8,
}

/// What a payment pays of one bill line.
#[derive(Clone, Debug)]
pub(crate) struct PaymentDetail {
    pub(crate) head: Head,
    pub(crate) amount: i64,
    pub(crate) trx_amount: i64,
    pub(crate) bill: u32,
    pub(crate) item: u32,
    pub(crate) payment: u32,
}

/// What a journal entry was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Manual,
    Bill(u32),
    Payment(u32),
    Invoice(u32),
    /// Money received for an invoice.
    Receipt(u32),
}

/// A journal entry.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) head: Head,
    /// Running number inside the journal.
    pub(crate) number: u32,
    pub(crate) date: i32,
    pub(crate) rate: u32,
    pub(crate) origin: Origin,
    pub(crate) text: u32,
    pub(crate) first_entry: u32,
    pub(crate) entries: u32,
    /// The date on which it was reversed, and the record number of the entry on the other side.
    pub(crate) reversed: i32,
    pub(crate) reversed_key: u32,
    pub(crate) reversed_from: i32,
    pub(crate) journal: u8,
    pub(crate) currency: u8,
}

impl Batch {
    pub(crate) fn entry_slots(&self) -> Range<u32> {
        self.first_entry..self.first_entry + self.entries
    }
}

/// A line of a journal entry; GLENTRY and GLDETAIL both show it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) head: Head,
    pub(crate) amount: i64,
    pub(crate) trx_amount: i64,
    pub(crate) batch: u32,
    pub(crate) text: u32,
    pub(crate) customer: u32,
    pub(crate) project: u16,
    pub(crate) account: u16,
    pub(crate) line: u16,
    pub(crate) employee: u16,
    pub(crate) department: u8,
    pub(crate) location: u8,
    pub(crate) class: u8,
    pub(crate) debit: bool,
}

/// A line of the audit trail.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) head: Head,
    /// Lower-case name of the object.
    pub(crate) object: &'static str,
    pub(crate) key: String,
    pub(crate) mode: &'static str,
}

/// A record of the company's own object.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) value: i64,
    pub(crate) acquired: i32,
}

/// A member of the company's own dimension.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) head: Head,
    pub(crate) name: &'static str,
}
