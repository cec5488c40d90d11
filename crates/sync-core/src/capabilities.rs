//! What a sink can do, as data: the pipeline cuts batches by it.

/// How rows reach their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// Rows are only ever added.
    Append,
    /// A row takes the place of the one with the same key.
    Upsert,
    /// All rows are replaced.
    Replace,
}

/// How often a row takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// Data and the mark that they were written are one transaction.
    ExactlyOnce,
    /// Writing again has no further effect.
    EffectivelyOnce,
    /// A row may appear twice.
    AtLeastOnce,
}

/// Limits and guarantees of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The modes that it offers.
    pub write_modes: Vec<WriteMode>,
    /// What it promises of a batch.
    pub guarantee: Guarantee,
    /// The most rows that a batch may have.
    pub max_batch_rows: usize,
    /// The most bytes that a batch's Arrow buffers may have.
    pub max_batch_bytes: usize,
    /// The most places behind the point that a decimal keeps.
    pub max_decimal_scale: u8,
    /// Whether columns can be added to a table that has rows.
    pub adds_columns: bool,
}

impl Capabilities {
    /// Upserts with this guarantee, unlimited otherwise.
    pub fn upserting(guarantee: Guarantee) -> Self {
        Self {
            write_modes: vec![WriteMode::Upsert],
            guarantee,
            max_batch_rows: usize::MAX,
            max_batch_bytes: usize::MAX,
            max_decimal_scale: 38,
            adds_columns: true,
        }
    }
}
