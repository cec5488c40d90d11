//! Exported dead letters, read back by readers that share no code with what wrote them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::Value;
use sync_core::id::Hasher;
use sync_core::store::{
    Claim, DeadLetter, Discard, Letter, LetterExport, LetterFilter, LetterFormat, LetterId,
    LetterPage, LetterStatus, LetterStore, PreparedBatch, Scope,
};
use sync_core::{BatchId, Digest, ErrorKind, RecordKey, RejectionClass, Result, RunId};

/// Gives letters in pages as a store does, and notes how many were asked for at once.
struct Letters {
    count: u64,
    letter: Box<dyn Fn(u64) -> Letter + Send + Sync>,
    most_at_once: Mutex<usize>,
}

fn letters(count: u64, letter: impl Fn(u64) -> Letter + Send + Sync + 'static) -> Letters {
    Letters {
        count,
        letter: Box::new(letter),
        most_at_once: Mutex::default(),
    }
}

impl std::fmt::Debug for Letters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letters").finish_non_exhaustive()
    }
}

#[async_trait]
impl LetterStore for Letters {
    async fn letters(&self, _: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>> {
        let mut most = self.most_at_once.lock().unwrap();
        *most = page.limit.max(*most);
        let after = page.after.map_or(0, |letter| letter.0);
        let numbers = after + 1..=self.count.min(after + page.limit as u64);
        Ok(numbers.map(&self.letter).collect())
    }
    async fn dead_letters(&self, _: &Scope, _: usize) -> Result<Vec<DeadLetter>> {
        unreachable!("an export asks for letters alone")
    }
    async fn count_letters(&self, _: &LetterFilter) -> Result<u64> {
        unreachable!("an export asks for letters alone")
    }
    async fn discard_letters(&self, _: &Scope, _: &Discard) -> Result<()> {
        unreachable!("an export asks for letters alone")
    }
    async fn latest_letters(&self, _: &Scope, _: &[LetterId]) -> Result<Vec<bool>> {
        unreachable!("an export asks for letters alone")
    }
    async fn supersede_letters(&self, _: &Claim, _: &[LetterId]) -> Result<()> {
        unreachable!("an export asks for letters alone")
    }
    async fn prepare_retry(&self, _: &Claim, _: &PreparedBatch, _: &[LetterId]) -> Result<Digest> {
        unreachable!("an export asks for letters alone")
    }
}

fn exported(store: &Letters, format: LetterFormat) -> Vec<u8> {
    let mut out = Vec::new();
    let export = LetterExport::new(store, LetterFilter::default(), format);
    let writing = export.write_to(&mut out);
    let given = futures_util::FutureExt::now_or_never(writing);
    assert_eq!(given.unwrap().unwrap(), store.count);
    out
}

/// What a reader of either format must find, by the names of the columns.
fn told(letter: &Letter) -> Vec<(&'static str, Option<String>)> {
    let content = &letter.content;
    let text = |text: &str| Some(text.to_owned());
    vec![
        ("id", Some(letter.id.0.to_string())),
        ("pipeline", text(&letter.scope.pipeline)),
        ("sink", text(&letter.scope.sink)),
        ("stream", text(letter.scope.stream.as_str())),
        ("at", text(&letter.at)),
        ("run", Some(letter.run.to_string())),
        ("batch", letter.batch.map(|it| it.to_string())),
        ("key", content.key.as_ref().map(|it| it.as_str().to_owned())),
        ("class", text(content.class.as_str())),
        ("column", content.column.clone()),
        ("text", content.text.clone()),
        ("reason", text(&content.reason)),
        ("status", text(letter.status.as_str())),
        ("attempts", Some(letter.attempts.to_string())),
        ("attempted_at", letter.attempted_at.clone()),
        ("attempt_reason", letter.attempt_reason.clone()),
        ("closed_at", letter.closed_at.clone()),
        ("resolved_by", letter.resolved_by.map(|it| it.to_string())),
        ("note", letter.note.clone()),
        ("closed_by", letter.closed_by.clone()),
    ]
}

fn record(letter: &Letter) -> Value {
    let pairs = letter.content.fields.iter();
    let pairs = pairs.map(|(name, text)| {
        let text = text.clone().map_or(Value::Null, Value::String);
        Value::Array(vec![Value::String(name.clone()), text])
    });
    Value::Array(pairs.collect())
}

fn of_json(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        other => panic!("a letter has no {other}"),
    }
}

/// As the documentation says: nothing is no value, and one `'` at the beginning is not part of the text.
fn of_cell(cell: &str) -> Option<String> {
    let text = cell.strip_prefix('\'').unwrap_or(cell);
    (!cell.is_empty()).then(|| text.to_owned())
}

/// Texts of all kinds that were ever trouble to somebody, and any other.
fn hostile() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "",
        " ",
        "'",
        "''x",
        "\"",
        "\"\"",
        "\",\"",
        ",",
        ";",
        "\n",
        "\r\n",
        "\r",
        "\t=1",
        "a\nb",
        "null",
        "\\N",
        "NULL",
        "=1+1",
        "=cmd|'/C calc'!A0",
        "+49",
        "-5.00",
        "@SUM(A1)",
        "\u{ff1d}1+1",
        "\u{ff20}x",
        "\u{feff}id",
        "\0",
        "\u{1}\u{1b}[2J",
        "\u{7f}\u{85}\u{2028}\u{2029}",
        "\u{fffd}\u{fffe}\u{ffff}",
        "\\ud800",
        "\\u0000",
        "\\",
        "😀\u{200d}",
        "\u{202e}txt.exe",
        "{\"a\":null}",
        "[[",
        "00123",
        "1e5",
        "<b>&amp;</b>",
    ];
    prop_oneof![
        proptest::sample::select(KNOWN).prop_map(str::to_owned),
        proptest::collection::vec(proptest::sample::select(KNOWN), 0..4).prop_map(|it| it.concat()),
        any::<String>(),
    ]
}

fn batch(name: &str) -> BatchId {
    Hasher::new("test").part(name.as_bytes()).batch_id()
}

prop_compose! {
    fn letter()(
        texts in proptest::collection::vec(hostile(), 4),
        perhaps in proptest::collection::vec(proptest::option::of(hostile()), 5),
        key in proptest::option::of(hostile()),
        of_batch in proptest::option::of(hostile()),
        resolved_by in proptest::option::of(hostile()),
        class in proptest::sample::select(&RejectionClass::ALL[..]),
        status in proptest::sample::select(&LetterStatus::ALL[..]),
        attempts in any::<u64>(),
        fields in proptest::collection::vec((hostile(), proptest::option::of(hostile())), 0..6),
    ) -> Letter {
        let [pipeline, sink, reason, at] = <[String; 4]>::try_from(texts).unwrap();
        let [column, text, attempt_reason, note, closed_by] = <[Option<String>; 5]>::try_from(perhaps).unwrap();
        Letter {
            id: LetterId(0),
            scope: Scope { pipeline, sink, stream: "gl_detail".parse().unwrap() },
            at,
            run: RunId::generate(),
            batch: of_batch.map(|name| batch(&name)),
            content: DeadLetter { key: key.map(RecordKey::from_text), column, text, class, reason, fields },
            status,
            attempts,
            attempted_at: None,
            attempt_reason,
            closed_at: Some("2026-01-31T18:02:00Z".into()),
            resolved_by: resolved_by.map(|name| batch(&name)),
            note,
            closed_by,
        }
    }
}

fn numbered(given: Vec<Letter>) -> (Letters, Vec<Letter>) {
    let with_numbers = given.into_iter().zip(1..).map(|(mut letter, number)| {
        letter.id = LetterId(number);
        letter
    });
    let given: Vec<_> = with_numbers.collect();
    let all = given.clone();
    let store = letters(given.len() as u64, move |number| {
        all[number as usize - 1].clone()
    });
    (store, given)
}

proptest! {
    #[test]
    fn lines_of_json_say_what_the_letters_say(given in proptest::collection::vec(letter(), 0..5)) {
        let (store, given) = numbered(given);
        let text = String::from_utf8(exported(&store, LetterFormat::Ndjson)).unwrap();
        prop_assert_eq!(text.matches('\n').count(), given.len());
        for (line, letter) in text.lines().zip(&given) {
            let value: Value = serde_json::from_str(line).unwrap();
            for (name, text) in told(letter) {
                prop_assert_eq!(of_json(&value[name]), text, "{}", name);
            }
            prop_assert_eq!(&value["fields"], &record(letter));
            prop_assert_eq!(&serde_json::from_str::<Letter>(line).unwrap(), letter);
        }
    }

    #[test]
    fn lines_of_csv_say_what_the_letters_say(given in proptest::collection::vec(letter(), 0..5)) {
        let (store, given) = numbered(given);
        let text = exported(&store, LetterFormat::Csv);
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows: Vec<_> = reader.records().collect::<csv::Result<_>>().unwrap();
        prop_assert_eq!(rows.len(), given.len());
        for (row, letter) in rows.iter().zip(&given) {
            let told = told(letter);
            prop_assert_eq!(row.len(), told.len() + 1);
            for ((name, text), (column, cell)) in told.iter().zip(names.iter().zip(row)) {
                prop_assert_eq!(column, name);
                prop_assert_eq!(&of_cell(cell), text, "{}", name);
                let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff20}'];
                prop_assert!(!cell.starts_with(formula), "{}", cell);
            }
            prop_assert_eq!(&names[told.len()], "fields");
            let fields: Value = serde_json::from_str(&row[told.len()]).unwrap();
            prop_assert_eq!(fields, record(letter));
        }
    }
}

fn large(number: u64) -> Letter {
    let text = "x".repeat(1_000);
    Letter {
        id: LetterId(number),
        scope: Scope {
            pipeline: "books".into(),
            sink: "warehouse".into(),
            stream: "gl_detail".parse().unwrap(),
        },
        at: "2026-01-31T18:02:00Z".into(),
        run: RunId::generate(),
        batch: None,
        content: DeadLetter {
            key: None,
            column: None,
            text: None,
            class: RejectionClass::Unfit,
            reason: "too large".into(),
            fields: vec![("memo".into(), Some(text))],
        },
        status: LetterStatus::Open,
        attempts: 0,
        attempted_at: None,
        attempt_reason: None,
        closed_at: None,
        resolved_by: None,
        note: None,
        closed_by: None,
    }
}

#[tokio::test]
async fn however_many_there_are_few_are_in_memory() {
    let store = letters(10_000, large);
    for format in [LetterFormat::Ndjson, LetterFormat::Csv] {
        let mut export = LetterExport::new(&store, LetterFilter::default(), format);
        let (mut largest, mut whole, mut lines) = (0, 0, 0);
        while let Some(chunk) = export.next_chunk().await.unwrap() {
            assert!(chunk.ends_with(b"\n"));
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
            largest = chunk.len().max(largest);
            whole += chunk.len();
        }
        assert_eq!(lines, 10_000 + usize::from(format == LetterFormat::Csv));
        assert!(largest * 100 < whole, "{largest} bytes at once of {whole}");
        assert_eq!(export.next_chunk().await.unwrap(), None);
    }
    assert!(*store.most_at_once.lock().unwrap() <= 100);
}

/// Takes so many bytes, then is full.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.0.min(bytes.len());
        self.0 -= room;
        match room {
            0 => Err(std::io::ErrorKind::StorageFull.into()),
            room => Ok(room),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn where_there_is_no_room_it_says_so() {
    let store = letters(1_000, large);
    let export = LetterExport::new(&store, LetterFilter::default(), LetterFormat::Csv);
    let error = export.write_to(&mut Full(100_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.chain().contains("export again"), "{}", error.chain());
}
