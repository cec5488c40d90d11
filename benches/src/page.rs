//! Answers of the gateway with a page of records, the same for the same seed.

use std::fmt::Write;
use std::marker::PhantomData;

use fastrand::Rng;

use crate::record::{Content, FieldSpec, GlDetail, Invoice, Record, Vendor};
use crate::text::{NAMES_BEYOND_ASCII, WORDS};

/// An answer with one page of records.
#[derive(Clone, Debug)]
pub struct Page<R> {
    /// The name in benchmark ids, such as `gl_detail_pretty`.
    pub name: &'static str,
    /// The answer.
    pub body: String,
    /// The name of the elements that are records.
    pub record_element: String,
    /// What is in it: the values of each record in the order of `R::FIELDS`.
    pub rows: Vec<Vec<Option<String>>>,
    record: PhantomData<R>,
}

/// How a page is written.
#[derive(Clone, Copy, Debug)]
pub struct PageForm {
    /// The name in benchmark ids.
    pub name: &'static str,
    /// The function that the page answers.
    pub function: PageFunction,
    /// How a field without a value is written.
    pub empty: Empty,
    /// What stands between elements.
    pub layout: Layout,
}

/// A function that gives pages (developer.intacct.com, Queries).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFunction {
    /// `query`: record elements in upper case, an offset.
    Query,
    /// `readByQuery`: record elements in lower case, a result id.
    ReadByQuery,
}

/// How a field without a value is written. The gateway has been seen to do all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// `<X></X>`
    Pair,
    /// `<X/>`
    SelfClosed,
    /// Not at all.
    LeftOut,
}

/// What stands between elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Nothing.
    Compact,
    /// Line ends and spaces.
    Pretty,
}

const GL_DETAIL: PageForm = PageForm {
    name: "gl_detail",
    function: PageFunction::Query,
    empty: Empty::Pair,
    layout: Layout::Compact,
};

/// How pages of vendors are written.
pub const VENDOR_FORMS: &[PageForm] = &[PageForm {
    name: "vendor",
    function: PageFunction::ReadByQuery,
    ..GL_DETAIL
}];

/// How pages of ledger lines are written: as usual, and three other ways.
pub const GL_DETAIL_FORMS: &[PageForm] = &[
    GL_DETAIL,
    PageForm {
        name: "gl_detail_pretty",
        layout: Layout::Pretty,
        ..GL_DETAIL
    },
    PageForm {
        name: "gl_detail_self_closed",
        empty: Empty::SelfClosed,
        ..GL_DETAIL
    },
    PageForm {
        name: "gl_detail_left_out",
        empty: Empty::LeftOut,
        ..GL_DETAIL
    },
];

/// How pages of wide records are written.
pub const INVOICE_FORMS: &[PageForm] = &[PageForm {
    name: "invoice_wide",
    ..GL_DETAIL
}];

impl Page<Vendor> {
    /// 2000 vendors, about half of the values empty, dotted names.
    pub fn vendors(form: PageForm, seed: u64) -> Self {
        Self::new(form, 2000, seed)
    }
}

impl Page<GlDetail> {
    /// 1000 ledger lines, about a quarter of the values empty.
    pub fn gl_details(form: PageForm, seed: u64) -> Self {
        Self::new(form, 1000, seed)
    }
}

impl Page<Invoice> {
    /// 500 invoices of 165 fields.
    pub fn invoices(form: PageForm, seed: u64) -> Self {
        Self::new(form, 500, seed)
    }
}

impl<R: Record> Page<R> {
    /// A page of that many records.
    pub fn new(form: PageForm, records: usize, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rows: Vec<_> = (1..=records)
            .map(|number| row(R::FIELDS, number, &mut rng))
            .collect();
        let record_element = match form.function {
            PageFunction::Query => R::OBJECT.to_owned(),
            PageFunction::ReadByQuery => R::OBJECT.to_lowercase(),
        };
        Self {
            name: form.name,
            body: body::<R>(form, &record_element, &rows),
            record_element,
            rows,
            record: PhantomData,
        }
    }

    /// How many values in 100 are empty.
    pub fn empty_percent(&self) -> usize {
        let empty = self.rows.iter().flatten().filter(|v| v.is_none()).count();
        100 * empty / (self.rows.len() * R::FIELDS.len()).max(1)
    }
}

fn row(fields: &[FieldSpec], number: usize, rng: &mut Rng) -> Vec<Option<String>> {
    let mut cell = |field: &FieldSpec| {
        let is_empty = rng.u8(..100) < field.empty_percent;
        (!is_empty).then(|| value(field.content, number, rng))
    };
    fields.iter().map(&mut cell).collect()
}

fn value(content: Content, number: usize, rng: &mut Rng) -> String {
    match content {
        Content::RecordNumber => number.to_string(),
        Content::Number => rng.u32(..10_000_000).to_string(),
        Content::Amount => amount(rng),
        Content::Flag => rng.bool().to_string(),
        Content::Day => day(rng),
        Content::Second => {
            let (hour, minute, second) = (rng.u8(..24), rng.u8(..60), rng.u8(..60));
            format!("{} {hour:02}:{minute:02}:{second:02}", day(rng))
        }
        Content::Code => {
            let letter = rng.uppercase();
            format!("{letter}-{:05}", rng.u32(..100_000))
        }
        Content::Word => word(rng).to_owned(),
        Content::Name => name(rng),
        Content::Sentence => {
            let length = rng.usize(5..=9);
            words(rng, length, 30)
        }
        Content::Memo => {
            let length = rng.usize(40..=80);
            words(rng, length, 70)
        }
        Content::Street => format!("{} {} Street", rng.u16(1..9999), word(rng)),
        Content::Phone => format!("+1 617 555 {:04}", rng.u16(..10_000)),
        Content::Email => format!("{}.{}@example.com", word(rng), rng.u32(..100_000)),
        Content::Url => format!("https://example.com/{}?a={}&b=2", word(rng), rng.u16(..)),
    }
}

fn amount(rng: &mut Rng) -> String {
    let whole = rng.u32(..200_000);
    let sign = if rng.u8(..10) == 0 { "-" } else { "" };
    match rng.u8(..10) {
        0 => format!("{sign}{whole}"),
        1 => format!("{sign}{whole}.{}", rng.u8(1..10)),
        _ => format!("{sign}{whole}.{:02}", rng.u8(..100)),
    }
}

fn day(rng: &mut Rng) -> String {
    let (month, day) = (rng.u8(1..=12), rng.u8(1..=28));
    format!("{month:02}/{day:02}/{}", rng.u16(2024..=2026))
}

fn name(rng: &mut Rng) -> String {
    let first = word(rng);
    match rng.u8(..100) {
        0..4 => (*rng.choice(NAMES_BEYOND_ASCII).unwrap_or(&"Müller")).to_owned(),
        4..13 => format!("{first} & {} Inc.", word(rng)),
        _ => format!("{first} {} Inc.", word(rng)),
    }
}

fn words(rng: &mut Rng, count: usize, special_percent: u8) -> String {
    let mut text = word(rng).to_owned();
    for _ in 1..count {
        text.push(' ');
        text.push_str(word(rng));
    }
    if rng.u8(..100) < special_percent {
        text.push_str([" <urgent>", " & more", " > 30 days"][rng.usize(..3)]);
    }
    text
}

fn word(rng: &mut Rng) -> &'static str {
    rng.choice(WORDS).unwrap_or(&"invoice")
}

fn body<R: Record>(form: PageForm, element: &str, rows: &[Vec<Option<String>>]) -> String {
    let count = rows.len();
    let total = count * 10;
    let remaining = total - count;
    let (function, attributes) = match form.function {
        PageFunction::Query => (
            "query",
            format!(
                r#"listtype="{}" totalcount="{total}" offset="0" count="{count}" numremaining="{remaining}""#,
                R::OBJECT
            ),
        ),
        PageFunction::ReadByQuery => (
            "readByQuery",
            format!(
                r#"listtype="{element}" count="{count}" totalcount="{total}" numremaining="{remaining}" resultId="7765623031bench""#
            ),
        ),
    };
    let mut writer = PageWriter {
        out: String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#),
        layout: form.layout,
        depth: 0,
    };
    writer.open("response");
    writer.open("control");
    for (name, text) in [
        ("status", "success"),
        ("senderid", "sender"),
        ("controlid", "c-1"),
        ("uniqueid", "false"),
        ("dtdversion", "3.0"),
    ] {
        writer.leaf(name, text);
    }
    writer.close("control");
    writer.open("operation");
    writer.open("authentication");
    for (name, text) in [
        ("status", "success"),
        ("userid", "user"),
        ("companyid", "company"),
        ("locationid", ""),
        ("sessiontimestamp", "2026-01-15T10:00:00+00:00"),
        ("sessiontimeout", "2026-01-15T12:00:00+00:00"),
    ] {
        writer.leaf(name, text);
    }
    writer.close("authentication");
    writer.open("result");
    writer.leaf("status", "success");
    writer.leaf("function", function);
    writer.leaf("controlid", "f-1");
    writer.open_with("data", &attributes);
    for row in rows {
        writer.open(element);
        for (field, value) in R::FIELDS.iter().zip(row) {
            match (value, form.empty) {
                (Some(text), _) => writer.leaf(field.name, text),
                (None, Empty::Pair) => writer.leaf(field.name, ""),
                (None, Empty::SelfClosed) => writer.self_closed(field.name),
                (None, Empty::LeftOut) => {}
            }
        }
        writer.close(element);
    }
    for element in ["data", "result", "operation", "response"] {
        writer.close(element);
    }
    writer.out
}

/// Writes elements, with its own escaping: what is measured must not make its own input.
struct PageWriter {
    out: String,
    layout: Layout,
    depth: usize,
}

impl PageWriter {
    fn open(&mut self, name: &str) {
        self.begin_line();
        self.depth += 1;
        self.put(format_args!("<{name}>"));
    }

    fn open_with(&mut self, name: &str, attributes: &str) {
        self.begin_line();
        self.depth += 1;
        self.put(format_args!("<{name} {attributes}>"));
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.begin_line();
        self.put(format_args!("</{name}>"));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.begin_line();
        self.put(format_args!("<{name}>"));
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                c => self.out.push(c),
            }
        }
        self.put(format_args!("</{name}>"));
    }

    fn self_closed(&mut self, name: &str) {
        self.begin_line();
        self.put(format_args!("<{name}/>"));
    }

    fn begin_line(&mut self) {
        if self.layout == Layout::Pretty {
            let width = 2 * self.depth;
            self.put(format_args!("\n{:width$}", ""));
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(text);
    }
}
