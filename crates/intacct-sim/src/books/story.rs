//! The change story: what happens in the company on the n-th day after its clock started.

use fastrand::Rng;

use super::events::{Settles, Side};
use super::{Asset, Books, DocumentState, Origin, Status, head, names};
use crate::calendar::{self, DAY, HOUR};
use crate::table::{Row, Table};

/// The instant of the first change of a round: known before the round is applied.
pub(crate) fn first_instant(start: i64, round: u32) -> i64 {
    start + i64::from(round) * DAY + HOUR
}

impl Books {
    /// Applies round `round` and returns the instant of its last change.
    ///
    /// All of it is a function of seed, round and the company as it stands. The caller settles.
    pub(crate) fn apply_round(&mut self, round: u32) -> i64 {
        let mut story = Story {
            random: Rng::with_seed(
                self.seed ^ u64::from(round).wrapping_mul(0xD6E8_FEB8_6659_FD93),
            ),
            date: calendar::date_of(self.start) + round as i32,
            first: first_instant(self.start, round) as u32,
            second: first_instant(self.start, round),
            // About one entry in four hundred has something happen to it.
            size: (self.batches.by_key().len() as u32 / 400).max(2),
        };
        story.new_business(self);
        story.edits(self);
        story.deletions(self);
        self.own_story(round, story.first);
        story.second
    }
}

impl Books {
    /// What happens to the company's own object: one record is new, one is changed.
    fn own_story(&mut self, round: u32, at: u32) {
        let number = self.assets.slots();
        let live = self.assets.by_key();
        if let Some(&slot) = live.get(round as usize % live.len().max(1)) {
            self.assets.change(slot, at).value += 12_345;
        }
        self.assets.push(Asset {
            head: head(at, 0),
            name: names::asset(number),
            value: i64::from(round) * 100_000,
            acquired: calendar::date_of(i64::from(at)),
        });
    }
}

struct Story {
    random: Rng,
    date: i32,
    /// Edits and deletions happen to what was there before.
    first: u32,
    second: i64,
    size: u32,
}

impl Story {
    /// The instant of the next change: often the second of the one before.
    fn tick(&mut self) -> u32 {
        self.second += self.random.i64(0..3);
        self.second as u32
    }

    fn new_business(&mut self, books: &mut Books) {
        for _ in 0..2 + self.size / 10 {
            let at = self.tick();
            books.new_party(Side::Purchase, &mut self.random, at);
            books.new_party(Side::Sale, &mut self.random, at);
        }
        for _ in 0..self.size {
            let at = self.tick();
            books.new_document(Side::Purchase, &mut self.random, self.date, at);
            books.new_document(Side::Sale, &mut self.random, self.date, at);
        }
        // An import: many records in one second.
        let at = self.tick();
        for _ in 0..self.size / 2 {
            books.new_document(Side::Purchase, &mut self.random, self.date - 1, at);
        }
        for _ in 0..self.size / 2 + 1 {
            let at = self.tick();
            books.new_entry(&mut self.random, self.date, at);
            books.pay_some(&mut self.random, self.date, at);
            books.receive_some(&mut self.random, self.date, at);
        }
        // Late postings: they belong to periods that were thought to be done.
        for days in [64, 40] {
            let at = self.tick();
            books.new_entry(&mut self.random, self.date - days, at);
            books.new_document(Side::Purchase, &mut self.random, self.date - days, at);
        }
        if let Some(bill) = self.unpaid(books, Side::Purchase) {
            let at = self.tick();
            books.pay(&mut self.random, &[bill], Settles::Half, self.date, at);
        }
    }

    fn edits(&mut self, books: &mut Books) {
        for _ in 0..1 + self.size / 4 {
            for side in [Side::Purchase, Side::Sale] {
                let Some(document) = self.unpaid(books, side) else {
                    continue;
                };
                let at = self.tick();
                let items = books.documents(side).get(document).item_slots();
                let item = self.random.u32(items);
                let old = books.items(side).get(item).trx_amount;
                books.edit_line(side, item, old + self.random.i64(1..50_000), at);
            }
            if let Some(invoice) = self.unpaid(books, Side::Sale) {
                let at = self.tick();
                let due = books.invoices.get(invoice).due + 7;
                books.edit_due(Side::Sale, invoice, due, at);
            }
        }
        for _ in 0..1 + self.size / 20 {
            if let Some(batch) = self.manual_entry(books) {
                let at = self.tick();
                books.reverse(batch, self.date, at);
            }
            if let Some(batch) = self.manual_entry(books) {
                let at = self.tick();
                books.edit_entry(batch, self.random.i64(1..9_000), at);
            }
        }
        self.master_data(books);
    }

    fn master_data(&mut self, books: &mut Books) {
        for _ in 0..1 + self.size / 8 {
            let at = self.tick();
            if let Some(slot) = any(&books.vendors, &mut self.random) {
                let comment = books.text(self.random.u32(1..2_000)).to_owned();
                let vendor = books.vendors.change(slot, at);
                vendor.comments = comment;
                vendor.rating = (vendor.rating + 1) % 6;
            }
            if let Some(slot) = any(&books.customers, &mut self.random) {
                let customer = books.customers.change(slot, at);
                customer.credit_limit += 100_050;
                customer.on_hold = !customer.on_hold;
            }
            if let Some(slot) = any(&books.projects, &mut self.random) {
                let project = books.projects.change(slot, at);
                project.budget += 777;
                project.end += 30;
            }
            if let Some(slot) = any(&books.employees, &mut self.random) {
                let employee = books.employees.change(slot, at);
                employee.contact.phone = format!("+44 20 7946 {:04}", self.random.u32(0..10_000));
            }
        }
        let at = self.tick();
        if let Some(slot) = any(&books.departments, &mut self.random) {
            let department = books.departments.change(slot, at);
            department.report_title = format!("Reported as {}", self.random.u32(1..100));
        }
        if let Some(slot) = any(&books.accounts, &mut self.random) {
            books.accounts.change(slot, at).tax_code = format!("{:03}", self.random.u32(0..1_000));
        }
        if let Some(slot) = any(&books.classes, &mut self.random) {
            let class = books.classes.change(slot, at);
            class.description = format!("Reviewed {} times & counting", self.random.u32(1..100));
        }
        let idle = |books: &Books, slot: u32| {
            let vendor = books.vendors.get(slot);
            vendor.status == Status::Active && vendor.documents == 0 && !vendor.head.deleted
        };
        if let Some(slot) = self.last_ones(books.vendors.slots(), |slot| idle(books, slot)) {
            let at = self.tick();
            books.vendors.change(slot, at).status = Status::Inactive;
        }
    }

    fn deletions(&mut self, books: &mut Books) {
        for _ in 0..1 + self.size / 12 {
            for side in [Side::Purchase, Side::Sale] {
                let Some(document) = self.unpaid(books, side) else {
                    continue;
                };
                let at = self.tick();
                books.delete_document(side, document, at);
            }
        }
        if let Some(batch) = self.manual_entry(books) {
            let at = self.tick();
            books.delete_entry(batch, at);
        }
        let first = self.first;
        let idle = |slot: u32| {
            let vendor = books.vendors.get(slot);
            vendor.head.created < first
                && vendor.documents == 0
                && !vendor.head.deleted
                && !vendor.head.private
        };
        if let Some(slot) = self.last_ones(books.vendors.slots(), idle) {
            let at = self.tick();
            books.delete_party(Side::Purchase, slot, at);
        }
    }

    /// A posted document of which nothing is paid.
    fn unpaid(&mut self, books: &Books, side: Side) -> Option<u32> {
        let table = books.documents(side);
        let first = self.first;
        somewhere(table.slots(), &mut self.random, |slot| {
            let document = table.get(slot);
            document.state == DocumentState::Posted
                && document.head.created < first
                && document.paid == 0
                && document.trx_paid == 0
                && !document.head.deleted
        })
    }

    /// A manual journal entry that has no counterpart.
    fn manual_entry(&mut self, books: &Books) -> Option<u32> {
        let first = self.first;
        somewhere(books.batches.slots(), &mut self.random, |slot| {
            let batch = books.batches.get(slot);
            // The first entry holds the opening balances.
            slot > 0
                && batch.head.created < first
                && batch.origin == Origin::Manual
                && batch.reversed_key == 0
                && !batch.head.deleted
        })
    }

    fn last_ones(&mut self, slots: u32, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let skip = self.random.u32(0..3) as usize;
        let mut fitting = (0..slots).rev().filter(|&slot| fits(slot)).take(skip + 1);
        fitting.by_ref().last()
    }
}

fn any<T: Row>(table: &Table<T>, random: &mut Rng) -> Option<u32> {
    somewhere(table.slots(), random, |slot| table.is_live(slot))
}

/// The first slot that fits, from a random one on and around.
fn somewhere(slots: u32, random: &mut Rng, fits: impl Fn(u32) -> bool) -> Option<u32> {
    if slots == 0 {
        return None;
    }
    let start = random.u32(0..slots);
    (start..slots).chain(0..start).find(|&slot| fits(slot))
}
