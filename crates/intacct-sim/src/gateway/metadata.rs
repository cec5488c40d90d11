//! What the gateway says about itself: `lookup`, `inspect`, dimensions, a user's formats.

use std::borrow::Cow;

use super::answer::{GatewayError, Xml};
use super::read::{named, numbered};
use super::{Context, Outcome, usage};
use crate::books::CURRENCIES;
use crate::calendar;
use crate::company::Company;
use crate::object::{DataType, FieldInfo, Object};
use crate::value::{Class, Comparable};

/// The dimension that the company added itself.
const USER_DEFINED: &str = "region";

/// The dimensions of the company: object, label, and whether the ledger carries them.
const DIMENSIONS: [(&str, &str, bool); 9] = [
    ("DEPARTMENT", "Department", true),
    ("LOCATION", "Location", true),
    ("CLASS", "Class", true),
    ("PROJECT", "Project", true),
    ("CUSTOMER", "Customer", true),
    ("VENDOR", "Vendor", true),
    ("EMPLOYEE", "Employee", true),
    ("ITEM", "Item", false),
    (USER_DEFINED, "Region", true),
];

impl Context<'_> {
    pub(super) fn lookup(&self, xml: &mut Xml, name: &str) -> Outcome {
        let company = self.company_of(name);
        let object = company
            .object(name)
            .ok_or_else(|| GatewayError::no_object(name))?;
        open_list(xml, "All", 1);
        xml.start("Type", &[("Name", name), ("DocumentType", "")]);
        xml.raw(">");
        xml.open("Fields");
        for field in 0..object.field_count() {
            push_field(xml, object.field(field));
        }
        self.push_refused_fields(xml, &*object);
        xml.close("Fields");
        xml.open("Relationships");
        for relation in object.relations() {
            xml.open("Relationship");
            xml.leaf("OBJECTPATH", relation.name);
            xml.leaf("OBJECTNAME", relation.target);
            xml.leaf("LABEL", &label(relation.name));
            xml.leaf("RELATIONSHIPTYPE", "MANY2ONE");
            xml.leaf("RELATEDBY", relation.by);
            xml.close("Relationship");
        }
        xml.close("Relationships");
        xml.close("Type");
        xml.close("data");
        Ok(())
    }

    pub(super) fn inspect(&self, xml: &mut Xml, name: &str, detail: bool) -> Outcome {
        let company = self.company_of(name);
        if name == "*" {
            open_list(xml, "All", 1);
            for (name, label) in usage::OBJECTS {
                xml.start("type", &[("typename", name)]);
                xml.raw(">");
                xml.raw(label);
                xml.close("type");
            }
            for name in company.names() {
                let Some(object) = company.object(name) else {
                    continue;
                };
                xml.start("type", &[("typename", name)]);
                xml.raw(">");
                super::answer::escape(&mut xml.bytes, object.label().as_bytes());
                xml.close("type");
            }
            xml.close("data");
            return Ok(());
        }
        let object = company
            .object(name)
            .ok_or_else(|| GatewayError::no_object(name))?;
        open_list(xml, "All", 1);
        xml.start("Type", &[("Name", name)]);
        xml.raw(">");
        if detail {
            push_details(xml, &*object);
        } else {
            xml.open("Fields");
            for field in 0..object.field_count() {
                xml.leaf("Field", &object.field(field).name);
            }
            xml.close("Fields");
        }
        xml.close("Type");
        xml.close("data");
        Ok(())
    }

    pub(super) fn dimensions(&self, xml: &mut Xml) -> Outcome {
        let company = self.gateway.company();
        xml.open("data");
        xml.open("dimensions");
        let standard = DIMENSIONS
            .iter()
            .filter(|_| company.books().is_some())
            .map(|(name, label, in_ledger)| (*name, *label, *name == USER_DEFINED, *in_ledger));
        let own = company.user_defined_dimensions().into_iter();
        let own = own.map(|(name, term)| (name, term, true, true));
        for (name, label, user_defined, in_ledger) in standard.chain(own) {
            xml.open("dimension");
            xml.leaf("objectName", name);
            xml.leaf("objectLabel", label);
            xml.leaf("termLabel", label);
            xml.leaf("userDefinedDimension", word(user_defined));
            xml.leaf("enabledInGL", word(in_ledger));
            xml.close("dimension");
        }
        xml.close("dimensions");
        xml.close("data");
        Ok(())
    }

    pub(super) fn user_formatting(&self, xml: &mut Xml, user: &str) -> Outcome {
        let company = self.gateway.company();
        let number = self.user_number(&company, user)?;
        let formatting = self.gateway.formatting(user);
        xml.open("data");
        xml.open("userformatting");
        xml.leaf("recordno", &number.to_string());
        let formatting = formatting.unwrap_or_default();
        xml.leaf("locale", &formatting.locale);
        xml.leaf("dateformat", &formatting.dateformat);
        xml.leaf("gmtoffset", &formatting.gmtoffset);
        xml.leaf("clock", &formatting.clock);
        xml.close("userformatting");
        xml.close("data");
        Ok(())
    }
}

impl Context<'_> {
    /// The record number of a user who is named by it or by the login.
    fn user_number(&self, company: &Company, user: &str) -> Result<u32, GatewayError> {
        // A company of any objects has one user: the one who calls.
        let number = match company.books() {
            None if user == self.gateway.credentials.user => Some(1),
            _ if self.gateway.formatting(user).is_some() => Some(1_000),
            None => None,
            Some(books) => books
                .users
                .all()
                .map(|(_, known)| known)
                .find(|known| known.login == user || known.head.id.to_string() == user)
                .map(|known| known.head.id),
        };
        number.ok_or_else(|| GatewayError::new("Read Failed", format!("There is no user '{user}'")))
    }

    /// `readEntityDetails`: the entities that the caller is in; all of them at top level.
    pub(super) fn entity_details(&self, xml: &mut Xml) -> Outcome {
        let company = self.gateway.company();
        xml.open("data");
        for (_, entity) in company
            .books()
            .iter()
            .flat_map(|books| books.entities.all())
        {
            let here = self.caller.entity.as_ref();
            if here.is_some_and(|(key, _)| *key != entity.head.id) {
                continue;
            }
            xml.open("entity");
            xml.leaf("id", &entity.code);
            xml.leaf("name", &entity.name);
            xml.leaf("recordno", &entity.head.id.to_string());
            xml.leaf("currency", CURRENCIES[usize::from(entity.currency)]);
            xml.leaf("firstfiscalmonth", "January");
            xml.leaf("firstfiscaltaxmonth", "");
            xml.leaf("weekstart", "Sunday");
            xml.close("entity");
        }
        xml.close("data");
        Ok(())
    }

    /// `getUserPermissions`: the applications to which the company has subscribed, with what the
    /// user may do there.
    pub(super) fn user_permissions(&self, xml: &mut Xml, user: &str) -> Outcome {
        let company = self.gateway.company();
        self.user_number(&company, user)?;
        let known = self.gateway.user(user);
        let access = self.gateway.access();
        xml.open("data");
        xml.open("permissions");
        for (application, policies) in APPLICATIONS {
            xml.open("appSubscription");
            xml.leaf("applicationName", application);
            xml.open("policies");
            for (policy, object) in policies {
                if !access.is_subscribed(object) {
                    continue;
                }
                let may = match (*object, &known) {
                    (_, None) => true,
                    ("AUDITHISTORY", Some(user)) => user.audit_history,
                    (object, Some(user)) => user.may_read(object),
                };
                xml.open("policy");
                xml.leaf("policyName", policy);
                xml.leaf("rights", if may { "List|View|Add|Edit|Delete" } else { "" });
                xml.close("policy");
            }
            xml.close("policies");
            xml.close("appSubscription");
        }
        xml.close("permissions");
        xml.close("data");
        Ok(())
    }

    /// `getAuditTrail`: what happened to one record, its end too.
    pub(super) fn audit_trail(&self, xml: &mut Xml, name: &str, key: &str) -> Outcome {
        let company = self.gateway.company();
        let object = company
            .object(name)
            .ok_or_else(|| GatewayError::no_object(name))?;
        let object = &*object;
        xml.open("data");
        xml.open("auditTrail");
        let mut push = |instant: i64, mode: &str| {
            xml.open("auditTrailDetail");
            xml.leaf("objectType", &name.to_lowercase());
            xml.leaf("objectKey", key);
            xml.leaf("accessTime", &calendar::iso(instant));
            xml.leaf("accessMode", mode);
            xml.leaf("userId", &self.gateway.credentials.user);
            xml.leaf("source", "system");
            xml.close("auditTrailDetail");
        };
        let slot = named(object, key).or_else(|| numbered(object, key));
        if let Some(slot) = slot {
            let instant_of = |field| {
                let value = object.find(field).map(|field| object.value(slot, field));
                value.and_then(|value| match value.comparable() {
                    Comparable::Instant(instant) => Some(instant),
                    _ => None,
                })
            };
            let created = instant_of("AUWHENCREATED").or_else(|| instant_of("WHENCREATED"));
            created.into_iter().for_each(|at| push(at, "C"));
            let modified = object.modified(slot).filter(|at| Some(*at) != created);
            modified.into_iter().for_each(|at| push(at, "M"));
        }
        let audit = company.books().map(|books| &books.audit);
        for (_, row) in audit.iter().flat_map(|audit| audit.all()) {
            if row.object == name.to_lowercase() && row.key == key {
                push(i64::from(row.head.created), "D");
            }
        }
        xml.close("auditTrail");
        xml.close("data");
        Ok(())
    }
}

/// The policies of an application: the name of each, and the object that it opens.
type Policies = &'static [(&'static str, &'static str)];

/// The applications of the company, with their policies.
const APPLICATIONS: [(&str, Policies); 5] = [
    (
        "Company",
        &[
            ("Departments", "DEPARTMENT"),
            ("Locations", "LOCATION"),
            ("Entities", "LOCATIONENTITY"),
            ("Employees", "EMPLOYEE"),
            ("Classes", "CLASS"),
            ("Users", "USERINFO"),
        ],
    ),
    (
        "General Ledger",
        &[
            ("Accounts", "GLACCOUNT"),
            ("Journals", "GLJOURNAL"),
            ("Journal Entries", "GLBATCH"),
            ("Reporting Periods", "REPORTINGPERIOD"),
        ],
    ),
    (
        "Accounts Payable",
        &[
            ("Vendors", "VENDOR"),
            ("Bills", "APBILL"),
            ("Payments", "APPYMT"),
        ],
    ),
    (
        "Accounts Receivable",
        &[("Customers", "CUSTOMER"), ("Invoices", "ARINVOICE")],
    ),
    (
        "Platform Services",
        &[("Audit Trail", "AUDITHISTORY"), ("Assets", "asset")],
    ),
];

fn open_list(xml: &mut Xml, list: &str, count: usize) {
    xml.start("data", &[("listtype", list), ("count", &count.to_string())]);
    xml.raw(">");
    xml.line();
}

fn push_field(xml: &mut Xml, field: &FieldInfo) {
    let label = label(&field.name);
    xml.open("Field");
    xml.leaf("ID", &field.name);
    xml.leaf("LABEL", &label);
    xml.leaf("DESCRIPTION", &label);
    xml.leaf("REQUIRED", word(field.required));
    xml.leaf("READONLY", word(field.read_only));
    xml.leaf("DATATYPE", field.data_type.name());
    if !field.codes.is_empty() && field.data_type == DataType::Enum {
        xml.open("VALIDVALUES");
        for (value, _) in field.codes {
            xml.leaf("VALIDVALUE", value);
        }
        xml.close("VALIDVALUES");
    }
    xml.leaf("ISCUSTOM", word(field.custom));
    xml.close("Field");
}

/// Describes a text that any object could have.
pub(super) fn push_text_field(xml: &mut Xml, name: &str) {
    push_field(
        xml,
        &FieldInfo {
            name: Cow::Owned(name.to_owned()),
            data_type: DataType::Text,
            class: Class::Text,
            codes: &[],
            custom: false,
            required: false,
            read_only: false,
        },
    );
}

fn push_details(xml: &mut Xml, object: &dyn Object<'_>) {
    xml.open("Attributes");
    let key = object
        .business_key()
        .map_or("RECORDNO", |field| &object.field(field).name);
    xml.leaf("Attribute", key);
    xml.close("Attributes");
    xml.open("Fields");
    for place in 0..object.field_count() {
        let field = object.field(place);
        let label = label(&field.name);
        xml.open("Field");
        xml.leaf("Name", &field.name);
        xml.leaf("GroupName", "");
        xml.leaf("dataName", field.data_type.name());
        xml.leaf("externalDataName", field.data_type.name());
        xml.leaf("isRequired", word(field.required));
        xml.leaf("isReadOnly", word(field.read_only));
        xml.leaf("maxLength", "0");
        xml.leaf("DisplayLabel", &label);
        xml.leaf("Description", &label);
        xml.leaf("id", &place.to_string());
        xml.close("Field");
    }
    xml.close("Fields");
}

fn word(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

/// What a person reads for a field: known words set apart, the rest as it is.
fn label(name: &str) -> String {
    match name {
        "RECORDNO" => return "Record number".to_owned(),
        "WHENCREATED" => return "When created".to_owned(),
        "WHENMODIFIED" => return "When modified".to_owned(),
        "CREATEDBY" => return "Created by".to_owned(),
        "MODIFIEDBY" => return "Modified by".to_owned(),
        _ => {}
    }
    let words = name.to_lowercase().replace(['.', '_'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}
