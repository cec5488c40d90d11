//! Documents: bills, invoices, their lines, payments and what they pay.

use super::super::events::{RATE_ONE, Side};
use super::super::{
    Books, Document, DocumentState, Item, NO_DATE, NONE, Payment, PaymentDetail, Row, chart, names,
};
use super::masters::currency;
use super::{Dimensions, Line, Lines, Spec, customer_id, date, instant, key_of, linked, vendor_id};
use crate::calendar;
use crate::decimal::Decimal;
use crate::object::DataType;
use crate::value::Value;

/// States of documents: label and stored code.
const STATES: &[(&str, &str)] = &[
    ("Draft", "D"),
    ("Submitted", "S"),
    ("Partially Approved", "PA"),
    ("Declined", "U"),
    ("Posted", "A"),
    ("Paid", "A"),
    ("Selected", "A"),
];

pub(super) fn state(state: DocumentState) -> &'static str {
    match state {
        DocumentState::Draft => "Draft",
        DocumentState::Submitted => "Submitted",
        DocumentState::Posted => "Posted",
        DocumentState::Paid => "Paid",
    }
}

fn raw_state(state: DocumentState) -> &'static str {
    match state {
        DocumentState::Draft => "D",
        DocumentState::Submitted => "S",
        DocumentState::Posted | DocumentState::Paid => "A",
    }
}

/// The number that is printed on a document: three styles, one of them digits only.
pub(super) fn document_number<'a>(side: Side, document: &Document) -> Value<'a> {
    let id = u64::from(document.head.id);
    match (side, id % 3) {
        (Side::Purchase, 0) => Value::Serial("", id, 8),
        (Side::Purchase, 1) => Value::Serial("INV/", id, 5),
        (Side::Purchase, _) => Value::Serial("B-", id, 6),
        (Side::Sale, _) => Value::Serial("SI-", id, 6),
    }
}

pub(super) fn rate<'a>(rate: u32) -> Value<'a> {
    Value::Number(Decimal {
        units: i128::from(rate),
        scale: 6,
    })
}

fn base_currency<'a>() -> Value<'a> {
    currency(0)
}

/// What bills and invoices have in common, after the fields of their party.
fn document(spec: Spec<Document>) -> Spec<Document> {
    spec.choice("STATE", STATES, |_, row| Value::text(state(row.state)))
        .text("RAWSTATE", |_, row| Value::text(raw_state(row.state)))
        .money("TRX_ENTITYDUE", |_, row| {
            Value::Money(row.trx_total - row.trx_paid)
        })
        .text("DOCNUMBER", |_, row| match row.head.id % 4 {
            0 => Value::Serial("PO", u64::from(row.head.id) * 7, 6),
            _ => Value::Null,
        })
        .text("DESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .empty("DESCRIPTION2 t")
        .text("TERMNAME", |_, row| {
            Value::text(names::TERMS[usize::from(row.term)].0)
        })
        .int("TERMKEY", |_, row| Value::Key(u64::from(row.term) + 1))
        .empty("TERMVALUE t")
        .date("WHENCREATED", |_, row| date(row.date))
        .date("WHENPOSTED", |_, row| {
            if row.is_posted() {
                date(row.date)
            } else {
                Value::Null
            }
        })
        .empty("WHENDISCOUNT d")
        .date("WHENDUE", |_, row| date(row.due))
        .date("WHENPAID", |_, row| date(row.paid_on))
        .empty("RECPAYMENTDATE d PAYMENTPRIORITY t")
        .bool("ONHOLD", |_, row| Value::Bool(row.on_hold))
        .text("BASECURR", |_, _| base_currency())
        .text("CURRENCY", |_, row| currency(row.currency))
        .date("EXCH_RATE_DATE", |_, row| {
            date(if row.rate == RATE_ONE {
                NO_DATE
            } else {
                row.date
            })
        })
        .empty("EXCH_RATE_TYPE_ID i")
        .decimal("EXCHANGE_RATE", |_, row| rate(row.rate))
        .money("TOTALENTERED", |_, row| Value::Money(row.total))
        .money("TOTALSELECTED", |_, _| Value::Money(0))
        .money("TOTALPAID", |_, row| Value::Money(row.paid))
        .money("TOTALDUE", |_, row| Value::Money(row.due_amount()))
        .money("TRX_TOTALENTERED", |_, row| Value::Money(row.trx_total))
        .money("TRX_TOTALSELECTED", |_, _| Value::Money(0))
        .money("TRX_TOTALPAID", |_, row| Value::Money(row.trx_paid))
        .money("TRX_TOTALDUE", |_, row| {
            Value::Money(row.trx_total - row.trx_paid)
        })
        .text("PRBATCH", |_, row| month_batch(row))
        .int("PRBATCHKEY", |_, row| {
            Value::Key(
                (calendar::month_number(row.date) - 20_000)
                    .unsigned_abs()
                    .into(),
            )
        })
        .text("MODULEKEY", |_, row| {
            Value::text(if row.purchased { "9.PO" } else { "3.AP" })
        })
        .empty("SCHOPKEY i")
        .flag("SYSTEMGENERATED", |_, _| Value::Flag(false))
        .instant("AUWHENCREATED", |_, row| instant(row.head.created))
        .audit_changes()
        // Counted from the day on which the company's clock started, so that it never drifts.
        .number_text("DUE_IN_DAYS", |books, row| {
            Value::Int(i64::from(row.due - calendar::date_of(books.start)))
        })
        .bool("INCLUSIVETAX", |_, _| Value::Bool(false))
        .empty("TAXSOLUTIONID t RETAINAGEPERCENTAGE p TRX_TOTALRETAINED n TRX_TOTALRELEASED n")
        .empty("TOTALRETAINED n SUPDOCID t")
        .owner()
        .url()
}

fn month_batch<'a>(row: &Document) -> Value<'a> {
    let mut out = b"Bills: ".to_vec();
    calendar::push_date(&mut out, row.date);
    Value::owned(String::from_utf8_lossy(&out).into_owned())
}

pub(super) fn bill() -> Spec<Document> {
    let mut spec = Spec::new("APBILL", "AP bill", |books| &books.bills)
        .record_number(DataType::Text)
        .text("RECORDTYPE", |_, _| Value::text("pi"))
        .text("RECORDID", |_, row| document_number(Side::Purchase, row))
        .text("ENTITY", |_, row| vendor_id(row.party))
        .text("VENDORID", |_, row| vendor_id(row.party))
        .last(|info| info.required = true)
        .text("VENDORNAME", |books, row| {
            Value::text(&books.vendors.get(row.party).name)
        })
        .empty(
            "FINANCIALENTITY t CONTACTTAXGROUP t FORM1099TYPE t FORM1099BOX t VENDTYPE1099TYPE t",
        );
    spec = document(spec)
        .text("BILLTOPAYTOCONTACTNAME", |books, row| {
            Value::text(&books.vendors.get(row.party).name)
        })
        .text("SHIPTORETURNTOCONTACTNAME", |books, row| {
            Value::text(&books.vendors.get(row.party).name)
        })
        .int("BILLTOPAYTOKEY", |books, row| {
            Value::Key(u64::from(books.vendors.get(row.party).head.id) + 4_000)
        })
        .int("SHIPTORETURNTOKEY", |books, row| {
            Value::Key(u64::from(books.vendors.get(row.party).head.id) + 4_000)
        })
        .empty("PAYTO.TAXGROUP.NAME t PAYTO.TAXGROUP.RECORDNO i PAYTO.TAXID t BILLBACKTEMPLATE t")
        .empty("USERID t CREATEDUSERID t DOCSOURCE t UPLOADSTATUS t SOURCEMODULE t")
        .empty("RETAINAGERELEASED b")
        .choice("COST_CODE", COST_CODES, |_, row| {
            Value::text(
                COST_CODES
                    .get(usize::from(row.cost_code))
                    .map_or("", |code| code.0),
            )
        })
        .custom()
        .relation("VENDOR", "VENDOR", "VENDORID", |_, row| Some(row.party));
    spec.lines = Some(Lines {
        collection: "APBILLITEMS",
        object: "APBILLITEM",
        slots: |row| row.item_slots(),
    });
    spec
}

const COST_CODES: &[(&str, &str)] = &[("CAPEX", "CAPEX"), ("OPEX <5k", "OPEX <5k"), ("R&D", "R&D")];

pub(super) fn invoice() -> Spec<Document> {
    let mut spec = Spec::new("ARINVOICE", "AR invoice", |books| &books.invoices)
        .record_number(DataType::Text)
        .text("RECORDTYPE", |_, _| Value::text("ri"))
        .text("RECORDID", |_, row| document_number(Side::Sale, row))
        .text("ENTITY", |_, row| customer_id(row.party))
        .text("CUSTOMERID", |_, row| customer_id(row.party))
        .last(|info| info.required = true)
        .text("CUSTOMERNAME", |books, row| {
            Value::text(&books.customers.get(row.party).name)
        });
    spec = document(spec)
        .text("BILLTOPAYTOCONTACTNAME", |books, row| {
            Value::text(&books.customers.get(row.party).name)
        })
        .text("SHIPTORETURNTOCONTACTNAME", |books, row| {
            Value::text(&books.customers.get(row.party).name)
        })
        .int("BILLTOPAYTOKEY", |books, row| {
            Value::Key(u64::from(books.customers.get(row.party).head.id) + 9_000)
        })
        .int("SHIPTORETURNTOKEY", |books, row| {
            Value::Key(u64::from(books.customers.get(row.party).head.id) + 9_000)
        })
        .empty("CUSTMESSAGEID t CUSTMESSAGE.MESSAGE t TAXMETHOD t")
        .no_contact("CONTACT")
        .no_contact("BILLTO")
        .no_contact("SHIPTO")
        .empty("SHIPTO.TAXGROUP.NAME t SHIPTO.TAXGROUP.RECORDNO i SHIPTO.TAXID t")
        .relation("CUSTOMER", "CUSTOMER", "CUSTOMERID", |_, row| {
            Some(row.party)
        });
    // The module is that of receivables, or of order entry.
    if let Some(field) = spec
        .fields
        .iter_mut()
        .find(|field| field.info.name == "MODULEKEY")
    {
        field.get = |_, row| Value::text(if row.purchased { "8.SO" } else { "4.AR" });
    }
    spec.lines = Some(Lines {
        collection: "ARINVOICEITEMS",
        object: "ARINVOICEITEM",
        slots: |row| row.item_slots(),
    });
    spec
}

/// Bill lines and invoice lines are of one kind: this tells where the rest of each is.
trait Sided {
    const SIDE: Side;
}

struct Bills;
struct Invoices;

impl Sided for Bills {
    const SIDE: Side = Side::Purchase;
}

impl Sided for Invoices {
    const SIDE: Side = Side::Sale;
}

impl Line for Item {
    fn dimensions(&self, books: &Books) -> Dimensions {
        // The account tells the sides apart: only invoice lines have revenue.
        let is_sale = chart::REVENUES.contains(&self.account);
        let (vendor, customer) = if is_sale {
            (NONE, books.invoices.get(self.document).party)
        } else {
            (books.bills.get(self.document).party, self.customer)
        };
        Dimensions {
            department: linked(self.department),
            location: linked(self.location),
            class: linked(self.class),
            project: linked(self.project),
            customer,
            vendor,
            employee: NONE,
        }
    }
}

fn document_of<'a, S: Sided>(books: &'a Books, item: &Item) -> &'a Document {
    books.documents(S::SIDE).get(item.document)
}

fn item<S: Sided>(spec: Spec<Item>) -> Spec<Item> {
    spec.record_number(DataType::Text)
        .int("RECORDKEY", |books, row| {
            Value::Key(u64::from(document_of::<S>(books, row).head.id))
        })
        .text("RECORDTYPE", |_, _| {
            Value::text(if S::SIDE == Side::Purchase {
                "pi"
            } else {
                "ri"
            })
        })
        .number_text("LINE_NO", |_, row| Value::Int(i64::from(row.line)))
        .int("ACCOUNTKEY", |books, row| {
            key_of(&books.accounts, u32::from(row.account))
        })
        .text("ACCOUNTNO", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).number)
        })
        .text("ACCOUNTTITLE", |books, row| {
            Value::text(books.accounts.get(u32::from(row.account)).title)
        })
        .empty("ACCOUNTLABELKEY i ACCOUNTLABEL t")
        .text("OFFSETGLACCOUNTNO", |books, _| {
            Value::text(books.accounts.get(u32::from(control::<S>())).number)
        })
        .text("OFFSETGLACCOUNTTITLE", |books, _| {
            Value::text(books.accounts.get(u32::from(control::<S>())).title)
        })
        .empty("PRENTRYOFFSETACCOUNTNO t")
        .date("ENTRY_DATE", |books, row| {
            date(document_of::<S>(books, row).date)
        })
        .money("AMOUNT", |_, row| Value::Money(row.amount))
        .money("TRX_AMOUNT", |_, row| Value::Money(row.trx_amount))
        .places(
            ["DEPARTMENTID", "DEPARTMENTNAME"],
            ["LOCATIONID", "LOCATIONNAME"],
        )
        .text("ENTRYDESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .date("EXCH_RATE_DATE", |books, row| {
            let document = document_of::<S>(books, row);
            date(if document.rate == RATE_ONE {
                NO_DATE
            } else {
                document.date
            })
        })
        .empty("EXCH_RATE_TYPE_ID t")
        .decimal("EXCHANGE_RATE", |books, row| {
            rate(document_of::<S>(books, row).rate)
        })
        .empty("ALLOCATION t ALLOCATIONKEY i FORM1099 t FORM1099TYPE t FORM1099BOX t")
        .flag("LINEITEM", |_, _| Value::Flag(true))
        .text("CURRENCY", |books, row| {
            currency(document_of::<S>(books, row).currency)
        })
        .text("BASECURR", |_, _| base_currency())
        .money("TOTALPAID", |_, row| Value::Money(row.paid))
        .money("TRX_TOTALPAID", |_, row| Value::Money(row.trx_paid))
        .money("TOTALSELECTED", |_, _| Value::Money(0))
        .money("TRX_TOTALSELECTED", |_, _| Value::Money(0))
        .bool("BILLABLE", |_, row| match row.customer {
            // Fields of this kind are empty where nobody ever set them.
            NONE => Value::Null,
            _ => Value::Bool(true),
        })
        .bool("BILLED", |_, row| {
            if row.customer == NONE {
                Value::Null
            } else {
                Value::Bool(false)
            }
        })
        .bool("RELEASETOPAY", |_, _| Value::Bool(true))
        .empty("PARENTENTRY i")
        .int("BASELOCATION", |books, row| {
            key_of(&books.locations, linked(row.location))
        })
        .text("STATE", |books, row| {
            Value::text(state(document_of::<S>(books, row).state))
        })
        .empty("RETAINAGEPERCENTAGE p TRX_AMOUNTRETAINED n AMOUNTRETAINED n")
        .empty("TRX_AMOUNTRELEASED n SUBTOTAL t PARTIALEXEMPT b PRIMARYDOCKEY i")
        .empty("PRIMARYDOCLINEKEY i")
        .audit()
        .dimensions()
        .owner()
        .url()
}

fn control<S: Sided>() -> u16 {
    match S::SIDE {
        Side::Purchase => chart::PAYABLE,
        Side::Sale => chart::RECEIVABLE,
    }
}

pub(super) fn bill_item() -> Spec<Item> {
    item::<Bills>(Spec::new("APBILLITEM", "AP bill line", |books| {
        &books.bill_items
    }))
    .bill_item_custom()
    .relation("APBILL", "APBILL", "RECORDKEY", |_, row| Some(row.document))
}

pub(super) fn invoice_item() -> Spec<Item> {
    item::<Invoices>(Spec::new("ARINVOICEITEM", "AR invoice line", |books| {
        &books.invoice_items
    }))
    .empty("OFFSETACCOUNTKEY i TRX_DISCOUNTAPPLIED n PAYMENTTAXCAPTURE b DEFERREVENUE b")
    .empty("REVRECTEMPLATEKEY i REVRECTEMPLATE t DEFERREDREVACCTKEY i DEFERREDREVACCTNO t")
    .empty("DEFERREDREVACCTTITLE t REVRECSTARTDATE d REVRECENDDATE d DETAILKEY i")
    .empty("BILLABLECONTRACTSCHENTRYKEY i BILLABLECONTRACTUSAGEBILLINGID t")
    .empty("RETAINAGE_OFFSETGLACCOUNTNO t PROJECTCONTRACTID t PROJECTCONTRACTKEY i")
    .empty("PROJECTCONTRACTLINEID t PROJECTCONTRACTLINEKEY i PROJECTCONTRACTNAME t")
    .empty("PROJECTCONTRACTLINENAME t ISRETAINAGERELEASE b ISSUMMARIZED b")
    .empty("AMORTIZATIONTEMPLATEKEY i AMORTIZATIONTEMPLATEID t AMORTIZATIONSTARTDATE d")
    .empty("AMORTIZATIONENDDATE d ORIGDOCKEY i ORIGDOCLINEKEY i ORIGDOCID t ORIGDOCLINEID t")
    .relation("ARINVOICE", "ARINVOICE", "RECORDKEY", |_, row| {
        Some(row.document)
    })
}

const PAYMENT_STATES: &[(&str, &str)] = &[
    ("Posted", "C"),
    ("Draft", "D"),
    ("Approved", "A"),
    ("Voided", "V"),
    ("Submitted", "S"),
];

pub(super) fn payment() -> Spec<Payment> {
    Spec::new("APPYMT", "AP payment", |books| &books.payments)
        .record_number(DataType::Text)
        .int("PRBATCHKEY", |books, row| key_of(&books.batches, row.batch))
        .text("RECORDTYPE", |_, _| Value::text("pp"))
        .text("RECORDID", |_, _| Value::Null)
        .text("FINANCIALENTITY", |_, _| Value::text("BOA"))
        .text("FINANCIALENTITYTYPE", |_, _| Value::text("ba"))
        .text("FINANCIALACCOUNTNAME", |_, _| {
            Value::text("Operating Checking")
        })
        .text("FINANCIALACCOUNTCURRENCY", |_, _| base_currency())
        .choice("STATE", PAYMENT_STATES, |_, _| Value::text("Posted"))
        .text("RAWSTATE", |_, _| Value::text("C"))
        .empty("PAYMENTPROVIDER t")
        .text("PAYMENTMETHOD", |_, row| {
            Value::text(["Printed Check", "EFT", "ACH"][usize::from(row.method % 3)])
        })
        .int("PAYMENTMETHODKEY", |_, row| {
            Value::Key(u64::from(row.method) + 1)
        })
        .text("ENTITY", |_, row| vendor_id(row.vendor))
        .text("VENDORID", |_, row| vendor_id(row.vendor))
        .text("VENDORNAME", |books, row| {
            Value::text(&books.vendors.get(row.vendor).name)
        })
        .text("DOCNUMBER", |_, row| {
            Value::Serial("", u64::from(row.head.id) + 4_000, 6)
        })
        .text("DESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .empty("DESCRIPTION2 t")
        .date("WHENCREATED", |_, row| date(row.date))
        .date("WHENDUE", |_, row| date(row.date))
        .date("WHENPAID", |_, row| date(row.date))
        .date("WHENPOSTED", |_, row| date(row.date))
        .text("BASECURR", |_, _| base_currency())
        .text("CURRENCY", |_, row| currency(row.currency))
        .date("EXCH_RATE_DATE", |_, row| {
            date(if row.rate == RATE_ONE {
                NO_DATE
            } else {
                row.date
            })
        })
        .empty("EXCH_RATE_TYPE_ID t")
        .decimal("EXCHANGE_RATE", |_, row| rate(row.rate))
        .money("TOTALENTERED", |_, row| Value::Money(row.total))
        .money("TOTALSELECTED", |_, _| Value::Money(0))
        .money("TOTALPAID", |_, row| Value::Money(row.total))
        .money("TOTALDUE", |_, _| Value::Money(0))
        .money("TRX_TOTALENTERED", |_, row| Value::Money(row.trx_total))
        .money("TRX_TOTALSELECTED", |_, _| Value::Money(0))
        .money("TRX_TOTALPAID", |_, row| Value::Money(row.trx_total))
        .money("TRX_TOTALDUE", |_, _| Value::Money(0))
        .text("BILLTOPAYTOCONTACTNAME", |books, row| {
            Value::text(&books.vendors.get(row.vendor).name)
        })
        .int("BILLTOPAYTOKEY", |books, row| {
            Value::Key(u64::from(books.vendors.get(row.vendor).head.id) + 4_000)
        })
        .empty("PRBATCH t")
        .instant("AUWHENCREATED", |_, row| instant(row.head.created))
        .audit_changes()
        .flag("CLEARED", |_, _| Value::Flag(false))
        .empty("CLRDATE d INCLUSIVETAX b TAXSOLUTIONID t")
        .owner()
        .url()
        .relation("VENDOR", "VENDOR", "VENDORID", |_, row| Some(row.vendor))
}

pub(super) fn payment_detail() -> Spec<PaymentDetail> {
    Spec::new("APPYMTDETAIL", "AP payment detail", |books| {
        &books.payment_details
    })
    .record_number(DataType::Text)
    .int("RECORDKEY", |books, row| key_of(&books.bills, row.bill))
    .int("ENTRYKEY", |books, row| key_of(&books.bill_items, row.item))
    .empty("POSADJKEY i POSADJENTRYKEY i")
    .int("PAYMENTKEY", |books, row| {
        key_of(&books.payments, row.payment)
    })
    .empty("PAYMENTENTRYKEY i")
    .date("PAYMENTDATE", |books, row| {
        date(books.payments.get(row.payment).date)
    })
    .money("PAYMENTAMOUNT", |_, row| Value::Money(row.amount))
    .money("TRX_PAYMENTAMOUNT", |_, row| Value::Money(row.trx_amount))
    .empty("INLINEKEY i INLINEENTRYKEY i INLINEAMOUNT n TRX_INLINEAMOUNT n")
    .empty("DISCOUNTKEY i DISCOUNTENTRYKEY i DISCOUNTDATE d DISCOUNTAMOUNT n")
    .empty("TRX_DISCOUNTAMOUNT n ADJUSTMENTKEY i ADJUSTMENTENTRYKEY i ADJUSTMENTAMOUNT n")
    .empty("TRX_ADJUSTMENTAMOUNT n ADVANCEKEY i ADVANCEENTRYKEY i POSTEDADVANCEKEY i")
    .empty("POSTEDADVANCEENTRYKEY i POSTEDADVANCEAMOUNT n TRX_POSTEDADVANCEAMOUNT n")
    .text("CURRENCY", |books, row| {
        currency(books.payments.get(row.payment).currency)
    })
    .choice("STATE", PAYMENT_STATES, |_, _| Value::text("Posted"))
    .text("MODULEKEY", |_, _| Value::text("3.AP"))
    .audit()
    .url()
    .relation("APPYMT", "APPYMT", "PAYMENTKEY", |_, row| Some(row.payment))
    .relation("APBILL", "APBILL", "RECORDKEY", |_, row| Some(row.bill))
}

/// What the ledger shows of the document behind an entry.
pub(super) struct Shown<'a> {
    pub(super) record_type: &'static str,
    pub(super) number: Value<'a>,
    pub(super) document_number: Value<'a>,
    pub(super) state: &'static str,
    pub(super) text: u32,
    pub(super) created: i32,
    pub(super) due: i32,
    pub(super) paid: i32,
    pub(super) entered: i64,
    pub(super) paid_amount: i64,
    pub(super) vendor: u32,
    pub(super) customer: u32,
}

pub(super) fn shown_document<'a>(side: Side, document: &Document) -> Shown<'a> {
    let (record_type, vendor, customer) = match side {
        Side::Purchase => ("pi", document.party, NONE),
        Side::Sale => ("ri", NONE, document.party),
    };
    Shown {
        record_type,
        number: document_number(side, document),
        document_number: match document.head.id % 4 {
            0 => Value::Serial("PO", u64::from(document.head.id) * 7, 6),
            _ => Value::Null,
        },
        state: state(document.state),
        text: document.text,
        created: document.date,
        due: document.due,
        paid: document.paid_on,
        entered: document.total,
        paid_amount: document.paid,
        vendor,
        customer,
    }
}

pub(super) fn shown_payment<'a>(payment: &Payment) -> Shown<'a> {
    Shown {
        record_type: "pp",
        number: Value::Null,
        document_number: Value::Serial("", u64::from(payment.head().id) + 4_000, 6),
        state: "Posted",
        text: payment.text,
        created: payment.date,
        due: payment.date,
        paid: payment.date,
        entered: payment.total,
        paid_amount: payment.total,
        vendor: payment.vendor,
        customer: NONE,
    }
}
