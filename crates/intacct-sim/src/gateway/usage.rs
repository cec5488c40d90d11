//! What was asked of the gateway, as objects that can be queried: APIUSAGEDETAIL has a record for
//! each day, sender, user, function and object, APIUSAGESUMMARY one for each day and sender.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::RwLockReadGuard;

use super::call::Call;
use crate::calendar::{self, DAY};
use crate::company::Company;
use crate::generic::ObjectSpec;
use crate::object::DataType;

const DETAIL: &str = "APIUSAGEDETAIL";
const SUMMARY: &str = "APIUSAGESUMMARY";

/// Their names and labels.
pub(super) const OBJECTS: [(&str, &str); 2] =
    [(DETAIL, "API usage detail"), (SUMMARY, "API usage summary")];

pub(super) fn is_usage(object: &str) -> bool {
    object == DETAIL || object == SUMMARY
}

/// Calls and transactions.
#[derive(Debug, Default)]
pub(super) struct Usage(BTreeMap<Key, Count>);

/// What is counted together: calls of one day, sender, user, function and object.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: i64,
    sender: String,
    user: String,
    function: &'static str,
    object: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    calls: u64,
    transactions: u64,
}

impl Usage {
    /// Counts a call by a sender and a user.
    pub(super) fn count(&mut self, now: i64, by: [&str; 2], call: &Call, object: Option<&str>) {
        let [sender, user] = by;
        let key = Key {
            day: now.div_euclid(DAY),
            sender: sender.to_owned(),
            user: user.to_owned(),
            function: call.name(),
            object: object.unwrap_or_default().to_owned(),
        };
        let count = self.0.entry(key).or_default();
        count.calls += 1;
        count.transactions += call.transactions();
    }

    /// A company that has these objects alone.
    pub(super) fn company(&self) -> Company {
        let mut detail = definition(DETAIL)
            .field("USERID", DataType::Text)
            .field("FUNCTION", DataType::Text)
            .field("OBJECT", DataType::Text);
        let mut days: BTreeMap<(i64, &str), Count> = BTreeMap::new();
        for (number, (key, count)) in self.0.iter().enumerate() {
            let total = days.entry((key.day, &*key.sender)).or_default();
            total.calls += count.calls;
            total.transactions += count.transactions;
            let record = record(number, key.day, *count).into_iter().chain([
                ("SENDERID", key.sender.clone()),
                ("USERID", key.user.clone()),
                ("FUNCTION", key.function.to_owned()),
                ("OBJECT", key.object.clone()),
            ]);
            detail = detail.record(record);
        }
        let mut summary = definition(SUMMARY);
        for (number, ((day, sender), count)) in days.into_iter().enumerate() {
            let sender = [("SENDERID", sender.to_owned())];
            summary = summary.record(record(number, day, count).into_iter().chain(sender));
        }
        // The definitions above fit the records above; nothing comes from outside.
        Company::from_objects([detail, summary]).unwrap_or_default()
    }
}

fn definition(name: &str) -> ObjectSpec {
    ObjectSpec::new(name)
        .field("RECORDNO", DataType::Integer)
        .field("USAGEDATE", DataType::Date)
        .field("SENDERID", DataType::Text)
        .field("CALLS", DataType::Integer)
        .field("TRANSACTIONS", DataType::Integer)
}

fn record(number: usize, day: i64, count: Count) -> [(&'static str, String); 4] {
    let mut date = Vec::new();
    calendar::push_date(&mut date, i32::try_from(day).unwrap_or(i32::MAX));
    [
        ("RECORDNO", (number + 1).to_string()),
        ("USAGEDATE", String::from_utf8_lossy(&date).into_owned()),
        ("CALLS", count.calls.to_string()),
        ("TRANSACTIONS", count.transactions.to_string()),
    ]
}

/// The company that a function reads.
pub(super) enum CompanyRef<'g> {
    Own(RwLockReadGuard<'g, Company>),
    Usage(Box<Company>),
}

impl Deref for CompanyRef<'_> {
    type Target = Company;

    fn deref(&self) -> &Company {
        match self {
            Self::Own(company) => company,
            Self::Usage(company) => company,
        }
    }
}
