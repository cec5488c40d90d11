//! The arguments of `create` and `update`: records, each an element with its fields.

use std::collections::BTreeMap;

use roxmltree::Node;

use super::super::request::{Problems, elements, name, text};

/// A record as a caller sends it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) object: String,
    /// Texts by field; the fields of an element inside have dotted names.
    pub(crate) fields: BTreeMap<String, String>,
}

pub(super) fn drafts(node: Node<'_, '_>, problems: &mut Problems) -> Vec<Draft> {
    let drafts: Vec<_> = elements(node)
        .map(|record| {
            let mut fields = BTreeMap::new();
            collect(record, "", &mut fields, problems);
            Draft {
                object: name(record).to_owned(),
                fields,
            }
        })
        .collect();
    if drafts.is_empty() {
        problems.add(format!("'{}' must hold at least one record", name(node)));
    }
    drafts
}

fn collect(
    node: Node<'_, '_>,
    prefix: &str,
    fields: &mut BTreeMap<String, String>,
    problems: &mut Problems,
) {
    for field in elements(node) {
        let path = format!("{prefix}{}", name(field));
        if elements(field).next().is_some() {
            collect(field, &format!("{path}."), fields, problems);
        } else if fields.insert(path, text(field)).is_some() {
            problems.add(format!("element '{}' is repeated", name(field)));
        }
    }
}
