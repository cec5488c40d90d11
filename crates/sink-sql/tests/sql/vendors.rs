//! The stream that tests of one engine work with.

use std::sync::Arc;

use sync_core::{Sink, StreamDescriptor};

use crate::behaviour::{Cell, integer, key_text, stream, text};

pub(crate) fn vendors() -> Arc<StreamDescriptor> {
    stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name"), integer("rank")],
    )
}

pub(crate) fn row(key: &str, name: &str) -> Vec<Cell> {
    vec![key.into(), name.into(), Cell::Null]
}

pub(crate) async fn prepare(sink: &impl Sink, stream: &StreamDescriptor) {
    let plan = sink.plan(stream).await.unwrap();
    sink.prepare(&plan).await.unwrap();
}
