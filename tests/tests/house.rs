//! The rules of the house: which crate may depend on which.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each member may depend on among the members. Tests may use more.
const RULES: &[(&str, &[&str])] = &[
    ("intacct-xml", &[]),
    ("sync-error", &[]),
    ("sync-http", &["sync-error"]),
    ("sync-core", &["sync-error"]),
    (
        "intacct-client",
        &["intacct-xml", "sync-error", "sync-http", "sync-core"],
    ),
    ("sink-sql", &["sync-core", "sync-http"]),
    ("sink-bigquery", &["sync-core", "sync-error", "sync-http"]),
    // What checks others must not share code with them.
    ("sim-http", &[]),
    ("intacct-sim", &["sim-http"]),
    ("vendor-sims", &["sim-http"]),
    // A fixture of tests, depended on by nothing else.
    ("intacct-sync-postgres-fixture", &[]),
];

/// Members that see everything.
const FREE: &[&str] = &[
    "intacct-sync-examples",
    "intacct-sync-benches",
    "intacct-sync-tests",
];

#[test]
fn members_depend_on_what_the_house_allows() {
    let members = members();
    let rules: BTreeMap<_, _> = RULES.iter().copied().collect();
    for (name, package) in &members {
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let allowed = rules.get(name.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("no rule says what {name} may depend on"));
        for dependency in dependencies(package) {
            let target = dependency["name"].as_str().unwrap();
            let is_test_only = dependency["kind"] == "dev";
            if members.contains_key(target) && !is_test_only {
                assert!(
                    allowed.contains(&target),
                    "{name} must not depend on {target}"
                );
            }
        }
    }
    let missing: Vec<_> = rules
        .keys()
        .filter(|name| !members.contains_key(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "rules for crates that are gone: {missing:?}"
    );
}

#[test]
fn the_client_builds_without_the_pipeline() {
    let members = members();
    let core = dependencies(&members["intacct-client"]).find(|it| it["name"] == "sync-core");
    assert_eq!(
        core.unwrap()["optional"],
        true,
        "sync-core is behind the feature `source`"
    );
}

#[test]
fn what_must_not_be_in_the_tree_is_not() {
    // `ring` stands in the lock file as an option of others that nothing turns on.
    let lock = include_str!("../../Cargo.lock");
    for name in ["openssl-sys", "native-tls", "rsa", "jsonwebtoken", "sqlx"] {
        assert!(
            !lock.contains(&format!("name = \"{name}\"")),
            "{name} is in the tree"
        );
    }
}

fn members() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|it| (it["name"].as_str().unwrap().to_owned(), it.clone()))
        .collect()
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().unwrap().iter()
}

/// The table of behaviours names tests that exist, and leaves none of its rows without one but those
/// that say so.
#[test]
fn the_table_of_behaviours_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in ["crates", "tests"] {
        collect(&root.join(folder), &mut code);
    }
    let readme = std::fs::read_to_string(root.join("crates/intacct-sim/README.md")).unwrap();
    let table = readme.split("## Behaviours").nth(1).expect("the table");
    let table = table.split("### Left out").next().unwrap();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let Some(cell) = row.trim_end_matches(" |").rsplit(" | ").next() else {
            continue;
        };
        // Names stand in backquotes: crate, module, test.
        for name in cell.split('`').skip(1).step_by(2) {
            let test = name.rsplit([':', ' ']).next().unwrap_or(name);
            let function = code.contains(&format!("fn {test}("));
            let program = root
                .join("tests/tests")
                .join(test)
                .with_extension("rs")
                .exists();
            assert!(function || program, "{name:?} is not in the tests: {row}");
            named += 1;
        }
    }
    assert!(named > 100, "only {named} tests are named");
}

fn collect(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
