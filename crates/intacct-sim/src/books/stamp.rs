//! Other times of last change: nothing else of the books follows from them.

use super::Books;
use crate::table::{Row, Table};

impl Books {
    /// Gives records of an object another time of last change, or none; false for an object whose
    /// records have none. The caller settles.
    pub(crate) fn stamp(&mut self, object: &str, slots: &[u32], at: Option<u32>) -> bool {
        match object {
            "APBILL" => stamp(&mut self.bills, slots, at),
            "APBILLITEM" => stamp(&mut self.bill_items, slots, at),
            "APPYMT" => stamp(&mut self.payments, slots, at),
            "APPYMTDETAIL" => stamp(&mut self.payment_details, slots, at),
            "ARINVOICE" => stamp(&mut self.invoices, slots, at),
            "ARINVOICEITEM" => stamp(&mut self.invoice_items, slots, at),
            "CLASS" => stamp(&mut self.classes, slots, at),
            "CUSTOMER" => stamp(&mut self.customers, slots, at),
            "DEPARTMENT" => stamp(&mut self.departments, slots, at),
            "EMPLOYEE" => stamp(&mut self.employees, slots, at),
            "GLACCOUNT" => stamp(&mut self.accounts, slots, at),
            "GLBATCH" => stamp(&mut self.batches, slots, at),
            "GLDETAIL" | "GLENTRY" => stamp(&mut self.entries, slots, at),
            "GLJOURNAL" => stamp(&mut self.journals, slots, at),
            "LOCATION" => stamp(&mut self.locations, slots, at),
            "LOCATIONENTITY" => stamp(&mut self.entities, slots, at),
            "PROJECT" => stamp(&mut self.projects, slots, at),
            "REPORTINGPERIOD" => stamp(&mut self.periods, slots, at),
            "VENDOR" => stamp(&mut self.vendors, slots, at),
            _ => return false,
        }
        true
    }
}

fn stamp<T: Row>(table: &mut Table<T>, slots: &[u32], at: Option<u32>) {
    for &slot in slots {
        match at {
            Some(at) => {
                table.change(slot, at);
            }
            None => table.forget_change(slot),
        }
    }
}
