//! `create`, `update`, `delete`: the edits of the company, as a caller asks for them.

use sim_http::ErrorKind;

use super::answer::{Failure, GatewayError, Xml};
use super::call::Draft;
use super::read::{named, numbered};
use super::{Context, Outcome};
use crate::company::{Edit, EditOp};
use crate::object::Object;

impl Context<'_> {
    /// Makes records one by one. Those before one that fails stay, and are named.
    pub(super) fn create(&self, xml: &mut Xml, drafts: &[Draft]) -> Outcome {
        let mut made = Vec::new();
        for draft in drafts {
            match self.create_one(draft) {
                Ok(one) => made.push(one),
                Err(error) => {
                    return Err(Failure {
                        errors: vec![error, wrapper("create", &draft.object)],
                        data: if made.is_empty() {
                            Vec::new()
                        } else {
                            written(&made)
                        },
                    });
                }
            }
        }
        xml.bytes.extend_from_slice(&written(&made));
        Ok(())
    }

    fn create_one(&self, draft: &Draft) -> Result<Vec<u8>, GatewayError> {
        let mut edit = edit_of(EditOp::Create, draft);
        {
            let company = self.gateway.company();
            let object = company
                .object(&draft.object)
                .ok_or_else(|| GatewayError::no_object(&draft.object))?;
            check_name(&*object, &mut edit)?;
        }
        self.gateway
            .company_mut()
            .edit(&edit, self.gateway.clock.seconds())
            .map_err(|error| refusal(&error))?;
        let company = self.gateway.company();
        let object = company
            .object(&draft.object)
            .ok_or_else(|| GatewayError::no_object(&draft.object))?;
        let newest = object.orders().by_key.last().copied();
        Ok(newest.map_or_else(Vec::new, |slot| identity(&*object, slot)))
    }

    pub(super) fn update(&self, xml: &mut Xml, drafts: &[Draft]) -> Outcome {
        let mut changed = Vec::new();
        for draft in drafts {
            match self.update_one(draft) {
                Ok(one) => changed.push(one),
                Err(error) => {
                    return Err(Failure {
                        errors: vec![error, wrapper("update", &draft.object)],
                        data: if changed.is_empty() {
                            Vec::new()
                        } else {
                            written(&changed)
                        },
                    });
                }
            }
        }
        xml.bytes.extend_from_slice(&written(&changed));
        Ok(())
    }

    fn update_one(&self, draft: &Draft) -> Result<Vec<u8>, GatewayError> {
        let mut edit = edit_of(EditOp::Update, draft);
        let (slot, answer) = {
            let company = self.gateway.company();
            let object = company
                .object(&draft.object)
                .ok_or_else(|| GatewayError::no_object(&draft.object))?;
            let object = &*object;
            let slot = match edit.fields.remove("RECORDNO").flatten() {
                Some(key) => numbered(object, &key),
                None => object.business_key().and_then(|field| {
                    let name = edit.fields.remove(&*object.field(field).name).flatten()?;
                    named(object, &name)
                }),
            };
            let slot = slot.filter(|&slot| self.scope(true).sees(object, slot));
            (
                slot.map(|slot| object.key(slot)),
                slot.map(|slot| identity(object, slot)),
            )
        };
        let (Some(key), Some(answer)) = (slot, answer) else {
            let text = format!("{}: there is no such record", draft.object);
            return Err(GatewayError::new("BL01001973", text).about("OBJECT", &*draft.object));
        };
        edit.recordno = Some(key.to_string());
        self.gateway
            .company_mut()
            .edit(&edit, self.gateway.clock.seconds())
            .map_err(|error| refusal(&error))?;
        Ok(answer)
    }

    pub(super) fn delete(&self, object: &str, keys: &[String]) -> Outcome {
        if self.gateway.company().object(object).is_none() {
            return Err(GatewayError::no_object(object).into());
        }
        for key in keys {
            self.gateway
                .company_mut()
                .edit(&Edit::delete(object, key), self.gateway.clock.seconds())
                .map_err(|error| Failure {
                    errors: vec![refusal(&error), wrapper("delete", object)],
                    data: Vec::new(),
                })?;
        }
        Ok(())
    }
}

fn edit_of(op: EditOp, draft: &Draft) -> Edit {
    let fields = draft.fields.iter();
    Edit {
        object: draft.object.clone(),
        op,
        recordno: None,
        fields: fields
            .map(|(name, text)| (name.clone(), Some(text.clone())))
            .collect(),
    }
}

/// Records have names of their own, which the company gives out in a row: a caller may name the
/// new one only to learn that there is one of that name.
fn check_name(object: &dyn Object<'_>, edit: &mut Edit) -> Result<(), GatewayError> {
    let Some(field) = object.business_key() else {
        return Ok(());
    };
    let field = &object.field(field).name;
    let Some(name) = edit.fields.get(&**field).cloned().flatten() else {
        return Ok(());
    };
    if named(object, &name).is_none() {
        return Ok(());
    }
    // Which of the two numbers comes depends on the object.
    let number = match object.name() {
        "CUSTOMER" => "PL05000104",
        _ => "BL34000061",
    };
    let text = format!(
        "Another {} with the given value(s) '{name}' already exists [Support ID: sim%7E{name}]",
        object.label()
    );
    Err(GatewayError {
        number: number.to_owned(),
        description2: text,
        correction: "Use a unique value instead.",
        ..GatewayError::default()
    }
    .about("OBJECT", object.name())
    .about("FIELD", &**field))
}

fn refusal(error: &sim_http::Error) -> GatewayError {
    match error.kind() {
        ErrorKind::Invalid => GatewayError::new("BL03000018", error.to_string()),
        _ => GatewayError::new("BL01001973", error.to_string()),
    }
}

/// The error that comes after the one that says why.
fn wrapper(what: &str, object: &str) -> GatewayError {
    GatewayError::new("BL01001973", format!("Could not {what} {object} record!"))
        .about("OBJECT", object)
}

/// A record by its number and its name.
fn identity(object: &dyn Object<'_>, slot: u32) -> Vec<u8> {
    let mut xml = Xml::fragment();
    let element = object.name().to_lowercase();
    xml.open(&element);
    // Objects of a company's own have another name for it.
    let key = object.find("RECORDNO").map_or("id", |_| "RECORDNO");
    xml.leaf(key, &object.key(slot).to_string());
    if let Some(field) = object.business_key() {
        let mut text = Vec::new();
        object.value(slot, field).push(&mut text, 1);
        xml.leaf(&object.field(field).name, &String::from_utf8_lossy(&text));
    }
    xml.close(&element);
    xml.bytes
}

fn written(records: &[Vec<u8>]) -> Vec<u8> {
    let mut xml = Xml::fragment();
    let count = records.len().to_string();
    xml.start("data", &[("listtype", "objects"), ("count", &count)]);
    xml.raw(">");
    for record in records {
        xml.bytes.extend_from_slice(record);
    }
    xml.close("data");
    xml.bytes
}
