//! The legacy reads: `readByQuery` with `readMore`, `read`, `readByName`.

use super::answer::{Column, GatewayError, Xml, push_fields};
use super::call::ReadByQuery;
use super::query::{Names, check_period};
use super::session::Cursor;
use super::{Context, Outcome, sql};
use crate::company::Company;
use crate::object::Object;
use crate::select::{Case, Literals, Reading, Scope, Search};

/// The largest page of `readByQuery`.
const LARGEST_PAGE: i64 = 1_000;
/// The most keys that `read` and `readByName` take.
const MOST_KEYS: usize = 100;

impl Context<'_> {
    fn scope(&self, with_private: bool) -> Scope {
        Scope {
            entity: self.caller.entity.as_ref().map(|(key, _)| *key),
            with_private,
        }
    }

    pub(super) fn read_by_query(&self, xml: &mut Xml, query: &ReadByQuery) -> Outcome {
        let company = self.gateway.company();
        let object = company
            .object(&query.object)
            .ok_or_else(|| GatewayError::no_object(&query.object))?;
        let object = &*object;
        if query.format != "xml" {
            return Err(GatewayError::new(
                "Query Failed",
                format!(
                    "This gateway answers in xml only, not in '{}'",
                    query.format
                ),
            ));
        }
        if !(1..=LARGEST_PAGE).contains(&query.page_size) {
            let text = format!(
                "pagesize must be 1 to {LARGEST_PAGE}, not {}",
                query.page_size
            );
            return Err(GatewayError::new("Query Failed", text));
        }
        let names = Names {
            company: &company,
            object,
        };
        let reading = Reading {
            case: Case::Sensitive,
            literals: Literals::Codes,
        };
        let filter = sql::read(&names, &query.query, reading)?;
        check_period(&company, object, filter.as_ref())?;
        let fields = fields(object, &query.fields)?;
        let search = Search {
            filter,
            reading,
            scope: self.scope(false),
            order: Vec::new(),
            shuffle: fastrand::u64(..),
        };
        let found = search.run(object);
        let mut cursor = Cursor {
            object: query.object.clone(),
            fields,
            slots: found.page(0, found.total()),
            at: 0,
            page_size: query.page_size as usize,
        };
        let page = self.push_page(&company, &mut cursor)?;
        let more = cursor.at < cursor.slots.len();
        let (total, at) = (cursor.slots.len(), cursor.at);
        let id = if more {
            self.gateway
                .sessions()
                .keep_cursor(self.caller.session.as_deref(), cursor)
        } else {
            String::new()
        };
        finish_page(xml, &query.object, &page, total, at, &id);
        Ok(())
    }

    pub(super) fn read_more(&self, xml: &mut Xml, id: &str) -> Outcome {
        let session = self.caller.session.as_deref();
        let cursor = self.gateway.sessions().cursor(session, id);
        let Some(mut cursor) = cursor else {
            return Err(GatewayError::new(
                "readMore failed",
                "The resultId is not known to this session: it was read to its end or has expired",
            ));
        };
        let company = self.gateway.company();
        let page = self.push_page(&company, &mut cursor)?;
        self.gateway.sessions().move_cursor(session, id, cursor.at);
        finish_page(
            xml,
            &cursor.object,
            &page,
            cursor.slots.len(),
            cursor.at,
            id,
        );
        Ok(())
    }

    /// Writes the next records of a cursor, apart from their frame, and moves it on.
    fn push_page(&self, company: &Company, cursor: &mut Cursor) -> Result<Page, GatewayError> {
        let object = company
            .object(&cursor.object)
            .ok_or_else(|| GatewayError::no_object(&cursor.object))?;
        let object = &*object;
        let names = Names { company, object };
        let columns: Vec<_> = cursor
            .fields
            .iter()
            .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
            .collect();
        let element = object.name().to_lowercase();
        let end = (cursor.at + cursor.page_size).min(cursor.slots.len());
        let mut page = Page::default();
        let from = self.plan.shifted(cursor.at).min(cursor.slots.len());
        let to = (from + (end - cursor.at)).min(cursor.slots.len());
        for &slot in &cursor.slots[from..to] {
            // What was deleted since the first page is not there any more.
            if object.is_live(slot) {
                push_record(&mut page.bytes, object, slot, &element, &columns);
                page.count += 1;
            }
        }
        cursor.at = end;
        self.count_records(page.count);
        Ok(page)
    }

    pub(super) fn read(
        &self,
        xml: &mut Xml,
        name: &str,
        keys: &[String],
        wanted: &str,
        by_name: bool,
    ) -> Outcome {
        let company = self.gateway.company();
        let object = company
            .object(name)
            .ok_or_else(|| GatewayError::no_object(name))?;
        let object = &*object;
        if keys.is_empty() || keys.len() > MOST_KEYS {
            let text = format!(
                "keys must name 1 to {MOST_KEYS} records, not {}",
                keys.len()
            );
            return Err(GatewayError::new("Read Failed", text));
        }
        let names = Names {
            company: &company,
            object,
        };
        let columns: Vec<_> = fields(object, wanted)?
            .iter()
            .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
            .collect();
        let scope = self.scope(true);
        let mut page = Page::default();
        for key in keys {
            let slot = if by_name {
                named(object, key)?
            } else {
                numbered(object, key)
            };
            let Some(slot) = slot.filter(|&slot| scope.sees(object, slot)) else {
                continue;
            };
            page.bytes.extend_from_slice(format!("<{name}>").as_bytes());
            push_fields(&mut page.bytes, object, slot, &columns);
            if wanted == "*" {
                push_lines(&mut page.bytes, &company, object, slot);
            }
            page.bytes
                .extend_from_slice(format!("</{name}>").as_bytes());
            page.count += 1;
        }
        xml.start(
            "data",
            &[("listtype", name), ("count", &page.count.to_string())],
        );
        xml.raw(">");
        xml.bytes.extend_from_slice(&page.bytes);
        xml.close("data");
        self.count_records(page.count);
        Ok(())
    }
}

#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    count: usize,
}

fn finish_page(xml: &mut Xml, object: &str, page: &Page, total: usize, at: usize, id: &str) {
    xml.start(
        "data",
        &[
            ("listtype", &object.to_lowercase()),
            ("count", &page.count.to_string()),
            ("totalcount", &total.to_string()),
            ("numremaining", &(total - at).to_string()),
            ("resultId", id),
        ],
    );
    if page.bytes.is_empty() {
        xml.raw("/>");
        xml.line();
        return;
    }
    xml.raw(">");
    xml.bytes.extend_from_slice(&page.bytes);
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

fn numbered(object: &dyn Object<'_>, key: &str) -> Option<u32> {
    object.slot_of(key.parse().ok()?)
}

fn named(object: &dyn Object<'_>, key: &str) -> Result<Option<u32>, GatewayError> {
    // Transactions have no name of their own: they go by their number.
    let Some(field) = object.business_key() else {
        return Ok(numbered(object, key));
    };
    let mut text = Vec::new();
    Ok(object.orders().by_key.iter().copied().find(|&slot| {
        text.clear();
        object.value(slot, field).push(&mut text, 1);
        text == key.as_bytes()
    }))
}
