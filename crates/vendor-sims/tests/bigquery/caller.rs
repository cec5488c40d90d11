//! A plain caller of the API, for tests.

use serde_json::{Value, json};
use vendor_sims::bigquery::{Limits, RunningSimulator, SimulatorBuilder};

/// A simulator without authentication and rates, with the dataset `d`, and a way to call it.
pub(crate) struct Caller {
    pub(crate) simulator: RunningSimulator,
    http: reqwest::Client,
}

/// An answer: status and body, null where it is no JSON.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that is a success.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The reason of one that is not, behind its status.
    pub(crate) fn reason(&self) -> String {
        let reason = &self.body["error"]["errors"][0]["reason"];
        format!("{} {}", self.status, reason.as_str().unwrap_or_default())
    }

    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

impl Caller {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(configure: impl FnOnce(SimulatorBuilder) -> SimulatorBuilder) -> Self {
        let builder = RunningSimulator::builder()
            .project("p")
            .dataset("d", "US")
            .without_authentication()
            .limits(Limits::without_rates());
        Self {
            simulator: configure(builder).start().await.unwrap(),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        Answer {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, self.url(path))
    }

    /// Calls a method of the project `p`; `path` is behind `projects/p/`.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, &format!("/bigquery/v2/projects/p/{path}"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// Makes a table of the dataset `d`; `fields` as `name TYPE MODE` or `name TYPE`.
    pub(crate) async fn table(&self, name: &str, fields: &[&str]) -> Value {
        let body = json!({ "tableReference": reference(name), "schema": schema(fields) });
        self.post("datasets/d/tables", body).await.ok()
    }

    pub(crate) async fn query(&self, sql: &str) -> Answer {
        self.query_with(sql, json!([])).await
    }

    pub(crate) async fn query_with(&self, sql: &str, parameters: Value) -> Answer {
        let body = json!({
            "query": sql,
            "useLegacySql": false,
            "location": "US",
            "parameterMode": "NAMED",
            "queryParameters": parameters,
        });
        self.post("queries", body).await
    }

    /// The rows of a query as texts.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        rows(&self.query(sql).await.ok())
    }

    /// Loads lines into a table of the dataset `d`, and waits for the job.
    pub(crate) async fn load(&self, id: &str, table: &str, options: Value, lines: &str) -> Value {
        let submitted = self.submit_load(id, table, options, lines).await;
        submitted.ok();
        self.get(&format!("jobs/{id}?location=US")).await.ok()
    }

    pub(crate) async fn submit_load(
        &self,
        id: &str,
        table: &str,
        options: Value,
        lines: &str,
    ) -> Answer {
        let resource = load_job(id, table, options);
        let body = format!(
            "--b0und\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n--b0und\r\nContent-Type: application/octet-stream\r\n\r\n{lines}\r\n--b0und--\r\n"
        );
        let request = self
            .request(
                "POST",
                "/upload/bigquery/v2/projects/p/jobs?uploadType=multipart",
            )
            .header("content-type", "multipart/related; boundary=b0und")
            .body(body);
        self.send(request).await
    }
}

/// The resource of a load job.
pub(crate) fn load_job(id: &str, table: &str, options: Value) -> Value {
    let mut load = json!({
        "destinationTable": reference(table),
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
    });
    for (key, value) in options.as_object().unwrap() {
        load[key] = value.clone();
    }
    json!({
        "jobReference": { "projectId": "p", "jobId": id, "location": "US" },
        "configuration": { "load": load },
    })
}

pub(crate) fn reference(table: &str) -> Value {
    json!({ "projectId": "p", "datasetId": "d", "tableId": table })
}

pub(crate) fn schema(fields: &[&str]) -> Value {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| {
            let mut words = field.split(' ');
            json!({
                "name": words.next(),
                "type": words.next(),
                "mode": words.next().unwrap_or("NULLABLE"),
            })
        })
        .collect();
    json!({ "fields": fields })
}

pub(crate) fn rows(result: &Value) -> Vec<Vec<Option<String>>> {
    let rows = result["rows"].as_array().cloned().unwrap_or_default();
    let cell = |cell: &Value| cell["v"].as_str().map(str::to_owned);
    rows.iter()
        .map(|row| row["f"].as_array().unwrap().iter().map(cell).collect())
        .collect()
}

/// A named parameter of a scalar type.
pub(crate) fn parameter(name: &str, kind: &str, value: &str) -> Value {
    json!({
        "name": name,
        "parameterType": { "type": kind },
        "parameterValue": { "value": value },
    })
}

/// A row of texts.
pub(crate) fn texts(values: &[&str]) -> Vec<Option<String>> {
    values
        .iter()
        .map(|value| (*value != "NULL").then(|| (*value).to_owned()))
        .collect()
}
