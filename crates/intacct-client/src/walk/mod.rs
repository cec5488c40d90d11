//! Reading a whole object, or what changed of it in a window, by key: pages that nothing can shift.
//!
//! A page by offset is a new query, and records that come or go in between shift it. A walk asks for what lies behind
//! the last record it has seen instead, in the order of the modified field and the key, inside a window whose upper end
//! is fixed. A record that is edited on the way leaves the window through its end, and is in the next one.

mod cursor;
mod keys;
mod machine;
mod offset;
mod order;
mod pace;
mod pager;
mod parallel;
mod spec;
mod stream;

pub use cursor::Cursor;
pub use machine::{Released, RowKey, Walk};
pub use offset::{OffsetSpec, OffsetWalk};
pub use spec::{NullPass, Refusals, WalkSpec, WalkWindow};
pub use stream::WalkPage;
