//! `getAPISession`.

use super::control::check_credential;
use super::writer::Writer;
use crate::error::Error;

/// Opens an API session; always alone in its request (developer.intacct.com, API sessions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetApiSession {
    context: EntityContext,
}

/// Which entity of a multi-entity shared company a session is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntityContext {
    /// The one that the request is already in.
    #[default]
    Current,
    /// The top level, asked for from within an entity.
    TopLevel,
    /// The entity with this location id.
    Entity(String),
}

impl GetApiSession {
    /// A session in the given context.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the entity's id is empty, which would ask
    /// for the top level.
    pub fn new(context: EntityContext) -> Result<Self, Error> {
        if let EntityContext::Entity(id) = &context {
            check_credential("location id", id)?;
        }
        Ok(Self { context })
    }

    /// The entity that is asked for.
    pub fn context(&self) -> &EntityContext {
        &self.context
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match &self.context {
            EntityContext::Current => writer.empty("getAPISession"),
            EntityContext::TopLevel => {
                writer.open("getAPISession");
                writer.empty("locationid");
                writer.close("getAPISession");
            }
            EntityContext::Entity(id) => {
                writer.open("getAPISession");
                writer.element("locationid", id);
                writer.close("getAPISession");
            }
        }
    }
}
