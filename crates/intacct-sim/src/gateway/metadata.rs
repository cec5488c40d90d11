//! What the gateway says about itself: `lookup`, `inspect`, dimensions, a user's formats.

use super::answer::{GatewayError, Xml};
use super::{Context, Outcome};
use crate::object::{DataType, FieldInfo, Object};

/// The dimensions of the company: object, label, and whether the ledger carries them.
const DIMENSIONS: [(&str, &str, bool); 8] = [
    ("DEPARTMENT", "Department", true),
    ("LOCATION", "Location", true),
    ("CLASS", "Class", true),
    ("PROJECT", "Project", true),
    ("CUSTOMER", "Customer", true),
    ("VENDOR", "Vendor", true),
    ("EMPLOYEE", "Employee", true),
    ("ITEM", "Item", false),
];

impl Context<'_> {
    pub(super) fn lookup(&self, xml: &mut Xml, name: &str) -> Outcome {
        let company = self.gateway.company();
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
        let company = self.gateway.company();
        if name == "*" {
            open_list(xml, "All", 1);
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
        for (name, label, in_ledger) in DIMENSIONS {
            if company.books().is_none() {
                break;
            }
            xml.open("dimension");
            xml.leaf("objectName", name);
            xml.leaf("objectLabel", label);
            xml.leaf("termLabel", label);
            xml.leaf("userDefinedDimension", "false");
            xml.leaf("enabledInGL", if in_ledger { "true" } else { "false" });
            xml.close("dimension");
        }
        xml.close("dimensions");
        xml.close("data");
        Ok(())
    }

    pub(super) fn user_formatting(&self, xml: &mut Xml, user: &str) -> Outcome {
        let company = self.gateway.company();
        // A company of any objects has one user: the one who calls.
        let number = match company.books() {
            None if user == self.gateway.credentials.user => Some(1),
            None => None,
            Some(books) => books
                .users
                .all()
                .map(|(_, known)| known)
                .find(|known| known.login == user || known.head.id.to_string() == user)
                .map(|known| known.head.id),
        };
        let Some(number) = number else {
            let text = format!("There is no user '{user}'");
            return Err(GatewayError::new("Read Failed", text));
        };
        xml.open("data");
        xml.open("userformatting");
        xml.leaf("recordno", &number.to_string());
        xml.leaf("locale", "en_US");
        xml.leaf("dateformat", "/mdY");
        xml.leaf("gmtoffset", "+00:00");
        xml.leaf("clock", "24");
        xml.close("userformatting");
        xml.close("data");
        Ok(())
    }
}

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
