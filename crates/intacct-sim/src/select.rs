//! Which records a filter takes, in which order, and how few of them are looked at.
//!
//! Conditions on WHENMODIFIED and RECORDNO at the top of a filter become bounds in the orders
//! that every object keeps ready; a page of a walk by key costs no more than its own records.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use crate::company::Company;
use crate::object::{DataType, FieldInfo, Object};
use crate::value::{Class, Comparable, Value};

/// How a caller sees values that are kept in one way for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lens {
    /// Seconds by which the caller's times are ahead of UTC.
    pub(crate) ahead: i64,
    /// Whether a RECORDNO that is declared as a text compares as one.
    pub(crate) textual_keys: bool,
}

/// A field, perhaps of a related record.
pub(crate) struct Path<'a> {
    /// The relations to follow: their place in the object at hand, and the object behind them.
    hops: Vec<(usize, Box<dyn Object<'a> + 'a>)>,
    field: usize,
    pub(crate) info: &'a FieldInfo,
    lens: Lens,
}

impl<'a> Path<'a> {
    /// Finds a field by its name; a dotted name may lead through relations.
    pub(crate) fn find(
        company: &'a Company,
        object: &(dyn Object<'a> + 'a),
        name: &str,
        lens: Lens,
    ) -> Option<Path<'a>> {
        if let Some(field) = object.find(name) {
            return Some(Path {
                hops: Vec::new(),
                field,
                info: object.field(field),
                lens,
            });
        }
        let (first, rest) = name.split_once('.')?;
        let place = object
            .relations()
            .iter()
            .position(|relation| relation.name == first)?;
        let relation = object.relations()[place];
        // Through a hierarchy of an object with itself there is one step only.
        let climbs_twice = relation.target == object.name()
            && rest.split_once('.').is_some_and(|(next, _)| next == first);
        if climbs_twice {
            return None;
        }
        let target = company.object(relation.target)?;
        let mut path = Self::find(company, &*target, rest, lens)?;
        path.hops.insert(0, (place, target));
        Some(path)
    }

    pub(crate) fn value(&self, object: &(dyn Object<'a> + 'a), slot: u32) -> Value<'a> {
        let mut at: (&(dyn Object<'a> + 'a), u32) = (object, slot);
        for (relation, target) in &self.hops {
            match at.0.follow(at.1, *relation) {
                Some(next) => at = (&**target, next),
                None => return Value::Null,
            }
        }
        let value = at.0.value(at.1, self.field);
        if self.is_textual_key() {
            let mut text = Vec::new();
            value.push(&mut text, 1);
            return Value::owned(String::from_utf8_lossy(&text).into_owned());
        }
        if self.lens.ahead != 0 && self.info.class == Class::Instant {
            return match value.comparable() {
                Comparable::Instant(instant) => Value::Instant(instant + self.lens.ahead),
                _ => Value::Null,
            };
        }
        value
    }

    /// How values of the field are compared.
    pub(crate) fn class(&self) -> Class {
        if self.is_textual_key() {
            Class::Text
        } else {
            self.info.class
        }
    }

    fn is_textual_key(&self) -> bool {
        self.lens.textual_keys
            && self.info.name == RECORDNO
            && self.info.data_type == DataType::Text
    }

    /// A number for the field that is the same from call to call.
    pub(crate) fn place(&self) -> usize {
        self.hops.iter().fold(self.field, |place, (relation, _)| {
            place * 31 + relation + 1_000
        })
    }

    /// Whether the kept orders know it: a field of the object itself, compared as they do.
    fn is_own(&self, name: &str) -> bool {
        self.hops.is_empty() && self.info.name == name && !self.is_textual_key()
    }
}

/// How texts compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

/// Whether literals are labels, as in `query`, or stored codes, as in `readByQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literals {
    Labels,
    Codes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A filter, ready to be applied.
pub(crate) enum Condition<'a> {
    Compare(Path<'a>, Operator, Comparable<'static>),
    Between(Path<'a>, Comparable<'static>, Comparable<'static>),
    Outside(Path<'a>, Comparable<'static>, Comparable<'static>),
    Like(Path<'a>, String, bool),
    In(Path<'a>, Vec<Comparable<'static>>, bool),
    InTexts(Path<'a>, HashSet<String>, bool),
    IsNull(Path<'a>, bool),
    And(Vec<Condition<'a>>),
    Or(Vec<Condition<'a>>),
}

/// How a filter reads values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) case: Case,
    pub(crate) literals: Literals,
}

impl Reading {
    /// The value of a field in the form in which this filter compares it.
    fn fold<'v>(self, path: &Path<'_>, value: Comparable<'v>) -> Comparable<'v> {
        let Comparable::Text(text) = value else {
            return value;
        };
        let text = match self.literals {
            Literals::Codes => code_of(path.info, text),
            Literals::Labels => text,
        };
        Comparable::Text(match self.case {
            Case::Sensitive => text,
            Case::Insensitive => Cow::Owned(text.to_lowercase()),
        })
    }

    /// A literal of a filter, if the type of the field allows it.
    pub(crate) fn literal(self, path: &Path<'_>, text: &str) -> Option<Comparable<'static>> {
        let literal = match (path.class(), self.literals) {
            // Booleans are stored as codes, and the words are no codes.
            (Class::Bool, Literals::Codes) => match text {
                "T" => Comparable::Bool(true),
                "F" => Comparable::Bool(false),
                _ => return None,
            },
            (class, _) => Comparable::read(text, class)?,
        };
        Some(match literal {
            Comparable::Text(text) if self.case == Case::Insensitive => {
                Comparable::Text(Cow::Owned(text.to_lowercase()))
            }
            other => other.into_owned(),
        })
    }
}

fn code_of<'v>(info: &FieldInfo, label: Cow<'v, str>) -> Cow<'v, str> {
    match info.codes.iter().find(|(known, _)| *known == label) {
        Some((_, code)) => Cow::Borrowed(code),
        None => label,
    }
}

impl<'a> Condition<'a> {
    pub(crate) fn takes(
        &self,
        object: &(dyn Object<'a> + 'a),
        slot: u32,
        reading: Reading,
    ) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.takes(object, slot, reading)),
            Self::Or(any) => any.iter().any(|one| one.takes(object, slot, reading)),
            Self::IsNull(path, wanted) => path.value(object, slot).is_null() == *wanted,
            Self::Compare(path, operator, literal) => {
                let value = path.value(object, slot);
                let value = reading.fold(path, value.comparable());
                // As in SQL, nothing compares with null, not even another null.
                if value == Comparable::Null || *literal == Comparable::Null {
                    return false;
                }
                let order = value.cmp(literal);
                match operator {
                    Operator::Equal => order == Ordering::Equal,
                    Operator::NotEqual => order != Ordering::Equal,
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    Operator::GreaterOrEqual => order != Ordering::Less,
                }
            }
            Self::Between(path, low, high) => {
                let value = path.value(object, slot);
                let value = reading.fold(path, value.comparable());
                value != Comparable::Null && value >= *low && value <= *high
            }
            Self::Outside(path, low, high) => {
                let value = path.value(object, slot);
                let value = reading.fold(path, value.comparable());
                value != Comparable::Null && (value < *low || value > *high)
            }
            Self::Like(path, pattern, wanted) => {
                let value = path.value(object, slot);
                if value.is_null() {
                    return false;
                }
                let mut text = Vec::new();
                // The plainest spelling: patterns do not see the gateway's quirks.
                value.push(&mut text, 1);
                let text = reading.fold(path, Comparable::Text(String::from_utf8_lossy(&text)));
                match text {
                    Comparable::Text(text) => like(&text, pattern) == *wanted,
                    _ => false,
                }
            }
            Self::In(path, list, wanted) => {
                let value = path.value(object, slot);
                let value = reading.fold(path, value.comparable());
                value != Comparable::Null && list.contains(&value) == *wanted
            }
            Self::InTexts(path, list, wanted) => {
                let value = path.value(object, slot);
                match reading.fold(path, value.comparable()) {
                    Comparable::Text(text) => list.contains(&*text) == *wanted,
                    _ => false,
                }
            }
        }
    }

    /// `in` or `not in`, in the form that is quickest for the type of the field.
    pub(crate) fn one_of(path: Path<'a>, list: Vec<Comparable<'static>>, wanted: bool) -> Self {
        if path.class() != Class::Text {
            return Self::In(path, list, wanted);
        }
        let texts = list.into_iter().filter_map(|one| match one {
            Comparable::Text(text) => Some(text.into_owned()),
            _ => None,
        });
        Self::InTexts(path, texts.collect(), wanted)
    }

    /// The opposite, as SQL sees it: what compares with null is in neither.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::And(all) => Self::Or(all.into_iter().map(Self::negated).collect()),
            Self::Or(any) => Self::And(any.into_iter().map(Self::negated).collect()),
            Self::IsNull(path, wanted) => Self::IsNull(path, !wanted),
            Self::Like(path, pattern, wanted) => Self::Like(path, pattern, !wanted),
            Self::In(path, list, wanted) => Self::In(path, list, !wanted),
            Self::InTexts(path, list, wanted) => Self::InTexts(path, list, !wanted),
            Self::Between(path, low, high) => Self::Outside(path, low, high),
            Self::Outside(path, low, high) => Self::Between(path, low, high),
            Self::Compare(path, operator, literal) => {
                let opposite = match operator {
                    Operator::Equal => Operator::NotEqual,
                    Operator::NotEqual => Operator::Equal,
                    Operator::Less => Operator::GreaterOrEqual,
                    Operator::LessOrEqual => Operator::Greater,
                    Operator::Greater => Operator::LessOrEqual,
                    Operator::GreaterOrEqual => Operator::Less,
                };
                Self::Compare(path, opposite, literal)
            }
        }
    }

    /// The conditions that all have to hold.
    fn conjunction(self) -> Vec<Self> {
        match self {
            Self::And(all) => all.into_iter().flat_map(Self::conjunction).collect(),
            other => vec![other],
        }
    }

    /// The text that a field must equal for the whole filter to hold, if there is one.
    pub(crate) fn demanded(&self, field: &str) -> Option<&str> {
        match self {
            Self::And(all) => all.iter().find_map(|one| one.demanded(field)),
            Self::Compare(path, Operator::Equal, Comparable::Text(text)) if path.is_own(field) => {
                Some(text)
            }
            _ => None,
        }
    }
}

/// `%` stands for any characters, `_` for one.
pub(crate) fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                retry = Some((at, in_pattern + 1));
                in_pattern += 1;
            }
            Some(&wanted) if wanted == '_' || wanted == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match retry {
                Some((from, after)) => {
                    retry = Some((from + 1, after));
                    at = from + 1;
                    in_pattern = after;
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|&wanted| wanted == '%')
}

/// What of a multi-entity company a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Record number of the entity of the session; none at top level.
    pub(crate) entity: Option<u32>,
    pub(crate) with_private: bool,
    /// The instant up to which changes have become visible; none where all have.
    pub(crate) settled: Option<i64>,
}

impl Scope {
    pub(crate) fn sees<'a>(self, object: &(dyn Object<'a> + 'a), slot: u32) -> bool {
        match self.entity {
            None => self.with_private || !object.is_private(slot),
            Some(entity) => object.owner(slot).is_none_or(|owner| owner == entity),
        }
    }

    /// Whether the record has become visible: a new one to every search, a changed one to those
    /// that look at the time of its change.
    fn has_settled<'a>(self, object: &(dyn Object<'a> + 'a), slot: u32, by_change: bool) -> bool {
        let Some(settled) = self.settled else {
            return true;
        };
        let is_new = object.created(slot).is_some_and(|at| at > settled);
        let is_changed = object.modified(slot).is_some_and(|at| at > settled);
        !(is_new || (by_change && is_changed))
    }
}

/// One member of an order.
pub(crate) struct OrderBy<'a> {
    pub(crate) path: Path<'a>,
    pub(crate) descending: bool,
}

/// The records that a filter takes, in order.
pub(crate) enum Found<'a> {
    /// A stretch of an order that the object keeps ready.
    Stretch {
        slots: &'a [u32],
        arrangement: Arrangement,
    },
    List(Vec<u32>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrangement {
    Forward,
    Backward,
    /// No order was asked for: any will do, and none is kept from call to call.
    Shuffled(u64),
}

impl Found<'_> {
    pub(crate) fn total(&self) -> usize {
        match self {
            Self::Stretch { slots, .. } => slots.len(),
            Self::List(slots) => slots.len(),
        }
    }

    pub(crate) fn page(&self, offset: usize, size: usize) -> Vec<u32> {
        let total = self.total();
        let (from, to) = (offset.min(total), offset.saturating_add(size).min(total));
        match self {
            Self::List(slots) => slots[from..to].to_vec(),
            Self::Stretch { slots, arrangement } => match arrangement {
                Arrangement::Forward => slots[from..to].to_vec(),
                Arrangement::Backward => (from..to).map(|at| slots[total - 1 - at]).collect(),
                Arrangement::Shuffled(seed) => {
                    let place = shuffle(total, *seed);
                    (from..to).map(|at| slots[place(at)]).collect()
                }
            },
        }
    }
}

/// A rearrangement of `0..total` that needs no memory.
fn shuffle(total: usize, seed: u64) -> impl Fn(usize) -> usize {
    let total = total.max(1) as u64;
    let mut factor = seed % total;
    while greatest_common_divisor(factor, total) != 1 {
        factor = (factor + 1) % total.max(2);
    }
    let shift = (seed >> 17) % total;
    move |at| ((u128::from(factor) * at as u128 + u128::from(shift)) % u128::from(total)) as usize
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// A search, all names resolved.
pub(crate) struct Search<'a> {
    pub(crate) filter: Option<Condition<'a>>,
    pub(crate) reading: Reading,
    pub(crate) scope: Scope,
    pub(crate) order: Vec<OrderBy<'a>>,
    /// Differs from call to call: orders what the caller left open.
    pub(crate) shuffle: u64,
}

impl<'a> Search<'a> {
    pub(crate) fn run(self, object: &(dyn Object<'a> + 'a)) -> Found<'a> {
        let orders = object.orders();
        let has_modified = orders.by_modified.len() == orders.by_key.len();
        let mut bounds = Bounds::default();
        let conditions = self.filter.map(Condition::conjunction).unwrap_or_default();
        let mut rest = Vec::new();
        for condition in conditions {
            if !bounds.take(object, &condition, has_modified) {
                rest.push(condition);
            }
        }
        let kept = kept_order(object, &self.order);
        let (slots, in_order, keys_done) = bounds.stretch(object, kept, has_modified);
        let check_keys = !keys_done && bounds.bounds_keys();
        let check_scope = match self.scope.entity {
            Some(_) => object.has_owners(),
            None => !self.scope.with_private && object.has_private(),
        };
        let arrangement = match (kept, in_order) {
            (Kept::None, _) if self.order.is_empty() => Some(Arrangement::Shuffled(self.shuffle)),
            (Kept::Up(_), true) => Some(Arrangement::Forward),
            (Kept::Down(_), true) => Some(Arrangement::Backward),
            _ => None,
        };
        if rest.is_empty()
            && !check_keys
            && !check_scope
            && self.scope.settled.is_none()
            && let Some(arrangement) = arrangement
        {
            return Found::Stretch { slots, arrangement };
        }
        let reading = self.reading;
        let by_change = bounds.bounds_modified()
            || matches!(
                kept,
                Kept::Up(Index::Modified) | Kept::Down(Index::Modified)
            );
        let mut list: Vec<u32> = slots
            .iter()
            .copied()
            .filter(|&slot| {
                self.scope.has_settled(object, slot, by_change)
                    && (!check_keys || bounds.holds_key(object.key(slot)))
                    && (!check_scope || self.scope.sees(object, slot))
                    && rest
                        .iter()
                        .all(|condition| condition.takes(object, slot, reading))
            })
            .collect();
        match arrangement {
            Some(Arrangement::Forward) => {}
            Some(Arrangement::Backward) => list.reverse(),
            Some(Arrangement::Shuffled(seed)) => {
                let place = shuffle(list.len(), seed);
                list = (0..list.len()).map(|at| list[place(at)]).collect();
            }
            None => sort(object, &mut list, &self.order, self.shuffle),
        }
        Found::List(list)
    }
}

/// The kept order that an asked order is, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    None,
    Up(Index),
    Down(Index),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Key,
    Modified,
}

fn kept_order<'a>(object: &(dyn Object<'a> + 'a), order: &[OrderBy<'a>]) -> Kept {
    if !object.has_record_number() {
        return Kept::None;
    }
    let index = match order {
        [first, ..] if first.path.is_own(RECORDNO) => Index::Key,
        [first, second, ..]
            if first.path.is_own(WHENMODIFIED)
                && second.path.is_own(RECORDNO)
                && first.descending == second.descending =>
        {
            Index::Modified
        }
        _ => return Kept::None,
    };
    if order[0].descending {
        Kept::Down(index)
    } else {
        Kept::Up(index)
    }
}

const RECORDNO: &str = "RECORDNO";
const WHENMODIFIED: &str = "WHENMODIFIED";

/// What the filter says of RECORDNO and WHENMODIFIED, as inclusive bounds.
#[derive(Debug)]
struct Bounds {
    keys: (u64, u64),
    modified: (i64, i64),
    never_modified: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            keys: (0, u64::MAX),
            modified: (i64::MIN, i64::MAX),
            never_modified: false,
        }
    }
}

impl Bounds {
    /// Takes a condition in, if it can be stated as a bound.
    fn take<'a>(
        &mut self,
        object: &(dyn Object<'a> + 'a),
        condition: &Condition<'a>,
        has_modified: bool,
    ) -> bool {
        match condition {
            Condition::IsNull(path, true) if has_modified && path.is_own(WHENMODIFIED) => {
                self.never_modified = true;
                true
            }
            Condition::Compare(path, operator, Comparable::Instant(instant))
                if has_modified && path.is_own(WHENMODIFIED) =>
            {
                let instant = instant - path.lens.ahead;
                let Some((low, high)) = around(*operator, instant) else {
                    return false;
                };
                self.modified = (self.modified.0.max(low), self.modified.1.min(high));
                true
            }
            Condition::Between(path, Comparable::Instant(low), Comparable::Instant(high))
                if has_modified && path.is_own(WHENMODIFIED) =>
            {
                let (low, high) = (low - path.lens.ahead, high - path.lens.ahead);
                self.modified = (self.modified.0.max(low), self.modified.1.min(high));
                true
            }
            Condition::Compare(path, operator, Comparable::Number(number))
                if object.has_record_number() && path.is_own(RECORDNO) =>
            {
                let Some(key) = number.as_whole().filter(|key| *key >= 0) else {
                    return false;
                };
                let Some((low, high)) = around(*operator, key) else {
                    return false;
                };
                let low = u64::try_from(low).unwrap_or(0);
                let high = match u64::try_from(high) {
                    Ok(high) => high,
                    // Less than nothing: no record has a number below zero.
                    Err(_) => return false,
                };
                self.keys = (self.keys.0.max(low), self.keys.1.min(high));
                true
            }
            _ => false,
        }
    }

    fn bounds_keys(&self) -> bool {
        self.keys != (0, u64::MAX)
    }

    fn bounds_modified(&self) -> bool {
        self.modified != (i64::MIN, i64::MAX)
    }

    fn holds_key(&self, key: u64) -> bool {
        (self.keys.0..=self.keys.1).contains(&key)
    }

    /// The shortest stretch that holds all that can match; whether it lies in the asked order,
    /// and whether the bounds on keys are met in it.
    fn stretch<'a>(
        &self,
        object: &(dyn Object<'a> + 'a),
        kept: Kept,
        has_modified: bool,
    ) -> (&'a [u32], bool, bool) {
        let orders = object.orders();
        let in_order = |index: Index| kept == Kept::Up(index) || kept == Kept::Down(index);
        if self.never_modified || self.bounds_modified() {
            let all = orders.by_modified;
            let nulls = all.partition_point(|&slot| object.modified(slot).is_none());
            if self.never_modified {
                if self.bounds_modified() {
                    return (&[], true, true);
                }
                let stretch = within(&all[..nulls], self.keys, |slot| object.key(slot));
                // All are null: the order of their keys is both orders.
                return (stretch, kept != Kept::None, true);
            }
            let stretch = within(&all[nulls..], self.modified, |slot| {
                object.modified(slot).unwrap_or(i64::MIN)
            });
            if self.modified.0 == self.modified.1 {
                let stretch = within(stretch, self.keys, |slot| object.key(slot));
                return (stretch, kept != Kept::None, true);
            }
            return (stretch, in_order(Index::Modified), false);
        }
        if has_modified && in_order(Index::Modified) && !self.bounds_keys() {
            return (orders.by_modified, true, true);
        }
        let stretch = if object.has_record_number() {
            within(orders.by_key, self.keys, |slot| object.key(slot))
        } else {
            orders.by_key
        };
        (stretch, in_order(Index::Key), true)
    }
}

/// The inclusive bounds that an operator sets; `None` for what is no stretch.
fn around(operator: Operator, at: i64) -> Option<(i64, i64)> {
    Some(match operator {
        Operator::Equal => (at, at),
        Operator::Less => (i64::MIN, at.saturating_sub(1)),
        Operator::LessOrEqual => (i64::MIN, at),
        Operator::Greater => (at.saturating_add(1), i64::MAX),
        Operator::GreaterOrEqual => (at, i64::MAX),
        Operator::NotEqual => return None,
    })
}

fn within<K: Ord + Copy>(slots: &[u32], (low, high): (K, K), key: impl Fn(u32) -> K) -> &[u32] {
    let from = slots.partition_point(|&slot| key(slot) < low);
    let to = slots.partition_point(|&slot| key(slot) <= high);
    if from >= to { &[] } else { &slots[from..to] }
}

/// Sorts by the asked order; what it leaves open is shuffled.
fn sort<'a>(
    object: &(dyn Object<'a> + 'a),
    list: &mut Vec<u32>,
    order: &[OrderBy<'a>],
    shuffle: u64,
) {
    let mut keyed: Vec<(Vec<Comparable<'static>>, u32)> = list
        .iter()
        .map(|&slot| {
            let keys = order
                .iter()
                .map(|by| by.path.value(object, slot).comparable().into_owned())
                .collect();
            (keys, slot)
        })
        .collect();
    let chance = |slot: u32| (u64::from(slot) ^ shuffle).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    keyed.sort_unstable_by(|(a, slot_a), (b, slot_b)| {
        for ((a, b), by) in a.iter().zip(b).zip(order) {
            let ordering = if by.descending { b.cmp(a) } else { a.cmp(b) };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        chance(*slot_a).cmp(&chance(*slot_b))
    });
    list.clear();
    list.extend(keyed.into_iter().map(|(_, slot)| slot));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_sql() {
        for (text, pattern, expected) in [
            ("Acme", "A%", true),
            ("Acme", "a%", false),
            ("Acme", "_cme", true),
            ("Acme", "%m_", true),
            ("Acme", "Acm", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "%X%c", true),
            ("ééé", "é_é", true),
            ("mississippi", "m%iss%pi", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn shuffles_are_rearrangements() {
        for total in [1, 2, 3, 10, 97, 1_000] {
            for seed in [0, 1, 5, u64::MAX, 0x1234_5678_9ABC] {
                let place = shuffle(total, seed);
                let mut seen: Vec<_> = (0..total).map(place).collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..total));
            }
        }
    }
}
