//! Which calls a script fires for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::{Deserialize, Serialize};
use sim_http::script::{Fault, Faults, Mistake, Rule, Script, one_or_many};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trouble {
    Late(u32),
    Gone,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    table: Vec<String>,
}

impl Fault for Trouble {
    type When = When;
    const CALLS: &'static [&'static str] = &["get", "put"];
    const CALL: &'static str = "call";

    fn check(&self, _: &When) -> Result<(), Mistake> {
        match self {
            Self::Late(0) => Err(Mistake::new("fault.late", "must be 1 or more")),
            _ => Ok(()),
        }
    }
}

/// For which of the first calls of `get` each rule fires, from 1.
fn fired(script: Script<Trouble>, calls: u32) -> Vec<Vec<u32>> {
    let mut fired = vec![Vec::new(); script.rules.len()];
    let mut faults = Faults::new(script);
    for call in 1..=calls {
        let mut request = faults.request();
        for rule in &mut fired {
            let mut turn = request.next_rule().unwrap();
            if turn.rule().names("get") && turn.fires(|| "get".to_owned()) {
                rule.push(call);
            }
        }
        assert!(request.next_rule().is_none());
    }
    fired
}

#[test]
fn counts_say_when_a_rule_fires() {
    let rule = || Rule::new(Trouble::Gone);
    let script = Script::new(1)
        .rule(rule().nth(2).nth(5))
        .rule(rule().after(3).nth(1))
        .rule(rule().every(3))
        .rule(rule().every(2).times(2))
        .rule(rule().call("put"))
        .rule(rule().probability(0.0))
        .rule(rule().probability(1.0).times(1));
    let expected: [&[u32]; 7] = [&[2, 5], &[4], &[3, 6, 9], &[2, 4], &[], &[], &[1]];
    assert_eq!(fired(script, 10), expected);
}

#[test]
fn a_rule_more_does_not_change_what_others_draw() {
    let rule = || Rule::new(Trouble::Gone).probability(0.3);
    let alone = fired(Script::new(7).rule(rule()), 200);
    let beside = fired(Script::new(7).rule(rule()).rule(rule()), 200);
    assert_eq!(alone[0], beside[0]);
    assert_ne!(beside[0], beside[1]);
    assert!((30..90).contains(&alone[0].len()), "{}", alone[0].len());
    assert_ne!(alone, fired(Script::new(8).rule(rule()), 200));
}

#[test]
fn the_story_names_request_rule_and_call() {
    let mut faults = Faults::new(Script::new(1).rule(Rule::new(Trouble::Gone).named("a").nth(2)));
    for call in ["get x", "get y"] {
        let mut request = faults.request();
        while let Some(mut turn) = request.next_rule() {
            turn.fires(|| call.to_owned());
        }
    }
    let report = serde_json::to_value(faults.report()).unwrap();
    let expected = serde_json::json!({
        "seed": 1,
        "rules": [{ "name": "a", "when": { "nth": [2] }, "fault": "gone", "matched": 2, "fired": 1 }],
        "story": [{ "request": 2, "rule": "rule 1 \"a\"", "call": "get y" }],
    });
    assert_eq!(report, expected);
}

#[test]
fn texts_and_built_scripts_are_the_same() {
    let text = "seed = 3\n[[rules]]\nname = 'b'\nfault = { late = 5 }\n\
                when = { call = 'get', table = ['x', 'y'], nth = 4, times = 2 }";
    let read: Script<Trouble> = Script::parse(text).unwrap();
    let rule = Rule::new(Trouble::Late(5)).named("b").call("get").nth(4);
    let rule = rule
        .times(2)
        .when(|when| when.table = vec!["x".into(), "y".into()]);
    assert_eq!(read, Script::new(3).rule(rule));
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(Script::parse(&written).unwrap(), read);
}

#[test]
fn what_cannot_be_meant_is_refused_by_rule_and_field() {
    for (text, expected) in [
        ("[[rules]]\nfault = 'gon'", "rule 1: fault: unknown variant"),
        (
            "[[rules]]\nfault = 'gone'\nwhen = { call = 'got' }",
            "rule 1: when.call names no call: \"got\"",
        ),
        (
            "[[rules]]\nfault = 'gone'\nwhen = { tables = 'x' }",
            "rule 1: when.tables: unknown field",
        ),
        (
            "[[rules]]\nname = 'n'\nfault = { late = 0 }",
            "rule 1 \"n\": fault.late must be 1 or more",
        ),
        (
            "[[rules]]\nfault = 'gone'\nwhen = { every = 0 }",
            "rule 1: when.every must be 1 or more",
        ),
    ] {
        let error = Script::<Trouble>::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
