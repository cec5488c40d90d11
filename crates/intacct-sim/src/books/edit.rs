//! Single edits from outside, each of them one that a user of the company could make.
//!
//! What other records show too (names, titles, numbers) cannot be edited here, and amounts only
//! where the ledger can follow.

use fastrand::Rng;

use super::events::Side;
use super::{Books, Origin, Status};
use crate::calendar;
use crate::company::{Edit, EditOp};
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind};
use crate::table::{Row, Table};

impl Books {
    /// Applies one edit at an instant. The caller settles.
    pub(crate) fn edit(&mut self, edit: &Edit, at: u32) -> Result<(), Error> {
        match edit.op {
            EditOp::Create => self.create(edit, at),
            EditOp::Update => self.update(edit, at),
            EditOp::Delete => self.delete(edit, at),
        }
    }

    fn create(&mut self, edit: &Edit, at: u32) -> Result<(), Error> {
        let mut random =
            Rng::with_seed(self.seed ^ (u64::from(at) << 20) ^ u64::from(self.entries.slots()));
        let date = |field: &str| match edit.fields.get(field).and_then(Option::as_deref) {
            Some(text) => calendar::parse_date(text).ok_or_else(|| unreadable(field, text)),
            None => Ok(calendar::date_of(i64::from(at))),
        };
        match edit.object.as_str() {
            "VENDOR" | "CUSTOMER" => {
                let side = if edit.object == "VENDOR" {
                    Side::Purchase
                } else {
                    Side::Sale
                };
                let slot = self.new_party(side, &mut random, at);
                let party = match side {
                    Side::Purchase => self.vendors.complete(slot),
                    Side::Sale => self.customers.complete(slot),
                };
                if let Some(Some(name)) = edit.fields.get("NAME") {
                    party.name.clone_from(name);
                }
                let rest = edit.fields.iter().filter(|(name, _)| *name != "NAME");
                for (field, text) in rest {
                    set_party(party, field, text.as_deref().unwrap_or(""))?;
                }
            }
            "APBILL" => {
                self.new_document(Side::Purchase, &mut random, date("WHENCREATED")?, at);
            }
            "ARINVOICE" => {
                self.new_document(Side::Sale, &mut random, date("WHENCREATED")?, at);
            }
            "APPYMT" => {
                let date = date("WHENPAID")?;
                self.pay_some(&mut random, date, at)
                    .ok_or_else(|| Error::refused("no bill is open that could be paid"))?;
            }
            "GLBATCH" => {
                self.new_entry(&mut random, date("BATCH_DATE")?, at);
            }
            _ => return Err(cannot("create", edit)),
        }
        Ok(())
    }

    fn update(&mut self, edit: &Edit, at: u32) -> Result<(), Error> {
        for (field, text) in &edit.fields {
            self.set(edit, field, text.as_deref().unwrap_or(""), at)?;
        }
        Ok(())
    }

    fn set(&mut self, edit: &Edit, field: &str, text: &str, at: u32) -> Result<(), Error> {
        match edit.object.as_str() {
            "VENDOR" => {
                let slot = slot(&self.vendors, edit)?;
                set_party(self.vendors.change(slot, at), field, text)
            }
            "CUSTOMER" => {
                let slot = slot(&self.customers, edit)?;
                set_party(self.customers.change(slot, at), field, text)
            }
            "PROJECT" => {
                let slot = slot(&self.projects, edit)?;
                let project = self.projects.change(slot, at);
                match field {
                    "BUDGETAMOUNT" => project.budget = cents(field, text)?,
                    "CONTRACTAMOUNT" => project.contract = cents(field, text)?,
                    "ENDDATE" => project.end = day(field, text)?,
                    "STATUS" => project.status = status(text)?,
                    _ => return Err(fixed(edit, field)),
                }
                Ok(())
            }
            "EMPLOYEE" => {
                let slot = slot(&self.employees, edit)?;
                let employee = self.employees.change(slot, at);
                match field {
                    "TITLE" => text.clone_into(&mut employee.title),
                    "STATUS" => employee.status = status(text)?,
                    "ENDDATE" => employee.end = day(field, text)?,
                    "PERSONALINFO.PHONE1" => text.clone_into(&mut employee.contact.phone),
                    _ => return Err(fixed(edit, field)),
                }
                Ok(())
            }
            "DEPARTMENT" if field == "CUSTTITLE" => {
                let slot = slot(&self.departments, edit)?;
                text.clone_into(&mut self.departments.change(slot, at).report_title);
                Ok(())
            }
            "CLASS" if field == "DESCRIPTION" => {
                let slot = slot(&self.classes, edit)?;
                text.clone_into(&mut self.classes.change(slot, at).description);
                Ok(())
            }
            "GLACCOUNT" if field == "TAXCODE" => {
                let slot = slot(&self.accounts, edit)?;
                text.clone_into(&mut self.accounts.change(slot, at).tax_code);
                Ok(())
            }
            "APBILL" => self.set_document(Side::Purchase, edit, field, text, at),
            "ARINVOICE" => self.set_document(Side::Sale, edit, field, text, at),
            "APBILLITEM" => self.set_item(Side::Purchase, edit, field, text, at),
            "ARINVOICEITEM" => self.set_item(Side::Sale, edit, field, text, at),
            "GLBATCH" if field == "BATCH_TITLE" => {
                let slot = slot(&self.batches, edit)?;
                if self.batches.get(slot).origin != Origin::Manual {
                    return Err(fixed(edit, field));
                }
                let text = self.keep(text);
                self.batches.change(slot, at).text = text;
                self.touch_entries(slot, at);
                Ok(())
            }
            "GLENTRY" if field == "DESCRIPTION" => {
                let slot = slot(&self.entries, edit)?;
                let batch = self.entries.get(slot).batch;
                if self.batches.get(batch).origin != Origin::Manual {
                    return Err(fixed(edit, field));
                }
                let text = self.keep(text);
                self.entries.change(slot, at).text = text;
                Ok(())
            }
            _ => Err(fixed(edit, field)),
        }
    }

    fn set_document(
        &mut self,
        side: Side,
        edit: &Edit,
        field: &str,
        text: &str,
        at: u32,
    ) -> Result<(), Error> {
        let slot = slot(self.documents(side), edit)?;
        match field {
            "WHENDUE" => self.edit_due(side, slot, day(field, text)?, at),
            "DESCRIPTION" => {
                let number = self.keep(text);
                let table = match side {
                    Side::Purchase => &mut self.bills,
                    Side::Sale => &mut self.invoices,
                };
                let document = table.change(slot, at);
                document.text = number;
                let batch = document.batch;
                self.touch_entries(batch, at);
            }
            _ => return Err(fixed(edit, field)),
        }
        Ok(())
    }

    fn set_item(
        &mut self,
        side: Side,
        edit: &Edit,
        field: &str,
        text: &str,
        at: u32,
    ) -> Result<(), Error> {
        let slot = slot(self.items(side), edit)?;
        let item = self.items(side).get(slot);
        let document = self.documents(side).get(item.document);
        if field != "TRX_AMOUNT" {
            return Err(fixed(edit, field));
        }
        if document.paid != 0 || document.trx_paid != 0 {
            return Err(Error::refused(format!(
                "{} {} belongs to a document that is paid in part; edit one of which nothing is paid",
                edit.object, item.head.id
            )));
        }
        let amount = cents(field, text)?;
        if amount <= 0 {
            return Err(Error::refused("amounts of lines are greater than 0"));
        }
        self.edit_line(side, slot, amount, at);
        Ok(())
    }

    fn delete(&mut self, edit: &Edit, at: u32) -> Result<(), Error> {
        match edit.object.as_str() {
            "VENDOR" | "CUSTOMER" => {
                let (side, table) = match edit.object.as_str() {
                    "VENDOR" => (Side::Purchase, &self.vendors),
                    _ => (Side::Sale, &self.customers),
                };
                let slot = slot(table, edit)?;
                let named = side == Side::Sale
                    && (self.bill_items.all().any(|(_, item)| item.customer == slot)
                        || self
                            .projects
                            .all()
                            .any(|(_, project)| project.customer == slot));
                if table.get(slot).documents > 0 || named {
                    return Err(Error::refused(format!(
                        "{} {} is named by other records; only one without any can be deleted",
                        edit.object,
                        table.get(slot).head.id
                    )));
                }
                self.delete_party(side, slot, at);
            }
            "APBILL" | "ARINVOICE" => {
                let side = if edit.object == "APBILL" {
                    Side::Purchase
                } else {
                    Side::Sale
                };
                let slot = slot(self.documents(side), edit)?;
                if self.documents(side).get(slot).trx_paid != 0 {
                    return Err(Error::refused("a document that is paid in part stays"));
                }
                self.delete_document(side, slot, at);
            }
            "GLBATCH" => {
                let slot = slot(&self.batches, edit)?;
                let batch = self.batches.get(slot);
                if batch.origin != Origin::Manual || batch.reversed_key != 0 {
                    return Err(Error::refused(
                        "an entry of a document, a reversed one and a reversal stay",
                    ));
                }
                self.delete_entry(slot, at);
            }
            _ => return Err(cannot("delete", edit)),
        }
        Ok(())
    }

    fn keep(&mut self, text: &str) -> u32 {
        self.texts.push(text.to_owned());
        self.texts.len() as u32 - 1
    }
}

fn set_party(party: &mut super::Party, field: &str, text: &str) -> Result<(), Error> {
    match field {
        "COMMENTS" => text.clone_into(&mut party.comments),
        "TAXID" => text.clone_into(&mut party.tax_id),
        "CREDITLIMIT" => party.credit_limit = cents(field, text)?,
        "STATUS" => party.status = status(text)?,
        "ONHOLD" => {
            party.on_hold = match text {
                "true" => true,
                "false" => false,
                _ => return Err(unreadable(field, text)),
            }
        }
        "DISPLAYCONTACT.PHONE1" => text.clone_into(&mut party.contact.phone),
        "DISPLAYCONTACT.EMAIL1" => text.clone_into(&mut party.contact.email),
        "LEGACY_CODE" => text.clone_into(&mut party.legacy_code),
        _ => {
            return Err(Error::refused(format!(
                "{field} cannot be edited: other records show it, or it follows from them"
            )));
        }
    }
    Ok(())
}

fn slot<T: Row>(table: &Table<T>, edit: &Edit) -> Result<u32, Error> {
    let missing = || {
        let message = format!("{} has no record {:?}", edit.object, edit.recordno);
        Error::new(ErrorKind::NotFound, message)
    };
    let key = edit.key()?;
    let by_key = table.by_key();
    let at = by_key.partition_point(|&slot| u64::from(table.get(slot).head().id) < key);
    by_key
        .get(at)
        .copied()
        .filter(|&slot| u64::from(table.get(slot).head().id) == key)
        .ok_or_else(missing)
}

fn cents(field: &str, text: &str) -> Result<i64, Error> {
    let hundredfold = |number: Decimal| {
        Decimal {
            units: number.units.checked_mul(100)?,
            scale: number.scale,
        }
        .as_whole()
    };
    Decimal::parse(text)
        .and_then(hundredfold)
        .ok_or_else(|| unreadable(field, text))
}

fn day(field: &str, text: &str) -> Result<i32, Error> {
    calendar::parse_date(text).ok_or_else(|| unreadable(field, text))
}

fn status(text: &str) -> Result<Status, Error> {
    match text {
        "active" => Ok(Status::Active),
        "inactive" => Ok(Status::Inactive),
        _ => Err(unreadable("STATUS", text)),
    }
}

fn unreadable(field: &str, text: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{field} cannot be {text:?}"))
}

fn fixed(edit: &Edit, field: &str) -> Error {
    Error::refused(format!(
        "{}.{field} cannot be edited: other records show it, or it follows from them",
        edit.object
    ))
}

fn cannot(what: &str, edit: &Edit) -> Error {
    Error::refused(format!(
        "{} is not an object of which a record can be {what}d alone",
        edit.object
    ))
}
