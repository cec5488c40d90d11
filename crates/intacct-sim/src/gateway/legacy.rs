//! `get_list`: records in the form of the time before the generic functions.

use super::answer::{Column, Xml, text_of};
use super::call::GetList;
use super::query::Names;
use super::{Context, GatewayError, Outcome};
use crate::object::DataType;
use crate::select::{Case, Literals, OrderBy, Reading, Scope, Search};

impl Context<'_> {
    pub(super) fn get_list(&self, xml: &mut Xml, call: &GetList) -> Outcome {
        let company = self.gateway.company();
        let target = call.object.target;
        let object = company
            .object(target)
            .ok_or_else(|| GatewayError::no_object(target))?;
        let object = &*object;
        let names = Names {
            company: &company,
            object,
            lens: self.lens(),
        };
        let reading = Reading {
            case: Case::Sensitive,
            literals: Literals::Labels,
        };
        let filter = call
            .filter
            .as_ref()
            .map(|filter| names.condition(filter, reading))
            .transpose()?;
        let mut order = Vec::new();
        for (field, descending) in &call.order {
            order.push(OrderBy {
                path: names.known(field)?,
                descending: *descending,
            });
        }
        let search = Search {
            filter,
            reading,
            scope: Scope {
                with_private: call.show_private,
                ..self.scope(false)
            },
            order,
            shuffle: self.gateway.draw(),
        };
        let found = search.run(object);
        let page = found.page(call.start, call.most);
        let fields = call.object.fields.iter();
        let fields: Vec<_> = fields
            .filter(|(name, _)| {
                call.fields.is_empty() || call.fields.iter().any(|wanted| wanted == name)
            })
            .filter_map(|(name, field)| names.find(field).map(|path| Column::new(name, path)))
            .collect();
        self.count_records(page.len());
        let end = (call.start + page.len()).saturating_sub(1);
        let attributes = [
            ("start", &*call.start.to_string()),
            ("end", &end.to_string()),
            ("total", &found.total().to_string()),
        ];
        xml.start("listtype", &attributes);
        xml.raw(">");
        xml.raw(call.object.name);
        xml.close("listtype");
        xml.open("data");
        for slot in page {
            xml.open(call.object.name);
            for column in &fields {
                let text = text_of(column, object, slot);
                let text = String::from_utf8_lossy(&text);
                if column.path.info.data_type == DataType::Date && !text.is_empty() {
                    push_date(xml, &column.name, &text);
                } else {
                    xml.leaf(&column.name, &text);
                }
            }
            xml.close(call.object.name);
        }
        xml.close("data");
        Ok(())
    }
}

/// A date of the legacy functions has an element for each part of `mm/dd/yyyy`.
fn push_date(xml: &mut Xml, name: &str, text: &str) {
    xml.open(name);
    let mut parts = text.splitn(3, '/');
    let (month, day) = (parts.next(), parts.next());
    xml.leaf("year", parts.next().unwrap_or_default());
    xml.leaf("month", month.unwrap_or_default());
    xml.leaf("day", day.unwrap_or_default());
    xml.close(name);
}
