//! What happens in a company: bills come, are paid, invoices go out, entries are made.
//!
//! Each event leaves every total that it touches right, and marks every record whose shown
//! values it changes as modified: a reader of WHENMODIFIED misses nothing.

use fastrand::Rng;

use super::names::{self, pick};
use super::{
    Audit, Books, Document, DocumentState, Heading, Item, NO_DATE, NONE, Origin, Party, Payment,
    PaymentDetail, Posting, Status, chart, head,
};
use crate::calendar;

/// Which side of the business a document is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Purchase,
    Sale,
}

/// How much of what is open a payment settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settles {
    All,
    Half,
}

impl Books {
    pub(crate) fn documents(&self, side: Side) -> &crate::table::Table<Document> {
        match side {
            Side::Purchase => &self.bills,
            Side::Sale => &self.invoices,
        }
    }

    pub(crate) fn items(&self, side: Side) -> &crate::table::Table<Item> {
        match side {
            Side::Purchase => &self.bill_items,
            Side::Sale => &self.invoice_items,
        }
    }

    fn documents_mut(&mut self, side: Side) -> &mut crate::table::Table<Document> {
        match side {
            Side::Purchase => &mut self.bills,
            Side::Sale => &mut self.invoices,
        }
    }

    fn items_mut(&mut self, side: Side) -> &mut crate::table::Table<Item> {
        match side {
            Side::Purchase => &mut self.bill_items,
            Side::Sale => &mut self.invoice_items,
        }
    }

    fn parties_mut(&mut self, side: Side) -> &mut crate::table::Table<Party> {
        match side {
            Side::Purchase => &mut self.vendors,
            Side::Sale => &mut self.customers,
        }
    }

    /// A new vendor or customer without documents.
    pub(crate) fn new_party(&mut self, side: Side, random: &mut Rng, at: u32) -> u32 {
        let party = self.a_party(side, random, at);
        self.parties_mut(side).push(party)
    }

    /// A vendor or customer that is not on file yet.
    pub(crate) fn a_party(&self, side: Side, random: &mut Rng, at: u32) -> Party {
        let number = match side {
            Side::Purchase => self.vendors.slots() + 1,
            Side::Sale => self.customers.slots() + 1,
        };
        Party {
            head: head(at, 0),
            name: names::company(random, number),
            contact: names::contact(random),
            term: random.u8(0..4),
            currency: if random.u32(0..8) == 0 {
                random.u8(1..4)
            } else {
                0
            },
            credit_limit: random.i64(0..40) * 250_000,
            total_due: 0,
            comments: self
                .text(pick(random, &[0, 0, 0, 7, 19, 123, 777]))
                .to_owned(),
            tax_id: format!("{:02}-{:07}", random.u32(10..99), random.u32(0..9_999_999)),
            status: Status::Active,
            on_hold: false,
            one_time: random.u32(0..30) == 0,
            documents: 0,
            last_document: NO_DATE,
            rating: random.u8(0..6),
            legacy_code: if random.bool() {
                format!("{:06}", random.u32(0..99_999))
            } else {
                String::new()
            },
        }
    }

    /// A new bill or invoice of one to six lines; about one in forty stays unposted.
    pub(crate) fn new_document(&mut self, side: Side, random: &mut Rng, date: i32, at: u32) -> u32 {
        let party_count = self.parties_mut(side).slots();
        // The last tenth of the parties has no documents, so that some can be deleted.
        let busy = (party_count * 9 / 10).max(1);
        let mut party = random.u32(0..busy);
        for _ in 0..8 {
            let head = &self.parties_mut(side).get(party).head;
            if !head.deleted && !head.private {
                break;
            }
            party = random.u32(0..busy);
        }
        let entity = random.u8(0..self.entities.slots() as u8);
        let currency = self.parties_mut(side).get(party).currency;
        let term = self.parties_mut(side).get(party).term;
        let rate = rate(currency, date);
        let posted = random.u32(0..40) > 0;
        let count = 1 + random.u32(0..6).min(random.u32(0..6));
        let location = self.a_location(random, entity);
        let document = Document {
            head: head(at, entity + 1),
            total: 0,
            trx_total: 0,
            paid: 0,
            trx_paid: 0,
            party,
            date,
            due: date + names::TERMS[usize::from(term)].1,
            paid_on: NO_DATE,
            rate,
            first_item: self.items(side).slots(),
            items: count,
            batch: NONE,
            text: self.a_text(random),
            currency,
            term,
            state: match posted {
                true => DocumentState::Posted,
                false if random.bool() => DocumentState::Draft,
                false => DocumentState::Submitted,
            },
            location: location + 1,
            on_hold: random.u32(0..50) == 0,
            purchased: random.u32(0..5) == 0,
            cost_code: random.u8(0..4),
        };
        let slot = self.documents_mut(side).push(document);
        for line in 0..count {
            let item = self.a_line(side, random, slot, line as u16 + 1, at);
            let document = self.documents_mut(side).complete(slot);
            document.total += item.amount;
            document.trx_total += item.trx_amount;
            self.items_mut(side).push(item);
        }
        let parties = self.parties_mut(side);
        parties.complete(party).documents += 1;
        if posted {
            self.post_document(side, slot, at);
        }
        slot
    }

    fn a_line(&self, side: Side, random: &mut Rng, document: u32, line: u16, at: u32) -> Item {
        let header = self.documents(side).get(document);
        let trx_amount = an_amount(random);
        let accounts = match side {
            Side::Purchase => chart::EXPENSES,
            Side::Sale => chart::REVENUES,
        };
        let account = random.u16(accounts);
        Item {
            head: head(at, header.head.entity),
            amount: in_base(trx_amount, header.rate),
            trx_amount,
            paid: 0,
            trx_paid: 0,
            document,
            customer: if side == Side::Purchase && random.u32(0..12) == 0 {
                random
                    .u32(0..self.customers.slots() * 9 / 10 + 1)
                    .min(self.customers.slots() - 1)
            } else {
                NONE
            },
            text: self.a_text(random),
            project: a_dimension(random, self.projects.slots(), 3) as u16,
            account,
            line,
            department: self.a_department(random, account),
            location: header.location,
            class: a_dimension(random, self.classes.slots(), 2) as u8,
        }
    }

    /// Gives a document its journal entry, and its party the new amount due.
    fn post_document(&mut self, side: Side, slot: u32, at: u32) {
        let document = self.documents(side).get(slot).clone();
        let (journal, control, origin) = match side {
            Side::Purchase => (chart::PAYABLES, chart::PAYABLE, Origin::Bill(slot)),
            Side::Sale => (chart::SALES, chart::RECEIVABLE, Origin::Invoice(slot)),
        };
        let charges = side == Side::Purchase;
        let mut lines: Vec<Posting> = document
            .item_slots()
            .map(|item| {
                let item = self.items(side).get(item);
                Posting {
                    account: item.account,
                    department: item.department,
                    location: item.location,
                    class: item.class,
                    project: item.project,
                    employee: 0,
                    customer: item.customer,
                    debit: charges,
                    amount: item.amount,
                    trx_amount: item.trx_amount,
                    text: item.text,
                }
            })
            .collect();
        lines.push(Posting {
            trx_amount: document.trx_total,
            text: document.text,
            ..Posting::plain(control, document.location, !charges, document.total)
        });
        let heading = Heading {
            journal,
            date: document.date,
            currency: document.currency,
            rate: document.rate,
            entity: document.head.entity,
            origin,
            text: document.text,
        };
        let batch = self.post(heading, &lines, at);
        self.documents_mut(side).complete(slot).batch = batch;
        let party = self.parties_mut(side).change(document.party, at);
        party.total_due += document.total;
        party.last_document = party.last_document.max(document.date);
        match side {
            Side::Purchase => self.open_bills.push(slot),
            Side::Sale => self.open_invoices.push(slot),
        }
    }

    /// Settles one line of a document and returns base and transaction amount.
    fn settle_item(&mut self, side: Side, item: u32, settles: Settles, at: u32) -> (i64, i64) {
        let line = self.items_mut(side).change(item, at);
        let (open, trx_open) = (line.amount - line.paid, line.trx_amount - line.trx_paid);
        let (amount, trx_amount) = match settles {
            Settles::All => (open, trx_open),
            Settles::Half => {
                let trx_half = trx_open / 2;
                let share = i128::from(open) * i128::from(trx_half) / i128::from(trx_open.max(1));
                (share as i64, trx_half)
            }
        };
        line.paid += amount;
        line.trx_paid += trx_amount;
        (amount, trx_amount)
    }

    fn settle_document(
        &mut self,
        side: Side,
        slot: u32,
        (amount, trx_amount): (i64, i64),
        date: i32,
        at: u32,
    ) {
        let document = self.documents_mut(side).change(slot, at);
        document.paid += amount;
        document.trx_paid += trx_amount;
        if document.due_amount() == 0 {
            document.state = DocumentState::Paid;
            document.paid_on = date;
        }
        let (party, batch) = (document.party, document.batch);
        self.parties_mut(side).change(party, at).total_due -= amount;
        self.touch_entries(batch, at);
    }

    /// Pays bills of one vendor, currency and entity with one payment.
    pub(crate) fn pay(
        &mut self,
        random: &mut Rng,
        bills: &[u32],
        settles: Settles,
        date: i32,
        at: u32,
    ) -> Option<u32> {
        let first = self.bills.get(*bills.first()?).clone();
        let payment = self.payments.push(Payment {
            head: head(at, first.head.entity),
            total: 0,
            trx_total: 0,
            vendor: first.party,
            date,
            rate: first.rate,
            batch: NONE,
            text: self.a_text(random),
            currency: first.currency,
            method: random.u8(0..3),
        });
        let mut lines = Vec::new();
        let (mut total, mut trx_total) = (0, 0);
        for &bill in bills {
            let mut paid = (0, 0);
            for item in self.bills.get(bill).item_slots() {
                let (amount, trx_amount) = self.settle_item(Side::Purchase, item, settles, at);
                if trx_amount == 0 && amount == 0 {
                    continue;
                }
                self.payment_details.push(PaymentDetail {
                    head: head(at, first.head.entity),
                    amount,
                    trx_amount,
                    bill,
                    item,
                    payment,
                });
                paid = (paid.0 + amount, paid.1 + trx_amount);
            }
            self.settle_document(Side::Purchase, bill, paid, date, at);
            let document = self.bills.get(bill);
            lines.push(Posting {
                trx_amount: paid.1,
                text: document.text,
                ..Posting::plain(chart::PAYABLE, document.location, true, paid.0)
            });
            total += paid.0;
            trx_total += paid.1;
        }
        lines.push(Posting {
            trx_amount: trx_total,
            ..Posting::plain(chart::CASH, first.location, false, total)
        });
        let heading = Heading {
            journal: chart::DISBURSEMENTS,
            date,
            currency: first.currency,
            rate: first.rate,
            entity: first.head.entity,
            origin: Origin::Payment(payment),
            text: 0,
        };
        let batch = self.post(heading, &lines, at);
        let record = self.payments.complete(payment);
        (record.total, record.trx_total, record.batch) = (total, trx_total, batch);
        Some(payment)
    }

    /// Takes in all that is open of an invoice.
    pub(crate) fn receive(&mut self, invoice: u32, date: i32, at: u32) {
        let mut paid = (0, 0);
        for item in self.invoices.get(invoice).item_slots() {
            let (amount, trx_amount) = self.settle_item(Side::Sale, item, Settles::All, at);
            paid = (paid.0 + amount, paid.1 + trx_amount);
        }
        self.settle_document(Side::Sale, invoice, paid, date, at);
        let document = self.invoices.get(invoice);
        let line = |account, debit| Posting {
            trx_amount: paid.1,
            text: document.text,
            ..Posting::plain(account, document.location, debit, paid.0)
        };
        let lines = [line(chart::CASH, true), line(chart::RECEIVABLE, false)];
        let heading = Heading {
            journal: chart::RECEIPTS,
            date,
            currency: document.currency,
            rate: document.rate,
            entity: document.head.entity,
            origin: Origin::Receipt(invoice),
            text: document.text,
        };
        self.post(heading, &lines, at);
    }

    /// Pays some open bills, the oldest among a few first; nothing happens when none is open.
    pub(crate) fn pay_some(&mut self, random: &mut Rng, date: i32, at: u32) -> Option<u32> {
        let first = self.take_open(Side::Purchase, random, date)?;
        let lead = self.bills.get(first).clone();
        let mut bills = vec![first];
        for place in (0..self.open_bills.len().min(40)).rev() {
            let other = self.open_bills[place];
            let bill = self.bills.get(other);
            let fits = bill.party == lead.party
                && bill.currency == lead.currency
                && bill.rate == lead.rate
                && bill.head.entity == lead.head.entity
                && bill.state == DocumentState::Posted
                && !bill.head.deleted
                && bill.date <= date;
            if fits && bills.len() < 3 {
                bills.push(other);
                self.open_bills.remove(place);
            }
        }
        let settles = if random.u32(0..10) == 0 {
            Settles::Half
        } else {
            Settles::All
        };
        let payment = self.pay(random, &bills, settles, date, at);
        for bill in bills {
            if self.bills.get(bill).state == DocumentState::Posted {
                self.open_bills.push(bill);
            }
        }
        payment
    }

    pub(crate) fn receive_some(&mut self, random: &mut Rng, date: i32, at: u32) -> Option<u32> {
        let invoice = self.take_open(Side::Sale, random, date)?;
        self.receive(invoice, date, at);
        Some(invoice)
    }

    /// Takes a document from the queue of open ones, among the oldest that are still open.
    fn take_open(&mut self, side: Side, random: &mut Rng, date: i32) -> Option<u32> {
        for _ in 0..12 {
            let open = match side {
                Side::Purchase => &mut self.open_bills,
                Side::Sale => &mut self.open_invoices,
            };
            if open.is_empty() {
                return None;
            }
            let slot = open.swap_remove(random.usize(0..open.len().min(60)));
            let document = self.documents(side).get(slot);
            let is_open = !document.head.deleted && document.due_amount() > 0;
            if is_open && document.date <= date && !document.on_hold {
                return Some(slot);
            }
            if is_open {
                match side {
                    Side::Purchase => self.open_bills.push(slot),
                    Side::Sale => self.open_invoices.push(slot),
                }
            }
        }
        None
    }

    /// A manual journal entry: payroll, depreciation, an accrual, an adjustment.
    pub(crate) fn new_entry(&mut self, random: &mut Rng, date: i32, at: u32) -> u32 {
        let entity = random.u8(0..self.entities.slots() as u8);
        let location = self.a_location(random, entity) + 1;
        let text = self.a_text(random);
        let mut lines = Vec::new();
        let journal = match random.u32(0..10) {
            0..3 => {
                let mut total = 0;
                for _ in 0..2 + random.u32(0..8) {
                    let amount = 200_000 + random.i64(0..700_000);
                    total += amount;
                    lines.push(Posting {
                        department: self.a_department(random, chart::SALARIES),
                        employee: a_dimension(random, self.employees.slots(), 1) as u16,
                        text,
                        ..Posting::plain(chart::SALARIES, location, true, amount)
                    });
                }
                lines.push(Posting::plain(
                    chart::ACCRUED_PAYROLL,
                    location,
                    false,
                    total,
                ));
                chart::PAYROLL
            }
            3..5 => {
                let amount = an_amount(random);
                lines.push(Posting::plain(chart::DEPRECIATION, location, true, amount));
                lines.push(Posting::plain(
                    chart::ACCUMULATED_DEPRECIATION,
                    location,
                    false,
                    amount,
                ));
                chart::GENERAL
            }
            5..8 => {
                let mut total = 0;
                for _ in 0..1 + random.u32(0..4) {
                    let amount = an_amount(random);
                    let account = random.u16(chart::EXPENSES);
                    total += amount;
                    lines.push(Posting {
                        department: self.a_department(random, account),
                        class: a_dimension(random, self.classes.slots(), 2) as u8,
                        text,
                        ..Posting::plain(account, location, true, amount)
                    });
                }
                let petty = (total / 10).max(1);
                lines.push(Posting::plain(chart::PETTY_CASH, location, false, petty));
                if total > petty {
                    lines.push(Posting::plain(
                        chart::PREPAID,
                        location,
                        false,
                        total - petty,
                    ));
                }
                chart::GENERAL
            }
            8 => {
                let amount = an_amount(random);
                lines.push(Posting::plain(
                    chart::DEFERRED_REVENUE,
                    location,
                    true,
                    amount,
                ));
                let revenue = random.u16(chart::REVENUES);
                lines.push(Posting::plain(revenue, location, false, amount));
                chart::GENERAL
            }
            _ => {
                let amount = an_amount(random);
                lines.push(Posting::plain(chart::INSURANCE, location, true, amount));
                lines.push(Posting::plain(chart::PREPAID, location, false, amount));
                chart::ADJUSTMENTS
            }
        };
        let heading = Heading {
            journal,
            date,
            currency: 0,
            rate: RATE_ONE,
            entity: entity + 1,
            origin: Origin::Manual,
            text,
        };
        self.post(heading, &lines, at)
    }

    /// Reverses a journal entry on a date: a new entry with the sides exchanged.
    pub(crate) fn reverse(&mut self, batch: u32, date: i32, at: u32) -> u32 {
        let old = self.batches.get(batch).clone();
        let lines: Vec<Posting> = old
            .entry_slots()
            .map(|entry| {
                let entry = self.entries.get(entry);
                Posting {
                    account: entry.account,
                    department: entry.department,
                    location: entry.location,
                    class: entry.class,
                    project: entry.project,
                    employee: entry.employee,
                    customer: entry.customer,
                    debit: !entry.debit,
                    amount: entry.amount,
                    trx_amount: entry.trx_amount,
                    text: entry.text,
                }
            })
            .collect();
        let heading = Heading {
            journal: old.journal,
            date,
            currency: old.currency,
            rate: old.rate,
            entity: old.head.entity,
            origin: Origin::Manual,
            text: old.text,
        };
        let reversal = self.post(heading, &lines, at);
        let (old_id, new_id) = (old.head.id, self.batches.get(reversal).head.id);
        let record = self.batches.complete(reversal);
        (record.reversed_from, record.reversed_key) = (old.date, old_id);
        let record = self.batches.change(batch, at);
        (record.reversed, record.reversed_key) = (date, new_id);
        // Ledger lines show the state of their entry.
        self.touch_entries(batch, at);
        reversal
    }

    /// Moves the same amount on one debit and one credit line of a manual entry.
    pub(crate) fn edit_entry(&mut self, batch: u32, by: i64, at: u32) {
        let slots = self.batches.get(batch).entry_slots();
        let side = |debit: bool| {
            let entries = &self.entries;
            slots.clone().find(|&slot| {
                let entry = entries.get(slot);
                entry.debit == debit && entry.amount + by > 0 && entry.amount == entry.trx_amount
            })
        };
        if let (Some(debit), Some(credit)) = (side(true), side(false)) {
            for slot in [debit, credit] {
                let amount = self.entries.get(slot).amount + by;
                self.restate(slot, amount, amount, at);
            }
            self.batches.change(batch, at);
        }
    }

    /// Changes the amount of one line of an unpaid document, and all that follows from it.
    pub(crate) fn edit_line(&mut self, side: Side, item: u32, trx_amount: i64, at: u32) {
        let slot = self.items(side).get(item).document;
        let rate = self.documents(side).get(slot).rate;
        let line = self.items_mut(side).change(item, at);
        let amount = in_base(trx_amount, rate);
        let (by, trx_by) = (amount - line.amount, trx_amount - line.trx_amount);
        (line.amount, line.trx_amount) = (amount, trx_amount);
        let document = self.documents_mut(side).change(slot, at);
        document.total += by;
        document.trx_total += trx_by;
        let document = document.clone();
        if document.is_posted() {
            let first = self.batches.get(document.batch).first_entry;
            self.restate(first + (item - document.first_item), amount, trx_amount, at);
            self.restate(
                first + document.items,
                document.total,
                document.trx_total,
                at,
            );
            self.batches.change(document.batch, at);
            self.touch_entries(document.batch, at);
            self.parties_mut(side).change(document.party, at).total_due += by;
        }
    }

    /// Changes when a document is due; ledger lines show it too.
    pub(crate) fn edit_due(&mut self, side: Side, slot: u32, due: i32, at: u32) {
        let document = self.documents_mut(side).change(slot, at);
        document.due = due;
        let batch = document.batch;
        self.touch_entries(batch, at);
    }

    /// Changes what a document says of itself; it was marked as changed before.
    pub(crate) fn edit_description(&mut self, side: Side, slot: u32, text: u32) {
        self.documents_mut(side).complete(slot).text = text;
    }

    /// Deletes an unpaid document with its lines and its journal entry.
    pub(crate) fn delete_document(&mut self, side: Side, slot: u32, at: u32) {
        let document = self.documents(side).get(slot).clone();
        for item in document.item_slots() {
            self.items_mut(side).remove(item);
        }
        self.documents_mut(side).remove(slot);
        let object = match side {
            Side::Purchase => "apbill",
            Side::Sale => "arinvoice",
        };
        self.record_delete(object, document.head.id.to_string(), at);
        if document.batch != NONE {
            self.delete_entry(document.batch, at);
            self.parties_mut(side).change(document.party, at).total_due -= document.total;
        }
        // A party counts its documents for ever only as far as they exist.
        self.parties_mut(side).complete(document.party).documents -= 1;
    }

    /// Deletes a journal entry with its lines.
    pub(crate) fn delete_entry(&mut self, batch: u32, at: u32) {
        let id = self.batches.get(batch).head.id;
        self.unpost(batch, at);
        self.record_delete("glbatch", id.to_string(), at);
    }

    /// Deletes a vendor or a customer that has no documents.
    pub(crate) fn delete_party(&mut self, side: Side, slot: u32, at: u32) {
        let (object, key) = match side {
            Side::Purchase => ("vendor", format!("V{:05}", slot + 1)),
            Side::Sale => ("customer", format!("C{:05}", slot + 1)),
        };
        self.parties_mut(side).remove(slot);
        self.record_delete(object, key, at);
    }

    pub(crate) fn record_delete(&mut self, object: &'static str, key: String, at: u32) {
        self.audit.push(Audit {
            head: head(at, 0),
            object,
            key,
            mode: "D",
        });
    }

    /// Slot of a place of the entity.
    pub(crate) fn a_location(&self, random: &mut Rng, entity: u8) -> u8 {
        let entities = self.entities.slots() as u8;
        let places = (self.locations.slots() as u8 - entities) / entities;
        entities + entity * places + random.u8(0..places)
    }

    /// A department that has such costs or revenues, as a slot plus one: one of two, or none.
    fn a_department(&self, random: &mut Rng, account: u16) -> u8 {
        match random.u32(0..10) {
            0 => 0,
            chance => {
                let first = u32::from(account) * 5 + chance % 2 * 3;
                (first % self.departments.slots()) as u8 + 1
            }
        }
    }

    fn a_text(&self, random: &mut Rng) -> u32 {
        if random.u32(0..12) == 0 {
            0
        } else {
            random.u32(1..self.texts.len() as u32)
        }
    }
}

/// A rate of one, in millionths.
pub(crate) const RATE_ONE: u32 = 1_000_000;

/// The rate of a currency in a month, in millionths of the base currency.
pub(crate) fn rate(currency: u8, date: i32) -> u32 {
    let wave = (calendar::month_number(date) * 37 % 23) as u32 * 911;
    match currency {
        1 => 1_071_300 + wave,
        2 => 1_254_950 + wave,
        3 => 731_420 + wave,
        _ => RATE_ONE,
    }
}

/// A transaction amount in the base currency, rounded half up to the cent.
pub(crate) fn in_base(trx_amount: i64, rate: u32) -> i64 {
    ((i128::from(trx_amount) * i128::from(rate) + 500_000).div_euclid(1_000_000)) as i64
}

/// From a few cents to some ten thousands, small ones more often.
fn an_amount(random: &mut Rng) -> i64 {
    match random.u32(0..20) {
        0 => random.i64(5..100),
        1..4 => random.i64(10..600) * 100,
        4..16 => random.i64(1_000..250_000),
        _ => random.i64(100_000..6_000_000),
    }
}

/// A slot plus one of a dimension with `count` members, 0 for none in `blank` of ten cases.
fn a_dimension(random: &mut Rng, count: u32, blank: u32) -> u32 {
    if count == 0 || random.u32(0..10) < blank {
        0
    } else {
        random.u32(0..count) + 1
    }
}
