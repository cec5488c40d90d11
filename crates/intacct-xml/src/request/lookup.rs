//! `lookup`: what an object consists of.

use super::writer::Writer;
use crate::name::ObjectName;

/// Asks for the fields and relationships of an object (developer.intacct.com, Queries).
///
/// It passes by the permissions: an answer does not mean that the object can be read.
/// [`ObjectDefinition`](crate::metadata::ObjectDefinition) reads the answer.
#[derive(Clone, Debug)]
pub struct Lookup {
    object: ObjectName,
    doc_par_id: Option<String>,
}

impl Lookup {
    /// Asks about an object.
    pub fn new(object: ObjectName) -> Self {
        Self {
            object,
            doc_par_id: None,
        }
    }

    /// Of one transaction definition, with its custom fields.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The object that is asked about.
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("lookup");
        writer.element("object", self.object.as_str());
        writer.optional("docparid", self.doc_par_id.as_deref());
        writer.close("lookup");
    }
}
