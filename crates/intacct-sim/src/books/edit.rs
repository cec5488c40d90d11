//! Single edits from outside, each of them one that a user of the company could make.
//!
//! What other records show too (names, titles, numbers) cannot be edited here, and amounts only
//! where the ledger can follow.

use fastrand::Rng;
use sim_http::{Error, ErrorKind};

use super::events::Side;
use super::fields::custom::NAMED_ASSETS;
use super::{Asset, Books, Origin, Party, Status, head, names};
use crate::calendar;
use crate::company::{Edit, EditOp};
use crate::decimal::Decimal;
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

    /// Adds to the amount of one ledger line and to nothing else, as no user can: its entry does not balance
    /// any more. The caller settles.
    pub(crate) fn unbalance(&mut self, line: &Edit, cents: i64, at: u32) -> Result<(), Error> {
        let slot = slot(&self.entries, line)?;
        let (amount, trx_amount) = {
            let entry = self.entries.get(slot);
            (entry.amount, entry.trx_amount)
        };
        let more = |amount: i64| {
            let more = amount.checked_add(cents).filter(|more| *more > 0);
            more.ok_or_else(|| Error::refused("the amount of a line is greater than 0"))
        };
        self.restate(slot, more(amount)?, more(trx_amount)?, at);
        Ok(())
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
                let mut party = self.a_party(side, &mut random, at);
                for (field, text) in texts(edit) {
                    match field {
                        "NAME" if !text.is_empty() => text.clone_into(&mut party.name),
                        _ => set_party(&mut party, field, text)?,
                    }
                }
                match side {
                    Side::Purchase => self.vendors.push(party),
                    Side::Sale => self.customers.push(party),
                };
            }
            "APBILL" => {
                only(edit, "WHENCREATED")?;
                self.new_document(Side::Purchase, &mut random, date("WHENCREATED")?, at);
            }
            "ARINVOICE" => {
                only(edit, "WHENCREATED")?;
                self.new_document(Side::Sale, &mut random, date("WHENCREATED")?, at);
            }
            "APPYMT" => {
                only(edit, "WHENPAID")?;
                let date = date("WHENPAID")?;
                self.pay_some(&mut random, date, at)
                    .ok_or_else(|| Error::refused("no bill is open that could be paid"))?;
            }
            "asset" => {
                let mut asset = Asset {
                    head: head(at, 0),
                    name: names::asset(self.assets.slots()),
                    value: 0,
                    acquired: calendar::date_of(i64::from(at)),
                };
                for (field, text) in texts(edit) {
                    set_asset(&mut asset, field, text)?;
                }
                self.assets.push(asset);
            }
            "GLBATCH" => {
                only(edit, "BATCH_DATE")?;
                self.new_entry(&mut random, date("BATCH_DATE")?, at);
            }
            _ => return Err(cannot("create", edit)),
        }
        Ok(())
    }

    fn update(&mut self, edit: &Edit, at: u32) -> Result<(), Error> {
        match edit.object.as_str() {
            "VENDOR" => change(&mut self.vendors, edit, at, set_party),
            "CUSTOMER" => change(&mut self.customers, edit, at, set_party),
            "asset" => change(&mut self.assets, edit, at, set_asset),
            "PROJECT" => change(&mut self.projects, edit, at, |project, field, text| {
                match field {
                    "BUDGETAMOUNT" => project.budget = cents(field, text)?,
                    "CONTRACTAMOUNT" => project.contract = cents(field, text)?,
                    "ENDDATE" => project.end = day(field, text)?,
                    "STATUS" => project.status = status(text)?,
                    _ => return Err(fixed(field)),
                }
                Ok(())
            }),
            "EMPLOYEE" => change(&mut self.employees, edit, at, |employee, field, text| {
                match field {
                    "TITLE" => text.clone_into(&mut employee.title),
                    "STATUS" => employee.status = status(text)?,
                    "ENDDATE" => employee.end = day(field, text)?,
                    "PERSONALINFO.PHONE1" => text.clone_into(&mut employee.contact.phone),
                    _ => return Err(fixed(field)),
                }
                Ok(())
            }),
            "DEPARTMENT" => change(
                &mut self.departments,
                edit,
                at,
                |department, field, text| {
                    match field {
                        "CUSTTITLE" => text.clone_into(&mut department.report_title),
                        _ => return Err(fixed(field)),
                    }
                    Ok(())
                },
            ),
            "CLASS" => change(&mut self.classes, edit, at, |class, field, text| {
                match field {
                    "DESCRIPTION" => text.clone_into(&mut class.description),
                    _ => return Err(fixed(field)),
                }
                Ok(())
            }),
            "GLACCOUNT" => change(&mut self.accounts, edit, at, |account, field, text| {
                match field {
                    "TAXCODE" => text.clone_into(&mut account.tax_code),
                    _ => return Err(fixed(field)),
                }
                Ok(())
            }),
            "APBILL" => self.update_document(Side::Purchase, edit, at),
            "ARINVOICE" => self.update_document(Side::Sale, edit, at),
            "APBILLITEM" => self.update_item(Side::Purchase, edit, at),
            "ARINVOICEITEM" => self.update_item(Side::Sale, edit, at),
            "GLBATCH" => {
                let slot = slot(&self.batches, edit)?;
                let text = self.manual_text(slot, edit, "BATCH_TITLE")?;
                self.batches.change(slot, at).text = text;
                self.touch_entries(slot, at);
                Ok(())
            }
            "GLENTRY" => {
                let slot = slot(&self.entries, edit)?;
                let text = self.manual_text(self.entries.get(slot).batch, edit, "DESCRIPTION")?;
                self.entries.change(slot, at).text = text;
                Ok(())
            }
            _ => Err(cannot("update", edit)),
        }
    }

    /// The new text of the one field of manual entries that can be edited.
    fn manual_text(&mut self, batch: u32, edit: &Edit, field: &str) -> Result<u32, Error> {
        if self.batches.get(batch).origin != Origin::Manual {
            return Err(Error::refused(
                "the entry of a document shows what the document says",
            ));
        }
        let mut new = None;
        for (name, text) in texts(edit) {
            if name != field {
                return Err(fixed(name));
            }
            new = Some(text);
        }
        let new = new.ok_or_else(|| Error::new(ErrorKind::Invalid, "the edit names no field"))?;
        Ok(self.keep(new))
    }

    fn update_document(&mut self, side: Side, edit: &Edit, at: u32) -> Result<(), Error> {
        let slot = slot(self.documents(side), edit)?;
        let (mut due, mut description) = (None, None);
        for (field, text) in texts(edit) {
            match field {
                "WHENDUE" => due = Some(day(field, text)?),
                "DESCRIPTION" => description = Some(text),
                _ => return Err(fixed(field)),
            }
        }
        let due = due.unwrap_or_else(|| self.documents(side).get(slot).due);
        self.edit_due(side, slot, due, at);
        if let Some(text) = description {
            let number = self.keep(text);
            self.edit_description(side, slot, number);
        }
        Ok(())
    }

    fn update_item(&mut self, side: Side, edit: &Edit, at: u32) -> Result<(), Error> {
        let slot = slot(self.items(side), edit)?;
        let item = self.items(side).get(slot);
        let document = self.documents(side).get(item.document);
        if document.paid != 0 || document.trx_paid != 0 {
            return Err(Error::refused(format!(
                "{} {} belongs to a document that is paid in part; edit one of which nothing is paid",
                edit.object, item.head.id
            )));
        }
        let mut amount = item.trx_amount;
        for (field, text) in texts(edit) {
            match field {
                "TRX_AMOUNT" => amount = cents(field, text)?,
                _ => return Err(fixed(field)),
            }
        }
        if !(1..=100_000_000_000).contains(&amount) {
            return Err(Error::refused(
                "amounts of lines are greater than 0, up to a billion",
            ));
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
            "asset" => {
                let slot = slot(&self.assets, edit)?;
                if slot < NAMED_ASSETS {
                    return Err(Error::refused("vendors name this asset; it stays"));
                }
                self.assets.remove(slot);
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

/// The fields of an edit; null is the empty text.
fn texts(edit: &Edit) -> impl Iterator<Item = (&str, &str)> {
    edit.fields
        .iter()
        .map(|(field, text)| (field.as_str(), text.as_deref().unwrap_or("")))
}

/// Changes a record that no other record depends on: all fields of the edit, or none.
fn change<T: Row + Clone>(
    table: &mut Table<T>,
    edit: &Edit,
    at: u32,
    set: fn(&mut T, &str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let slot = slot(table, edit)?;
    let mut row = table.get(slot).clone();
    for (field, text) in texts(edit) {
        set(&mut row, field, text)?;
    }
    row.head_mut().modified = at;
    *table.change(slot, at) = row;
    Ok(())
}

fn set_party(party: &mut Party, field: &str, text: &str) -> Result<(), Error> {
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
        _ => return Err(fixed(field)),
    }
    Ok(())
}

fn set_asset(asset: &mut Asset, field: &str, text: &str) -> Result<(), Error> {
    match field {
        "name" if !text.is_empty() => text.clone_into(&mut asset.name),
        "Book_Value" => asset.value = cents(field, text)?,
        "Acquired" => asset.acquired = day(field, text)?,
        _ => return Err(fixed(field)),
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

/// What is drawn cannot be given: of such a record the date alone is asked for.
fn only(edit: &Edit, field: &str) -> Result<(), Error> {
    match edit.fields.keys().find(|name| *name != field) {
        None => Ok(()),
        Some(name) => Err(Error::refused(format!(
            "{name} cannot be given to a new record of {}: all but {field} is drawn",
            edit.object
        ))),
    }
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

fn fixed(field: &str) -> Error {
    Error::refused(format!(
        "{field} cannot be edited: other records show it, or it follows from them"
    ))
}

fn cannot(what: &str, edit: &Edit) -> Error {
    Error::refused(format!(
        "{} is not an object of which a record can be {what}d alone",
        edit.object
    ))
}
