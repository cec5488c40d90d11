//! Schema changes as data, so that a dry run can print them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::stream::StreamDescriptor;

/// One change of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
#[non_exhaustive]
pub enum SchemaChange {
    /// The schema, a namespace of tables, does not exist yet.
    CreateSchema {
        /// Its name.
        schema: String,
    },
    /// The table does not exist yet.
    CreateTable {
        /// Its name.
        table: String,
    },
    /// A column is new.
    AddColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type, in the destination's words.
        column_type: String,
    },
    /// A column takes more values than before; those that it has stay as they are.
    WidenColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type until now, in the destination's words.
        from: String,
        /// Its type from now on.
        to: String,
    },
}

/// What must be done before a stream can be written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchemaPlan {
    /// The stream.
    pub stream: Arc<StreamDescriptor>,
    /// What changes; nothing where the destination is ready.
    pub changes: Vec<SchemaChange>,
    /// The statements that do it, in the destination's language.
    pub statements: Vec<String>,
}

impl SchemaPlan {
    /// A plan.
    pub fn new(
        stream: Arc<StreamDescriptor>,
        changes: Vec<SchemaChange>,
        statements: Vec<String>,
    ) -> Self {
        Self {
            stream,
            changes,
            statements,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
