//! How an answer is read, and how large it may be.

/// Limits and choices for reading an answer.
///
/// The limits are far above what the gateway sends; they keep a hostile answer from exhausting memory
/// or stack. The size of the body itself is the transport's to limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What happens to characters that XML forbids. Default: dropped and counted.
    pub illegal_characters: IllegalCharacters,
    /// Whether a page must hold as many records as it says. Default: yes.
    pub record_count: RecordCount,
    /// Whether records are compared with the layout of earlier ones. Default: yes.
    pub prediction: Prediction,
    /// How deep elements may be nested. Default: 64.
    pub max_depth: usize,
    /// How many bytes the text of one element, or the attributes of one, may have. Default: 16 MiB.
    pub max_text_bytes: usize,
    /// How many records the answer may have. Default: 100 000.
    pub max_records: u64,
    /// How many elements one record may have. Default: 20 000.
    pub max_fields: u64,
    /// How many elements the answer may have. Default: 10 000 000.
    pub max_elements: u64,
}

/// What happens to characters in an answer that XML 1.0 forbids, raw or as a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IllegalCharacters {
    /// They are left out and [counted](super::Response::dropped_characters).
    #[default]
    Drop,
    /// The answer is refused.
    Refuse,
}

/// Whether the attribute `count` of a page is compared with the records in it.
///
/// Only `query`, `readByQuery` and `readMore` are held to it; other functions count other things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordCount {
    /// A page with more or fewer records than it says is refused.
    #[default]
    Enforce,
    /// The numbers may differ.
    Ignore,
}

/// Whether the layout of a record is predicted from earlier ones, which makes reading many times as
/// fast and changes nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prediction {
    /// Records that look like earlier ones are compared instead of parsed.
    #[default]
    On,
    /// Everything goes through the general reader, at the end of the answer.
    Off,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            illegal_characters: IllegalCharacters::default(),
            record_count: RecordCount::default(),
            prediction: Prediction::default(),
            max_depth: 64,
            max_text_bytes: 16 << 20,
            max_records: 100_000,
            max_fields: 20_000,
            max_elements: 10_000_000,
        }
    }
}

impl ReadOptions {
    /// Sets what happens to characters that XML forbids.
    #[must_use]
    pub fn with_illegal_characters(mut self, choice: IllegalCharacters) -> Self {
        self.illegal_characters = choice;
        self
    }

    /// Sets whether a page must hold as many records as it says.
    #[must_use]
    pub fn with_record_count(mut self, choice: RecordCount) -> Self {
        self.record_count = choice;
        self
    }

    /// Sets whether the layout of records is predicted.
    #[must_use]
    pub fn with_prediction(mut self, choice: Prediction) -> Self {
        self.prediction = choice;
        self
    }

    /// Sets how deep elements may be nested.
    #[must_use]
    pub fn with_max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth;
        self
    }

    /// Sets how many bytes the text of one element may have.
    #[must_use]
    pub fn with_max_text_bytes(mut self, bytes: usize) -> Self {
        self.max_text_bytes = bytes;
        self
    }

    /// Sets how many records the answer may have.
    #[must_use]
    pub fn with_max_records(mut self, records: u64) -> Self {
        self.max_records = records;
        self
    }

    /// Sets how many elements one record may have.
    #[must_use]
    pub fn with_max_fields(mut self, fields: u64) -> Self {
        self.max_fields = fields;
        self
    }

    /// Sets how many elements the answer may have.
    #[must_use]
    pub fn with_max_elements(mut self, elements: u64) -> Self {
        self.max_elements = elements;
        self
    }
}
