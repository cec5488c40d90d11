//! Scripts from their texts, rule by rule, so that an error says which.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Calls, Fault, Rule, Script};
use crate::document::{self, typed};
use crate::error::Error;

/// The fields of a `when` that every vendor's rules have.
const OF_CALLS: [&str; 6] = ["call", "after", "nth", "every", "probability", "times"];

pub(super) fn script<F: Fault>(text: &str) -> Result<Script<F>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Frame {
        #[serde(default)]
        seed: u64,
        #[serde(default)]
        rules: Vec<Map<String, Value>>,
    }
    let document = document::read(text, "fault script")?;
    let frame: Frame = typed(document, "fault script")?;
    let mut script = Script::new(frame.seed);
    for (place, fields) in frame.rules.into_iter().enumerate() {
        script.rules.push(rule(place, fields)?);
    }
    script.check()?;
    Ok(script)
}

fn rule<F: Fault>(place: usize, mut fields: Map<String, Value>) -> Result<Rule<F>, Error> {
    let mut title = format!("rule {}", place + 1);
    let name = match fields.remove("name") {
        None => String::new(),
        Some(name) => typed::<String>(name, &format!("{title}: name"))?,
    };
    if !name.is_empty() {
        title = format!("{title} {name:?}");
    }
    let at = format!("{title}: when");
    let mut when: Map<String, Value> = match fields.remove("when") {
        None => Map::new(),
        Some(when) => typed(when, &at)?,
    };
    let of_calls: Map<String, Value> = OF_CALLS
        .into_iter()
        .filter_map(|field| when.remove_entry(field))
        .collect();
    let calls: Calls = typed(of_calls.into(), &at)?;
    let when = typed(when.into(), &at)?;
    let fault = fields
        .remove("fault")
        .ok_or_else(|| invalid(&title, "fault", "is missing"))?;
    let fault = typed(fault, &format!("{title}: fault"))?;
    if let Some(unknown) = fields.keys().next() {
        return Err(invalid(
            &title,
            unknown,
            "is not known: a rule has name, when and fault",
        ));
    }
    Ok(Rule {
        name,
        calls,
        when,
        fault,
    })
}

pub(super) fn invalid(rule: &str, field: &str, problem: &str) -> Error {
    Error::invalid(format!("{rule}: {field} {problem}"))
}
