//! What the gateway shows of the books: objects, their fields, and where each value comes from.

pub(crate) mod custom;
mod ledger;
mod masters;
mod purchases;

use std::borrow::Cow;
use std::sync::LazyLock;

use super::{Books, NO_DATE, NONE, Row};
use crate::object::{DataType, FieldInfo, Object, Orders, Relation};
use crate::table::Table;
use crate::value::{Class, Value};

/// The objects of the modelled company.
pub(crate) const NAMES: [&str; 25] = [
    "APBILL",
    "APBILLITEM",
    "APPYMT",
    "APPYMTDETAIL",
    "ARINVOICE",
    "ARINVOICEITEM",
    "AUDITHISTORY",
    "CLASS",
    "CUSTOMER",
    "DEPARTMENT",
    "EMPLOYEE",
    "GLACCOUNT",
    "GLACCOUNTBALANCE",
    "GLBATCH",
    "GLDETAIL",
    "GLENTRY",
    "GLJOURNAL",
    "LOCATION",
    "LOCATIONENTITY",
    "PROJECT",
    "REPORTINGPERIOD",
    "USERINFO",
    "VENDOR",
    "asset",
    "region",
];

/// The object of this name, as it stands.
pub(crate) fn object<'a>(books: &'a Books, name: &str) -> Option<Box<dyn Object<'a> + 'a>> {
    use super::balances::BalanceRow;
    macro_rules! view {
        ($spec:expr, $row:ty) => {{
            static SPEC: LazyLock<Spec<$row>> = LazyLock::new($spec);
            let table = (SPEC.table)(books);
            Some(Box::new(View {
                spec: &*SPEC,
                books,
                table,
            }))
        }};
    }
    match name {
        "APBILL" => view!(purchases::bill, super::Document),
        "APBILLITEM" => view!(purchases::bill_item, super::Item),
        "APPYMT" => view!(purchases::payment, super::Payment),
        "APPYMTDETAIL" => view!(purchases::payment_detail, super::PaymentDetail),
        "ARINVOICE" => view!(purchases::invoice, super::Document),
        "ARINVOICEITEM" => view!(purchases::invoice_item, super::Item),
        "AUDITHISTORY" => view!(masters::audit, super::Audit),
        "CLASS" => view!(masters::class, super::Plain),
        "CUSTOMER" => view!(masters::customer, super::Party),
        "DEPARTMENT" => view!(masters::department, super::Department),
        "EMPLOYEE" => view!(masters::employee, super::Employee),
        "GLACCOUNT" => view!(masters::account, super::Account),
        "GLACCOUNTBALANCE" => view!(ledger::balance, BalanceRow),
        "GLBATCH" => view!(ledger::batch, super::Batch),
        "GLDETAIL" => view!(ledger::detail, super::Entry),
        "GLENTRY" => view!(ledger::entry, super::Entry),
        "GLJOURNAL" => view!(masters::journal, super::Journal),
        "LOCATION" => view!(masters::location, super::Location),
        "LOCATIONENTITY" => view!(masters::entity, super::Location),
        "PROJECT" => view!(masters::project, super::Project),
        "REPORTINGPERIOD" => view!(masters::period, super::Period),
        "USERINFO" => view!(masters::user, super::User),
        "VENDOR" => view!(masters::vendor, super::Party),
        "asset" => view!(custom::asset, super::Asset),
        "region" => view!(custom::region, super::Region),
        _ => None,
    }
}

type Get<T> = for<'a> fn(&'a Books, &'a T) -> Value<'a>;
type Follow<T> = fn(&Books, &T) -> Option<u32>;

/// An object: its fields and relations over one table.
struct Spec<T: 'static> {
    name: &'static str,
    label: &'static str,
    table: for<'a> fn(&'a Books) -> &'a Table<T>,
    fields: Vec<Field<T>>,
    relations: Vec<Relation>,
    follows: Vec<Follow<T>>,
    key_offset: u64,
    business_key: Option<&'static str>,
    lines: Option<Lines<T>>,
    has_record_number: bool,
    has_owners: bool,
    has_private: bool,
    needs_period: bool,
}

struct Field<T> {
    info: FieldInfo,
    get: Get<T>,
}

/// The collection that holds the lines of a record, their object, and their slots.
struct Lines<T> {
    collection: &'static str,
    object: &'static str,
    slots: fn(&T) -> std::ops::Range<u32>,
}

impl<T: Row> Spec<T> {
    fn new(
        name: &'static str,
        label: &'static str,
        table: for<'a> fn(&'a Books) -> &'a Table<T>,
    ) -> Self {
        Self {
            name,
            label,
            table,
            fields: Vec::new(),
            relations: Vec::new(),
            follows: Vec::new(),
            key_offset: 0,
            business_key: None,
            lines: None,
            has_record_number: true,
            has_owners: false,
            has_private: false,
            needs_period: false,
        }
    }

    /// RECORDNO, typed as it is on the object; it compares as a number in any case.
    fn record_number(mut self, data_type: DataType) -> Self {
        self = self.field("RECORDNO", data_type, |_, row| {
            Value::Key(u64::from(row.head().id))
        });
        self.last(|info| {
            info.class = Class::Number;
            info.read_only = true;
        })
    }

    fn field(
        mut self,
        name: impl Into<Cow<'static, str>>,
        data_type: DataType,
        get: Get<T>,
    ) -> Self {
        let info = FieldInfo {
            name: name.into(),
            data_type,
            class: data_type.class(),
            codes: &[],
            custom: false,
            required: false,
            read_only: false,
        };
        self.fields.push(Field { info, get });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut FieldInfo)) -> Self {
        if let Some(field) = self.fields.last_mut() {
            change(&mut field.info);
        }
        self
    }

    fn text(self, name: impl Into<Cow<'static, str>>, get: Get<T>) -> Self {
        self.field(name, DataType::Text, get)
    }

    /// A text that holds a number, such as a line number: it compares as a number.
    fn number_text(self, name: &'static str, get: Get<T>) -> Self {
        self.field(name, DataType::Text, get)
            .last(|info| info.class = Class::Number)
    }

    /// `T` or `F` in a field that is declared as a text.
    fn flag(self, name: &'static str, get: Get<T>) -> Self {
        self.field(name, DataType::Text, get)
            .last(|info| info.class = Class::Bool)
    }

    fn int(self, name: impl Into<Cow<'static, str>>, get: Get<T>) -> Self {
        self.field(name, DataType::Integer, get)
    }

    fn money(self, name: impl Into<Cow<'static, str>>, get: Get<T>) -> Self {
        self.field(name, DataType::Currency, get)
    }

    fn decimal(self, name: &'static str, get: Get<T>) -> Self {
        self.field(name, DataType::Decimal, get)
    }

    fn date(self, name: &'static str, get: Get<T>) -> Self {
        self.field(name, DataType::Date, get)
    }

    fn instant(self, name: &'static str, get: Get<T>) -> Self {
        self.field(name, DataType::Timestamp, get)
            .last(|info| info.read_only = true)
    }

    fn bool(self, name: impl Into<Cow<'static, str>>, get: Get<T>) -> Self {
        self.field(name, DataType::Boolean, get)
    }

    fn choice(
        self,
        name: &'static str,
        codes: &'static [(&'static str, &'static str)],
        get: Get<T>,
    ) -> Self {
        self.field(name, DataType::Enum, get)
            .last(|info| info.codes = codes)
    }

    fn custom(self) -> Self {
        self.last(|info| info.custom = true)
    }

    /// Fields that exist and are empty everywhere: pairs of a name and a letter for its type.
    fn empty(mut self, list: &'static str) -> Self {
        let mut words = list.split_whitespace();
        while let (Some(name), Some(letter)) = (words.next(), words.next()) {
            let data_type = match letter {
                "i" => DataType::Integer,
                "n" => DataType::Currency,
                "p" => DataType::Percent,
                "b" => DataType::Boolean,
                "d" => DataType::Date,
                "ts" => DataType::Timestamp,
                _ => DataType::Text,
            };
            self = self.field(name, data_type, |_, _| Value::Null);
        }
        self
    }

    /// The fields of a contact that no record has.
    fn no_contact(mut self, prefix: &str) -> Self {
        for name in [
            "CONTACTNAME",
            "PREFIX",
            "FIRSTNAME",
            "INITIAL",
            "LASTNAME",
            "COMPANYNAME",
            "PRINTAS",
            "PHONE1",
            "PHONE2",
            "CELLPHONE",
            "PAGER",
            "FAX",
            "EMAIL1",
            "EMAIL2",
            "URL1",
            "URL2",
            "MAILADDRESS.ADDRESS1",
            "MAILADDRESS.ADDRESS2",
            "MAILADDRESS.CITY",
            "MAILADDRESS.STATE",
            "MAILADDRESS.ZIP",
            "MAILADDRESS.COUNTRY",
            "MAILADDRESS.COUNTRYCODE",
        ] {
            self = self.text(format!("{prefix}.{name}"), |_, _| Value::Null);
        }
        self.bool(format!("{prefix}.VISIBLE"), |_, _| Value::Null)
    }

    /// When and by whom the record was made and last changed.
    fn audit(self) -> Self {
        self.instant("WHENCREATED", |_, row| instant(row.head().created))
            .audit_changes()
    }

    /// The same where WHENCREATED is the date of a document.
    fn audit_changes(self) -> Self {
        self.instant("WHENMODIFIED", |_, row| instant(row.head().modified))
            .int("CREATEDBY", |_, row| {
                Value::Key(u64::from(row.head().created_by))
            })
            .int("MODIFIEDBY", |_, row| {
                Value::Key(u64::from(row.head().modified_by))
            })
    }

    /// The entity that owns the record.
    fn owner(mut self) -> Self {
        self.has_owners = true;
        self.int("MEGAENTITYKEY", |books, row| match row.head().entity {
            0 => Value::Null,
            place => Value::Key(u64::from(books.entities.get(u32::from(place) - 1).head.id)),
        })
        .text("MEGAENTITYID", |books, row| match row.head().entity {
            0 => Value::Null,
            place => Value::text(&books.entities.get(u32::from(place) - 1).code),
        })
        .text("MEGAENTITYNAME", |books, row| match row.head().entity {
            0 => Value::Null,
            place => Value::text(&books.entities.get(u32::from(place) - 1).name),
        })
    }

    /// Some records are private to the entity that owns them.
    fn private(mut self) -> Self {
        self.has_private = true;
        self
    }

    fn url(self) -> Self {
        self.empty("RECORD_URL t")
    }

    fn relation(
        mut self,
        name: &'static str,
        target: &'static str,
        by: &'static str,
        follow: Follow<T>,
    ) -> Self {
        self.relations.push(Relation { name, target, by });
        self.follows.push(follow);
        self
    }

    fn business_key(mut self, field: &'static str) -> Self {
        self.business_key = Some(field);
        self
    }
}

struct View<'a, T: 'static> {
    spec: &'static Spec<T>,
    books: &'a Books,
    table: &'a Table<T>,
}

impl<'a, T: Row + Send + Sync> Object<'a> for View<'a, T> {
    fn name(&self) -> &'a str {
        self.spec.name
    }

    fn label(&self) -> &'a str {
        self.spec.label
    }

    fn field_count(&self) -> usize {
        self.spec.fields.len()
    }

    fn field(&self, field: usize) -> &'a FieldInfo {
        &self.spec.fields[field].info
    }

    fn value(&self, slot: u32, field: usize) -> Value<'a> {
        let value = (self.spec.fields[field].get)(self.books, self.table.get(slot));
        match value {
            // Some views number the records of a table in their own way.
            Value::Key(key) if field == 0 => Value::Key(key + self.spec.key_offset),
            other => other,
        }
    }

    fn orders(&self) -> Orders<'a> {
        Orders {
            by_key: self.table.by_key(),
            by_modified: self.table.by_modified(),
        }
    }

    fn key(&self, slot: u32) -> u64 {
        u64::from(self.table.get(slot).head().id) + self.spec.key_offset
    }

    fn modified(&self, slot: u32) -> Option<i64> {
        match self.table.get(slot).head().modified {
            0 => None,
            instant => Some(i64::from(instant)),
        }
    }

    fn created(&self, slot: u32) -> Option<i64> {
        match self.table.get(slot).head().created {
            0 => None,
            instant => Some(i64::from(instant)),
        }
    }

    fn is_live(&self, slot: u32) -> bool {
        self.table.is_live(slot)
    }

    fn has_record_number(&self) -> bool {
        self.spec.has_record_number
    }

    fn business_key(&self) -> Option<usize> {
        self.find(self.spec.business_key?)
    }

    fn owner(&self, slot: u32) -> Option<u32> {
        match self.table.get(slot).head().entity {
            0 => None,
            place => Some(self.books.entities.get(u32::from(place) - 1).head.id),
        }
    }

    fn is_private(&self, slot: u32) -> bool {
        self.table.get(slot).head().private
    }

    fn has_owners(&self) -> bool {
        self.spec.has_owners
    }

    fn has_private(&self) -> bool {
        self.spec.has_private
    }

    fn relations(&self) -> &'static [Relation] {
        &self.spec.relations
    }

    fn follow(&self, slot: u32, relation: usize) -> Option<u32> {
        (self.spec.follows[relation])(self.books, self.table.get(slot))
            .filter(|&target| target != NONE)
    }

    fn lines(&self) -> Option<(&'static str, &'static str)> {
        self.spec
            .lines
            .as_ref()
            .map(|lines| (lines.collection, lines.object))
    }

    fn line_slots(&self, slot: u32) -> Vec<u32> {
        self.spec.lines.as_ref().map_or_else(Vec::new, |lines| {
            (lines.slots)(self.table.get(slot)).collect()
        })
    }

    fn needs_period(&self) -> bool {
        self.spec.needs_period
    }
}

fn instant<'a>(seconds: u32) -> Value<'a> {
    if seconds == 0 {
        Value::Null
    } else {
        Value::Instant(i64::from(seconds))
    }
}

fn date<'a>(date: i32) -> Value<'a> {
    if date == NO_DATE {
        Value::Null
    } else {
        Value::Date(date)
    }
}

/// The record number of a slot of a table, or null for none.
fn key_of<'a, T: Row>(table: &Table<T>, slot: u32) -> Value<'a> {
    if slot == NONE {
        Value::Null
    } else {
        Value::Key(u64::from(table.get(slot).head().id))
    }
}

/// A slot from a link that counts from one, 0 for none.
fn linked(link: impl Into<u32>) -> u32 {
    match link.into() {
        0 => NONE,
        link => link - 1,
    }
}

fn vendor_id<'a>(slot: u32) -> Value<'a> {
    if slot == NONE {
        Value::Null
    } else {
        Value::Serial("V", u64::from(slot) + 1, 5)
    }
}

fn customer_id<'a>(slot: u32) -> Value<'a> {
    if slot == NONE {
        Value::Null
    } else {
        Value::Serial("C", u64::from(slot) + 1, 5)
    }
}

fn project_id<'a>(slot: u32) -> Value<'a> {
    if slot == NONE {
        Value::Null
    } else {
        Value::Serial("P-", u64::from(slot) + 1, 4)
    }
}

fn employee_id<'a>(slot: u32) -> Value<'a> {
    if slot == NONE {
        Value::Null
    } else {
        Value::Serial("E", u64::from(slot) + 1, 4)
    }
}

/// The dimensions of a line, as slots or NONE.
struct Dimensions {
    department: u32,
    location: u32,
    class: u32,
    project: u32,
    customer: u32,
    vendor: u32,
    employee: u32,
}

/// A line that carries dimensions.
trait Line: Row {
    fn dimensions(&self, books: &Books) -> Dimensions;
}

impl<T: Line> Spec<T> {
    /// The dimensions that every ledger and document line shows alike.
    fn dimensions(self) -> Self {
        self.int("CUSTOMERDIMKEY", |books, line| {
            key_of(&books.customers, line.dimensions(books).customer)
        })
        .text("CUSTOMERID", |books, line| {
            customer_id(line.dimensions(books).customer)
        })
        .text("CUSTOMERNAME", |books, line| {
            match line.dimensions(books).customer {
                NONE => Value::Null,
                slot => Value::text(&books.customers.get(slot).name),
            }
        })
        .int("VENDORDIMKEY", |books, line| {
            key_of(&books.vendors, line.dimensions(books).vendor)
        })
        .text("VENDORID", |books, line| {
            vendor_id(line.dimensions(books).vendor)
        })
        .text("VENDORNAME", |books, line| {
            match line.dimensions(books).vendor {
                NONE => Value::Null,
                slot => Value::text(&books.vendors.get(slot).name),
            }
        })
        .int("EMPLOYEEDIMKEY", |books, line| {
            key_of(&books.employees, line.dimensions(books).employee)
        })
        .text("EMPLOYEEID", |books, line| {
            employee_id(line.dimensions(books).employee)
        })
        .text("EMPLOYEENAME", |books, line| {
            match line.dimensions(books).employee {
                NONE => Value::Null,
                slot => masters::person(&books.employees.get(slot).contact),
            }
        })
        .int("CLASSDIMKEY", |books, line| {
            key_of(&books.classes, line.dimensions(books).class)
        })
        .text("CLASSID", |books, line| {
            match line.dimensions(books).class {
                NONE => Value::Null,
                slot => Value::text(&books.classes.get(slot).code),
            }
        })
        .text("CLASSNAME", |books, line| {
            match line.dimensions(books).class {
                NONE => Value::Null,
                slot => Value::text(&books.classes.get(slot).name),
            }
        })
        .int("PROJECTDIMKEY", |books, line| {
            key_of(&books.projects, line.dimensions(books).project)
        })
        .text("PROJECTID", |books, line| {
            project_id(line.dimensions(books).project)
        })
        .text("PROJECTNAME", |books, line| {
            match line.dimensions(books).project {
                NONE => Value::Null,
                slot => Value::text(&books.projects.get(slot).name),
            }
        })
        .empty(
            "ITEMDIMKEY i ITEMID t ITEMNAME t WAREHOUSEDIMKEY i WAREHOUSEID t WAREHOUSENAME t \
             CONTRACTDIMKEY i CONTRACTID t CONTRACTNAME t TASKDIMKEY i TASKID t TASKNAME t",
        )
        .relation("CUSTOMER", "CUSTOMER", "CUSTOMERID", |books, line| {
            Some(line.dimensions(books).customer)
        })
        .relation("VENDOR", "VENDOR", "VENDORID", |books, line| {
            Some(line.dimensions(books).vendor)
        })
        .relation("CLASS", "CLASS", "CLASSID", |books, line| {
            Some(line.dimensions(books).class)
        })
        .relation("PROJECT", "PROJECT", "PROJECTID", |books, line| {
            Some(line.dimensions(books).project)
        })
        .relation("DEPARTMENT", "DEPARTMENT", "DEPARTMENTID", |books, line| {
            Some(line.dimensions(books).department)
        })
        .relation("LOCATION", "LOCATION", "LOCATIONID", |books, line| {
            Some(line.dimensions(books).location)
        })
        .user_dimension()
    }

    /// Department and location under the names that lines of most objects use.
    fn places(self, department: [&'static str; 2], location: [&'static str; 2]) -> Self {
        self.text(department[0], |books, line| {
            match line.dimensions(books).department {
                NONE => Value::Null,
                slot => Value::text(&books.departments.get(slot).code),
            }
        })
        .text(department[1], |books, line| {
            match line.dimensions(books).department {
                NONE => Value::Null,
                slot => Value::text(&books.departments.get(slot).title),
            }
        })
        .text(location[0], |books, line| {
            match line.dimensions(books).location {
                NONE => Value::Null,
                slot => Value::text(&books.locations.get(slot).code),
            }
        })
        .text(location[1], |books, line| {
            match line.dimensions(books).location {
                NONE => Value::Null,
                slot => Value::text(&books.locations.get(slot).name),
            }
        })
    }
}
