//! `query`: select, filter, order, page (developer.intacct.com, Queries).

use std::collections::HashMap;

use super::answer::{Column, GatewayError, Xml, escape, push_fields};
use super::call::{Aggregate, Filter, Query, Selected};
use super::format::{Format, Sheet};
use super::{Context, Outcome};
use crate::company::Company;
use crate::decimal::Decimal;
use crate::object::Object;
use crate::select::{Condition, Found, Lens, Literals, OrderBy, Path, Reading, Search};
use crate::value::{Class, Comparable};

/// The largest page of a query.
const LARGEST_PAGE: i64 = 2_000;
/// Records that are written before the size of a page is estimated.
const SAMPLE: usize = 16;

impl Context<'_> {
    pub(super) fn query(&self, xml: &mut Xml, query: &Query) -> Outcome {
        let company = self.company_of(&query.object);
        let object = company
            .object(&query.object)
            .ok_or_else(|| GatewayError::no_object(&query.object))?;
        let object = &*object;
        self.check_format(query.format)?;
        if !(1..=LARGEST_PAGE).contains(&query.page_size) || query.offset < 0 {
            let text = format!(
                "pagesize must be 1 to {LARGEST_PAGE} and offset 0 or more, not {} and {}",
                query.page_size, query.offset
            );
            return Err(GatewayError::new("Query Failed", text).into());
        }
        let reading = Reading {
            case: query.case,
            literals: Literals::Labels,
        };
        let names = Names {
            company: &company,
            object,
            lens: self.lens(),
        };
        let filter = query
            .filter
            .as_ref()
            .map(|filter| names.condition(filter, reading))
            .transpose()?;
        check_period(&company, object, filter.as_ref())?;
        let scope = self.scope(query.show_private);
        let window = (query.offset as usize, query.page_size as usize);
        let aggregates = query
            .select
            .iter()
            .any(|one| matches!(one, Selected::Aggregate(..)));
        if aggregates {
            let search = Search {
                filter,
                reading,
                scope,
                order: Vec::new(),
                shuffle: self.gateway.draw(),
            };
            let groups = Groups::collect(&names, &query.select, search)?;
            return self.push_groups(xml, &names, groups, &query.order, window, query.format);
        }
        let mut columns = Vec::new();
        let mut unknown = Vec::new();
        for one in &query.select {
            let Selected::Field(name) = one else { continue };
            match names.find(name) {
                Some(path) => columns.push(Column::new(name, path)),
                None => unknown.push(name.as_str()),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown_fields(object.name(), &unknown).into());
        }
        let mut order = Vec::new();
        for (name, descending) in &query.order {
            let path = names.known(name)?;
            order.push(OrderBy {
                path,
                descending: *descending,
            });
        }
        let search = Search {
            filter,
            reading,
            scope,
            order,
            shuffle: self.gateway.draw(),
        };
        let found = search.run(object);
        let page = found.page(self.plan.shifted(window.0), window.1);
        self.count_records(page.len());
        if query.format != Format::Xml {
            let names = columns.iter().map(|column| column.name.clone());
            let mut sheet = Sheet::new(query.format, names);
            sheet.records(object, page.into_iter(), &columns);
            xml.answer_bare(sheet);
            return Ok(());
        }
        push_head(xml, object.name(), found.total(), window.0, page.len());
        let before = xml.bytes.len();
        for (place, slot) in page.iter().enumerate() {
            if place == SAMPLE {
                // The first records tell how much room the page needs.
                let room = (xml.bytes.len() - before) / SAMPLE * (page.len() - SAMPLE);
                xml.bytes.reserve(room + room / 8);
            }
            xml.open(object.name());
            push_fields(&mut xml.bytes, object, *slot, &columns);
            xml.close(object.name());
        }
        xml.close("data");
        Ok(())
    }

    fn push_groups(
        &self,
        xml: &mut Xml,
        names: &Names<'_, '_>,
        mut groups: Groups,
        order: &[(String, bool)],
        (offset, size): (usize, usize),
        format: Format,
    ) -> Outcome {
        let mut places = Vec::new();
        for (name, descending) in order {
            let place = groups
                .names
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| unknown_fields(names.object.name(), &[name]))?;
            places.push((place, *descending));
        }
        let chance = self.gateway.draw();
        groups.rows.sort_unstable_by(|a, b| {
            for (place, descending) in &places {
                let ordering = a.cells[*place].0.cmp(&b.cells[*place].0);
                let ordering = if *descending {
                    ordering.reverse()
                } else {
                    ordering
                };
                if ordering.is_ne() {
                    return ordering;
                }
            }
            (a.chance ^ chance).cmp(&(b.chance ^ chance))
        });
        let total = groups.rows.len();
        let (from, to) = (offset.min(total), offset.saturating_add(size).min(total));
        self.count_records(to - from);
        if format != Format::Xml {
            let mut sheet = Sheet::new(format, groups.names);
            for row in groups.rows.drain(from..to) {
                sheet.row(row.cells.into_iter().map(|(_, text)| text));
            }
            xml.answer_bare(sheet);
            return Ok(());
        }
        push_head(xml, names.object.name(), total, offset, to - from);
        for row in &groups.rows[from..to] {
            xml.open(names.object.name());
            for (name, (_, text)) in groups.names.iter().zip(&row.cells) {
                xml.start(name, &[]);
                xml.raw(">");
                escape(&mut xml.bytes, text);
                xml.raw("</");
                xml.raw(name);
                xml.raw(">");
            }
            xml.close(names.object.name());
        }
        xml.close("data");
        Ok(())
    }
}

fn push_head(xml: &mut Xml, object: &str, total: usize, offset: usize, count: usize) {
    let remaining = total.saturating_sub(offset + count);
    xml.start(
        "data",
        &[
            ("listtype", object),
            ("totalcount", &total.to_string()),
            ("offset", &offset.to_string()),
            ("count", &count.to_string()),
            ("numremaining", &remaining.to_string()),
        ],
    );
    xml.raw(">");
    xml.line();
}

pub(super) fn unknown_fields(object: &str, names: &[&str]) -> GatewayError {
    GatewayError::processing(format!(
        "{object} has no field {} that could be queried",
        names.join(", ")
    ))
    .about("OBJECT", object)
    .about("FIELD", names.join(", "))
}

/// Balances are kept by period: a filter has to name a budgetable one.
pub(super) fn check_period(
    company: &Company,
    object: &dyn Object<'_>,
    filter: Option<&Condition<'_>>,
) -> Result<(), GatewayError> {
    if !object.needs_period() {
        return Ok(());
    }
    let period = filter.and_then(|filter| filter.demanded("PERIOD"));
    let known = period.is_some_and(|period| {
        company.books().is_some_and(|books| {
            books
                .periods
                .all()
                .any(|(_, known)| known.budgeting && known.name == period)
        })
    });
    if known {
        return Ok(());
    }
    Err(GatewayError::processing(match period {
        None => format!("{} must be filtered by PERIOD", object.name()),
        Some(period) => format!("{period:?} is not the name of a budgetable reporting period"),
    }))
}

/// Finds fields by the names that callers use.
pub(super) struct Names<'o, 'a> {
    pub(super) company: &'a Company,
    pub(super) object: &'o (dyn Object<'a> + 'a),
    pub(super) lens: Lens,
}

impl<'a> Names<'_, 'a> {
    pub(super) fn find(&self, name: &str) -> Option<Path<'a>> {
        Path::find(self.company, self.object, name, self.lens)
    }

    pub(super) fn known(&self, name: &str) -> Result<Path<'a>, GatewayError> {
        self.find(name)
            .ok_or_else(|| unknown_fields(self.object.name(), &[name]))
    }

    pub(super) fn condition(
        &self,
        filter: &Filter,
        reading: Reading,
    ) -> Result<Condition<'a>, GatewayError> {
        let literal = |path: &Path<'a>, text: &str| {
            reading
                .literal(path, text)
                .ok_or_else(|| unreadable(path, text))
        };
        Ok(match filter {
            Filter::And(all) => Condition::And(
                all.iter()
                    .map(|one| self.condition(one, reading))
                    .collect::<Result<_, _>>()?,
            ),
            Filter::Or(any) => Condition::Or(
                any.iter()
                    .map(|one| self.condition(one, reading))
                    .collect::<Result<_, _>>()?,
            ),
            Filter::Compare(operator, field, text) => {
                let path = self.known(field)?;
                let literal = literal(&path, text)?;
                Condition::Compare(path, *operator, literal)
            }
            Filter::Between(field, low, high) => {
                let path = self.known(field)?;
                let (low, high) = (literal(&path, low)?, literal(&path, high)?);
                if low > high {
                    return Err(GatewayError::processing(format!(
                        "between of {field} must name the smaller value first"
                    )));
                }
                Condition::Between(path, low, high)
            }
            Filter::Like {
                field,
                pattern,
                wanted,
            } => {
                let path = self.known(field)?;
                let pattern = match reading.case {
                    crate::select::Case::Sensitive => pattern.clone(),
                    crate::select::Case::Insensitive => pattern.to_lowercase(),
                };
                Condition::Like(path, pattern, *wanted)
            }
            Filter::In {
                field,
                values,
                wanted,
            } => {
                let path = self.known(field)?;
                let list = values
                    .iter()
                    .map(|text| literal(&path, text))
                    .collect::<Result<Vec<_>, _>>()?;
                Condition::one_of(path, list, *wanted)
            }
            Filter::Null { field, wanted } => Condition::IsNull(self.known(field)?, *wanted),
        })
    }
}

pub(super) fn unreadable(path: &Path<'_>, text: &str) -> GatewayError {
    GatewayError::processing(format!(
        "{} is of type {}: the value '{text}' is none",
        path.info.name,
        path.info.data_type.name()
    ))
}

/// The groups of an aggregate query, each with its cells in the order of the selection.
struct Groups {
    names: Vec<String>,
    rows: Vec<GroupRow>,
}

struct GroupRow {
    cells: Vec<(Comparable<'static>, Vec<u8>)>,
    chance: u64,
}

/// What is known of one aggregate in one group.
#[derive(Clone, Default)]
struct Tally {
    count: i128,
    sum: Option<Decimal>,
    extreme: Option<(Comparable<'static>, Vec<u8>)>,
}

impl Groups {
    fn collect<'a>(
        names: &Names<'_, 'a>,
        select: &[Selected],
        search: Search<'a>,
    ) -> Result<Self, GatewayError> {
        let object = names.object;
        let mut by = Vec::new();
        let mut totals = Vec::new();
        let mut labels = Vec::new();
        for one in select {
            match one {
                Selected::Field(name) => {
                    by.push(names.known(name)?);
                    labels.push(name.clone());
                }
                Selected::Aggregate(aggregate, name) => {
                    let path = names.known(name)?;
                    let adds = matches!(aggregate, Aggregate::Sum | Aggregate::Avg);
                    if adds && path.class() != Class::Number {
                        return Err(GatewayError::processing(format!(
                            "{name} is of type {}: it has no {}",
                            path.info.data_type.name(),
                            aggregate.name().to_lowercase()
                        )));
                    }
                    totals.push((*aggregate, path));
                    labels.push(format!("{}.{name}", aggregate.name()));
                }
            }
        }
        let found = search.run(object);
        let slots: &[u32] = match &found {
            Found::Stretch { slots, .. } => slots,
            Found::List(slots) => slots,
        };
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut groups: Vec<(u32, Vec<Tally>)> = Vec::new();
        let mut key = Vec::new();
        for &slot in slots {
            key.clear();
            for path in &by {
                path.value(object, slot).push(&mut key, 1);
                key.push(0);
            }
            let place = match places.get(&key) {
                Some(place) => *place,
                None => {
                    places.insert(key.clone(), groups.len());
                    groups.push((slot, vec![Tally::default(); totals.len()]));
                    groups.len() - 1
                }
            };
            for (tally, (aggregate, path)) in groups[place].1.iter_mut().zip(&totals) {
                tally.add(*aggregate, path, object, slot);
            }
        }
        if groups.is_empty() && by.is_empty() {
            // Aggregates over nothing still make one row.
            groups.push((0, vec![Tally::default(); totals.len()]));
        }
        let rows = groups
            .into_iter()
            .map(|(slot, tallies)| {
                let (mut tallies, mut fields) = (tallies.into_iter().zip(&totals), by.iter());
                let cells = select
                    .iter()
                    .map(|one| match one {
                        Selected::Field(_) => fields.next().map_or_else(empty, |path| {
                            let value = path.value(object, slot);
                            let mut text = Vec::new();
                            value.push(&mut text, 1);
                            (value.comparable().into_owned(), text)
                        }),
                        Selected::Aggregate(..) => tallies
                            .next()
                            .map_or_else(empty, |(tally, (aggregate, _))| tally.cell(*aggregate)),
                    })
                    .collect();
                let chance = u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                GroupRow { cells, chance }
            })
            .collect();
        Ok(Self {
            names: labels,
            rows,
        })
    }
}

fn empty() -> (Comparable<'static>, Vec<u8>) {
    (Comparable::Null, Vec::new())
}

impl Tally {
    fn add<'a>(
        &mut self,
        aggregate: Aggregate,
        path: &Path<'a>,
        object: &(dyn Object<'a> + 'a),
        slot: u32,
    ) {
        let value = path.value(object, slot);
        if value.is_null() {
            return;
        }
        self.count += 1;
        match aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Avg => {
                let number = value.number().unwrap_or(Decimal::ZERO);
                self.sum = Some(self.sum.unwrap_or(Decimal::ZERO).plus(number));
            }
            Aggregate::Min | Aggregate::Max => {
                let comparable = value.comparable();
                let better = match (&self.extreme, aggregate) {
                    (None, _) => true,
                    (Some((best, _)), Aggregate::Min) => comparable < *best,
                    (Some((best, _)), _) => comparable > *best,
                };
                if better {
                    let mut text = Vec::new();
                    value.push(&mut text, 1);
                    self.extreme = Some((comparable.into_owned(), text));
                }
            }
        }
    }

    fn cell(self, aggregate: Aggregate) -> (Comparable<'static>, Vec<u8>) {
        let number = match aggregate {
            Aggregate::Count => Some(Decimal {
                units: self.count,
                scale: 0,
            }),
            Aggregate::Sum => self.sum,
            Aggregate::Avg => self.sum.map(|sum| sum.divided_by(self.count, 6)),
            Aggregate::Min | Aggregate::Max => return self.extreme.unwrap_or_else(empty),
        };
        number.map_or_else(empty, |number| {
            let mut text = Vec::new();
            number.push(&mut text);
            (Comparable::Number(number), text)
        })
    }
}
