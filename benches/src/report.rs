//! Figures as Markdown tables, and where they stand in the README.

use std::fmt::{self, Write};

use crate::goal::{Goal, Measure};
use crate::machine::Machine;
use crate::parsing::Result;
use crate::rounds::{Group, Outcome};

/// One group, the fastest candidate first: speed, time, and how many times as fast as each of the
/// yardsticks it is.
pub fn group(group: &Group) -> String {
    let Some(work) = &group.work else {
        return String::new();
    };
    let rods: Vec<_> = group
        .yardsticks
        .iter()
        .filter_map(|rod| group.row(rod))
        .collect();
    let mut rows: Vec<_> = group.rows.iter().collect();
    rows.sort_by(|a, b| a.time().total_cmp(&b.time()));

    let mut table = Table::new(format!("candidate|MB/s|ns a {}", work.element));
    rods.iter()
        .for_each(|rod| table.head.push(format!("/ {}", rod.name)));
    for row in rows {
        let time = row.time();
        let mut cells = vec![
            row.name.to_owned(),
            speed(work.bytes as f64 * 1e3 / time),
            format!("{:.1}", time / work.elements.max(1) as f64),
        ];
        cells.extend(rods.iter().map(|rod| ratio(row.times_as_fast_as(rod))));
        table.rows.push(cells);
    }
    format!("\n{}\n\n{table}", group.name)
}

/// The goals of the groups and what was reached, and what was not measured.
pub fn goals<'g>(groups: impl IntoIterator<Item = &'g Group>) -> String {
    let groups = groups.into_iter().collect::<Vec<_>>();
    let mut table = Table::new("goal|group|what|floor|stretch|measured|");
    let mut outcomes: Vec<(&Group, &Outcome)> = groups
        .iter()
        .flat_map(|group| group.outcomes.iter().map(|outcome| (*group, outcome)))
        .collect();
    outcomes.sort_by_key(|(_, outcome)| place(outcome.goal.id));
    for (group, outcome) in outcomes {
        let goal = &outcome.goal;
        table.rows.push(vec![
            goal.id.to_owned(),
            format!("`{}`", group.short_name()),
            goal.to_string(),
            limit(goal, Some(goal.floor)),
            limit(goal, goal.stretch),
            ratio(outcome.figure),
            outcome.verdict.to_string(),
        ]);
    }
    table.left = 3;
    let mut out = match table.rows.is_empty() {
        true => String::new(),
        false => table.to_string(),
    };
    for group in groups {
        for why in &group.skipped {
            put(&mut out, format_args!("\n`{}`: {why}.\n", group.name));
        }
    }
    out
}

/// The block of one suite in the README: where and when, the goals, the ratios that they are about in
/// all groups, and the speeds.
pub fn suite(machine: &Machine, groups: &[&Group]) -> String {
    let mut out = format!("Measured {machine}.\n");
    let of_goals = goals(groups.iter().copied());
    if !of_goals.is_empty() {
        put(&mut out, format_args!("\n{of_goals}"));
    }
    let measured: Vec<_> = groups
        .iter()
        .copied()
        .filter(|group| !group.rows.is_empty())
        .collect();
    if !measured.is_empty() {
        let tables = [ratios(&measured), speeds(&measured)];
        for table in tables.iter().filter(|table| !table.rows.is_empty()) {
            put(&mut out, format_args!("\n{table}"));
        }
    }
    out
}

/// Replaces what stands between the marks of a suite.
///
/// # Errors
/// If the text has no such marks.
pub fn replace(text: &str, suite: &str, block: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- figures: {suite} -->"), "<!-- end -->");
    let missing = || format!("the text has no {begin} and {end} after it");
    let from = text.find(&begin).ok_or_else(missing)? + begin.len();
    let to = from + text[from..].find(end).ok_or_else(missing)?;
    Ok(format!("{}\n{block}{}", &text[..from], &text[to..]))
}

/// Each pair that a goal is about, in every group that has both.
fn ratios(groups: &[&Group]) -> Table {
    let mut pairs = Vec::new();
    for outcome in groups.iter().flat_map(|group| &group.outcomes) {
        let goal = &outcome.goal;
        if let Measure::TimesAsFast(other) | Measure::TimesTheTime(other) = goal.measure {
            let pair = (goal.candidate, other);
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    let mut table = by_group("times as fast", groups);
    for (candidate, other) in pairs {
        let cell = |group: &&Group| match (group.row(candidate), group.row(other)) {
            (Some(row), Some(other)) => ratio(row.times_as_fast_as(other)),
            _ => String::new(),
        };
        let mut cells = vec![format!("`{candidate}` / `{other}`")];
        cells.extend(groups.iter().map(cell));
        table.rows.push(cells);
    }
    table
}

fn speeds(groups: &[&Group]) -> Table {
    let element = groups
        .first()
        .and_then(|group| group.work.as_ref())
        .map_or("element", |work| work.element);
    let mut names = Vec::new();
    for row in groups.iter().flat_map(|group| &group.rows) {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    let title = format!("thousand {element}s/s (MB/s)");
    let mut table = by_group(&title, groups);
    for name in names {
        let cell = |group: &&Group| match (&group.work, group.row(name)) {
            (Some(work), Some(row)) => {
                let thousands = work.elements as f64 * 1e6 / row.time();
                let megabytes = work.bytes as f64 * 1e3 / row.time();
                format!("{} ({})", speed(thousands), speed(megabytes))
            }
            _ => String::new(),
        };
        let mut cells = vec![format!("`{name}`")];
        cells.extend(groups.iter().map(cell));
        table.rows.push(cells);
    }
    table
}

fn by_group(title: &str, groups: &[&Group]) -> Table {
    let mut table = Table::new(title);
    let names = groups.iter().map(|group| group.short_name().to_owned());
    table.head.extend(names);
    table
}

/// A table whose columns but the first are numbers, unless said otherwise.
struct Table {
    head: Vec<String>,
    /// How many columns are texts.
    left: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns, separated by `|`.
    fn new(head: impl AsRef<str>) -> Self {
        Self {
            head: head.as_ref().split('|').map(str::to_owned).collect(),
            left: 1,
            rows: Vec::new(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        for column in 0..self.head.len() {
            f.write_str(if column < self.left { "|---" } else { "|---:" })?;
        }
        f.write_str("|\n")?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Goals in the order of their letters and then their numbers: `E9` before `E10`.
fn place(id: &str) -> (&str, u32) {
    let digits = id.find(|c: char| c.is_ascii_digit()).unwrap_or(id.len());
    let (letters, number) = id.split_at(digits);
    (letters, number.parse().unwrap_or(0))
}

fn limit(goal: &Goal, value: Option<f64>) -> String {
    let sign = if goal.measure.is_upper_limit() {
        "≤"
    } else {
        "≥"
    };
    value.map_or_else(String::new, |value| format!("{sign} {value}"))
}

fn ratio(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Whole numbers in groups of three digits, small ones with a digit behind the point.
fn speed(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::{place, replace, speed};

    #[test]
    fn a_block_is_replaced_between_its_marks_alone() {
        let text =
            "a\n<!-- figures: x -->\nold\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n";
        let replaced = replace(text, "x", "new\n").ok();
        let expected =
            "a\n<!-- figures: x -->\nnew\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n";
        assert_eq!(replaced.as_deref(), Some(expected));
        assert!(replace(text, "z", "new").is_err());
    }

    #[test]
    fn numbers_are_made_to_be_read() {
        assert_eq!(speed(1_234_567.4), "1 234 567");
        assert_eq!(speed(3.21), "3.2");
        assert!(place("E9") < place("E10") && place("E10") < place("P1"));
    }
}
