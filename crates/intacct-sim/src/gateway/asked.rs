//! What a request asks for, for the rules of a fault script.

use super::Gateway;
use super::call::{Call, Filter, More, Query, Selected};
use super::request::{Authentication, Operation, Request};
use crate::calendar;
use crate::faults::{Asked, By};
use crate::select::Operator;

impl Gateway {
    /// One entry a function, in the order of the request; one without a name where none could be
    /// read.
    pub(super) fn asked<'r>(&self, request: Option<&'r Request>) -> Vec<Asked<'r>> {
        let mut all = Vec::new();
        for operation in request.iter().flat_map(|request| &request.operations) {
            let caller = self.asking(operation);
            for function in &operation.functions {
                let mut asked = caller.clone();
                self.describe(&mut asked, &function.call, operation);
                all.push(asked);
            }
        }
        if all.is_empty() {
            all.push(Asked::default());
        }
        all
    }

    fn asking(&self, operation: &Operation) -> Asked<'static> {
        match &operation.authentication {
            Authentication::Login { user, location, .. } => Asked {
                by: Some(By::Login),
                user: user.clone(),
                entity: location.clone().unwrap_or_default(),
                ..Asked::default()
            },
            Authentication::Session(id) => {
                let (number, user, entity) = self.sessions().describe(id).unwrap_or_default();
                Asked {
                    by: Some(By::Session),
                    user,
                    entity,
                    session: number,
                    ..Asked::default()
                }
            }
            Authentication::OAuth => Asked::default(),
        }
    }

    fn describe<'r>(&self, asked: &mut Asked<'r>, call: &'r Call, operation: &Operation) {
        asked.call = call.name();
        asked.object = call.object().map(str::to_owned);
        asked.page = 1;
        match call {
            Call::Query(query) => {
                asked.offset = u64::try_from(query.offset).unwrap_or_default();
                asked.page_size = u64::try_from(query.page_size).unwrap_or_default();
                asked.page = asked.offset / asked.page_size.max(1) + 1;
                asked.window = query.filter.as_ref().and_then(window);
                asked.ordered_by = query.order.iter().map(|(field, _)| &**field).collect();
                asked.selects = selected(query);
            }
            Call::ReadByQuery(query) => {
                asked.page_size = u64::try_from(query.page_size).unwrap_or_default();
                asked.selects = query.fields.split(',').map(str::trim).collect();
            }
            Call::ReadMore(more) => {
                let Authentication::Session(session) = &operation.authentication else {
                    return;
                };
                let sessions = self.sessions();
                let id = match more {
                    More::Result(id) => Some(id.clone()),
                    More::Latest(subject) => sessions.latest_cursor(Some(session), subject),
                    More::Report(_) => None,
                };
                let cursor = id.and_then(|id| sessions.cursor(Some(session), &id));
                if let Some(cursor) = cursor {
                    asked.object = Some(cursor.object);
                    asked.offset = cursor.at as u64;
                    asked.page_size = cursor.page_size as u64;
                    asked.page = asked.offset / asked.page_size.max(1) + 1;
                }
            }
            _ => {}
        }
    }
}

fn selected(query: &Query) -> Vec<&str> {
    let names = query.select.iter().map(|one| match one {
        Selected::Field(name) | Selected::Aggregate(_, name) => name.as_str(),
    });
    names.collect()
}

/// The narrowest stretch of time, in seconds, that the filter bounds from both sides.
fn window(filter: &Filter) -> Option<i64> {
    let mut bounds: Vec<(&str, Option<i64>, Option<i64>)> = Vec::new();
    collect(filter, &mut bounds);
    let widths = bounds
        .into_iter()
        .filter_map(|(_, low, high)| Some((high? - low?).max(0)));
    widths.min()
}

fn collect<'f>(filter: &'f Filter, bounds: &mut Vec<(&'f str, Option<i64>, Option<i64>)>) {
    let mut bound = |field: &'f str, low: Option<i64>, high: Option<i64>| {
        let place = bounds.iter().position(|(known, _, _)| *known == field);
        let place = place.unwrap_or_else(|| {
            bounds.push((field, None, None));
            bounds.len() - 1
        });
        let (_, lowest, highest) = &mut bounds[place];
        *lowest = (*lowest).max(low);
        *highest = match (*highest, high) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    };
    match filter {
        Filter::And(all) => {
            for one in all {
                collect(one, bounds);
            }
        }
        Filter::Compare(operator, field, text) => {
            let Some(instant) = calendar::parse_instant(text) else {
                return;
            };
            match operator {
                Operator::Equal => bound(field, Some(instant), Some(instant)),
                Operator::Greater | Operator::GreaterOrEqual => bound(field, Some(instant), None),
                Operator::Less | Operator::LessOrEqual => bound(field, None, Some(instant)),
                Operator::NotEqual => {}
            }
        }
        Filter::Between(field, low, high) => bound(
            field,
            calendar::parse_instant(low),
            calendar::parse_instant(high),
        ),
        _ => {}
    }
}
