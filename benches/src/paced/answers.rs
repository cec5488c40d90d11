//! What the paced gateway understands and answers.

use std::io::Write;
use std::ops::Range;

use super::records::{Records, date_time, modified, seconds_of};
use crate::record::{Kind, Record, Vendor};

/// A request, as far as its answer depends on it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    function: String,
    control_id: String,
    object: String,
    page_size: Option<usize>,
    offset: usize,
    descending: bool,
    counts: bool,
    result_id: String,
    conditions: Vec<Condition>,
}

/// What a field is compared with.
#[derive(Debug)]
struct Condition {
    operator: String,
    field: String,
    value: String,
}

const OPERATORS: [&str; 7] = [
    "greaterthanorequalto",
    "greaterthan",
    "lessthanorequalto",
    "lessthan",
    "equalto",
    "isnull",
    "between",
];

impl Asked {
    pub(super) fn of(xml: &str) -> Self {
        let mut asked = Self::default();
        let Some((_, function)) = xml.split_once("<function controlid=\"") else {
            return asked;
        };
        let Some((control_id, content)) = function.split_once('"') else {
            return asked;
        };
        asked.control_id = control_id.to_owned();
        let name = content.split_once('<').map_or("", |(_, rest)| rest);
        let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        asked.function = name.take(1).collect();
        let text = |name| value_of(content, name).unwrap_or_default().to_owned();
        asked.object = text("object");
        asked.page_size = text("pagesize").parse().ok();
        asked.offset = text("offset").parse().unwrap_or(0);
        asked.result_id = text("resultId");
        asked.descending = content.contains("<descending");
        asked.counts = content.contains("<count>");
        for operator in OPERATORS {
            let begin = format!("<{operator}>");
            for rest in content.split(begin.as_str()).skip(1) {
                let value = |name| value_of(rest, name).unwrap_or_default().to_owned();
                asked.conditions.push(Condition {
                    operator: operator.to_owned(),
                    field: value("field"),
                    value: value("value"),
                });
            }
        }
        asked
    }

    /// Whether the gateway has to work for it.
    pub(super) fn is_for_records(&self) -> bool {
        matches!(self.function.as_str(), "query" | "readByQuery" | "readMore")
    }
}

/// The text of the first element of a name.
fn value_of<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let begin = format!("<{name}>");
    let (_, rest) = xml.split_once(begin.as_str())?;
    Some(rest.split_once('<')?.0)
}

/// Answers, made of the records and little else.
pub(super) struct Answers {
    records: Records,
    url: String,
}

const PAGE_SIZE: usize = 100;

impl Answers {
    pub(super) fn new(records: usize, url: String) -> Self {
        Self {
            records: Records::new(records),
            url,
        }
    }

    /// Writes the answer in place of what is there, and says how many records it has.
    pub(super) fn write(&self, asked: &Asked, out: &mut Vec<u8>) -> usize {
        out.clear();
        put(
            out,
            format_args!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response><control><status>success</status>\
             <senderid>sim-sender</senderid><controlid>c-1</controlid><uniqueid>false</uniqueid>\
             <dtdversion>3.0</dtdversion></control><operation><authentication><status>success</status>\
             <userid>sim-user</userid><companyid>DEMO</companyid><locationid></locationid>\
             <sessiontimestamp>2026-01-15T10:00:00+00:00</sessiontimestamp>\
             <sessiontimeout>2099-01-15T12:00:00+00:00</sessiontimeout></authentication><result>\
             <status>success</status><function>{}</function><controlid>{}</controlid>",
                asked.function, asked.control_id
            ),
        );
        let records = match asked.function.as_str() {
            "getAPISession" => {
                put(
                    out,
                    format_args!(
                        "<data><api><sessionid>paced-session</sessionid><endpoint>{}</endpoint>\
                     <locationid></locationid></api></data>",
                        self.url
                    ),
                );
                0
            }
            "lookup" => {
                lookup(&asked.object, out);
                0
            }
            "query" if asked.counts => {
                self.count(asked, out);
                0
            }
            "query" => self.query(asked, out),
            "readByQuery" => self.result(0, asked.page_size.unwrap_or(PAGE_SIZE), out),
            "readMore" => {
                let mut place = asked.result_id.split('-').skip(1);
                let mut number = || place.next().and_then(|text| text.parse().ok());
                let (from, size) = (number().unwrap_or(0), number().unwrap_or(PAGE_SIZE));
                self.result(from, size, out)
            }
            _ => 0,
        };
        out.extend_from_slice(b"</result></operation></response>");
        records
    }

    /// The records that all conditions take. Numbers and times of change rise together.
    fn taken(&self, asked: &Asked) -> Range<usize> {
        let all = self.records.count();
        let mut taken = 0..all;
        for Condition {
            operator,
            field,
            value,
        } in &asked.conditions
        {
            let (below, up_to) = match field.as_str() {
                "RECORDNO" => {
                    let number = value.parse().unwrap_or(0);
                    let below = self.records.below_number(number);
                    (below, self.records.below_number(number + 1))
                }
                "WHENMODIFIED" if operator != "isnull" => match seconds_of(value) {
                    Some(at) => (self.records.before(at), self.records.before(at + 1)),
                    None => continue,
                },
                _ => (all, 0),
            };
            let (from, to) = match operator.as_str() {
                "greaterthan" => (up_to, all),
                "greaterthanorequalto" => (below, all),
                "lessthan" => (0, below),
                "lessthanorequalto" => (0, up_to),
                "equalto" => (below, up_to),
                _ => (all, all),
            };
            taken = taken.start.max(from)..taken.end.min(to);
        }
        taken.start.min(taken.end)..taken.end
    }

    fn query(&self, asked: &Asked, out: &mut Vec<u8>) -> usize {
        let taken = self.taken(asked);
        let total = taken.len();
        let from = taken.start + asked.offset.min(total);
        let to = (from + asked.page_size.unwrap_or(PAGE_SIZE)).min(taken.end);
        let (count, remaining) = (to - from, taken.end - to);
        put(
            out,
            format_args!(
                "<data listtype=\"{}\" totalcount=\"{total}\" offset=\"{}\" count=\"{count}\" \
             numremaining=\"{remaining}\">",
                Vendor::OBJECT,
                asked.offset
            ),
        );
        if asked.descending {
            let last = taken.end - asked.offset.min(total);
            (last - count..last)
                .rev()
                .for_each(|index| self.records.push(index, out));
        } else {
            (from..to).for_each(|index| self.records.push(index, out));
        }
        out.extend_from_slice(b"</data>");
        count
    }

    /// How many records there are, and when the first of them was changed.
    fn count(&self, asked: &Asked, out: &mut Vec<u8>) {
        let taken = self.taken(asked);
        let object = Vendor::OBJECT;
        put(
            out,
            format_args!(
                "<data listtype=\"{object}\" totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\">\
             <{object}><COUNT.RECORDNO>{}</COUNT.RECORDNO><MIN.WHENMODIFIED>{}</MIN.WHENMODIFIED>\
             </{object}></data>",
                taken.len(),
                date_time(modified(taken.start))
            ),
        );
    }

    /// A page of a result that the gateway keeps; its id says where it goes on.
    fn result(&self, from: usize, size: usize, out: &mut Vec<u8>) -> usize {
        let total = self.records.count();
        let to = (from + size).min(total);
        put(
            out,
            format_args!(
                "<data listtype=\"{}\" count=\"{}\" totalcount=\"{total}\" numremaining=\"{}\" \
             resultId=\"paced-{to}-{size}\">",
                Vendor::OBJECT,
                to - from,
                total - to
            ),
        );
        (from..to).for_each(|index| self.records.push(index, out));
        out.extend_from_slice(b"</data>");
        to - from
    }
}

/// Any object has the fields of a vendor.
fn lookup(object: &str, out: &mut Vec<u8>) {
    put(
        out,
        format_args!(
            "<data listtype=\"All\" count=\"1\"><Type Name=\"{object}\" DocumentType=\"\"><Fields>"
        ),
    );
    for field in Vendor::FIELDS {
        let kind = match field.kind {
            Kind::Text => "TEXT",
            Kind::Integer => "INTEGER",
            Kind::Decimal => "DECIMAL",
            Kind::Boolean => "BOOLEAN",
            Kind::Date => "DATE",
            Kind::Timestamp => "TIMESTAMP",
        };
        put(
            out,
            format_args!(
                "<Field><ID>{0}</ID><LABEL>{0}</LABEL><DESCRIPTION></DESCRIPTION><REQUIRED>false</REQUIRED>\
             <READONLY>false</READONLY><DATATYPE>{kind}</DATATYPE><ISCUSTOM>false</ISCUSTOM></Field>",
                field.name
            ),
        );
    }
    put(
        out,
        format_args!("</Fields><Relationships></Relationships></Type></data>"),
    );
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}
