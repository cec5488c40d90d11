//! Dimensions as trees, each record with its path from the top down.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch, StringArray};
use futures_util::TryStreamExt as _;
use intacct_xml::FieldName;
use sync_core::{Error, ErrorKind, Result};

use super::blueprint::HierarchyFields;
use super::contract::{Contract, name_of};
use super::reading;
use crate::Client;
use crate::walk::WalkSpec;

/// What stands between two ids of a path.
const SEPARATOR: &str = " > ";

/// The records of a dimension, each with its parent.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: HashMap<String, Node>,
}

#[derive(Debug)]
struct Node {
    parent: Option<String>,
    record: String,
}

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// A record is its own ancestor.
    Cycle(String),
    /// A record names a parent that cannot be seen.
    NoParent { record: String, parent: String },
}

impl Tree {
    /// Reads ids and parents of all records.
    pub(super) async fn read(client: &Client, contract: &Contract) -> Result<Self> {
        let Some(HierarchyFields::Parents { id, parent }) = &contract.hierarchy else {
            return Ok(Self::default());
        };
        let key = contract.only_key()?;
        let fields = name_of(FieldName::list([id, parent]))?;
        let spec = WalkSpec::by_key(contract.object.clone(), key.clone())?
            .with_fields(fields)
            .with_options(reading::options());
        let mut pages = client.walk_as::<HashMap<String, Option<String>>>(spec, None);
        let mut tree = Self::default();
        while let Some(page) = pages.try_next().await? {
            for mut record in page.records {
                let mut take = |field: &str| record.remove(field).flatten();
                if let (Some(own), Some(record)) = (take(id), take(key.as_str())) {
                    tree.insert(own, take(parent), record);
                }
            }
        }
        Ok(tree)
    }

    fn insert(&mut self, id: String, parent: Option<String>, record: String) {
        self.nodes.insert(id, Node { parent, record });
    }

    /// The path down to a record, itself last, and what is wrong with it. A cycle is cut where it would
    /// begin again; a parent that cannot be seen begins the path.
    pub(super) fn path(&self, id: &str, parent: Option<&str>) -> (String, Option<Flaw>) {
        let mut upwards = vec![id];
        let mut next = parent;
        let mut flaw = None;
        while let Some(ancestor) = next {
            if upwards.contains(&ancestor) {
                let mut around = upwards.clone();
                around.reverse();
                around.insert(0, ancestor);
                flaw = Some(Flaw::Cycle(around.join(SEPARATOR)));
                break;
            }
            let below = upwards.last().copied().unwrap_or(id);
            upwards.push(ancestor);
            next = match self.nodes.get(ancestor) {
                Some(node) => node.parent.as_deref(),
                None => {
                    flaw = Some(Flaw::NoParent {
                        record: below.to_owned(),
                        parent: ancestor.to_owned(),
                    });
                    None
                }
            };
        }
        upwards.reverse();
        (upwards.join(SEPARATOR), flaw)
    }

    /// The record numbers of all that stand below these, and are not among them.
    pub(super) fn below(&self, ids: &HashSet<String>) -> Vec<String> {
        let mut records = Vec::new();
        for (id, node) in &self.nodes {
            let mut seen = HashSet::from([id.as_str()]);
            let mut next = node.parent.as_deref();
            while let Some(ancestor) = next.filter(|ancestor| seen.insert(ancestor)) {
                if ids.contains(ancestor) && !ids.contains(id) {
                    records.push(node.record.clone());
                    break;
                }
                next = self.nodes.get(ancestor).and_then(|it| it.parent.as_deref());
            }
        }
        records.sort();
        records
    }
}

/// The paths of a page's rows, their ids, and what is wrong with the tree.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) column: StringArray,
    pub(super) ids: Vec<String>,
    pub(super) flaws: BTreeSet<Flaw>,
}

impl Paths {
    /// The paths of records that name their parents.
    pub(super) fn in_tree(
        contract: &Contract,
        rows: &RecordBatch,
        id: &str,
        parent: &str,
        tree: &Tree,
    ) -> Result<Self> {
        let ids = texts(contract, rows, id)?;
        let parents = texts(contract, rows, parent)?;
        let (mut known, mut flaws) = (Vec::with_capacity(rows.num_rows()), BTreeSet::new());
        let mut column = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            if ids.is_null(row) {
                column.push(None);
                continue;
            }
            let parent = parents.is_valid(row).then(|| parents.value(row));
            let (path, flaw) = tree.path(ids.value(row), parent);
            column.push(Some(path));
            flaws.extend(flaw);
            known.push(ids.value(row).to_owned());
        }
        Ok(Self {
            column: column.into_iter().collect(),
            ids: known,
            flaws,
        })
    }

    /// The paths of records that stand on fixed levels; empty levels are left out.
    pub(super) fn of_levels(
        contract: &Contract,
        rows: &RecordBatch,
        levels: &[String],
    ) -> Result<Self> {
        let levels = levels.iter().map(|field| texts(contract, rows, field));
        let levels = levels.collect::<Result<Vec<_>>>()?;
        let path = |row: usize| {
            let filled = levels.iter().filter(|level| level.is_valid(row));
            let parts: Vec<&str> = filled.map(|level| level.value(row)).collect();
            (!parts.is_empty()).then(|| parts.join(SEPARATOR))
        };
        Ok(Self {
            column: (0..rows.num_rows()).map(path).collect(),
            ids: Vec::new(),
            flaws: BTreeSet::new(),
        })
    }
}

fn texts<'r>(contract: &Contract, rows: &'r RecordBatch, field: &str) -> Result<&'r StringArray> {
    let column = contract.column_of(field);
    let column = column.and_then(|name| rows.column_by_name(name));
    let text = column.and_then(|column| column.as_string_opt::<i32>());
    text.ok_or_else(|| {
        let what = "a column of the hierarchy is not text";
        Error::new(ErrorKind::Internal, what).with("field", field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(edges: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (id, parent) in edges {
            let parent = (!parent.is_empty()).then(|| (*parent).to_owned());
            tree.insert((*id).to_owned(), parent, format!("#{id}"));
        }
        tree
    }

    #[test]
    fn a_path_leads_from_the_top_down() {
        let tree = tree(&[("100", ""), ("110", "100"), ("111", "110")]);
        assert_eq!(
            tree.path("111", Some("110")),
            ("100 > 110 > 111".into(), None)
        );
        assert_eq!(tree.path("100", None), ("100".into(), None));
    }

    #[test]
    fn cycles_and_missing_parents_are_told_and_end() {
        let tree = tree(&[("a", "b"), ("b", "a"), ("c", "gone"), ("d", "d")]);
        let (path, flaw) = tree.path("a", Some("b"));
        assert_eq!(
            (path.as_str(), flaw),
            ("b > a", Some(Flaw::Cycle("a > b > a".into())))
        );
        let (path, flaw) = tree.path("d", Some("d"));
        assert_eq!(
            (path.as_str(), flaw),
            ("d", Some(Flaw::Cycle("d > d".into())))
        );
        let (path, flaw) = tree.path("c", Some("gone"));
        let (record, parent) = ("c".into(), "gone".into());
        assert_eq!(path, "gone > c");
        assert_eq!(flaw, Some(Flaw::NoParent { record, parent }));
    }

    proptest! {
        /// Whatever the tree: paths end, and a record whose path holds another is below it.
        #[test]
        fn what_is_below_is_what_has_it_in_its_path(
            parents in proptest::collection::vec(proptest::option::of(0_usize..8), 8),
            changed in 0_usize..8,
        ) {
            let name = |index: usize| format!("n{index}");
            let mut tree = Tree::default();
            for (index, parent) in parents.iter().enumerate() {
                tree.insert(name(index), parent.map(name), name(index));
            }
            let below = tree.below(&HashSet::from([name(changed)]));
            for (index, parent) in parents.iter().enumerate().filter(|(index, _)| *index != changed) {
                let (path, _) = tree.path(&name(index), parent.map(name).as_deref());
                let passes = path.split(SEPARATOR).any(|part| part == name(changed));
                prop_assert_eq!(below.contains(&name(index)), passes, "{}", path);
            }
        }
    }
}
