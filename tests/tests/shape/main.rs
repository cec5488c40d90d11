//! Streams that change on their way: mappings and contracts between a source and SQL warehouses.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod killed;
mod mapping;
mod things;
