//! Ways to read a page, ours and others'.
//!
//! Those that keep records give all of them; the others count what they pass.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::response::WIRE_NAME;

use crate::record::{Kind, Record};

pub use self::columns::QuickXmlColumns;
pub use self::events::{copied, every_angle_bracket, quick_xml_events, xml_rs_events};
pub use self::ndjson::quick_xml_ndjson;
pub use self::ours::{Ours, ours_columns};
pub use self::records::{hash_maps, quick_xml_serde, roxmltree_dom};
pub use self::rows::{BorrowedField, quick_xml_rows};

mod columns;
mod events;
mod ndjson;
mod ours;
mod records;
mod rows;

/// What reading gives, with any library's error.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The columns for a record type.
pub fn schema<R: Record>() -> SchemaRef {
    let field = |name: &str, kind: Kind| {
        let data_type = match kind {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Decimal => DataType::Decimal128(38, 9),
            Kind::Boolean => DataType::Boolean,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(name.to_lowercase().replace('.', "_"), data_type, true)
            .with_metadata(HashMap::from([(WIRE_NAME.to_owned(), name.to_owned())]))
    };
    let fields: Vec<_> = R::FIELDS.iter().map(|f| field(f.name, f.kind)).collect();
    Arc::new(Schema::new(fields))
}
