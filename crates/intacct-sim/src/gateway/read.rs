//! The legacy reads: `readByQuery` and `readView` with `readMore`, `read`, `readByName`,
//! `readRelated`.

use super::answer::{Column, GatewayError, Xml, push_fields};
use super::call::{More, Read, ReadByQuery};
use super::format::{Format, Sheet};
use super::query::{Names, check_period};
use super::session::Cursor;
use super::{Context, Failure, Outcome, sql};
use crate::company::Company;
use crate::object::Object;
use crate::select::{Case, Lens, Literals, Reading, Search};

/// The largest page of `readByQuery`.
const LARGEST_PAGE: i64 = 1_000;
/// The most keys that `read` and `readByName` take.
const MOST_KEYS: usize = 100;

impl Context<'_> {
    pub(super) fn read_by_query(&self, xml: &mut Xml, query: &ReadByQuery) -> Outcome {
        self.check_format(query.format)?;
        check_page(query.page_size)?;
        let company = self.company_of(&query.object);
        let object = company
            .object(&query.object)
            .ok_or_else(|| GatewayError::no_object(&query.object))?;
        let slots = self.matching(&company, &*object, &query.query)?;
        let fields = fields(&*object, &query.fields)?;
        let cursor = Cursor {
            object: query.object.clone(),
            view: None,
            format: query.format,
            fields,
            slots,
            at: 0,
            page_size: query.page_size as usize,
        };
        self.first_page(xml, &company, cursor)
    }

    /// `readView`: a filter and fields that somebody has put together under a name.
    pub(super) fn read_view(
        &self,
        xml: &mut Xml,
        name: &str,
        page_size: i64,
        format: Format,
    ) -> Outcome {
        self.check_format(format)?;
        check_page(page_size)?;
        let company = self.gateway.company();
        let view = VIEWS.iter().find(|view| view.name == name);
        let (Some(view), Some(object)) = (view, view.and_then(|view| company.object(view.object)))
        else {
            let text = format!("View definition {name} not found");
            return Err(GatewayError::new("Read Failed", text).into());
        };
        let cursor = Cursor {
            object: view.object.to_owned(),
            view: Some(name.to_owned()),
            format,
            fields: view.fields.iter().map(|&field| field.to_owned()).collect(),
            slots: self.matching(&company, &*object, view.query)?,
            at: 0,
            page_size: page_size as usize,
        };
        self.first_page(xml, &company, cursor)
    }

    /// The records of an object that a condition of the older reads selects, in no order.
    fn matching<'a>(
        &self,
        company: &'a Company,
        object: &(dyn Object<'a> + 'a),
        condition: &str,
    ) -> Result<Vec<u32>, Failure> {
        let names = Names {
            company,
            object,
            lens: self.lens(),
        };
        let reading = Reading {
            case: Case::Sensitive,
            literals: Literals::Codes,
        };
        let filter = sql::read(&names, condition, reading)?;
        check_period(company, object, filter.as_ref())?;
        let search = Search {
            filter,
            reading,
            scope: self.scope(false),
            order: Vec::new(),
            shuffle: self.gateway.draw(),
        };
        let found = search.run(object);
        Ok(found.page(0, found.total()))
    }

    fn first_page(&self, xml: &mut Xml, company: &Company, mut cursor: Cursor) -> Outcome {
        let page = self.page(company, &mut cursor)?;
        let id = if cursor.at < cursor.slots.len() {
            let session = self.caller.session.as_deref();
            self.gateway.sessions().keep_cursor(session, cursor.clone())
        } else {
            String::new()
        };
        push_page(xml, page, &cursor, &id);
        Ok(())
    }

    pub(super) fn read_more(&self, xml: &mut Xml, more: &More) -> Outcome {
        let session = self.caller.session.as_deref();
        let id = match more {
            More::Result(id) => Some(id.clone()),
            More::Latest(subject) => self.gateway.sessions().latest_cursor(session, subject),
            More::Report(id) => return self.report_page(xml, id),
        };
        let id = id.unwrap_or_default();
        let cursor = self.gateway.sessions().cursor(session, &id);
        let Some(mut cursor) = cursor else {
            return Err(GatewayError::new(
                "readMore failed",
                "The resultId is not known to this session: it was read to its end or has expired",
            )
            .into());
        };
        self.check_format(cursor.format)?;
        let company = self.company_of(&cursor.object);
        let page = self.page(&company, &mut cursor)?;
        self.gateway.sessions().move_cursor(session, &id, cursor.at);
        push_page(xml, page, &cursor, &id);
        Ok(())
    }

    /// The next records of a cursor, which moves on.
    fn page(&self, company: &Company, cursor: &mut Cursor) -> Result<Page, GatewayError> {
        let object = company
            .object(&cursor.object)
            .ok_or_else(|| GatewayError::no_object(&cursor.object))?;
        let object = &*object;
        let names = Names {
            company,
            object,
            lens: self.lens(),
        };
        let columns: Vec<_> = cursor
            .fields
            .iter()
            .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
            .collect();
        let end = (cursor.at + cursor.page_size).min(cursor.slots.len());
        let from = self.plan.shifted(cursor.at).min(cursor.slots.len());
        let to = (from + (end - cursor.at)).min(cursor.slots.len());
        // What was deleted since the first page is not there any more.
        let slots = cursor.slots[from..to].iter().copied();
        let slots = slots.filter(|&slot| object.is_live(slot));
        cursor.at = end;
        let page = if cursor.format == Format::Xml {
            let element = match cursor.view {
                Some(_) => "view".to_owned(),
                None => object.name().to_lowercase(),
            };
            let (mut bytes, mut count) = (Vec::new(), 0);
            for slot in slots {
                push_record(&mut bytes, object, slot, &element, &columns);
                count += 1;
            }
            Page::Elements { bytes, count }
        } else {
            let names = columns.iter().map(|column| column.name.clone());
            let mut sheet = Sheet::new(cursor.format, names);
            sheet.records(object, slots, &columns);
            Page::Sheet(sheet)
        };
        self.count_records(match &page {
            Page::Elements { count, .. } => *count,
            Page::Sheet(sheet) => sheet.rows(),
        });
        Ok(page)
    }

    pub(super) fn read(&self, xml: &mut Xml, call: &Read) -> Outcome {
        self.check_format(call.format)?;
        let company = self.company_of(&call.object);
        let object = company
            .object(&call.object)
            .ok_or_else(|| GatewayError::no_object(&call.object))?;
        let slots = self.named_slots(&*object, call)?;
        self.push_read(xml, &company, &*object, &slots, call)
    }

    /// `readRelated`: the records to which a relation of the named ones leads.
    pub(super) fn read_related(&self, xml: &mut Xml, call: &Read, relation: &str) -> Outcome {
        self.check_format(call.format)?;
        let company = self.gateway.company();
        let object = company
            .object(&call.object)
            .ok_or_else(|| GatewayError::no_object(&call.object))?;
        let object = &*object;
        let place = object
            .relations()
            .iter()
            .position(|known| known.name == relation);
        let (Some(place), Some(target)) = (
            place,
            place.and_then(|place| company.object(object.relations()[place].target)),
        ) else {
            let text = format!("{} has no relation {relation}", call.object);
            return Err(GatewayError::new("Read Failed", text).into());
        };
        let mut slots = Vec::new();
        for slot in self.named_slots(object, call)? {
            // Two records may lead to the same one, which is named once.
            let related = object.follow(slot, place);
            slots.extend(related.filter(|slot| target.is_live(*slot) && !slots.contains(slot)));
        }
        self.push_read(xml, &company, &*target, &slots, call)
    }

    /// The records that the keys name, as far as there are any and the caller sees them.
    fn named_slots<'a>(
        &self,
        object: &(dyn Object<'a> + 'a),
        call: &Read,
    ) -> Result<Vec<u32>, GatewayError> {
        if call.keys.is_empty() || call.keys.len() > MOST_KEYS {
            let text = format!(
                "keys must name 1 to {MOST_KEYS} records, not {}",
                call.keys.len()
            );
            return Err(GatewayError::new("Read Failed", text));
        }
        let scope = self.scope(true);
        let slots = call.keys.iter().filter_map(|key| {
            if call.by_name {
                named(object, key)
            } else {
                numbered(object, key)
            }
        });
        Ok(slots.filter(|&slot| scope.sees(object, slot)).collect())
    }

    fn push_read<'a>(
        &self,
        xml: &mut Xml,
        company: &'a Company,
        object: &(dyn Object<'a> + 'a),
        slots: &[u32],
        call: &Read,
    ) -> Outcome {
        let names = Names {
            company,
            object,
            lens: self.lens(),
        };
        let columns: Vec<_> = fields(object, &call.fields)?
            .iter()
            .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
            .collect();
        self.count_records(slots.len());
        if call.format != Format::Xml {
            let names = columns.iter().map(|column| column.name.clone());
            let mut sheet = Sheet::new(call.format, names);
            sheet.records(object, slots.iter().copied(), &columns);
            xml.answer_bare(sheet);
            return Ok(());
        }
        let name = object.name();
        let count = slots.len().to_string();
        xml.start("data", &[("listtype", name), ("count", &count)]);
        xml.raw(">");
        for &slot in slots {
            xml.start(name, &[]);
            xml.raw(">");
            push_fields(&mut xml.bytes, object, slot, &columns);
            if call.fields == "*" {
                push_lines(&mut xml.bytes, company, object, slot, self.lens());
            }
            xml.close(name);
        }
        xml.close("data");
        Ok(())
    }
}

/// What somebody has put together under a name.
struct ViewDefinition {
    name: &'static str,
    object: &'static str,
    query: &'static str,
    fields: &'static [&'static str],
}

const VIEWS: [ViewDefinition; 2] = [
    ViewDefinition {
        name: "Open bills",
        object: "APBILL",
        query: "TOTALDUE > 0",
        fields: &["RECORDNO", "RECORDID", "VENDORID", "WHENDUE", "TOTALDUE"],
    },
    ViewDefinition {
        name: "Active vendors",
        object: "VENDOR",
        query: "STATUS = 'T'",
        fields: &["RECORDNO", "VENDORID", "NAME"],
    },
];

pub(super) fn check_page(size: i64) -> Result<(), GatewayError> {
    if (1..=LARGEST_PAGE).contains(&size) {
        return Ok(());
    }
    let text = format!("pagesize must be 1 to {LARGEST_PAGE}, not {size}");
    Err(GatewayError::new("Query Failed", text))
}

enum Page {
    Elements { bytes: Vec<u8>, count: usize },
    Sheet(Sheet),
}

fn push_page(xml: &mut Xml, page: Page, cursor: &Cursor, id: &str) {
    let (bytes, count) = match page {
        Page::Elements { bytes, count } => (bytes, count),
        Page::Sheet(sheet) => return xml.answer_bare(sheet),
    };
    let list = match cursor.view {
        Some(_) => "view".to_owned(),
        None => cursor.object.to_lowercase(),
    };
    let total = cursor.slots.len();
    xml.start(
        "data",
        &[
            ("listtype", &list),
            ("count", &count.to_string()),
            ("totalcount", &total.to_string()),
            ("numremaining", &(total - cursor.at).to_string()),
            ("resultId", id),
        ],
    );
    if bytes.is_empty() {
        xml.raw("/>");
        xml.line();
        return;
    }
    xml.raw(">");
    xml.bytes.extend_from_slice(&bytes);
    xml.close("data");
}

fn push_record<'a>(
    out: &mut Vec<u8>,
    object: &(dyn Object<'a> + 'a),
    slot: u32,
    element: &str,
    columns: &[Column<'a>],
) {
    out.extend_from_slice(format!("<{element}>").as_bytes());
    push_fields(out, object, slot, columns);
    out.extend_from_slice(format!("</{element}>").as_bytes());
}

/// Writes the lines that belong to a record, inside it.
fn push_lines<'a>(
    out: &mut Vec<u8>,
    company: &'a Company,
    object: &(dyn Object<'a> + 'a),
    slot: u32,
    lens: Lens,
) {
    let Some((collection, line_object)) = object.lines() else {
        return;
    };
    let Some(lines) = company.object(line_object) else {
        return;
    };
    let lines = &*lines;
    let names = Names {
        company,
        object: lines,
        lens,
    };
    let columns: Vec<_> = (0..lines.field_count())
        .map(|field| &*lines.field(field).name)
        .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
        .collect();
    let element = line_object.to_lowercase();
    out.extend_from_slice(format!("<{collection}>").as_bytes());
    for line in object.line_slots(slot) {
        push_record(out, lines, line, &element, &columns);
    }
    out.extend_from_slice(format!("</{collection}>").as_bytes());
}

/// The names in a list of fields; `*` and nothing stand for all.
fn fields(object: &dyn Object<'_>, list: &str) -> Result<Vec<String>, GatewayError> {
    let wanted: Vec<&str> = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if wanted.is_empty() || wanted == ["*"] {
        return Ok((0..object.field_count())
            .map(|field| object.field(field).name.to_string())
            .collect());
    }
    let unknown: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| object.find(name).is_none())
        .collect();
    if unknown.is_empty() {
        Ok(wanted.into_iter().map(str::to_owned).collect())
    } else {
        Err(GatewayError::new(
            &format!("Invalid fields list {}", unknown.join(",")),
            format!("{} has no such fields", object.name()),
        ))
    }
}

pub(super) fn numbered(object: &dyn Object<'_>, key: &str) -> Option<u32> {
    object.slot_of(key.parse().ok()?)
}

pub(super) fn named(object: &dyn Object<'_>, key: &str) -> Option<u32> {
    // Transactions have no name of their own: they go by their number.
    let Some(field) = object.business_key() else {
        return numbered(object, key);
    };
    let mut text = Vec::new();
    object.orders().by_key.iter().copied().find(|&slot| {
        text.clear();
        object.value(slot, field).push(&mut text, 1);
        text == key.as_bytes()
    })
}
