//! Requests held against the vendor's own description of the API: its Discovery document.

use std::path::Path;

use serde_json::{Map, Value as Json};
use sim_http::Error;

use super::refusal::Refusal;

/// A Discovery document.
#[derive(Debug)]
pub(super) struct Discovery {
    document: Json,
}

impl Discovery {
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let shown = file.display();
        let text = std::fs::read(file).map_err(|source| {
            Error::invalid(format!("cannot read the Discovery document {shown}")).because(source)
        })?;
        let document: Json = serde_json::from_slice(&text).map_err(|source| {
            Error::invalid(format!("{shown} is no Discovery document")).because(source)
        })?;
        if document["schemas"].is_object() && document["resources"].is_object() {
            Ok(Self { document })
        } else {
            Err(Error::invalid(format!("{shown} is no Discovery document")))
        }
    }

    /// Refuses a body that is not of the schema: unknown keys, other types, int64 as numbers.
    pub(super) fn check_body(&self, schema: &str, body: &Json) -> Result<(), Refusal> {
        let schema = &self.document["schemas"][schema];
        self.check(schema, body, "")
    }

    /// Refuses parameters that the method does not have. `call` is its name, such as `jobs.get`.
    pub(super) fn check_parameters<'a>(
        &self,
        call: &str,
        mut given: impl Iterator<Item = &'a String>,
    ) -> Result<(), Refusal> {
        let (resource, method) = call.split_once('.').unwrap_or((call, ""));
        let method = &self.document["resources"][resource]["methods"][method];
        let common = &self.document["parameters"];
        let unknown = given.find(|name| {
            method["parameters"].get(name.as_str()).is_none()
                && common.get(name.as_str()).is_none()
                && *name != "uploadType"
                && *name != "upload_id"
        });
        match unknown {
            None => Ok(()),
            Some(name) => Err(Refusal::invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
            ))),
        }
    }

    fn check(&self, schema: &Json, value: &Json, path: &str) -> Result<(), Refusal> {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(&self.document["schemas"][name], value, path);
        }
        let wrong = |expected: &str| {
            Err(Refusal::invalid(format!(
                "Invalid value at '{path}': it is not {expected}"
            )))
        };
        // A null stands for what is left out.
        if value.is_null() {
            return Ok(());
        }
        match schema["type"].as_str() {
            Some("object") => match value {
                Json::Object(entries) => self.check_object(schema, entries, path),
                _ => wrong("an object"),
            },
            Some("array") => {
                let Json::Array(values) = value else {
                    return wrong("a list");
                };
                for (place, value) in values.iter().enumerate() {
                    self.check(&schema["items"], value, &format!("{path}[{place}]"))?;
                }
                Ok(())
            }
            Some("string") => {
                let Json::String(text) = value else {
                    return match schema["format"].as_str() {
                        Some(format) => wrong(&format!("a text ({format})")),
                        None => wrong("a text"),
                    };
                };
                let fits = match schema["format"].as_str() {
                    Some("int64") => text.parse::<i64>().is_ok(),
                    Some("uint64") => text.parse::<u64>().is_ok(),
                    _ => true,
                };
                let allowed = schema["enum"].as_array();
                let listed = allowed.is_none_or(|allowed| allowed.iter().any(|it| it == value));
                if fits && listed {
                    Ok(())
                } else {
                    wrong(&format!("allowed: {text:?}"))
                }
            }
            Some("boolean") if !value.is_boolean() => wrong("true or false"),
            Some("integer") if !value.is_i64() && !value.is_u64() => wrong("an integer"),
            Some("number") if !value.is_number() => wrong("a number"),
            _ => Ok(()),
        }
    }

    fn check_object(
        &self,
        schema: &Json,
        entries: &Map<String, Json>,
        path: &str,
    ) -> Result<(), Refusal> {
        for (name, value) in entries {
            let inner = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match (
                schema["properties"].get(name),
                schema.get("additionalProperties"),
            ) {
                (Some(property), _) => self.check(property, value, &inner)?,
                (None, Some(any)) => self.check(any, value, &inner)?,
                // Some objects are not described at all.
                (None, None) if schema["properties"].is_null() => {}
                (None, None) => {
                    return Err(Refusal::invalid(format!(
                        "Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."
                    )));
                }
            }
        }
        Ok(())
    }
}
