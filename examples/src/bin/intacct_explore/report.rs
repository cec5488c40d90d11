//! What was found out, for a person or a program.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{Cell, Table};
use intacct_sync_examples::tables::{grouped, right, table};
use serde_json::json;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::survey::{Access, Company, Described, Object, Part};

pub(crate) enum Told {
    Company(Box<Company>),
    Objects(Vec<Described>),
}

impl Told {
    pub(crate) fn print_json(&self) -> io::Result<()> {
        let told = match self {
            Self::Company(company) => json!(company),
            Self::Objects(objects) => json!(objects),
        };
        writeln!(io::stdout().lock(), "{told:#}")
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let out = &mut io::stdout().lock();
        match self {
            Self::Company(company) => print_company(out, company),
            Self::Objects(objects) => objects
                .iter()
                .try_for_each(|object| print_object(out, object)),
        }
    }
}

fn print_company(out: &mut impl Write, company: &Company) -> io::Result<()> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    let place = match &company.entity {
        Some(entity) => format!("in entity {entity}"),
        None => "at the top level".into(),
    };
    writeln!(
        out,
        "\nCompany {}, user {}, {place}, at {}",
        known(&company.company),
        known(&company.user),
        known(&company.host),
    )?;
    writeln!(
        out,
        "The gateway's clock: {} UTC",
        wire(company.gateway_time)
    )?;
    print_surroundings(out, company)?;
    let mut application = None;
    let mut shown = table_of_objects();
    for object in &company.objects {
        if application != Some(object.application) && application.is_some() {
            flush(out, application.flatten(), &mut shown)?;
        }
        application = Some(object.application);
        shown.add_row(object_row(object));
    }
    flush(out, application.flatten(), &mut shown)?;
    let mends = company
        .objects
        .iter()
        .filter_map(|object| match &object.access {
            Access::Denied { why, remedy } => Some((object, why, remedy)),
            _ => None,
        });
    for (object, why, remedy) in mends {
        writeln!(
            out,
            "\n{} may not be read: {why}\n  What to do: {remedy}",
            object.object
        )?;
    }
    for object in &company.objects {
        if let Access::Failed { why } = &object.access {
            writeln!(out, "\n{}: {why}", object.object)?;
        }
    }
    writeln!(
        out,
        "\nThe company has {} objects; {} were asked for, with {} calls.",
        company.objects_known,
        company.objects.len(),
        company.calls
    )?;
    if let Some(cost) = &company.forecast {
        writeln!(
            out,
            "A first full read, but for views and balances: {} records in {} calls, {} s at {} ms a call as \
             measured here; pages of real size take longer.",
            grouped(cost.records),
            grouped(cost.calls),
            grouped(cost.seconds),
            cost.milliseconds_a_call
        )?;
    }
    writeln!(
        out,
        "Fields of one:  intacct_explore VENDOR     every object:  --all"
    )
}

/// What is not about one object.
fn print_surroundings(out: &mut impl Write, company: &Company) -> io::Result<()> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    match &company.formatting {
        Part::Known(seen) => writeln!(
            out,
            "The user's times: GMT offset {}, {}-hour clock, dates {}, locale {}",
            seen.gmt_offset,
            or_none(&seen.clock),
            or_none(&seen.date_format),
            or_none(&seen.locale),
        )?,
        Part::Refused(why) => writeln!(out, "The user's formats cannot be read: {why}")?,
    }
    match &company.permissions {
        Part::Known(granted) => {
            writeln!(out, "\nWhat the user may do")?;
            let mut shown = table(&["application", "may", "with"]);
            for application in granted {
                let mut with: BTreeMap<String, Vec<&str>> = BTreeMap::new();
                for (name, rights) in &application.policies {
                    with.entry(rights.join(", ")).or_default().push(name);
                }
                for (rights, names) in with {
                    shown.add_row([application.application.as_str(), &rights, &names.join(", ")]);
                }
            }
            writeln!(out, "{shown}")?;
        }
        Part::Refused(why) => writeln!(out, "The user's permissions cannot be read: {why}")?,
    }
    match &company.entities {
        Part::Known(entities) if entities.is_empty() => writeln!(out, "\nOne entity")?,
        Part::Known(entities) => {
            writeln!(out, "\nEntities")?;
            let mut shown = table(&["entity", "name", "currency", "fiscal year begins"]);
            for entity in entities {
                let texts = [&entity.name, &entity.currency, &entity.first_fiscal_month];
                let mut row = vec![entity.id.clone()];
                row.extend(texts.map(|text| text.clone().unwrap_or_default()));
                shown.add_row(row);
            }
            writeln!(out, "{shown}")?;
        }
        Part::Refused(why) => writeln!(out, "\nEntities cannot be listed: {why}")?,
    }
    match &company.dimensions {
        Part::Known(dimensions) => {
            writeln!(out, "\nDimensions")?;
            let mut shown = table(&["dimension", "called", "in the ledger", "user-defined"]);
            for dimension in dimensions {
                let called = dimension.term.as_ref().or(dimension.label.as_ref());
                let yes = |it: bool| if it { "yes" } else { "" };
                shown.add_row([
                    dimension.object.as_str(),
                    called.map_or("", String::as_str),
                    yes(dimension.in_ledger),
                    yes(dimension.user_defined),
                ]);
            }
            writeln!(out, "{shown}")
        }
        Part::Refused(why) => writeln!(out, "\nDimensions cannot be listed: {why}"),
    }
}

fn flush(out: &mut impl Write, application: Option<&str>, shown: &mut Table) -> io::Result<()> {
    let full = std::mem::replace(shown, table_of_objects());
    writeln!(out, "\n{}\n{full}", application.unwrap_or("Other objects"))
}

/// As the gateway writes times.
fn wire(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    intacct_xml::values::format_timestamp(PrimitiveDateTime::new(at.date(), at.time()))
}

fn table_of_objects() -> Table {
    table(&[
        "object",
        "label",
        "access",
        "records",
        "last modified",
        "fields",
        "custom",
    ])
}

fn object_row(object: &Object) -> Vec<Cell> {
    let (access, records, modified) = match &object.access {
        Access::Readable {
            records,
            counted,
            last_modified,
        } => {
            let records = records.map(grouped).unwrap_or_default();
            let records = match counted {
                Some(counted) => format!("{records} {counted}"),
                None => records,
            };
            (
                "readable",
                records,
                last_modified.clone().unwrap_or_default(),
            )
        }
        Access::Absent => ("not in this company", String::new(), String::new()),
        Access::Denied { .. } => ("DENIED", String::new(), String::new()),
        Access::Failed { .. } => ("see below", String::new(), String::new()),
    };
    let number = |number: Option<usize>| number.map(|it| it.to_string()).unwrap_or_default();
    vec![
        Cell::new(&object.object),
        Cell::new(object.label.as_deref().unwrap_or_default()),
        Cell::new(access),
        right(records),
        Cell::new(modified),
        right(number(object.fields)),
        right(number(object.custom_fields.filter(|count| *count > 0))),
    ]
}

fn print_object(out: &mut impl Write, described: &Described) -> io::Result<()> {
    let mut summary = table_of_objects();
    summary.add_row(object_row(&described.object));
    writeln!(out, "\n{summary}")?;
    match &described.object.access {
        Access::Denied { why, remedy } => writeln!(out, "{why}\nWhat to do: {remedy}")?,
        Access::Failed { why } => writeln!(out, "{why}")?,
        _ => {}
    }
    if described.described.is_empty() {
        return Ok(());
    }
    let mut fields = table(&["field", "label", "type", "", "values"]);
    for field in &described.described {
        let marks = [(field.custom, "custom"), (field.required, "required")];
        let marks: Vec<_> = marks
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, mark)| *mark)
            .collect();
        fields.add_row([
            field.name.as_str(),
            field.label.as_deref().unwrap_or_default(),
            &field.data_type,
            &marks.join(", "),
            &field.values.join(", "),
        ]);
    }
    writeln!(out, "\n{fields}")?;
    if described.relations.is_empty() {
        return Ok(());
    }
    let mut relations = table(&["relation", "leads to", "kind", "by"]);
    for relation in &described.relations {
        let shown = [&relation.object, &relation.kind, &relation.by];
        let mut row = vec![relation.path.as_str()];
        row.extend(shown.map(|text| text.as_deref().unwrap_or_default()));
        relations.add_row(row);
    }
    writeln!(out, "\n{relations}")
}
