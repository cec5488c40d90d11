//! The ledger: journal entries, their lines in both views, and balances.

use super::super::balances::{BOOKS, BalanceRow};
use super::super::events::{RATE_ONE, Side};
use super::super::{Batch, Books, Entry, NO_DATE, NONE, Origin};
use super::masters::currency;
use super::purchases::{Shown, rate, shown_document, shown_payment};
use super::{Dimensions, Line, Spec, date, instant, key_of, linked};
use crate::calendar;
use crate::object::DataType;
use crate::value::Value;

const STATES: &[(&str, &str)] = &[
    ("Draft", "I"),
    ("Submitted", "S"),
    ("Partially Approved", "X"),
    ("Approved", "A"),
    ("Posted", "P"),
    ("Declined", "R"),
    ("Reversal Pending", "L"),
    ("Reversed", "Z"),
];

fn module(origin: Origin) -> &'static str {
    match origin {
        Origin::Manual => "2.GL",
        Origin::Bill(_) | Origin::Payment(_) => "3.AP",
        Origin::Invoice(_) | Origin::Receipt(_) => "4.AR",
    }
}

fn state(batch: &Batch) -> &'static str {
    if batch.reversed == NO_DATE {
        "Posted"
    } else {
        "Reversed"
    }
}

fn title<'a>(books: &'a Books, batch: &Batch) -> Value<'a> {
    let kind = match batch.origin {
        Origin::Manual => match books.text(batch.text) {
            "" => "Journal entry",
            text => return Value::text(text),
        },
        Origin::Bill(_) => "Bills",
        Origin::Payment(_) => "Payments",
        Origin::Invoice(_) => "Invoices",
        Origin::Receipt(_) => "Receipts",
    };
    let mut out = kind.as_bytes().to_vec();
    out.extend_from_slice(b": ");
    calendar::push_date(&mut out, batch.date);
    out.extend_from_slice(b" Batch");
    Value::owned(String::from_utf8_lossy(&out).into_owned())
}

pub(super) fn batch() -> Spec<Batch> {
    Spec::new("GLBATCH", "Journal entry", |books| &books.batches)
        .record_number(DataType::Text)
        .int("BATCHNO", |_, row| Value::Int(i64::from(row.number)))
        .text("BATCH_TITLE", title)
        .money("BALANCE", |_, _| Value::Money(0))
        .text("JOURNAL", |books, row| {
            Value::text(books.journals.get(u32::from(row.journal)).symbol)
        })
        .int("JOURNALKEY", |books, row| {
            key_of(&books.journals, u32::from(row.journal))
        })
        .flag("ADJ", |books, row| {
            Value::Flag(books.journals.get(u32::from(row.journal)).adjusting)
        })
        .date("BATCH_DATE", |_, row| date(row.date))
        .text("MODULE", |_, row| Value::text(module(row.origin)))
        .empty("CHILDENTITY t")
        .int("USERKEY", |_, row| {
            Value::Key(u64::from(row.head.created_by))
        })
        .text("REFERENCENO", |_, row| match row.head.id % 5 {
            0 => Value::Serial("REF-", u64::from(row.head.id) / 5, 5),
            _ => Value::Null,
        })
        .date("REVERSED", |_, row| date(row.reversed))
        .int("REVERSEDKEY", |_, row| match row.reversed_key {
            0 => Value::Null,
            key => Value::Key(u64::from(key)),
        })
        .date("REVERSEDFROM", |_, row| date(row.reversed_from))
        .empty("TEMPLATEKEY i")
        .int("PRBATCHKEY", |books, row| match row.origin {
            Origin::Manual => Value::Null,
            Origin::Bill(slot) => key_of(&books.bills, slot),
            Origin::Payment(slot) => key_of(&books.payments, slot),
            Origin::Invoice(slot) | Origin::Receipt(slot) => key_of(&books.invoices, slot),
        })
        .text("PRBATCHRECTYPE", |_, row| {
            Value::text(match row.origin {
                Origin::Manual => "",
                Origin::Bill(_) => "pi",
                Origin::Payment(_) => "pp",
                Origin::Invoice(_) => "ri",
                Origin::Receipt(_) => "rp",
            })
        })
        .instant("MODIFIED", |_, row| {
            instant(row.head.modified.max(row.head.created))
        })
        .text("MODIFIEDBYID", |books, row| {
            Value::text(&books.users.get(u32::from(row.head.modified_by) - 1).login)
        })
        .empty("SCHOPKEY i RRSENTRYKEY i RRSKEY i CONTRACTSCHEDULEKEY i")
        .empty("GLACCTALLOCATIONRUNKEY i")
        .text("BASELOCATION", |books, row| {
            key_of(&books.locations, linked(row.head.entity))
        })
        .last(|info| info.class = crate::value::Class::Number)
        .text("BASELOCATION_NO", |books, row| {
            match linked(row.head.entity) {
                NONE => Value::Null,
                slot => Value::text(&books.locations.get(slot).code),
            }
        })
        .text("BASELOCATION_NAME", |books, row| {
            match linked(row.head.entity) {
                NONE => Value::Null,
                slot => Value::text(&books.locations.get(slot).name),
            }
        })
        .text("USERINFO.LOGINID", |books, row| {
            Value::text(&books.users.get(u32::from(row.head.created_by) - 1).login)
        })
        .choice("STATE", STATES, |_, row| Value::text(state(row)))
        .empty("JOURNALSEQNO t TAXIMPLICATIONS t VATVENDORID t VATCUSTOMERID t VATCONTACTID t")
        .empty("TAXSOLUTIONID t SUPDOCID t SUPDOCKEY i")
        .audit()
        .owner()
        .url()
        .relation("GLJOURNAL", "GLJOURNAL", "JOURNALKEY", |_, row| {
            Some(u32::from(row.journal))
        })
}

impl Line for Entry {
    fn dimensions(&self, books: &Books) -> Dimensions {
        let batch = books.batches.get(self.batch);
        let (vendor, customer) = match batch.origin {
            Origin::Manual => (NONE, self.customer),
            Origin::Bill(slot) => (books.bills.get(slot).party, self.customer),
            Origin::Payment(slot) => (books.payments.get(slot).vendor, NONE),
            Origin::Invoice(slot) | Origin::Receipt(slot) => (NONE, books.invoices.get(slot).party),
        };
        Dimensions {
            department: linked(self.department),
            location: linked(self.location),
            class: linked(self.class),
            project: linked(self.project),
            customer,
            vendor,
            employee: linked(self.employee),
        }
    }
}

fn batch_of<'a>(books: &'a Books, entry: &Entry) -> &'a Batch {
    books.batches.get(entry.batch)
}

pub(super) fn entry() -> Spec<Entry> {
    Spec::new("GLENTRY", "Journal entry line", |books| &books.entries)
        .record_number(DataType::Text)
        .int("BATCHNO", |books, row| key_of(&books.batches, row.batch))
        .int("BATCH_NUMBER", |books, row| {
            Value::Int(i64::from(batch_of(books, row).number))
        })
        .int("USERNO", |books, row| {
            Value::Key(u64::from(batch_of(books, row).head.created_by))
        })
        .int("LINE_NO", |_, row| Value::Int(i64::from(row.line)))
        .int("TR_TYPE", |_, row| {
            Value::Int(if row.debit { 1 } else { -1 })
        })
        .date("ENTRY_DATE", |books, row| date(batch_of(books, row).date))
        .money("AMOUNT", |_, row| Value::Money(row.amount))
        .money("TRX_AMOUNT", |_, row| Value::Money(row.trx_amount))
        .date("BATCH_DATE", |books, row| date(batch_of(books, row).date))
        .text("BATCHTITLE", |books, row| {
            title(books, batch_of(books, row))
        })
        .int("ACCOUNTKEY", |books, row| {
            key_of(&books.accounts, u32::from(row.account))
        })
        .text("ACCOUNTNO", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).number)
        })
        .text("ACCOUNTTITLE", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).title)
        })
        .flag("STATISTICAL", |_, _| Value::Flag(false))
        .int("DEPARTMENTKEY", |books, row| {
            key_of(&books.departments, linked(row.department))
        })
        .int("LOCATIONKEY", |books, row| {
            key_of(&books.locations, linked(row.location))
        })
        .places(
            ["DEPARTMENT", "DEPARTMENTTITLE"],
            ["LOCATION", "LOCATIONNAME"],
        )
        .empty("DOCUMENT t")
        .text("DESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .empty("UNITS i")
        .text("BASECURR", |_, _| currency(0))
        .text("CURRENCY", |books, row| {
            currency(batch_of(books, row).currency)
        })
        .flag("CLEARED", |_, _| Value::Flag(false))
        .empty("CLRDATE d TIMEPERIOD i")
        .flag("ADJ", |books, row| {
            let journal = batch_of(books, row).journal;
            Value::Flag(books.journals.get(u32::from(journal)).adjusting)
        })
        .date("EXCH_RATE_DATE", |books, row| {
            let batch = batch_of(books, row);
            date(if batch.rate == RATE_ONE {
                NO_DATE
            } else {
                batch.date
            })
        })
        .empty("EXCH_RATE_TYPE_ID t")
        .decimal("EXCHANGE_RATE", |books, row| {
            rate(batch_of(books, row).rate)
        })
        .empty("RECON_DATE d ALLOCATION t ALLOCATIONKEY i")
        .choice("STATE", STATES, |books, row| {
            Value::text(state(batch_of(books, row)))
        })
        .empty("BILLABLE b BILLED b")
        .audit()
        .dimensions()
        .entry_custom()
        .owner()
        .url()
        .relation("GLBATCH", "GLBATCH", "BATCHNO", |_, row| Some(row.batch))
        .relation("GLACCOUNT", "GLACCOUNT", "ACCOUNTKEY", |_, row| {
            Some(u32::from(row.account))
        })
}

/// The document that a ledger line came from, if it came from one.
fn shown<'a>(books: &'a Books, entry: &Entry) -> Option<Shown<'a>> {
    let batch = batch_of(books, entry);
    Some(match batch.origin {
        Origin::Manual => return None,
        Origin::Bill(slot) => shown_document(Side::Purchase, books.bills.get(slot)),
        Origin::Payment(slot) => shown_payment(books.payments.get(slot)),
        Origin::Invoice(slot) => shown_document(Side::Sale, books.invoices.get(slot)),
        Origin::Receipt(slot) => {
            // A receipt is on file only as its entry: what it shows is what it took in.
            let received = books.entries.get(batch.first_entry).amount;
            Shown {
                record_type: "rp",
                number: Value::Null,
                document_number: Value::Serial("R", u64::from(batch.number), 6),
                state: "Posted",
                text: batch.text,
                created: batch.date,
                due: batch.date,
                paid: batch.date,
                entered: received,
                paid_amount: received,
                vendor: NONE,
                customer: books.invoices.get(slot).party,
            }
        }
    })
}

fn of_document<'a>(
    books: &'a Books,
    entry: &Entry,
    part: impl FnOnce(Shown<'a>) -> Value<'a>,
) -> Value<'a> {
    shown(books, entry).map_or(Value::Null, part)
}

pub(super) fn detail() -> Spec<Entry> {
    let mut spec = Spec::new("GLDETAIL", "GL detail", |books| &books.entries)
        .record_number(DataType::Text)
        .int("BATCHKEY", |books, row| key_of(&books.batches, row.batch))
        .date("BATCH_DATE", |books, row| date(batch_of(books, row).date))
        .text("BATCH_TITLE", |books, row| {
            title(books, batch_of(books, row))
        })
        .int("BATCH_NO", |books, row| {
            Value::Int(i64::from(batch_of(books, row).number))
        })
        .text("BATCH_STATE", |books, row| {
            Value::text(state(batch_of(books, row)))
        })
        .text("SYMBOL", |books, row| {
            Value::text(
                books
                    .journals
                    .get(u32::from(batch_of(books, row).journal))
                    .symbol,
            )
        })
        .text("BOOKID", |books, row| {
            let journal = books.journals.get(u32::from(batch_of(books, row).journal));
            Value::text(BOOKS[usize::from(journal.book)])
        })
        .empty("CHILDENTITY t")
        .instant("MODIFIED", |_, row| {
            instant(row.head.modified.max(row.head.created))
        })
        .text("REFERENCENO", |_, row| match row.batch % 5 {
            0 => Value::Serial("REF-", u64::from(row.batch) / 5, 5),
            _ => Value::Null,
        })
        .flag("ADJ", |books, row| {
            let journal = batch_of(books, row).journal;
            Value::Flag(books.journals.get(u32::from(journal)).adjusting)
        })
        .text("MODULEKEY", |books, row| {
            Value::text(module(batch_of(books, row).origin))
        })
        .empty("OWNERSHIPKEY i")
        .int("LINE_NO", |_, row| Value::Int(i64::from(row.line)))
        .date("ENTRY_DATE", |books, row| date(batch_of(books, row).date))
        .choice("ENTRY_STATE", STATES, |_, _| Value::text("Posted"))
        .int("TR_TYPE", |_, row| {
            Value::Int(if row.debit { 1 } else { -1 })
        })
        .empty("DOCUMENT t")
        .text("ACCOUNTNO", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).number)
        })
        .text("ACCOUNTTITLE", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).title)
        })
        .flag("STATISTICAL", |_, _| Value::Flag(false))
        .places(
            ["DEPARTMENTID", "DEPARTMENTTITLE"],
            ["LOCATIONID", "LOCATIONNAME"],
        )
        .text("CURRENCY", |books, row| {
            currency(batch_of(books, row).currency)
        })
        .text("BASECURR", |_, _| currency(0))
        .text("DESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .money("DEBITAMOUNT", |_, row| {
            Value::Money(if row.debit { row.amount } else { 0 })
        })
        .money("CREDITAMOUNT", |_, row| {
            Value::Money(if row.debit { 0 } else { row.amount })
        })
        .money("AMOUNT", |_, row| {
            Value::Money(if row.debit { row.amount } else { -row.amount })
        })
        .money("TRX_DEBITAMOUNT", |_, row| {
            Value::Money(if row.debit { row.trx_amount } else { 0 })
        })
        .money("TRX_CREDITAMOUNT", |_, row| {
            Value::Money(if row.debit { 0 } else { row.trx_amount })
        })
        .money("TRX_AMOUNT", |_, row| {
            Value::Money(if row.debit {
                row.trx_amount
            } else {
                -row.trx_amount
            })
        })
        .flag("CLEARED", |_, _| Value::Flag(false))
        .empty("CLRDATE d")
        .text("CUSTENTITY", |books, row| {
            of_document(books, row, |shown| super::customer_id(shown.customer))
        })
        .text("VENDENTITY", |books, row| {
            of_document(books, row, |shown| super::vendor_id(shown.vendor))
        })
        .empty("EMPENTITY t LOCENTITY t")
        .text("RECORDTYPE", |books, row| {
            of_document(books, row, |shown| Value::text(shown.record_type))
        })
        .text("RECORDID", |books, row| {
            of_document(books, row, |shown| shown.number)
        })
        .text("DOCNUMBER", |books, row| {
            of_document(books, row, |shown| shown.document_number)
        })
        .text("STATE", |books, row| {
            of_document(books, row, |shown| Value::text(shown.state))
        })
        .date("WHENCREATED", |books, row| {
            date(shown(books, row).map_or_else(|| batch_of(books, row).date, |shown| shown.created))
        })
        .date("WHENDUE", |books, row| {
            of_document(books, row, |shown| date(shown.due))
        })
        .date("WHENPAID", |books, row| {
            of_document(books, row, |shown| date(shown.paid))
        })
        .audit_changes()
        .text("PRDESCRIPTION", |books, row| {
            of_document(books, row, |shown| Value::text(books.text(shown.text)))
        })
        .empty("PRCLEARED t PRCLRDATE d FINANCIALENTITY t")
        .money("TOTALENTERED", |books, row| {
            of_document(books, row, |shown| Value::Money(shown.entered))
        })
        .money("TOTALPAID", |books, row| {
            of_document(books, row, |shown| Value::Money(shown.paid_amount))
        })
        .money("TOTALDUE", |books, row| {
            of_document(books, row, |shown| {
                Value::Money(shown.entered - shown.paid_amount)
            })
        })
        .text("ENTRYDESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .int("GLENTRYKEY", |_, row| Value::Key(u64::from(row.head.id)))
        .dimensions()
        .entry_custom()
        .owner()
        .url()
        .relation("JOURNAL", "GLJOURNAL", "SYMBOL", |books, row| {
            Some(u32::from(batch_of(books, row).journal))
        })
        .relation("GLBATCH", "GLBATCH", "BATCHKEY", |_, row| Some(row.batch))
        .relation("GLACCOUNT", "GLACCOUNT", "ACCOUNTNO", |_, row| {
            Some(u32::from(row.account))
        });
    spec.key_offset = 500_000;
    spec
}

impl Line for BalanceRow {
    fn dimensions(&self, _: &Books) -> Dimensions {
        Dimensions {
            department: linked(self.department),
            location: linked(self.location),
            class: NONE,
            project: NONE,
            customer: NONE,
            vendor: NONE,
            employee: NONE,
        }
    }
}

pub(super) fn balance() -> Spec<BalanceRow> {
    let mut spec = Spec::<BalanceRow>::new("GLACCOUNTBALANCE", "GL account balance", |books| {
        books.balance_rows()
    })
    .text("BOOKID", |_, row| Value::text(BOOKS[usize::from(row.book)]))
    .text("CURRENCY", |_, _| currency(0))
    .text("PERIOD", |books, row| {
        Value::text(&books.periods.get(row.period).name)
    })
    .money("OPENBAL", |_, row| Value::Money(row.open))
    .money("TOTDEBIT", |_, row| Value::Money(row.debit))
    .money("TOTCREDIT", |_, row| Value::Money(row.credit))
    .money("TOTADJDEBIT", |_, _| Value::Money(0))
    .money("TOTADJCREDIT", |_, _| Value::Money(0))
    .money("FORBAL", |_, row| Value::Money(row.debit - row.credit))
    .money("ENDBAL", |_, row| {
        Value::Money(row.open + row.debit - row.credit)
    })
    .int("ACCOUNTREC", |books, row| {
        key_of(&books.accounts, u32::from(row.account))
    })
    .text("ACCOUNTNO", |books, row| {
        Value::text(books.accounts.get(u32::from(row.account)).number)
    })
    .text("ACCOUNTTITLE", |books, row| {
        Value::text(books.accounts.get(u32::from(row.account)).title)
    })
    .int("DEPARTMENTDIMKEY", |books, row| {
        key_of(&books.departments, linked(row.department))
    })
    .int("LOCATIONDIMKEY", |books, row| {
        key_of(&books.locations, linked(row.location))
    })
    .places(
        ["DEPARTMENTID", "DEPARTMENTTITLE"],
        ["LOCATIONID", "LOCATIONNAME"],
    )
    .dimensions()
    .audit()
    .url();
    spec.has_record_number = false;
    spec.needs_period = true;
    spec
}
