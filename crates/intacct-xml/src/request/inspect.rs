//! `inspect`: which objects there are.

use super::writer::Writer;
use crate::name::ObjectName;

/// Asks which objects a company has, or for the fields of one (developer.intacct.com, Objects).
///
/// [`ObjectType`](crate::metadata::ObjectType) and
/// [`InspectedObject`](crate::metadata::InspectedObject) read the answers.
#[derive(Clone, Debug)]
pub struct Inspect(Scope);

#[derive(Clone, Debug)]
enum Scope {
    Objects,
    FieldNames(ObjectName),
    Fields(ObjectName),
}

impl Inspect {
    /// The names and labels of all objects.
    pub fn objects() -> Self {
        Self(Scope::Objects)
    }

    /// The names of the fields of one object.
    pub fn field_names(object: ObjectName) -> Self {
        Self(Scope::FieldNames(object))
    }

    /// The fields of one object with their properties.
    pub fn fields(object: ObjectName) -> Self {
        Self(Scope::Fields(object))
    }

    /// The object, if it is about one.
    pub fn object(&self) -> Option<&ObjectName> {
        match &self.0 {
            Scope::Objects => None,
            Scope::FieldNames(object) | Scope::Fields(object) => Some(object),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match &self.0 {
            Scope::Objects => {
                writer.open("inspect");
                writer.element("object", "*");
            }
            Scope::FieldNames(object) => {
                writer.open("inspect");
                writer.element("object", object.as_str());
            }
            Scope::Fields(object) => {
                writer.open_with("inspect", &[("detail", "1")]);
                writer.element("object", object.as_str());
            }
        }
        writer.close("inspect");
    }
}
