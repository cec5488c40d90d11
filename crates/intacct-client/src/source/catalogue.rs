//! The default streams: which objects, which of their fields, and of what type.
//!
//! Names and types of the seven tables that published dbt models read follow those models; the
//! others follow the same conventions. A field that a company does not have is left out, and its
//! custom fields are added. Bank accounts, tax ids, social security numbers and dates of birth are
//! not among the defaults.

use intacct_xml::FieldName;
use intacct_xml::request::Filter;
use sync_core::Result;

use super::blueprint::HierarchyFields;
use super::contract::name_of;
use super::options::Books;
use super::request_error;

use self::FieldType::{Amount, Boolean, Date, Integer, Rate, Text, Timestamp};

/// The type of a column, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    /// Text, ids and keys.
    Text,
    /// Whole numbers.
    Integer,
    /// Money: nine places.
    Amount,
    /// Exchange rates: eighteen places.
    Rate,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A second.
    Timestamp,
}

/// How an object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// By windows of WHENMODIFIED, in the order of (WHENMODIFIED, RECORDNO).
    ByModified,
    /// Whole, in the order of RECORDNO.
    Whole,
    /// Whole, one reporting period after the other.
    ByPeriod,
    /// Whole, by offset: several fields make the key.
    ByOffset,
}

/// What a delete at the source does to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    Mark,
    Remove,
}

/// One default stream.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) stream: &'static str,
    pub(crate) object: &'static str,
    pub(crate) reading: Reading,
    pub(crate) deletion: Deletion,
    /// The fields that identify a record.
    pub(crate) key: &'static [&'static str],
    /// Neighbours with the same value in this field travel together.
    pub(crate) keep_together: Option<&'static str>,
    /// The amounts that tie-out sums.
    pub(crate) sums: &'static [&'static str],
    /// The fields by which tie-out groups.
    pub(crate) group_by: &'static [&'static str],
    /// Fields that take another's value where they are empty.
    pub(crate) fallbacks: &'static [(&'static str, &'static str)],
    /// The fields, in groups that several objects share.
    pub(crate) fields: &'static [&'static [(&'static str, FieldType)]],
}

impl Definition {
    /// The object whose RECORDNO the field `keep_together` holds: its lines go with it, and no audit
    /// names them.
    pub(super) fn owner(&self) -> Option<&'static str> {
        Some(match self.object {
            "APBILLITEM" => "APBILL",
            "APPYMTDETAIL" => "APPYMT",
            "ARINVOICEITEM" => "ARINVOICE",
            "GLDETAIL" => "GLBATCH",
            _ => return None,
        })
    }

    /// The date by which the keys of ledger objects are compared in parts.
    pub(super) fn period(&self) -> Option<&'static str> {
        (self.object == "GLDETAIL").then_some("ENTRY_DATE")
    }

    /// What a path through the hierarchy of a dimension, or of the chart of accounts, is made of.
    pub(super) fn hierarchy(&self) -> Option<HierarchyFields> {
        let id = match self.object {
            // Accounts name no parent: they stand in categories, and these in statements.
            "GLACCOUNT" => {
                let levels = ["ACCOUNTTYPE", "CATEGORY", "ACCOUNTNO"];
                return Some(HierarchyFields::Levels(levels.map(str::to_owned).into()));
            }
            "DEPARTMENT" => "DEPARTMENTID",
            "LOCATION" => "LOCATIONID",
            "CLASS" => "CLASSID",
            "PROJECT" => "PROJECTID",
            "CUSTOMER" => "CUSTOMERID",
            "VENDOR" => "VENDORID",
            _ => return None,
        };
        let (id, parent) = (id.to_owned(), "PARENTID".to_owned());
        Some(HierarchyFields::Parents { id, parent })
    }

    /// Other fields by which tie-out groups, each list by itself: entities and days cost a query each, where
    /// both together would cost one for every two thousand pairs.
    pub(super) fn also_by(&self) -> &'static [&'static [&'static str]] {
        match self.object {
            "APBILL" | "ARINVOICE" => &[&["MEGAENTITYID"], &["WHENPOSTED"]],
            "APPYMT" => &[&["MEGAENTITYID"], &["WHENPAID"]],
            "APPYMTDETAIL" => &[&["PAYMENTDATE"]],
            "APBILLITEM" | "ARINVOICEITEM" => &[&["LOCATIONID"], &["ENTRY_DATE"]],
            "GLBATCH" => &[&["MEGAENTITYID"], &["BATCH_DATE"]],
            "GLDETAIL" => &[&["BOOKID", "LOCATIONID"], &["BOOKID", "ENTRY_DATE"]],
            _ => &[],
        }
    }

    /// The fields that hold book, entity, period and account, of those by which tie-out groups.
    pub(super) fn roles(&self) -> [Option<&'static str>; 4] {
        const ROLES: [&[&str]; 4] = [
            &["BOOKID"],
            &["LOCATIONID", "MEGAENTITYID"],
            &[
                "ENTRY_DATE",
                "BATCH_DATE",
                "WHENPOSTED",
                "WHENPAID",
                "PAYMENTDATE",
                "PERIOD",
            ],
            &["ACCOUNTNO"],
        ];
        let grouped: Vec<&str> = [self.group_by]
            .iter()
            .chain(self.also_by())
            .flat_map(|fields| fields.iter().copied())
            .collect();
        ROLES.map(|fields| fields.iter().copied().find(|field| grouped.contains(field)))
    }

    /// The books that are wanted, for the objects that have rows of several.
    pub(super) fn filter(&self, books: &Books) -> Result<Option<Filter>> {
        let Books::Only(ids) = books else {
            return Ok(None);
        };
        if self.object != "GLDETAIL" {
            return Ok(None);
        }
        let field = name_of(FieldName::new("BOOKID"))?;
        let filter = Filter::one_of(field, ids.iter().map(String::as_str));
        filter.map(Some).map_err(request_error)
    }

    /// The fields, in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, FieldType)> + '_ {
        self.fields.iter().copied().flatten().copied()
    }
}

/// The default streams, those that others refer to first.
pub(crate) static DEFINITIONS: &[Definition] = &[
    GLACCOUNT,
    DEPARTMENT,
    LOCATION,
    CLASS,
    PROJECT,
    EMPLOYEE,
    VENDOR,
    CUSTOMER,
    GLJOURNAL,
    REPORTINGPERIOD,
    APBILL,
    APBILLITEM,
    APPYMT,
    APPYMTDETAIL,
    ARINVOICE,
    ARINVOICEITEM,
    GLBATCH,
    GLDETAIL,
    GLACCOUNTBALANCE,
];

/// The contact that is shown with a vendor or customer.
const CONTACT: &[(&str, FieldType)] = &[
    ("DISPLAYCONTACT.CONTACTNAME", Text),
    ("DISPLAYCONTACT.COMPANYNAME", Text),
    ("DISPLAYCONTACT.FIRSTNAME", Text),
    ("DISPLAYCONTACT.LASTNAME", Text),
    ("DISPLAYCONTACT.PRINTAS", Text),
    ("DISPLAYCONTACT.PHONE1", Text),
    ("DISPLAYCONTACT.EMAIL1", Text),
    ("DISPLAYCONTACT.MAILADDRESS.ADDRESS1", Text),
    ("DISPLAYCONTACT.MAILADDRESS.ADDRESS2", Text),
    ("DISPLAYCONTACT.MAILADDRESS.CITY", Text),
    ("DISPLAYCONTACT.MAILADDRESS.STATE", Text),
    ("DISPLAYCONTACT.MAILADDRESS.ZIP", Text),
    ("DISPLAYCONTACT.MAILADDRESS.COUNTRY", Text),
    ("DISPLAYCONTACT.MAILADDRESS.COUNTRYCODE", Text),
];

/// Who made a record and changed it last, and when.
const AUDIT: &[(&str, FieldType)] = &[
    ("WHENCREATED", Timestamp),
    ("WHENMODIFIED", Timestamp),
    ("CREATEDBY", Integer),
    ("MODIFIEDBY", Integer),
];

/// The entity that a record belongs to; empty at the top level.
const ENTITY: &[(&str, FieldType)] = &[
    ("MEGAENTITYKEY", Integer),
    ("MEGAENTITYID", Text),
    ("MEGAENTITYNAME", Text),
];

/// Chart of accounts.
const GLACCOUNT: Definition = Definition {
    stream: "gl_account",
    object: "GLACCOUNT",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("ACCOUNTNO", Text),
            ("ACCOUNTTYPE", Text),
            ("ALTERNATIVEACCOUNT", Text),
            ("CATEGORY", Text),
            ("CATEGORYKEY", Integer),
            ("CLOSETOACCTKEY", Integer),
            ("CLOSINGACCOUNTNO", Text),
            ("CLOSINGACCOUNTTITLE", Text),
            ("CLOSINGTYPE", Text),
            ("CREATEDBY", Integer),
            ("MODIFIEDBY", Integer),
            ("NORMALBALANCE", Text),
            ("RECORDNO", Text),
            ("REQUIRECLASS", Boolean),
            ("REQUIRECUSTOMER", Boolean),
            ("REQUIREDEPT", Boolean),
            ("REQUIREEMPLOYEE", Boolean),
            ("REQUIREITEM", Boolean),
            ("REQUIRELOC", Boolean),
            ("REQUIREPROJECT", Boolean),
            ("REQUIREVENDOR", Boolean),
            ("REQUIREWAREHOUSE", Boolean),
            ("STATUS", Text),
            ("TAXABLE", Boolean),
            ("TITLE", Text),
            ("WHENCREATED", Timestamp),
            ("WHENMODIFIED", Timestamp),
        ],
        ENTITY,
    ],
};

/// Departments.
const DEPARTMENT: Definition = Definition {
    stream: "department",
    object: "DEPARTMENT",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("DEPARTMENTID", Text),
            ("TITLE", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("SUPERVISORKEY", Integer),
            ("SUPERVISORID", Text),
            ("SUPERVISORNAME", Text),
            ("CUSTTITLE", Text),
            ("STATUS", Text),
        ],
        AUDIT,
    ],
};

/// Entities and their locations.
const LOCATION: Definition = Definition {
    stream: "location",
    object: "LOCATION",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("LOCATIONID", Text),
            ("NAME", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("SUPERVISORID", Text),
            ("SUPERVISORNAME", Text),
            ("STATUS", Text),
            ("CURRENCY", Text),
            ("STARTDATE", Date),
            ("ENDDATE", Date),
            ("CUSTTITLE", Text),
            ("FIRSTMONTH", Text),
            ("WEEKSTART", Text),
        ],
        AUDIT,
    ],
};

/// Classes.
const CLASS: Definition = Definition {
    stream: "class",
    object: "CLASS",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("CLASSID", Text),
            ("NAME", Text),
            ("DESCRIPTION", Text),
            ("STATUS", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("PARENTNAME", Text),
        ],
        AUDIT,
        ENTITY,
    ],
};

/// Projects.
const PROJECT: Definition = Definition {
    stream: "project",
    object: "PROJECT",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["BUDGETAMOUNT", "CONTRACTAMOUNT"],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("PROJECTID", Text),
            ("NAME", Text),
            ("DESCRIPTION", Text),
            ("CURRENCY", Text),
            ("PROJECTCATEGORY", Text),
            ("PROJECTSTATUS", Text),
            ("PROJECTTYPE", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("PARENTNAME", Text),
            ("STATUS", Text),
            ("CUSTOMERKEY", Integer),
            ("CUSTOMERID", Text),
            ("CUSTOMERNAME", Text),
            ("MANAGERID", Text),
            ("BEGINDATE", Date),
            ("ENDDATE", Date),
            ("BUDGETAMOUNT", Amount),
            ("CONTRACTAMOUNT", Amount),
            ("TERMNAME", Text),
            ("DOCNUMBER", Text),
            ("BILLINGTYPE", Text),
            ("DEPARTMENTID", Text),
            ("DEPARTMENTNAME", Text),
            ("LOCATIONID", Text),
            ("LOCATIONNAME", Text),
            ("CLASSID", Text),
        ],
        AUDIT,
        ENTITY,
    ],
};

/// Employees, without social security number and date of birth.
const EMPLOYEE: Definition = Definition {
    stream: "employee",
    object: "EMPLOYEE",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("EMPLOYEEID", Text),
            ("TITLE", Text),
            ("STARTDATE", Date),
            ("ENDDATE", Date),
            ("STATUS", Text),
            ("EMPLOYEETYPE", Text),
            ("TERMINATIONTYPE", Text),
            ("SUPERVISORID", Text),
            ("DEPARTMENTID", Text),
            ("LOCATIONID", Text),
            ("CLASSID", Text),
            ("CURRENCY", Text),
            ("CONTACTKEY", Integer),
            ("ENTITY", Text),
        ],
        AUDIT,
        ENTITY,
    ],
};

/// Vendors, without tax id and bank account.
const VENDOR: Definition = Definition {
    stream: "vendor",
    object: "VENDOR",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["TOTALDUE"],
    group_by: &["STATUS"],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("VENDORID", Text),
            ("NAME", Text),
            ("ENTITY", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("PARENTNAME", Text),
            ("VENDTYPE", Text),
            ("STATUS", Text),
            ("ONETIME", Boolean),
            ("ONHOLD", Boolean),
            ("DONOTCUTCHECK", Boolean),
            ("CREDITLIMIT", Amount),
            ("TOTALDUE", Amount),
            ("TERMNAME", Text),
            ("BILLINGTYPE", Text),
            ("PAYMENTPRIORITY", Text),
            ("NAME1099", Text),
            ("FORM1099TYPE", Text),
            ("FORM1099BOX", Text),
            ("GLGROUP", Text),
            ("ACCOUNTLABEL", Text),
            ("APACCOUNT", Text),
            ("APACCOUNTTITLE", Text),
            ("OFFSETGLACCOUNTNO", Text),
            ("CURRENCY", Text),
            ("VENDORACCOUNTNO", Text),
            ("COMMENTS", Text),
            ("DISPLAYCONTACTKEY", Integer),
        ],
        CONTACT,
        AUDIT,
        ENTITY,
    ],
};

/// Customers, without tax id.
const CUSTOMER: Definition = Definition {
    stream: "customer",
    object: "CUSTOMER",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["TOTALDUE"],
    group_by: &["STATUS"],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("CUSTOMERID", Text),
            ("NAME", Text),
            ("ENTITY", Text),
            ("PARENTKEY", Integer),
            ("PARENTID", Text),
            ("PARENTNAME", Text),
            ("TERMNAME", Text),
            ("CUSTREPID", Text),
            ("CUSTREPNAME", Text),
            ("RESALENO", Text),
            ("CREDITLIMIT", Amount),
            ("TOTALDUE", Amount),
            ("COMMENTS", Text),
            ("ACCOUNTLABEL", Text),
            ("ARACCOUNT", Text),
            ("ARACCOUNTTITLE", Text),
            ("LAST_INVOICEDATE", Date),
            ("LAST_STATEMENTDATE", Date),
            ("TERRITORYID", Text),
            ("TERRITORYNAME", Text),
            ("SHIPPINGMETHOD", Text),
            ("CUSTTYPE", Text),
            ("GLGROUP", Text),
            ("CURRENCY", Text),
            ("STATUS", Text),
            ("ONETIME", Boolean),
            ("ONHOLD", Boolean),
            ("OFFSETGLACCOUNTNO", Text),
            ("DISPLAYCONTACTKEY", Integer),
        ],
        CONTACT,
        AUDIT,
        ENTITY,
    ],
};

/// Journals.
const GLJOURNAL: Definition = Definition {
    stream: "gl_journal",
    object: "GLJOURNAL",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("SYMBOL", Text),
            ("TITLE", Text),
            ("STATUS", Text),
            ("START_DATE", Date),
            ("LAST_DATE", Date),
            ("ADJ", Boolean),
            ("BOOKID", Text),
            ("BOOKTYPE", Text),
            ("BILLABLE", Boolean),
            ("DISABLEDIRECTPOSTING", Boolean),
        ],
        AUDIT,
    ],
};

/// Reporting periods.
const REPORTINGPERIOD: Definition = Definition {
    stream: "reporting_period",
    object: "REPORTINGPERIOD",
    reading: Reading::Whole,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("NAME", Text),
            ("HEADER1", Text),
            ("HEADER2", Text),
            ("START_DATE", Date),
            ("END_DATE", Date),
            ("BUDGETING", Boolean),
            ("STATUS", Text),
        ],
        AUDIT,
    ],
};

/// Bills.
const APBILL: Definition = Definition {
    stream: "ap_bill",
    object: "APBILL",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["TOTALENTERED", "TOTALPAID", "TOTALDUE"],
    group_by: &["STATE"],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("AUWHENCREATED", Timestamp),
            ("BASECURR", Text),
            ("BILLTOPAYTOCONTACTNAME", Text),
            ("BILLTOPAYTOKEY", Integer),
            ("CURRENCY", Text),
            ("DESCRIPTION", Text),
            ("DOCNUMBER", Text),
            ("DUE_IN_DAYS", Integer),
            ("RECORDID", Text),
            ("RECORDTYPE", Text),
            ("SHIPTORETURNTOCONTACTNAME", Text),
            ("SHIPTORETURNTOKEY", Integer),
            ("STATE", Text),
            ("TOTALDUE", Amount),
            ("TOTALENTERED", Amount),
            ("TOTALPAID", Amount),
            ("VENDORID", Text),
            ("VENDORNAME", Text),
            ("WHENCREATED", Date),
            ("WHENDUE", Date),
            ("WHENMODIFIED", Timestamp),
            ("WHENPAID", Date),
            ("WHENPOSTED", Date),
        ],
        ENTITY,
    ],
};

/// Lines of bills.
const APBILLITEM: Definition = Definition {
    stream: "ap_bill_item",
    object: "APBILLITEM",
    reading: Reading::ByModified,
    deletion: Deletion::Remove,
    key: &["RECORDNO"],
    keep_together: Some("RECORDKEY"),
    sums: &["AMOUNT", "TOTALPAID"],
    group_by: &["ACCOUNTNO"],
    fallbacks: &[],
    fields: &[&[
        ("RECORDNO", Text),
        ("RECORDKEY", Text),
        ("ACCOUNTKEY", Integer),
        ("ACCOUNTNO", Text),
        ("ACCOUNTTITLE", Text),
        ("AMOUNT", Amount),
        ("BASECURR", Text),
        ("BASELOCATION", Integer),
        ("BILLABLE", Boolean),
        ("BILLED", Boolean),
        ("CLASSID", Text),
        ("CLASSNAME", Text),
        ("CREATEDBY", Integer),
        ("CURRENCY", Text),
        ("CUSTOMERID", Text),
        ("CUSTOMERNAME", Text),
        ("DEPARTMENTID", Text),
        ("DEPARTMENTNAME", Text),
        ("ENTRY_DATE", Date),
        ("ENTRYDESCRIPTION", Text),
        ("EXCHANGE_RATE", Rate),
        ("ITEMID", Text),
        ("ITEMNAME", Text),
        ("LINE_NO", Integer),
        ("LINEITEM", Boolean),
        ("LOCATIONID", Text),
        ("LOCATIONNAME", Text),
        ("OFFSETGLACCOUNTNO", Text),
        ("OFFSETGLACCOUNTTITLE", Text),
        ("PROJECTID", Text),
        ("PROJECTNAME", Text),
        ("RECORDTYPE", Text),
        ("STATE", Text),
        ("TOTALPAID", Amount),
        ("TOTALSELECTED", Amount),
        ("VENDORID", Text),
        ("VENDORNAME", Text),
        ("WHENCREATED", Timestamp),
        ("WHENMODIFIED", Timestamp),
    ]],
};

/// Payments of bills.
const APPYMT: Definition = Definition {
    stream: "ap_pymt",
    object: "APPYMT",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["TOTALENTERED", "TOTALPAID"],
    group_by: &["STATE"],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("PRBATCHKEY", Integer),
            ("RECORDTYPE", Text),
            ("RECORDID", Text),
            ("FINANCIALENTITY", Text),
            ("FINANCIALENTITYTYPE", Text),
            ("FINANCIALACCOUNTNAME", Text),
            ("FINANCIALACCOUNTCURRENCY", Text),
            ("STATE", Text),
            ("RAWSTATE", Text),
            ("PAYMENTMETHOD", Text),
            ("PAYMENTMETHODKEY", Integer),
            ("ENTITY", Text),
            ("VENDORID", Text),
            ("VENDORNAME", Text),
            ("DOCNUMBER", Text),
            ("DESCRIPTION", Text),
            ("DESCRIPTION2", Text),
            ("WHENPAID", Date),
            ("WHENPOSTED", Date),
            ("BASECURR", Text),
            ("CURRENCY", Text),
            ("EXCH_RATE_DATE", Date),
            ("EXCH_RATE_TYPE_ID", Text),
            ("EXCHANGE_RATE", Rate),
            ("TOTALENTERED", Amount),
            ("TOTALSELECTED", Amount),
            ("TOTALPAID", Amount),
            ("TOTALDUE", Amount),
            ("TRX_TOTALENTERED", Amount),
            ("TRX_TOTALSELECTED", Amount),
            ("TRX_TOTALPAID", Amount),
            ("TRX_TOTALDUE", Amount),
            ("PRBATCH", Text),
            ("AUWHENCREATED", Timestamp),
            ("CLEARED", Text),
            ("CLRDATE", Date),
        ],
        AUDIT,
        ENTITY,
    ],
};

/// What each payment paid.
const APPYMTDETAIL: Definition = Definition {
    stream: "ap_pymt_detail",
    object: "APPYMTDETAIL",
    reading: Reading::ByModified,
    deletion: Deletion::Remove,
    key: &["RECORDNO"],
    keep_together: Some("PAYMENTKEY"),
    sums: &["PAYMENTAMOUNT", "TRX_PAYMENTAMOUNT"],
    group_by: &[],
    fallbacks: &[],
    fields: &[
        &[
            ("RECORDNO", Text),
            ("RECORDKEY", Text),
            ("ENTRYKEY", Text),
            ("PAYMENTKEY", Text),
            ("PAYMENTENTRYKEY", Text),
            ("PAYMENTDATE", Date),
            ("PAYMENTAMOUNT", Amount),
            ("TRX_PAYMENTAMOUNT", Amount),
            ("INLINEKEY", Text),
            ("INLINEAMOUNT", Amount),
            ("DISCOUNTKEY", Text),
            ("DISCOUNTDATE", Date),
            ("DISCOUNTAMOUNT", Amount),
            ("TRX_DISCOUNTAMOUNT", Amount),
            ("ADJUSTMENTKEY", Text),
            ("ADJUSTMENTAMOUNT", Amount),
            ("TRX_ADJUSTMENTAMOUNT", Amount),
            ("POSTEDADVANCEAMOUNT", Amount),
            ("TRX_POSTEDADVANCEAMOUNT", Amount),
            ("CURRENCY", Text),
            ("STATE", Text),
            ("MODULEKEY", Text),
        ],
        AUDIT,
    ],
};

/// Sales invoices.
const ARINVOICE: Definition = Definition {
    stream: "ar_invoice",
    object: "ARINVOICE",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &["TOTALENTERED", "TOTALPAID", "TOTALDUE"],
    group_by: &["STATE"],
    fallbacks: &[],
    fields: &[&[
        ("RECORDNO", Text),
        ("AUWHENCREATED", Timestamp),
        ("BASECURR", Text),
        ("BILLTOPAYTOCONTACTNAME", Text),
        ("BILLTOPAYTOKEY", Integer),
        ("CREATEDBY", Integer),
        ("CURRENCY", Text),
        ("CUSTOMERID", Text),
        ("CUSTOMERNAME", Text),
        ("DESCRIPTION", Text),
        ("DOCNUMBER", Text),
        ("DUE_IN_DAYS", Integer),
        ("MEGAENTITYID", Text),
        ("MEGAENTITYNAME", Text),
        ("RECORDID", Text),
        ("RECORDTYPE", Text),
        ("SHIPTORETURNTOCONTACTNAME", Text),
        ("SHIPTORETURNTOKEY", Integer),
        ("STATE", Text),
        ("TOTALDUE", Amount),
        ("TOTALENTERED", Amount),
        ("TOTALPAID", Amount),
        ("WHENCREATED", Date),
        ("WHENDISCOUNT", Date),
        ("WHENDUE", Date),
        ("WHENMODIFIED", Timestamp),
        ("WHENPAID", Date),
        ("WHENPOSTED", Date),
    ]],
};

/// Lines of sales invoices.
const ARINVOICEITEM: Definition = Definition {
    stream: "ar_invoice_item",
    object: "ARINVOICEITEM",
    reading: Reading::ByModified,
    deletion: Deletion::Remove,
    key: &["RECORDNO"],
    keep_together: Some("RECORDKEY"),
    sums: &["AMOUNT", "TOTALPAID"],
    group_by: &["ACCOUNTNO"],
    fallbacks: &[],
    fields: &[&[
        ("RECORDNO", Text),
        ("RECORDKEY", Text),
        ("ACCOUNTKEY", Integer),
        ("ACCOUNTNO", Text),
        ("ACCOUNTTITLE", Text),
        ("AMOUNT", Amount),
        ("BASECURR", Text),
        ("BASELOCATION", Integer),
        ("CLASSID", Text),
        ("CLASSNAME", Text),
        ("CURRENCY", Text),
        ("CUSTOMERID", Text),
        ("CUSTOMERNAME", Text),
        ("DEPARTMENTID", Text),
        ("DEPARTMENTNAME", Text),
        ("ENTRY_DATE", Date),
        ("ENTRYDESCRIPTION", Text),
        ("EXCHANGE_RATE", Rate),
        ("ITEMID", Text),
        ("ITEMNAME", Text),
        ("LINE_NO", Integer),
        ("LINEITEM", Boolean),
        ("LOCATIONID", Text),
        ("LOCATIONNAME", Text),
        ("OFFSETGLACCOUNTNO", Text),
        ("OFFSETGLACCOUNTTITLE", Text),
        ("RECORDTYPE", Text),
        ("STATE", Text),
        ("TOTALPAID", Amount),
        ("TOTALSELECTED", Amount),
        ("VENDORID", Text),
        ("VENDORNAME", Text),
        ("WAREHOUSEID", Text),
        ("WAREHOUSENAME", Text),
        ("WHENCREATED", Timestamp),
        ("WHENMODIFIED", Timestamp),
    ]],
};

/// Journal entries.
const GLBATCH: Definition = Definition {
    stream: "gl_batch",
    object: "GLBATCH",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: None,
    sums: &[],
    group_by: &["JOURNAL"],
    fallbacks: &[],
    fields: &[&[
        ("RECORDNO", Text),
        ("BASELOCATION", Integer),
        ("BASELOCATION_NO", Text),
        ("BATCH_DATE", Date),
        ("BATCH_TITLE", Text),
        ("BATCHNO", Integer),
        ("CREATEDBY", Integer),
        ("JOURNAL", Text),
        ("MEGAENTITYID", Text),
        ("MEGAENTITYKEY", Integer),
        ("MEGAENTITYNAME", Text),
        ("MODIFIED", Timestamp),
        ("MODIFIEDBY", Integer),
        ("MODIFIEDBYID", Text),
        ("MODULE", Text),
        ("PRBATCHKEY", Integer),
        ("REFERENCENO", Text),
        ("REVERSED", Date),
        ("REVERSEDFROM", Date),
        ("REVERSEDKEY", Integer),
        ("STATE", Text),
        ("TAXIMPLICATIONS", Text),
        ("TEMPLATEKEY", Integer),
        ("USERINFO.LOGINID", Text),
        ("USERKEY", Integer),
        ("WHENCREATED", Timestamp),
        ("WHENMODIFIED", Timestamp),
    ]],
};

/// Ledger lines of all books.
const GLDETAIL: Definition = Definition {
    stream: "gl_detail",
    object: "GLDETAIL",
    reading: Reading::ByModified,
    deletion: Deletion::Mark,
    key: &["RECORDNO"],
    keep_together: Some("BATCHKEY"),
    sums: &["AMOUNT", "DEBITAMOUNT", "CREDITAMOUNT", "TRX_AMOUNT"],
    group_by: &["BOOKID", "ACCOUNTNO"],
    fallbacks: &[("CURRENCY", "BASECURR")],
    fields: &[&[
        ("RECORDNO", Text),
        ("ACCOUNTNO", Text),
        ("ACCOUNTTITLE", Text),
        ("AMOUNT", Amount),
        ("BASECURR", Text),
        ("BATCH_DATE", Date),
        ("BATCH_NO", Integer),
        ("BATCH_TITLE", Text),
        ("BATCHKEY", Text),
        ("BOOKID", Text),
        ("CLASSID", Text),
        ("CLASSNAME", Text),
        ("CREDITAMOUNT", Amount),
        ("CURRENCY", Text),
        ("CUSTOMERID", Text),
        ("CUSTOMERNAME", Text),
        ("DEBITAMOUNT", Amount),
        ("DEPARTMENTID", Text),
        ("DEPARTMENTTITLE", Text),
        ("DESCRIPTION", Text),
        ("DOCNUMBER", Text),
        ("DOCUMENT", Text),
        ("ENTRY_DATE", Date),
        ("ENTRY_STATE", Text),
        ("ENTRYDESCRIPTION", Text),
        ("LINE_NO", Integer),
        ("LOCATIONID", Text),
        ("LOCATIONNAME", Text),
        ("MODIFIED", Timestamp),
        ("PRDESCRIPTION", Text),
        ("RECORDID", Text),
        ("RECORDTYPE", Text),
        ("STATISTICAL", Boolean),
        ("TOTALDUE", Amount),
        ("TOTALENTERED", Amount),
        ("TOTALPAID", Amount),
        ("TR_TYPE", Integer),
        ("TRX_AMOUNT", Amount),
        ("TRX_CREDITAMOUNT", Amount),
        ("TRX_DEBITAMOUNT", Amount),
        ("VENDORID", Text),
        ("VENDORNAME", Text),
        ("WHENCREATED", Date),
        ("WHENDUE", Date),
        ("WHENMODIFIED", Timestamp),
        ("WHENPAID", Date),
    ]],
};

/// Balances by account, period and dimensions.
const GLACCOUNTBALANCE: Definition = Definition {
    stream: "gl_account_balance",
    object: "GLACCOUNTBALANCE",
    reading: Reading::ByPeriod,
    deletion: Deletion::Remove,
    key: &[
        "BOOKID",
        "CURRENCY",
        "PERIOD",
        "ACCOUNTNO",
        "DEPARTMENTID",
        "LOCATIONID",
        "CUSTOMERID",
        "VENDORID",
        "EMPLOYEEID",
        "ITEMID",
        "CLASSID",
        "PROJECTID",
    ],
    keep_together: None,
    sums: &["OPENBAL", "TOTDEBIT", "TOTCREDIT", "ENDBAL"],
    // They are summed here, so that groups cost nothing.
    group_by: &["BOOKID", "PERIOD", "ACCOUNTNO", "LOCATIONID"],
    fallbacks: &[],
    fields: &[&[
        ("BOOKID", Text),
        ("CURRENCY", Text),
        ("PERIOD", Text),
        ("ACCOUNTNO", Text),
        ("DEPARTMENTID", Text),
        ("LOCATIONID", Text),
        ("CUSTOMERID", Text),
        ("VENDORID", Text),
        ("EMPLOYEEID", Text),
        ("ITEMID", Text),
        ("CLASSID", Text),
        ("PROJECTID", Text),
        ("ACCOUNTREC", Integer),
        ("ACCOUNTTITLE", Text),
        ("DEPARTMENTTITLE", Text),
        ("LOCATIONNAME", Text),
        ("OPENBAL", Amount),
        ("TOTDEBIT", Amount),
        ("TOTCREDIT", Amount),
        ("TOTADJDEBIT", Amount),
        ("TOTADJCREDIT", Amount),
        ("FORBAL", Amount),
        ("ENDBAL", Amount),
    ]],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_in_a_definition_is_one_of_its_fields() {
        for definition in DEFINITIONS {
            let fields: Vec<_> = definition.fields().collect();
            let names: BTreeSet<_> = fields.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                names.len(),
                fields.len(),
                "{}: a field twice",
                definition.object
            );
            let fallbacks = definition
                .fallbacks
                .iter()
                .flat_map(|(to, from)| [to, from]);
            let named = definition
                .key
                .iter()
                .chain(definition.group_by)
                .chain(definition.also_by().iter().copied().flatten())
                .chain(definition.sums);
            for name in named
                .chain(definition.keep_together.iter())
                .chain(fallbacks)
            {
                assert!(names.contains(name), "{}: {name}", definition.object);
            }
            for sum in definition.sums {
                assert!(
                    fields.contains(&(*sum, Amount)),
                    "{}: {sum}",
                    definition.object
                );
            }
        }
    }

    #[test]
    fn what_is_personal_or_secret_is_not_read_by_default() {
        for definition in DEFINITIONS {
            for (name, _) in definition.fields() {
                let personal = ["SSN", "TAXID", "BIRTHDATE"].contains(&name);
                let banking = name.starts_with("ACH") || name.starts_with("WIRE");
                assert!(!personal && !banking, "{} {name}", definition.object);
            }
        }
    }
}
