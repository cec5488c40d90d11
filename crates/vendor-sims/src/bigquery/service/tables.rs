//! Methods of tables and of their rows.

use serde_json::{Value as Json, json};
use sim_http::Answer;

use super::page::Page;
use super::{Service, World};
use crate::bigquery::catalog::{Content, Partitioning, Table, TableName};
use crate::bigquery::faults::Plan;
use crate::bigquery::insert_all;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::request::Request;
use crate::bigquery::sql::view_schema;
use crate::bigquery::value::Row;

impl Service {
    pub(in crate::bigquery) fn resource(&self, table: &Table, now: i64) -> Json {
        let buffer = self.settings.streaming.buffer;
        table.resource(|row| now - row.at < buffer)
    }

    pub(super) fn list_tables(
        &self,
        world: &World,
        project: &str,
        dataset: &str,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let tables: Vec<_> = world.catalog.dataset(project, dataset)?.tables().collect();
        let from: usize = match request.parameter("pageToken") {
            None => 0,
            Some(token) => token
                .strip_prefix("tables-")
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| Refusal::invalid("Invalid pageToken"))?,
        };
        let most = request
            .number("maxResults")?
            .unwrap_or(50_usize)
            .clamp(1, 1_000);
        let mut body = json!({
            "kind": "bigquery#tableList",
            "totalItems": tables.len(),
            "tables": tables.iter().skip(from).take(most).map(|table| table.listed()).collect::<Vec<_>>(),
        });
        if from + most < tables.len() {
            body["nextPageToken"] = json!(format!("tables-{}", from + most));
        }
        Ok(Answer::json(200, &body))
    }

    pub(super) fn insert_table(
        &self,
        world: &mut World,
        project: &str,
        dataset: &str,
        body: &Json,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let name = TableName::parse(&body["tableReference"], project)?;
        if name.project != project || name.dataset != dataset {
            return Err(Refusal::invalid(format!(
                "The table reference {name} does not match the dataset of the request"
            )));
        }
        let held = world.catalog.dataset(project, dataset)?;
        let location = held.location.clone();
        let mut body = body.clone();
        if body["view"].is_object() {
            if body["view"]["useLegacySql"] != false {
                return Err(Refusal::invalid(
                    "the simulator knows no legacy SQL: set useLegacySql to false",
                ));
            }
            let session = self.session(project, Some(location.clone()), now);
            let query = body["view"]["query"].as_str().unwrap_or_default();
            let mut schema = view_schema(query, &world.catalog, &session)?.resource();
            describe(&mut schema, &body["schema"]);
            body["schema"] = schema;
        } else if body["expirationTime"].is_null()
            && let Some(life) = held.table_life()
        {
            body["expirationTime"] = json!((now / 1000 + life).to_string());
        }
        if world.catalog.has_table(&name) {
            return Err(Refusal::duplicate(format!("Already Exists: Table {name}")));
        }
        world.usage.update(
            &name,
            body["timePartitioning"].is_object(),
            &self.settings.limits,
            now,
        )?;
        let stamp = world.catalog.stamp();
        let table = Table::new(name, &body, &location, now, stamp)?;
        let table = world.catalog.insert_table(table)?;
        let resource = self.resource(table, now);
        Ok(Answer::json(200, &resource))
    }

    pub(super) fn patch_table(
        &self,
        world: &mut World,
        name: &TableName,
        request: &Request,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let mut body = self.read(request, "Table")?;
        let table = world.catalog.table(name)?;
        if let Some(etag) = request.header("if-match")
            && etag != "*"
            && etag != table.etag()
        {
            return Err(Refusal::new(
                412,
                "conditionNotMet",
                "Precondition check failed: the etag does not match",
            )
            .at("If-Match"));
        }
        let is_partitioned = table.partitioning != Partitioning::None;
        let (location, held) = (table.location.clone(), table.view());
        let query = body["view"]["query"].as_str().map(str::to_owned);
        if let (Some(_), Some(query)) = (&held, &query) {
            let session = self.session(&name.project, Some(location), now);
            let mut schema = view_schema(query, &world.catalog, &session)?.resource();
            describe(&mut schema, &body["schema"]);
            body["schema"] = schema;
        } else if query.is_some() {
            return Err(Refusal::invalid(format!("{name} is a table, not a view")));
        }
        world
            .usage
            .update(name, is_partitioned, &self.settings.limits, now)?;
        let stamp = world.catalog.stamp();
        let table = world.catalog.table_mut(name)?;
        table.patch(&body, now, stamp)?;
        let resource = self.resource(table, now);
        Ok(Answer::json(200, &resource))
    }

    pub(super) fn list_rows(
        &self,
        world: &World,
        name: &TableName,
        request: &Request,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let table = world.catalog.table(name)?;
        if let Content::View(_) = table.content {
            return Err(Refusal::invalid("Cannot list a table of type VIEW."));
        }
        // Streamed rows are not listed before they leave the buffer.
        let buffer = self.settings.streaming.buffer;
        let rows: Vec<Row> = table
            .rows()
            .iter()
            .filter(|row| !row.streamed || now - row.at >= buffer)
            .map(|row| Row::clone(&row.values))
            .collect();
        let page = Page::of_parameters(request, &name.to_string())?;
        let (rows, next) = page.cut(&rows, &name.to_string(), &self.settings.limits);
        let mut body = json!({
            "kind": "bigquery#tableDataList",
            "etag": table.etag(),
            "totalRows": table.rows().len().to_string(),
            "rows": rows,
        });
        if let Some(next) = next {
            body["pageToken"] = json!(next);
        }
        Ok(Answer::json(200, &body))
    }

    pub(super) fn insert_rows(
        &self,
        world: &mut World,
        name: &TableName,
        request: &Request,
        plan: &Plan,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let limits = &self.settings.limits;
        let body = insert_all::json(request, limits)?;
        self.check(&body, "TableDataInsertAllRequest")?;
        let recreated = world.catalog.deleted_at(name).is_some();
        let table = world.catalog.table_mut(name)?;
        let streaming = &self.settings.streaming;
        let answer = insert_all::run(table, recreated, &body, limits, streaming, plan, now)?;
        Ok(Answer::json(200, &answer))
    }
}

pub(super) fn table_name(project: &str, dataset: &str, table: &str) -> Result<TableName, Refusal> {
    if table.contains('$') {
        return Err(Refusal::new(
            501,
            "notImplemented",
            "the simulator knows no partition decorators",
        ));
    }
    Ok(TableName {
        project: project.to_owned(),
        dataset: dataset.to_owned(),
        table: table.to_owned(),
    })
}

/// Takes the descriptions of columns that a view's resource gives.
fn describe(schema: &mut Json, given: &Json) {
    let given = given["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let fields = schema["fields"].as_array_mut();
    for field in fields.into_iter().flatten() {
        let named = given.iter().find(|other| other["name"] == field["name"]);
        if let Some(description) = named.and_then(|named| named.get("description")) {
            field["description"] = description.clone();
        }
    }
}
