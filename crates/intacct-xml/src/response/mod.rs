//! Answers: read in one pass, records handed over while reading, trusted only at the end.
//!
//! developer.intacct.com, Responses and Error handling.

mod body;
#[cfg(feature = "arrow")]
mod columns;
mod cursor;
mod envelope;
mod gateway_error;
mod ndjson;
mod options;
mod predict;
mod reader;
mod rows;
mod stream;
mod tape;
mod target;
mod tree;
mod typed;

#[cfg(feature = "arrow")]
pub use self::columns::{ColumnOptions, Columns, Page, RejectedRecord, WIRE_NAME};
pub use self::envelope::{
    AuthenticationStatus, ControlStatus, DataAttributes, Failure, FunctionResult, Level, ListType,
    Operation, Response, Status,
};
pub use self::gateway_error::{AdditionalInfo, GatewayError, Message};
pub use self::ndjson::NdjsonLines;
pub use self::options::{IllegalCharacters, Prediction, ReadOptions, RecordCount};
pub use self::predict::{Block, Value};
pub use self::reader::read_error_message;
pub use self::rows::{EachRow, Row};
pub use self::stream::{ResponseReader, read_response};
pub use self::target::{DataStart, Discard, Dispatch, RecordEnd, RecordTarget};
pub use self::tree::{Element, Tree, TreeData};
pub use self::typed::Records;
