//! Movements by book, account, department, location and month: what GLACCOUNTBALANCE shows.

use std::collections::HashMap;

use super::rows::Entry;
use super::{Books, Row};
use crate::calendar;
use crate::table::{Head, Table};

/// The ledger books that journals post to.
pub(crate) const BOOKS: [&str; 2] = ["ACCRUAL", "GAAPADJACCRUAL"];
/// The first month of the books, January 2024.
pub(crate) const FIRST_MONTH: i32 = 2024 * 12;
/// Months that have a reporting period: four years.
pub(crate) const MONTHS: usize = 48;

/// Movements, updated with every line that is posted or taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Balances {
    places: HashMap<Dimensions, usize>,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Dimensions {
    book: u8,
    account: u16,
    department: u8,
    location: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    debit: i64,
    credit: i64,
    lines: i32,
    changed: u32,
}

/// One account in one period, with its department and location.
#[derive(Clone, Debug)]
pub(crate) struct BalanceRow {
    pub(crate) head: Head,
    pub(crate) book: u8,
    pub(crate) account: u16,
    /// Slots plus one; 0 for none.
    pub(crate) department: u8,
    pub(crate) location: u8,
    /// Slot of the reporting period.
    pub(crate) period: u32,
    pub(crate) open: i64,
    pub(crate) debit: i64,
    pub(crate) credit: i64,
}

impl Row for BalanceRow {
    fn head(&self) -> &Head {
        &self.head
    }
    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}

impl Balances {
    /// Counts a line once more (`sign` 1) or once less (-1).
    pub(crate) fn add(&mut self, book: u8, entry: &Entry, date: i32, at: u32, sign: i64) {
        let key = Dimensions {
            book,
            account: entry.account,
            department: entry.department,
            location: entry.location,
        };
        let cells = &mut self.cells;
        let place = *self.places.entry(key).or_insert_with(|| {
            let place = cells.len();
            cells.resize(place + MONTHS, Cell::default());
            place
        });
        let month = (calendar::month_number(date) - FIRST_MONTH).clamp(0, MONTHS as i32 - 1);
        let cell = &mut cells[place + month as usize];
        if entry.debit {
            cell.debit += sign * entry.amount;
        } else {
            cell.credit += sign * entry.amount;
        }
        cell.lines += sign as i32;
        cell.changed = cell.changed.max(at);
    }

    /// The balances of every month that has a movement or an opening balance, up to the last
    /// month with any movement.
    pub(crate) fn rows(&self, books: &Books) -> Table<BalanceRow> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_unstable();
        let last = (0..MONTHS)
            .rev()
            .find(|month| {
                places
                    .iter()
                    .any(|(_, place)| self.cells[**place + month].lines > 0)
            })
            .unwrap_or(0);
        let months: Vec<u32> = books
            .periods
            .by_key()
            .iter()
            .copied()
            .filter(|&slot| books.periods.get(slot).budgeting)
            .collect();
        let mut table = Table::new(1);
        for (key, place) in places {
            let mut open = 0;
            let mut changed = 0;
            for (month, &period) in months.iter().enumerate().take(last + 1) {
                let cell = self.cells[place + month];
                changed = changed.max(cell.changed);
                if open == 0 && cell.lines == 0 {
                    continue;
                }
                table.push(BalanceRow {
                    head: Head {
                        created: changed,
                        modified: changed,
                        ..Head::default()
                    },
                    book: key.book,
                    account: key.account,
                    department: key.department,
                    location: key.location,
                    period,
                    open,
                    debit: cell.debit,
                    credit: cell.credit,
                });
                open += cell.debit - cell.credit;
            }
        }
        table.settle();
        table
    }
}
