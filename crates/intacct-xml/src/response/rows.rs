//! Records as borrowed rows.

use std::cell::OnceCell;

use super::predict::{Block, Checked, Value};
use super::target::{RecordEnd, RecordTarget};
use crate::error::Error;

/// Calls back with every record, as [`Row`]s that borrow from the answer.
///
/// Elements in elements are named by their path, as `APBILLITEMS/apbillitem/LINE_NO`; attributes are
/// left out.
///
/// ```
/// use intacct_xml::response::{EachRow, ReadOptions, read_response};
/// # let answer = "<response><control><status>success</status></control><operation>\
/// #     <authentication><status>success</status></authentication><result><status>success</status>\
/// #     <function>query</function><controlid>f</controlid><data count=\"1\"><VENDOR>\
/// #     <RECORDNO>7</RECORDNO><NAME>Smith</NAME></VENDOR></data></result></operation></response>";
///
/// let mut names = Vec::new();
/// let mut rows = EachRow::new(|row| names.push(row.get("NAME").map(str::to_owned)));
/// read_response(answer.as_bytes(), &ReadOptions::default(), &mut rows)?;
/// assert_eq!(names, [Some("Smith".to_owned())]);
/// # Ok::<(), intacct_xml::Error>(())
/// ```
///
/// The answer counts only when it was read to its end: what was made of the rows of one that was not
/// is the caller's to take back.
pub struct EachRow<F> {
    each: F,
    buffer: Buffer,
}

/// A record with nothing but fields.
#[derive(Clone, Copy)]
pub struct Row<'a>(Cells<'a>);

#[derive(Clone, Copy)]
enum Cells<'a> {
    Block(&'a Texts<'a>, usize),
    Buffer(&'a Buffer),
}

/// Records that came together, and their text once somebody has asked for it.
struct Texts<'a> {
    block: &'a Block<'a>,
    checked: OnceCell<Checked<'a>>,
}

/// A record that arrives call by call.
#[derive(Default)]
struct Buffer {
    record: String,
    text: String,
    path: Vec<String>,
    fields: Vec<Field>,
}

struct Field {
    name: (usize, usize),
    value: Option<(usize, usize)>,
}

impl<F: FnMut(Row<'_>)> EachRow<F> {
    /// Calls that for every record.
    pub fn new(each: F) -> Self {
        Self {
            each,
            buffer: Buffer::default(),
        }
    }
}

impl<F> std::fmt::Debug for EachRow<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EachRow").finish_non_exhaustive()
    }
}

impl<'a> Row<'a> {
    /// The name of the record element, such as `VENDOR`.
    pub fn record_name(&self) -> &'a str {
        match self.0 {
            Cells::Block(texts, _) => texts.block.record_name(),
            Cells::Buffer(buffer) => &buffer.record,
        }
    }

    /// Calls back with the fields in the order of the answer: name, and text where there is any, as
    /// bytes that are UTF-8.
    #[inline]
    pub fn each_value(&self, mut each: impl FnMut(&'a str, Option<&'a [u8]>)) {
        match self.0 {
            Cells::Block(texts, record) => {
                let names = texts.block.names();
                for (field, text, len) in texts.block.fields(record) {
                    let text = text.get(..len).filter(|text| !text.is_empty());
                    each(names.get(field).map_or("", String::as_str), text);
                }
            }
            Cells::Buffer(buffer) => {
                for field in &buffer.fields {
                    let value = field.value.map(|value| buffer.kept(value).as_bytes());
                    each(buffer.kept(field.name), value);
                }
            }
        }
    }

    /// Calls back with the fields in the order of the answer: name, and text where there is any.
    ///
    /// [`each_value`](Self::each_value) is faster where bytes will do.
    pub fn each_field(&self, mut each: impl FnMut(&'a str, Option<&'a str>)) {
        match self.0 {
            Cells::Block(texts, record) => {
                let checked = *texts.checked.get_or_init(|| texts.block.checked());
                texts
                    .block
                    .each_checked_field(record, checked, |name, text| {
                        // Whether a field is empty is not to be predicted, so there is no branch on it.
                        each(name, Some(text).filter(|text| !text.is_empty()));
                    });
            }
            Cells::Buffer(buffer) => {
                for field in &buffer.fields {
                    each(
                        buffer.kept(field.name),
                        field.value.map(|value| buffer.kept(value)),
                    );
                }
            }
        }
    }

    /// The text of the first field of that name; `None` if there is none.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        match self.0 {
            Cells::Block(Texts { block, .. }, record) => {
                match block.value(record, block.place(name)?) {
                    Value::Text(text) => Some(text),
                    Value::Empty | Value::Absent => None,
                }
            }
            Cells::Buffer(buffer) => {
                let mut fields = buffer.fields.iter();
                let field = fields.find(|field| buffer.kept(field.name) == name)?;
                field.value.map(|value| buffer.kept(value))
            }
        }
    }
}

impl std::fmt::Debug for Row<'_> {
    /// Names only: any record can hold a bank account.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names = Vec::new();
        self.each_field(|name, _| names.push(name));
        f.debug_struct("Row")
            .field("record_name", &self.record_name())
            .field("fields", &names)
            .finish()
    }
}

impl Buffer {
    fn keep(&mut self, text: &str) -> (usize, usize) {
        let start = self.text.len();
        self.text.push_str(text);
        (start, self.text.len())
    }

    fn kept(&self, (start, end): (usize, usize)) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }
}

impl<F: FnMut(Row<'_>)> RecordTarget for EachRow<F> {
    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.buffer.text.clear();
        self.buffer.path.clear();
        self.buffer.fields.clear();
        name.clone_into(&mut self.buffer.record);
        Ok(())
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let start = self.buffer.text.len();
        for group in &self.buffer.path {
            self.buffer.text.push_str(group);
            self.buffer.text.push('/');
        }
        let (_, end) = self.buffer.keep(name);
        let value = value.map(|text| self.buffer.keep(text));
        self.buffer.fields.push(Field {
            name: (start, end),
            value,
        });
        Ok(())
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        self.buffer.path.push(name.to_owned());
        Ok(())
    }

    fn end_group(&mut self, _name: &str) -> Result<(), Error> {
        self.buffer.path.pop();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.field("#text", Some(text))
    }

    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        let texts = Texts {
            block,
            checked: OnceCell::new(),
        };
        (0..block.len()).for_each(|record| (self.each)(Row(Cells::Block(&texts, record))));
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        (self.each)(Row(Cells::Buffer(&self.buffer)));
        Ok(RecordEnd::Done)
    }
}
