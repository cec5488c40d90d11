//! Postgres's words.

use sync_core::id::Hasher;
use sync_core::{Error, ErrorKind, Result};

use crate::column_type::ColumnType;
use crate::dialect::Dialect;
use crate::reporting::Alias;

/// postgresql.org, Lexical Structure: longer identifiers are cut, which could make two of them one.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// postgresql.org, System Columns: no column may have these names, quoted or not.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Postgres, in one schema of a database.
///
/// Names are kept in lower case, so that nobody needs quotes to read them, and those of more than 63
/// bytes with a hash in the place of their end.
#[derive(Clone, Debug)]
pub(super) struct Postgres {
    schema: String,
}

impl Postgres {
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where no schema can have this name.
    pub(super) fn new(schema: &str) -> Result<Self> {
        let refuse = |what: &str| {
            Err(Error::new(ErrorKind::Config, what)
                .with("schema", schema.escape_default().to_string()))
        };
        let schema = schema.to_ascii_lowercase();
        if schema.is_empty() || schema.contains('\0') || schema.len() > MAX_IDENTIFIER_BYTES {
            return refuse("a schema's name has 1 to 63 bytes and no NUL character");
        }
        if schema.starts_with("pg_") || schema == "information_schema" {
            return refuse("Postgres keeps this schema for itself: name another");
        }
        Ok(Self { schema })
    }

    /// The schema's name, as the database keeps it.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }
}

impl Dialect for Postgres {
    fn type_of(&self, column_type: ColumnType) -> String {
        match column_type {
            ColumnType::Text => "text".to_owned(),
            ColumnType::Integer => "bigint".to_owned(),
            ColumnType::Boolean => "boolean".to_owned(),
            ColumnType::Decimal { scale } => format!("numeric(38,{scale})"),
            ColumnType::Date => "date".to_owned(),
            ColumnType::Timestamp => "timestamp with time zone".to_owned(),
        }
    }

    fn widened(&self, declared: &str, column_type: ColumnType) -> Option<String> {
        let ColumnType::Decimal { scale: wanted } = column_type else {
            return None;
        };
        let (precision, scale) = precision_and_scale(declared)?;
        let (wanted, whole) = (u32::from(wanted), precision.saturating_sub(scale));
        let to_whole = whole.max(38u32.saturating_sub(wanted));
        let to_scale = scale.max(wanted);
        let wider = to_whole > whole || to_scale > scale;
        wider.then(|| format!("numeric({},{to_scale})", to_whole + to_scale))
    }

    fn table_suffix(&self) -> &'static str {
        ""
    }

    fn alias(&self, alias: &Alias) -> String {
        // Not generated: before version 18 such columns are stored, and for each row the server copies
        // all other values to compute one, which makes up a fifth of a write.
        format!(
            "{} {}",
            self.identifier(alias.name),
            self.type_of(alias.column_type)
        )
    }

    fn added_alias(&self, alias: &Alias) -> String {
        // The server fills it in for the rows that are there, in the same rewriting of the table.
        format!(
            "{} GENERATED ALWAYS AS ({}) STORED",
            self.alias(alias),
            self.identifier(alias.of)
        )
    }

    fn behind_added_alias(&self, table: &str, alias: &Alias) -> Option<String> {
        Some(format!(
            "ALTER TABLE {} ALTER COLUMN {} DROP EXPRESSION",
            self.table(table),
            self.identifier(alias.name)
        ))
    }

    fn argument(&self, position: usize) -> String {
        format!("${position}")
    }

    fn text_argument(&self, position: usize, column_type: ColumnType) -> String {
        match column_type {
            ColumnType::Timestamp => format!("${position}::text::timestamptz"),
            ColumnType::Decimal { .. } => format!("${position}::text::numeric"),
            _ => self.argument(position),
        }
    }

    fn as_text(&self, column: &str, column_type: ColumnType) -> String {
        match column_type {
            ColumnType::Text => column.to_owned(),
            ColumnType::Integer | ColumnType::Boolean => format!("{column}::text"),
            ColumnType::Decimal { .. } => format!("trim_scale({column})::text"),
            ColumnType::Date => format!("to_char({column}, 'YYYY-MM-DD')"),
            ColumnType::Timestamp => {
                format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
            }
        }
    }

    fn month(&self, column: &str) -> String {
        format!("to_char({column}, 'YYYY-MM')")
    }

    fn any_number(&self) -> &'static str {
        "numeric"
    }

    fn sum(&self, expression: &str) -> String {
        format!("trim_scale(sum({expression}))::text")
    }

    fn no(&self) -> &'static str {
        "false"
    }

    fn yes(&self) -> &'static str {
        "true"
    }

    fn max_columns(&self) -> usize {
        // postgresql.org, PostgreSQL Limits.
        1600
    }

    fn reserves_table(&self, name: &str) -> bool {
        name.starts_with("pg_")
    }

    fn reserves_column(&self, name: &str) -> bool {
        SYSTEM_COLUMNS.contains(&name)
    }

    fn stored(&self, name: &str) -> String {
        let folded = name.to_ascii_lowercase();
        if folded.len() <= MAX_IDENTIFIER_BYTES {
            return folded;
        }
        let hash = Hasher::new("intacct-sync/identifier/1")
            .part(folded.as_bytes())
            .record_id()
            .to_string();
        let mut end = MAX_IDENTIFIER_BYTES - 9;
        while !folded.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}_{}", &folded[..end], &hash[..8])
    }

    fn table(&self, name: &str) -> String {
        format!(
            "{}.{}",
            self.identifier(&self.schema),
            self.identifier(name)
        )
    }
}

/// What `numeric(38,9)` says.
fn precision_and_scale(declared: &str) -> Option<(u32, u32)> {
    let (precision, scale) = declared
        .strip_prefix("numeric(")?
        .strip_suffix(')')?
        .split_once(',')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_widened_and_never_narrowed() {
        let postgres = Postgres::new("books").unwrap();
        let to = |declared, scale| postgres.widened(declared, ColumnType::Decimal { scale });
        assert_eq!(to("numeric(38,9)", 9), None);
        assert_eq!(to("numeric(38,9)", 18).as_deref(), Some("numeric(47,18)"));
        assert_eq!(to("numeric(47,18)", 9), None);
        assert_eq!(to("numeric(38,18)", 9).as_deref(), Some("numeric(47,18)"));
        assert_eq!(to("numeric", 9), None);
    }

    #[test]
    fn long_names_stay_apart_and_short_ones_as_they_are() {
        let postgres = Postgres::new("books").unwrap();
        let stored = |name: &str| postgres.stored(name);
        assert_eq!(stored("TotalDue"), "totaldue");
        let (one, other) = (
            format!("{}1", "é".repeat(40)),
            format!("{}2", "é".repeat(40)),
        );
        assert!(stored(&one).len() <= 63 && stored(&one) != stored(&other));
        assert_eq!(stored(&stored(&one)), stored(&one));
        for refused in [
            "",
            "pg_books",
            "Information_Schema",
            "a\0b",
            &"x".repeat(64),
        ] {
            assert!(Postgres::new(refused).is_err(), "{refused:?}");
        }
    }
}
