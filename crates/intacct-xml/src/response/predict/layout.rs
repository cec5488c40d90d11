//! What the records of a page have in common: their names, and the bytes between their values.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;

use super::literal::Literal;

/// The names of a record and of its fields in order, and every piece of markup between two values.
#[derive(Debug)]
pub(super) struct Layout {
    id: u64,
    record: String,
    names: Vec<String>,
    /// The white space before the first field, between two, and behind the last.
    gaps: [Box<[u8]>; 3],
    places: HashMap<String, usize>,
    /// `<RECORD>`.
    pub(super) begin: Literal,
    /// Finds `<RECORD>`.
    pub(super) start: Finder<'static>,
    /// `<RECORD>`, the white space behind it, and `<FIRST`.
    pub(super) first: Literal,
    /// `</RECORD>`.
    pub(super) end: Literal,
    /// By field.
    pub(super) behind: Vec<Behind>,
    /// By field: `<FIELD`.
    pub(super) open: Vec<Literal>,
    /// By field: `</FIELD>`.
    pub(super) close: Vec<Literal>,
}

/// What is expected behind a field.
#[derive(Debug)]
pub(super) struct Behind {
    /// `</FIELD>`, white space and `<NEXT`; behind the last field `</RECORD>`.
    pub(super) value: Literal,
    /// The same without `</FIELD>`, as it stands behind `<FIELD/>`.
    pub(super) empty: Literal,
}

/// The white space in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps<'a> {
    pub(super) before_first: &'a [u8],
    pub(super) between: &'a [u8],
    pub(super) behind_last: &'a [u8],
}

impl Layout {
    /// The layout of a record with these fields, or none if two have the same name or there are none.
    pub(super) fn new(record: &str, names: Vec<String>, gaps: Gaps<'_>) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let places: HashMap<_, _> = names.iter().cloned().zip(0..).collect();
        if names.is_empty() || places.len() < names.len() {
            return None;
        }
        let open = |name: &str| ["<", name].concat();
        let close = |name: &str| ["</", name, ">"].concat();
        let begin = ["<", record, ">"].concat();
        let next = |index: usize| match names.get(index + 1) {
            Some(next) => [gaps.between, open(next).as_bytes()].concat(),
            None => [gaps.behind_last, close(record).as_bytes()].concat(),
        };
        let behind = |(index, name): (usize, &String)| {
            let next = next(index);
            Behind {
                value: Literal::new(&[close(name).as_bytes(), &next].concat()),
                empty: Literal::new(&next),
            }
        };
        let first = names.first().map(|name| open(name)).unwrap_or_default();
        Some(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            record: record.to_owned(),
            gaps: [gaps.before_first, gaps.between, gaps.behind_last].map(Into::into),
            begin: Literal::new(begin.as_bytes()),
            start: Finder::new(begin.as_bytes()).into_owned(),
            first: Literal::new(&[begin.as_bytes(), gaps.before_first, first.as_bytes()].concat()),
            end: Literal::new(close(record).as_bytes()),
            behind: names.iter().enumerate().map(behind).collect(),
            open: names
                .iter()
                .map(|name| Literal::new(open(name).as_bytes()))
                .collect(),
            close: names
                .iter()
                .map(|name| Literal::new(close(name).as_bytes()))
                .collect(),
            names,
            places,
        })
    }

    /// A number that no other layout of this process has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn record(&self) -> &str {
        &self.record
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Whether a layout of the same record with these fields and gaps would be the same.
    pub(super) fn is_of(&self, names: &[String], gaps: Gaps<'_>) -> bool {
        let [before_first, between, behind_last] = &self.gaps;
        let own = Gaps {
            before_first,
            between,
            behind_last,
        };
        self.names == names && own == gaps
    }

    /// The fields of a record that did not fit in their order, and those of this layout that it does
    /// not have, each behind the field that it stood behind.
    ///
    /// Records that leave different fields out say only little by little how all of them follow each
    /// other; what was placed wrong is put right by the next record that has both.
    pub(super) fn united<'n>(&self, fields: impl Iterator<Item = &'n str>) -> Vec<String> {
        let mut united: Vec<&str> = fields.collect();
        let own: HashSet<&str> = united.iter().copied().collect();
        let mut before = None;
        for name in self.names.iter().map(String::as_str) {
            if !own.contains(name) {
                let place =
                    before.and_then(|before| united.iter().position(|&name| name == before));
                united.insert(place.map_or(0, |place| place + 1), name);
            }
            before = Some(name);
        }
        united.into_iter().map(str::to_owned).collect()
    }
}

impl<'a> Gaps<'a> {
    /// The white space of a record without attributes, groups, comments and CDATA.
    pub(super) fn of(record: &'a [u8]) -> Self {
        let space_behind_tag = |from: usize| {
            let rest = record.get(from..).unwrap_or_default();
            let tag = rest.iter().position(|&byte| byte == b'>');
            let rest = tag.map_or(&rest[..0], |end| &rest[end + 1..]);
            let space = rest.iter().position(|byte| !byte.is_ascii_whitespace());
            &rest[..space.unwrap_or(0)]
        };
        let before_first = space_behind_tag(0);
        let first = record
            .iter()
            .position(|&byte| byte == b'>')
            .map_or(0, |end| end + 1);
        let first = first + before_first.len();
        let is_empty = record[first..]
            .split(|&byte| byte == b'>')
            .next()
            .is_some_and(|tag| tag.ends_with(b"/"));
        let between = if is_empty {
            space_behind_tag(first)
        } else {
            let close = record[first..].windows(2).position(|two| two == b"</");
            space_behind_tag(first + close.unwrap_or(0))
        };
        let end = record.iter().rposition(|&byte| byte == b'<').unwrap_or(0);
        let space = record[..end]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_whitespace());
        Self {
            before_first,
            between,
            behind_last: &record[end - space.count()..end],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(names: &[&str]) -> Layout {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Layout::new("V", names, Gaps::default()).unwrap()
    }

    #[test]
    fn what_a_record_leaves_out_keeps_its_place() {
        let known = layout(&["A", "C", "E"]);
        assert_eq!(
            known.united(["A", "B", "E", "F"].into_iter()),
            ["A", "C", "B", "E", "F"]
        );
        assert_eq!(known.united(["E", "A"].into_iter()), ["E", "A", "C"]);
    }

    #[test]
    fn records_with_gaps_teach_the_whole_order() {
        let names: Vec<String> = (0..40).map(|number| format!("F{number}")).collect();
        let mut random = 1_u64;
        let mut known = layout(&["F7"]);
        for _ in 0..60 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let shown = |(at, _): &(usize, &String)| random >> (at + 20) & 1 == 1 || *at % 3 == 0;
            let fields = names
                .iter()
                .enumerate()
                .filter(shown)
                .map(|(_, name)| name.as_str());
            let united = known.united(fields);
            known = Layout::new("V", united, Gaps::default()).unwrap();
        }
        assert_eq!(known.names(), names);
    }

    #[test]
    fn white_space_is_learned_by_its_place() {
        let gaps = Gaps::of(b"<V>\n  <A>1 </A>\n   <B/>\n</V>");
        assert_eq!(gaps.before_first, b"\n  ");
        assert_eq!(gaps.between, b"\n   ");
        assert_eq!(gaps.behind_last, b"\n");
        assert_eq!(Gaps::of(b"<V> <A/>\t<B>x</B></V>").between, b"\t");
        assert_eq!(Gaps::of(b"<V><A></A></V>"), Gaps::default());
    }
}
