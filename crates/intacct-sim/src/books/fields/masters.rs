//! Master data: vendors and customers, people, places, accounts, journals, periods, users.

use std::borrow::Cow;

use super::super::{
    Account, Audit, Books, Contact, Department, Employee, Journal, Location, NONE, Party, Period,
    Plain, Project, Row, Status, User, balances, chart, names,
};
use super::{Spec, customer_id, date, employee_id, instant, key_of, linked, project_id, vendor_id};
use crate::object::DataType;
use crate::value::Value;

const STATUS: &[(&str, &str)] = &[("active", "T"), ("inactive", "F")];

fn status<'a>(status: Status) -> Value<'a> {
    Value::text(match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
    })
}

pub(super) fn person(contact: &Contact) -> Value<'_> {
    Value::owned(format!("{}, {}", contact.last_name, contact.first_name))
}

/// A record with a contact.
pub(super) trait Reachable: Row {
    fn contact(&self) -> &Contact;
    fn company(&self) -> Option<&str>;
}

impl Reachable for Party {
    fn contact(&self) -> &Contact {
        &self.contact
    }
    fn company(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Reachable for Employee {
    fn contact(&self) -> &Contact {
        &self.contact
    }
    fn company(&self) -> Option<&str> {
        None
    }
}

impl<T: Reachable> Spec<T> {
    /// The fields of a contact behind a prefix such as `DISPLAYCONTACT`.
    fn contact(self, prefix: &'static str) -> Self {
        let name = |field: &str| Cow::Owned(format!("{prefix}.{field}"));
        self.text(name("CONTACTNAME"), |_, row| match row.company() {
            Some(company) => Value::owned(format!("{company}(V{})", row.head().id)),
            None => person(row.contact()),
        })
        .text(name("COMPANYNAME"), |_, row| {
            Value::text(row.company().unwrap_or(""))
        })
        .text(name("PREFIX"), |_, _| Value::Null)
        .text(name("FIRSTNAME"), |_, row| {
            Value::text(&row.contact().first_name)
        })
        .text(name("LASTNAME"), |_, row| {
            Value::text(&row.contact().last_name)
        })
        .text(name("INITIAL"), |_, _| Value::Null)
        .text(name("PRINTAS"), |_, row| match row.company() {
            Some(company) => Value::text(company),
            None => person(row.contact()),
        })
        .bool(name("TAXABLE"), |_, _| Value::Bool(true))
        .text(name("TAXGROUP"), |_, _| Value::Null)
        .text(name("PHONE1"), |_, row| Value::text(&row.contact().phone))
        .text(name("PHONE2"), |_, _| Value::Null)
        .text(name("CELLPHONE"), |_, _| Value::Null)
        .text(name("PAGER"), |_, _| Value::Null)
        .text(name("FAX"), |_, _| Value::Null)
        .text(name("EMAIL1"), |_, row| Value::text(&row.contact().email))
        .text(name("EMAIL2"), |_, _| Value::Null)
        .text(name("URL1"), |_, _| Value::Null)
        .text(name("URL2"), |_, _| Value::Null)
        .bool(name("VISIBLE"), |_, _| Value::Bool(true))
        .text(name("MAILADDRESS.ADDRESS1"), |_, row| {
            Value::text(&row.contact().street)
        })
        .text(name("MAILADDRESS.ADDRESS2"), |_, row| {
            Value::text(&row.contact().street2)
        })
        .text(name("MAILADDRESS.CITY"), |_, row| {
            city(row.contact().city, |city| city.0)
        })
        .text(name("MAILADDRESS.STATE"), |_, row| {
            city(row.contact().city, |city| city.1)
        })
        .text(name("MAILADDRESS.ZIP"), |_, row| {
            Value::text(&row.contact().zip)
        })
        .text(name("MAILADDRESS.COUNTRY"), |_, row| {
            city(row.contact().city, |city| city.2)
        })
        .text(name("MAILADDRESS.COUNTRYCODE"), |_, row| {
            city(row.contact().city, |city| city.3)
        })
    }
}

type City = (&'static str, &'static str, &'static str, &'static str);

fn city<'a>(place: u8, part: fn(&City) -> &'static str) -> Value<'a> {
    Value::text(part(
        &names::CITIES[usize::from(place) % names::CITIES.len()],
    ))
}

fn term<'a>(term: u8) -> Value<'a> {
    Value::text(names::TERMS[usize::from(term)].0)
}

pub(super) fn vendor() -> Spec<Party> {
    Spec::new("VENDOR", "Vendor", |books| &books.vendors)
        .record_number(DataType::Integer)
        .text("VENDORID", |books, row| {
            vendor_id(place_of(&books.vendors, row))
        })
        .last(|info| info.required = true)
        .text("NAME", |_, row| Value::text(&row.name))
        .last(|info| info.required = true)
        .text("ENTITY", |books, row| {
            Value::Serial("V", u64::from(place_of(&books.vendors, row)) + 1, 5)
        })
        .empty("PARENTKEY i PARENTID t PARENTNAME t VENDTYPE t")
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .bool("ONETIME", |_, row| Value::Bool(row.one_time))
        .bool("ONHOLD", |_, row| Value::Bool(row.on_hold))
        .bool("DONOTCUTCHECK", |_, _| Value::Bool(false))
        .money("CREDITLIMIT", |_, row| Value::Money(row.credit_limit))
        .money("TOTALDUE", |_, row| Value::Money(row.total_due))
        .text("TERMNAME", |_, row| term(row.term))
        .empty("BILLINGTYPE t PAYMENTPRIORITY t")
        .text("TAXID", |_, row| Value::text(&row.tax_id))
        .empty("NAME1099 t FORM1099TYPE t FORM1099BOX t GLGROUP t ACCOUNTLABEL t")
        .text("APACCOUNT", |books, _| {
            control(books, chart::PAYABLE, |account| account.number)
        })
        .text("APACCOUNTTITLE", |books, _| {
            control(books, chart::PAYABLE, |account| account.title)
        })
        .empty("OFFSETGLACCOUNTNO t")
        .text("CURRENCY", |_, row| currency(row.currency))
        .empty("VENDORACCOUNTNO t PAYMETHODKEY t MERGEPAYMENTREQ b PAYMENTNOTIFY b")
        .empty("DISPLAYTERMDISCOUNT b ACHENABLED b ACHBANKROUTINGNUMBER t ACHACCOUNTNUMBER t")
        .empty("ACHACCOUNTTYPE t ACHREMITTANCETYPE t DEFAULT_LEAD_TIME i RETAINAGEPERCENTAGE p")
        .text("COMMENTS", |_, row| Value::text(&row.comments))
        .empty("SUPDOCID t OBJECTRESTRICTION t ISINDIVIDUAL b")
        .int("DISPLAYCONTACTKEY", |_, row| {
            Value::Key(u64::from(row.head.id) + 4_000)
        })
        .contact("DISPLAYCONTACT")
        .choice("RATING", RATINGS, |_, row| {
            Value::text(names::RATINGS[usize::from(row.rating)])
        })
        .custom()
        .text("LEGACY_CODE", |_, row| Value::text(&row.legacy_code))
        .custom()
        .vendor_custom()
        .audit()
        .owner()
        .private()
        .url()
        .business_key("VENDORID")
}

const RATINGS: &[(&str, &str)] = &[
    ("A", "A"),
    ("B", "B"),
    ("C", "C"),
    ("Preferred & trusted", "Preferred & trusted"),
    ("Blocked", "Blocked"),
];

pub(super) fn customer() -> Spec<Party> {
    Spec::new("CUSTOMER", "Customer", |books| &books.customers)
        .record_number(DataType::Integer)
        .text("CUSTOMERID", |books, row| {
            customer_id(place_of(&books.customers, row))
        })
        .last(|info| info.required = true)
        .text("NAME", |_, row| Value::text(&row.name))
        .last(|info| info.required = true)
        .text("ENTITY", |books, row| {
            Value::Serial("C", u64::from(place_of(&books.customers, row)) + 1, 5)
        })
        .empty("PARENTKEY i PARENTID t PARENTNAME t")
        .text("TERMNAME", |_, row| term(row.term))
        .empty("TERMVALUE t CUSTREPID t CUSTREPNAME t RESALENO t")
        .text("TAXID", |_, row| Value::text(&row.tax_id))
        .money("CREDITLIMIT", |_, row| Value::Money(row.credit_limit))
        .money("TOTALDUE", |_, row| Value::Money(row.total_due))
        .text("COMMENTS", |_, row| Value::text(&row.comments))
        .empty("ACCOUNTLABEL t")
        .text("ARACCOUNT", |books, _| {
            control(books, chart::RECEIVABLE, |account| account.number)
        })
        .text("ARACCOUNTTITLE", |books, _| {
            control(books, chart::RECEIVABLE, |account| account.title)
        })
        .date("LAST_INVOICEDATE", |_, row| date(row.last_document))
        .empty("LAST_STATEMENTDATE d DELIVERY_OPTIONS t TERRITORYID t TERRITORYNAME t")
        .empty("SHIPPINGMETHOD t CUSTTYPE t GLGRPKEY i GLGROUP t DISCOUNT n PRICELIST t")
        .text("CURRENCY", |_, row| currency(row.currency))
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .bool("ONETIME", |_, row| Value::Bool(row.one_time))
        .bool("ONHOLD", |_, row| Value::Bool(row.on_hold))
        .empty("CUSTMESSAGEID t OBJECTRESTRICTION t")
        .int("DISPLAYCONTACTKEY", |_, row| {
            Value::Key(u64::from(row.head.id) + 9_000)
        })
        .empty("CONTACTKEY i SHIPTOKEY i BILLTOKEY i CUSTREPKEY i SHIPVIAKEY i TERMSKEY i")
        .empty("ACCOUNTLABELKEY i ACCOUNTKEY i CUSTTYPEKEY i OFFSETGLACCOUNTNO t SUPDOCID t")
        .empty("RETAINAGEPERCENTAGE p EMAILOPTIN b ACTIVATIONDATE d SUBSCRIPTIONENDDATE d")
        .contact("DISPLAYCONTACT")
        .audit()
        .owner()
        .private()
        .url()
        .business_key("CUSTOMERID")
}

/// The slot of a record of a table: slots follow record numbers without gaps.
fn place_of<T: Row>(table: &crate::table::Table<T>, row: &T) -> u32 {
    row.head().id - table.get(0).head().id
}

fn control(books: &Books, account: u16, part: fn(&Account) -> &'static str) -> Value<'_> {
    Value::text(part(books.accounts.get(u32::from(account))))
}

pub(super) fn currency<'a>(place: u8) -> Value<'a> {
    Value::text(super::super::CURRENCIES[usize::from(place)])
}

pub(super) fn employee() -> Spec<Employee> {
    Spec::new("EMPLOYEE", "Employee", |books| &books.employees)
        .record_number(DataType::Integer)
        .text("EMPLOYEEID", |books, row| {
            employee_id(place_of(&books.employees, row))
        })
        .last(|info| info.required = true)
        .text("TITLE", |_, row| Value::text(&row.title))
        .empty("SSN t BIRTHDATE d")
        .date("STARTDATE", |_, row| date(row.start))
        .date("ENDDATE", |_, row| date(row.end))
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .empty("EMPLOYEETYPE t GENDER t TERMINATIONTYPE t")
        .text("SUPERVISORID", |_, row| employee_id(row.supervisor))
        .text("DEPARTMENTID", |books, row| match linked(row.department) {
            NONE => Value::Null,
            slot => Value::text(&books.departments.get(slot).code),
        })
        .text("LOCATIONID", |books, row| match linked(row.location) {
            NONE => Value::Null,
            slot => Value::text(&books.locations.get(slot).code),
        })
        .empty("CLASSID t CURRENCY t EARNINGTYPENAME t PAYMETHODKEY t")
        .int("CONTACTKEY", |_, row| {
            Value::Key(u64::from(row.head.id) + 1_000)
        })
        .text("ENTITY", |books, row| {
            Value::Serial("E", u64::from(place_of(&books.employees, row)) + 1, 4)
        })
        .contact("PERSONALINFO")
        .contact("CONTACT")
        .empty("EMPLOYEETYPE1099TYPE t")
        .audit()
        .owner()
        .url()
        .relation("DEPARTMENT", "DEPARTMENT", "DEPARTMENTID", |_, row| {
            Some(linked(row.department))
        })
        .relation("LOCATION", "LOCATION", "LOCATIONID", |_, row| {
            Some(linked(row.location))
        })
        .relation("SUPERVISOR", "EMPLOYEE", "SUPERVISORID", |_, row| {
            Some(row.supervisor)
        })
        .business_key("EMPLOYEEID")
}

pub(super) fn department() -> Spec<Department> {
    Spec::new("DEPARTMENT", "Department", |books| &books.departments)
        .record_number(DataType::Integer)
        .text("DEPARTMENTID", |_, row| Value::text(&row.code))
        .last(|info| info.required = true)
        .text("TITLE", |_, row| Value::text(&row.title))
        .int("PARENTKEY", |books, row| {
            key_of(&books.departments, row.parent)
        })
        .text("PARENTID", |books, row| match row.parent {
            NONE => Value::Null,
            slot => Value::text(&books.departments.get(slot).code),
        })
        .int("SUPERVISORKEY", |books, row| {
            key_of(&books.employees, row.supervisor)
        })
        .text("SUPERVISORID", |_, row| employee_id(row.supervisor))
        .text("SUPERVISORNAME", |books, row| match row.supervisor {
            NONE => Value::Null,
            slot => person(&books.employees.get(slot).contact),
        })
        .text("CUSTTITLE", |_, row| Value::text(&row.report_title))
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .audit()
        .url()
        .relation("PARENT", "DEPARTMENT", "PARENTKEY", |_, row| {
            Some(row.parent)
        })
        .relation("SUPERVISOR", "EMPLOYEE", "SUPERVISORKEY", |_, row| {
            Some(row.supervisor)
        })
        .business_key("DEPARTMENTID")
}

fn places(spec: Spec<Location>) -> Spec<Location> {
    spec.record_number(DataType::Integer)
        .text("LOCATIONID", |_, row| Value::text(&row.code))
        .last(|info| info.required = true)
        .text("NAME", |_, row| Value::text(&row.name))
        .int("PARENTKEY", |books, row| {
            key_of(&books.locations, row.parent)
        })
        .text("PARENTID", |books, row| match row.parent {
            NONE => Value::Null,
            slot => Value::text(&books.locations.get(slot).code),
        })
        .empty("SUPERVISORID t SUPERVISORNAME t")
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .text("CURRENCY", |_, row| currency(row.currency))
        .empty("STARTDATE d ENDDATE d CUSTTITLE t FEDERALID t")
        .text("FIRSTMONTH", |_, row| {
            Value::text(if row.parent == NONE { "January" } else { "" })
        })
        .empty("WEEKSTART t")
        .text("TAXID", |_, row| Value::text(&row.tax_id))
        .text("CONTACTINFO.MAILADDRESS.CITY", |_, row| {
            city(row.city, |city| city.0)
        })
        .text("CONTACTINFO.MAILADDRESS.STATE", |_, row| {
            city(row.city, |city| city.1)
        })
        .text("CONTACTINFO.MAILADDRESS.COUNTRY", |_, row| {
            city(row.city, |city| city.2)
        })
        .relation("PARENT", "LOCATION", "PARENTKEY", |_, row| Some(row.parent))
        .business_key("LOCATIONID")
}

pub(super) fn location() -> Spec<Location> {
    places(Spec::new("LOCATION", "Location", |books| &books.locations))
        .audit()
        .url()
}

pub(super) fn entity() -> Spec<Location> {
    places(Spec::new("LOCATIONENTITY", "Entity", |books| {
        &books.entities
    }))
    .bool("ENABLELEGALCONTACT", |_, _| Value::Bool(true))
    .text("LEGALNAME", |_, row| Value::text(&row.name))
    .empty("LEGALADDRESS1 t")
    .text("LEGALCITY", |_, row| city(row.city, |city| city.0))
    .text("LEGALSTATE", |_, row| city(row.city, |city| city.1))
    .empty("LEGALZIPCODE t")
    .text("LEGALCOUNTRY", |_, row| city(row.city, |city| city.2))
    .text("OPCOUNTRY", |_, row| city(row.city, |city| city.2))
    .bool("HAS_IE_RELATION", |_, _| Value::Bool(false))
    .empty("CUSTOMERID t VENDORID t CUSTOMERNAME t VENDORNAME t REPORTPRINTAS t FIRSTMONTHTAX t")
    .empty("LEGALADDRESS2 t ADDRESSCOUNTRYDEFAULT t")
    .audit()
    .url()
}

pub(super) fn class() -> Spec<Plain> {
    Spec::new("CLASS", "Class", |books| &books.classes)
        .record_number(DataType::Integer)
        .text("CLASSID", |_, row| Value::text(&row.code))
        .last(|info| info.required = true)
        .text("NAME", |_, row| Value::text(&row.name))
        .text("DESCRIPTION", |_, row| Value::text(&row.description))
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .empty("PARENTKEY i PARENTID t PARENTNAME t")
        .audit()
        .owner()
        .url()
        .business_key("CLASSID")
}

pub(super) fn project() -> Spec<Project> {
    Spec::new("PROJECT", "Project", |books| &books.projects)
        .record_number(DataType::Integer)
        .text("PROJECTID", |books, row| {
            project_id(place_of(&books.projects, row))
        })
        .last(|info| info.required = true)
        .text("NAME", |_, row| Value::text(&row.name))
        .text("DESCRIPTION", |books, row| {
            Value::text(books.text(row.text))
        })
        .text("CURRENCY", |_, _| currency(0))
        .text("PROJECTCATEGORY", |_, _| Value::text("Contract"))
        .text("PROJECTSTATUS", |_, row| {
            Value::text(if row.status == Status::Active {
                "In Progress"
            } else {
                "Closed"
            })
        })
        .empty("PROJECTTYPE t PARENTKEY i PARENTID t PARENTNAME t")
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .int("CUSTOMERKEY", |books, row| {
            key_of(&books.customers, row.customer)
        })
        .text("CUSTOMERID", |_, row| customer_id(row.customer))
        .text("CUSTOMERNAME", |books, row| {
            Value::text(&books.customers.get(row.customer).name)
        })
        .text("MANAGERID", |_, row| employee_id(row.manager))
        .empty("SALESCONTACTID t")
        .date("BEGINDATE", |_, row| date(row.begin))
        .date("ENDDATE", |_, row| date(row.end))
        .money("BUDGETAMOUNT", |_, row| Value::Money(row.budget))
        .money("CONTRACTAMOUNT", |_, row| Value::Money(row.contract))
        .empty("BUDGETQTY n BUDGETID t TERMNAME t DOCNUMBER t")
        .text("BILLINGTYPE", |_, row| {
            Value::text(["Time & Material", "Fixed Fee", ""][usize::from(row.billing % 3)])
        })
        .empty("SONUMBER t PONUMBER t POAMOUNT n PQNUMBER t")
        .text("DEPARTMENTID", |books, row| match linked(row.department) {
            NONE => Value::Null,
            slot => Value::text(&books.departments.get(slot).code),
        })
        .text("DEPARTMENTNAME", |books, row| {
            match linked(row.department) {
                NONE => Value::Null,
                slot => Value::text(&books.departments.get(slot).title),
            }
        })
        .text("LOCATIONID", |books, row| match linked(row.location) {
            NONE => Value::Null,
            slot => Value::text(&books.locations.get(slot).code),
        })
        .text("LOCATIONNAME", |books, row| match linked(row.location) {
            NONE => Value::Null,
            slot => Value::text(&books.locations.get(slot).name),
        })
        .empty("CLASSID t INVOICECURRENCY t USERRESTRICTIONS t SUPDOCID t")
        .audit()
        .owner()
        .url()
        .relation("CUSTOMER", "CUSTOMER", "CUSTOMERID", |_, row| {
            Some(row.customer)
        })
        .relation("MANAGER", "EMPLOYEE", "MANAGERID", |_, row| {
            Some(row.manager)
        })
        .relation("DEPARTMENT", "DEPARTMENT", "DEPARTMENTID", |_, row| {
            Some(linked(row.department))
        })
        .relation("LOCATION", "LOCATION", "LOCATIONID", |_, row| {
            Some(linked(row.location))
        })
        .business_key("PROJECTID")
}

pub(super) fn account() -> Spec<Account> {
    Spec::new("GLACCOUNT", "GL account", |books| &books.accounts)
        .record_number(DataType::Integer)
        .text("ACCOUNTNO", |_, row| Value::text(row.number))
        .last(|info| info.required = true)
        .text("TITLE", |_, row| Value::text(row.title))
        .last(|info| info.required = true)
        .choice(
            "ACCOUNTTYPE",
            &[("balancesheet", "N"), ("incomestatement", "I")],
            |_, row| {
                Value::text(if row.balance_sheet {
                    "balancesheet"
                } else {
                    "incomestatement"
                })
            },
        )
        .choice(
            "NORMALBALANCE",
            &[("debit", "1"), ("credit", "-1")],
            |_, row| Value::text(if row.debit { "debit" } else { "credit" }),
        )
        .choice(
            "CLOSINGTYPE",
            &[
                ("non-closing account", "N"),
                ("closing account", "C"),
                ("closed to account", "T"),
            ],
            |_, row| {
                Value::text(if row.balance_sheet {
                    "non-closing account"
                } else {
                    "closed to account"
                })
            },
        )
        .text("CLOSINGACCOUNTNO", |books, row| match row.balance_sheet {
            true => Value::Null,
            false => control(books, chart::RETAINED_EARNINGS, |account| account.number),
        })
        .text("CLOSINGACCOUNTTITLE", |books, row| {
            match row.balance_sheet {
                true => Value::Null,
                false => control(books, chart::RETAINED_EARNINGS, |account| account.title),
            }
        })
        .choice("STATUS", STATUS, |_, row| status(row.status))
        .bool("REQUIREDEPT", |_, row| Value::Bool(row.require_department))
        .bool("REQUIRELOC", |_, _| Value::Bool(true))
        .bool("REQUIREPROJECT", |_, _| Value::Bool(false))
        .bool("REQUIRETASK", |_, _| Value::Bool(false))
        .bool("REQUIRECUSTOMER", |_, _| Value::Bool(false))
        .bool("REQUIREVENDOR", |_, _| Value::Bool(false))
        .bool("REQUIREEMPLOYEE", |_, _| Value::Bool(false))
        .bool("REQUIREITEM", |_, _| Value::Bool(false))
        .bool("REQUIRECLASS", |_, _| Value::Bool(false))
        .empty("REQUIRECONTRACT b REQUIREWAREHOUSE b")
        .bool("TAXABLE", |_, row| Value::Bool(row.taxable))
        .text("CATEGORYKEY", |_, row| {
            Value::Key(u64::from(row.category_key))
        })
        .last(|info| info.class = crate::value::Class::Number)
        .text("CATEGORY", |_, row| Value::text(row.category))
        .text("TAXCODE", |_, row| Value::text(&row.tax_code))
        .empty("MRCCODE t")
        .int("CLOSETOACCTKEY", |books, row| match row.balance_sheet {
            true => Value::Null,
            false => key_of(&books.accounts, u32::from(chart::RETAINED_EARNINGS)),
        })
        .text("ALTERNATIVEACCOUNT", |_, row| {
            Value::text(match row.number {
                "2010" => "Payables account",
                "1200" => "Receivables account",
                _ => "None",
            })
        })
        .bool("SUBLEDGERCONTROLON", |_, row| {
            Value::Bool(row.number == "2010" || row.number == "1200")
        })
        .empty("WIPSETUPACCTTYPE t ENABLE_GLMATCHING b RECLASSIFICATIONACCOUNTNO t")
        .empty("LETTRAGESEQUENCEID t")
        .audit()
        .owner()
        .url()
        .business_key("ACCOUNTNO")
}

pub(super) fn journal() -> Spec<Journal> {
    Spec::new("GLJOURNAL", "Journal", |books| &books.journals)
        .record_number(DataType::Integer)
        .text("SYMBOL", |_, row| Value::text(row.symbol))
        .last(|info| info.required = true)
        .text("TITLE", |_, row| Value::text(row.title))
        .choice("STATUS", STATUS, |_, _| status(Status::Active))
        .date("START_DATE", |books, _| {
            Value::Date(books.periods.get(0).start)
        })
        .empty("LAST_DATE d")
        .bool("ADJ", |_, row| Value::Bool(row.adjusting))
        .text("BOOKID", |_, row| {
            Value::text(balances::BOOKS[usize::from(row.book)])
        })
        .text("BOOKTYPE", |_, row| {
            Value::text(if row.adjusting { "GAAP" } else { "Standard" })
        })
        .bool("BILLABLE", |_, _| Value::Bool(false))
        .bool("DISABLEDIRECTPOSTING", |_, _| Value::Bool(false))
        .audit()
        .url()
        .business_key("SYMBOL")
}

pub(super) fn period() -> Spec<Period> {
    Spec::new("REPORTINGPERIOD", "Reporting period", |books| {
        &books.periods
    })
    .record_number(DataType::Integer)
    .text("NAME", |_, row| Value::text(&row.name))
    .last(|info| info.required = true)
    .text("HEADER1", |_, row| {
        Value::text(if row.budgeting {
            "Month Ended"
        } else {
            "Year Ended"
        })
    })
    .text("HEADER2", |_, row| {
        let mut out = Vec::new();
        crate::calendar::push_date(&mut out, row.end);
        Value::owned(String::from_utf8_lossy(&out).into_owned())
    })
    .date("START_DATE", |_, row| date(row.start))
    .date("END_DATE", |_, row| date(row.end))
    .bool("BUDGETING", |_, row| Value::Bool(row.budgeting))
    .choice("STATUS", STATUS, |_, _| status(Status::Active))
    .audit()
    .url()
    .business_key("NAME")
}

pub(super) fn user() -> Spec<User> {
    Spec::new("USERINFO", "User", |books| &books.users)
        .record_number(DataType::Integer)
        .text("LOGINID", |_, row| Value::text(&row.login))
        .text("DESCRIPTION", |_, row| Value::text(&row.description))
        .choice("USERTYPE", &[("business user", "B")], |_, _| {
            Value::text("business user")
        })
        .bool("ADMIN", |_, row| Value::Bool(row.login == "admin"))
        .choice("STATUS", STATUS, |_, _| status(Status::Active))
        .audit()
        .url()
        .business_key("LOGINID")
}

/// Codes of the ways in which a record was accessed, as `readByQuery` knows them.
const MODES: &[(&str, &str)] = &[
    ("A", "Access"),
    ("M", "Modify"),
    ("C", "Create"),
    ("D", "Delete"),
    ("W", "Workflow"),
    ("T", "Activity"),
    ("U", "User Action"),
];

pub(super) fn audit() -> Spec<Audit> {
    let mut spec = Spec::<Audit>::new("AUDITHISTORY", "Audit history", |books| &books.audit)
        .text("ID", |_, row| Value::Key(u64::from(row.head.id)))
        .last(|info| info.class = crate::value::Class::Number)
        .text("OBJECTTYPE", |_, row| Value::text(row.object))
        .text("OBJECTKEY", |_, row| Value::text(&row.key))
        .text("OBJECTDESC", |_, _| Value::Null)
        .text("USERID", |books, row| {
            let slot = u32::from(row.head.created_by) - 1;
            Value::text(&books.users.get(slot).login)
        })
        .instant("ACCESSTIME", |_, row| instant(row.head.created))
        .choice("ACCESSMODE", MODES, |_, row| Value::text(row.mode))
        .text("SOURCE", |_, _| Value::text("ui"));
    spec.has_record_number = false;
    spec
}
