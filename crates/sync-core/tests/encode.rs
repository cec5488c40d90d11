//! What the encoders write, against the simple way and against readers of JSON and CSV.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use proptest::prelude::*;
use sync_core::ErrorKind;
use sync_core::encode::{
    CopyRows, CsvOptions, CsvRows, Fraction, JsonOptions, JsonRows, Layout, Nulls, Numbers,
};

const ALL: usize = usize::MAX;

/// A batch, and its cells as they were put in.
#[derive(Clone, Debug)]
struct Given {
    batch: RecordBatch,
    rows: Vec<Vec<Option<Cell>>>,
}

#[derive(Clone, Debug)]
enum Cell {
    Text(String),
    Whole(i128),
    Decimal(i128, u8),
    Boolean(bool),
    /// A date, ISO 8601.
    Date(String, i32),
    /// A timestamp without `Z`, and its microseconds.
    Timestamp(String, u32, i64),
}

const NAMES: [&str; 10] = [
    "text",
    "a \"name\"\nbeyond thirty-two bytes: Größe",
    "integer",
    "small",
    "unsigned",
    "amount",
    "rate",
    "flag",
    "day",
    "moment",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,40}",
        2 => "\\PC{0,40}",
        1 => "[\u{1}-\u{1f}\"\\\\a]{0,40}",
        // A character of several bytes, or a special, at any place around the blocks.
        2 => ("[a-z]{0,33}", "[äé\u{20ac}\u{1f600}\"\\\\\n\u{7f}\u{2028}]", "[a-z]{0,33}")
            .prop_map(|(before, middle, after)| format!("{before}{middle}{after}")),
    ]
}

fn units() -> impl Strategy<Value = i128> {
    prop_oneof![
        4 => -1_000_000_000_000_000_000_i128..1_000_000_000_000_000_000,
        2 => (-10_000_000_i128..10_000_000).prop_map(|cents| cents * 10_000_000),
        1 => any::<i128>(),
        1 => prop::sample::select(vec![
            0, 1, -1, i128::MAX, i128::MIN, 10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 1 << 64, (1 << 64) - 1,
        ]),
    ]
}

fn day() -> impl Strategy<Value = i32> {
    prop_oneof![
        Just(-719_162),
        Just(2_932_896),
        Just(0),
        -719_162..=2_932_896
    ]
}

type Values = (
    Option<String>,
    Option<String>,
    (Option<i64>, Option<i32>, Option<u64>),
    (Option<i128>, Option<i128>),
    (Option<bool>, Option<i32>, Option<(i32, u32, u32)>),
);

fn values() -> impl Strategy<Value = Values> {
    use prop::option::weighted;
    let micros = prop_oneof![Just(0), 0_u32..1_000_000];
    let moment = (day(), 0_u32..86_400, micros);
    (
        weighted(0.7, text()),
        weighted(0.7, text()),
        (
            any::<Option<i64>>(),
            any::<Option<i32>>(),
            any::<Option<u64>>(),
        ),
        (weighted(0.8, units()), weighted(0.8, units())),
        (
            any::<Option<bool>>(),
            weighted(0.7, day()),
            weighted(0.7, moment),
        ),
    )
}

prop_compose! {
    /// A batch that may be a part of a larger one.
    fn given()(
        values in prop::collection::vec(values(), 0..40),
        scales in (0_u8..=38, 0_u8..=38),
        before in 0_usize..4,
    ) -> Given {
        let whole = batch(&values, scales);
        let before = before.min(values.len());
        let batch = whole.slice(before, values.len() - before);
        let rows = values[before..].iter().map(|values| cells(values, scales)).collect();
        Given { batch, rows }
    }
}

fn batch(values: &[Values], scales: (u8, u8)) -> RecordBatch {
    let each = || values.iter();
    let decimals = |units: Vec<Option<i128>>, scale: u8| {
        Decimal128Array::from(units)
            .with_precision_and_scale(38, scale as i8)
            .unwrap()
    };
    let mut flags = BooleanBuilder::new();
    each().for_each(|v| flags.append_option(v.4.0));
    let moment = |&(day, second, micros): &(i32, u32, u32)| {
        (i64::from(day) * 86_400 + i64::from(second)) * 1_000_000 + i64::from(micros)
    };
    let moments: TimestampMicrosecondArray = each().map(|v| v.4.2.as_ref().map(moment)).collect();
    let columns: [ArrayRef; 10] = [
        Arc::new(each().map(|v| v.0.clone()).collect::<StringArray>()),
        Arc::new(each().map(|v| v.1.clone()).collect::<LargeStringArray>()),
        Arc::new(each().map(|v| v.2.0).collect::<Int64Array>()),
        Arc::new(each().map(|v| v.2.1).collect::<Int32Array>()),
        Arc::new(each().map(|v| v.2.2).collect::<UInt64Array>()),
        Arc::new(decimals(each().map(|v| v.3.0).collect(), scales.0)),
        Arc::new(decimals(each().map(|v| v.3.1).collect(), scales.1)),
        Arc::new(flags.finish()),
        Arc::new(each().map(|v| v.4.1).collect::<Date32Array>()),
        Arc::new(moments.with_timezone("UTC")),
    ];
    let fields = NAMES.iter().zip(&columns);
    let fields: Vec<_> = fields
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into()).unwrap()
}

fn cells(values: &Values, scales: (u8, u8)) -> Vec<Option<Cell>> {
    let date = |day: i32| {
        let date = time::Date::from_julian_day(day + 2_440_588).unwrap();
        format!(
            "{:04}-{:02}-{:02}",
            date.year(),
            u8::from(date.month()),
            date.day()
        )
    };
    let moment = |(day, second, micros): (i32, u32, u32)| {
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let text = format!("{}T{hour:02}:{minute:02}:{:02}", date(day), second % 60);
        let all = (i64::from(day) * 86_400 + i64::from(second)) * 1_000_000 + i64::from(micros);
        Cell::Timestamp(text, micros, all)
    };
    vec![
        values.0.clone().map(Cell::Text),
        values.1.clone().map(Cell::Text),
        values.2.0.map(|number| Cell::Whole(number.into())),
        values.2.1.map(|number| Cell::Whole(number.into())),
        values.2.2.map(|number| Cell::Whole(number.into())),
        values.3.0.map(|units| Cell::Decimal(units, scales.0)),
        values.3.1.map(|units| Cell::Decimal(units, scales.1)),
        values.4.0.map(Cell::Boolean),
        values.4.1.map(|day| Cell::Date(date(day), day)),
        values.4.2.map(moment),
    ]
}

impl Cell {
    /// The simple way, without quotes.
    fn plain(&self, fraction: Fraction) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Decimal(units, scale) => {
                let scale = usize::from(*scale);
                let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
                let (whole, places) = digits.split_at(digits.len() - scale);
                let number = format!("{}{whole}.{places}", if *units < 0 { "-" } else { "" });
                number
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned()
            }
            Self::Boolean(value) => value.to_string(),
            Self::Date(text, _) => text.clone(),
            Self::Timestamp(text, 0, _) if fraction == Fraction::WhereNotZero => format!("{text}Z"),
            Self::Timestamp(text, micros, _) => format!("{text}.{micros:06}Z"),
        }
    }

    fn json(&self, options: &JsonOptions) -> String {
        let is_string = match self {
            Self::Text(_) | Self::Date(..) | Self::Timestamp(..) => true,
            Self::Boolean(_) => false,
            Self::Whole(_) => options.integers == Numbers::Strings,
            Self::Decimal(..) => options.decimals == Numbers::Strings,
        };
        let plain = self.plain(options.fraction);
        if is_string {
            serde_json::to_string(&plain).unwrap()
        } else {
            plain
        }
    }
}

fn simple_json(rows: &[Vec<Option<Cell>>], options: &JsonOptions) -> String {
    let rows = rows.iter().map(|row| {
        let cells = NAMES.iter().zip(row).filter_map(|(name, cell)| {
            let name = serde_json::to_string(name).unwrap();
            let value = cell.as_ref().map(|cell| cell.json(options));
            match (options.layout, options.nulls) {
                (Layout::Arrays, _) => Some(value.unwrap_or("null".to_owned())),
                (_, Nulls::Omitted) => value.map(|value| format!("{name}:{value}")),
                _ => Some(format!("{name}:{}", value.unwrap_or("null".to_owned()))),
            }
        });
        let cells = cells.collect::<Vec<_>>().join(",");
        if options.layout == Layout::Arrays {
            format!("[{cells}]")
        } else {
            format!("{{{cells}}}")
        }
    });
    if options.layout == Layout::Lines {
        rows.map(|row| row + "\n").collect()
    } else {
        rows.collect::<Vec<_>>().join(",")
    }
}

fn options() -> impl Strategy<Value = JsonOptions> {
    let numbers = || prop::sample::select(vec![Numbers::Literals, Numbers::Strings]);
    (
        prop::sample::select(vec![Layout::Lines, Layout::Objects, Layout::Arrays]),
        prop::sample::select(vec![Nulls::Written, Nulls::Omitted]),
        numbers(),
        numbers(),
        prop::sample::select(vec![Fraction::WhereNotZero, Fraction::Always]),
    )
        .prop_map(|(layout, nulls, decimals, integers, fraction)| {
            let mut options = JsonOptions::new(layout);
            options.nulls = nulls;
            options.decimals = decimals;
            options.integers = integers;
            options.fraction = fraction;
            options
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn json_is_what_the_simple_way_writes(given in given(), options in options()) {
        let encoder = JsonRows::new(&given.batch, &options).unwrap();
        let mut out = b"[".to_vec();
        let written = encoder.append(0..given.rows.len(), ALL, &mut out).unwrap();
        prop_assert_eq!(written, given.rows.len());
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(&text[1..], simple_json(&given.rows, &options));
    }

    #[test]
    fn readers_of_json_read_the_texts_back(given in given()) {
        let encoder = JsonRows::new(&given.batch, &JsonOptions::new(Layout::Lines)).unwrap();
        let mut out = Vec::new();
        encoder.append(0..given.rows.len(), ALL, &mut out).unwrap();
        let mut lines = out.split_inclusive(|byte| *byte == b'\n');
        for row in &given.rows {
            let line: serde_json::Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
            prop_assert_eq!(line.as_object().unwrap().len(), NAMES.len());
            for (name, cell) in NAMES.iter().zip(row) {
                match cell {
                    Some(Cell::Text(text)) => prop_assert_eq!(line[name].as_str(), Some(text.as_str())),
                    None => prop_assert!(line[name].is_null()),
                    Some(_) => prop_assert!(!line[name].is_null()),
                }
            }
        }
        prop_assert!(lines.next().is_none());
    }

    #[test]
    fn a_limit_is_kept_and_used(given in given(), options in options(), limit in 0_usize..3_000, step in 1_usize..20) {
        let encoder = JsonRows::new(&given.batch, &options).unwrap();
        let mut whole = Vec::new();
        let mut ends = vec![0];
        for row in 0..given.rows.len() {
            encoder.append(row..row + 1, ALL, &mut whole).unwrap();
            ends.push(whole.len());
        }
        // In steps, as a caller does who looks at rows one by one or in parts.
        let mut out = Vec::new();
        let mut next = 0;
        while next < given.rows.len() {
            let end = given.rows.len().min(next + step);
            let written = encoder.append(next..end, limit, &mut out).unwrap();
            let is_full = written < end;
            next = written;
            if is_full {
                break;
            }
        }
        prop_assert!(out.len() <= limit);
        prop_assert_eq!(&out[..], &whole[..ends[next]]);
        prop_assert!(next == given.rows.len() || ends[next + 1] > limit);
    }

    #[test]
    fn readers_of_csv_read_everything_back(given in given(), always: bool) {
        let mut options = CsvOptions::default();
        options.fraction = if always { Fraction::Always } else { Fraction::WhereNotZero };
        let encoder = CsvRows::new(&given.batch, &options).unwrap();
        let mut out = Vec::new();
        encoder.header(&mut out).unwrap();
        encoder.append(0..given.rows.len(), ALL, &mut out).unwrap();

        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(&out[..]);
        let mut records = reader.records();
        let header = records.next().unwrap().unwrap();
        prop_assert_eq!(header.iter().collect::<Vec<_>>(), NAMES);
        for row in &given.rows {
            let record = records.next().unwrap().unwrap();
            let fields = row.iter().map(|cell| {
                cell.as_ref().map(|cell| cell.plain(options.fraction)).unwrap_or_default()
            });
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), fields.collect::<Vec<_>>());
        }
        prop_assert!(records.next().is_none());
    }

    #[test]
    fn no_value_and_an_empty_text_are_two_things_in_csv(texts in prop::collection::vec(any::<Option<bool>>(), 1..5)) {
        let texts: Vec<_> = texts.into_iter().map(|text| text.map(|full| if full { "a,b" } else { "" })).collect();
        let columns = texts.iter().enumerate();
        let columns = columns.map(|(place, text)| {
            (place.to_string(), Arc::new(StringArray::from(vec![*text])) as ArrayRef)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, a)| (n, a, true))).unwrap();
        let mut out = Vec::new();
        CsvRows::new(&batch, &CsvOptions::default()).unwrap().append(0..1, ALL, &mut out).unwrap();
        let fields = texts.iter().map(|text| text.map_or(String::new(), |text| format!("\"{text}\"")));
        prop_assert_eq!(String::from_utf8(out).unwrap(), fields.collect::<Vec<_>>().join(",") + "\n");
    }

    #[test]
    fn binary_copy_holds_the_same_values(given in given()) {
        let encoder = CopyRows::new(&given.batch).unwrap();
        let mut out = Vec::new();
        encoder.append(0..given.rows.len(), ALL, &mut out).unwrap();
        let mut bytes = Bytes(&out);
        for row in &given.rows {
            prop_assert_eq!(bytes.i16() as usize, NAMES.len());
            for (place, cell) in row.iter().enumerate() {
                let length = bytes.i32();
                let Some(cell) = cell else {
                    prop_assert_eq!(length, -1);
                    continue;
                };
                let mut field = Bytes(bytes.take(length as usize));
                match cell {
                    Cell::Text(text) => prop_assert_eq!(field.take(length as usize), text.as_bytes()),
                    Cell::Whole(number) if place == 2 => prop_assert_eq!(i128::from(field.i64()), *number),
                    Cell::Whole(number) if place == 3 => prop_assert_eq!(i128::from(field.i32()), *number),
                    Cell::Whole(number) => prop_assert_eq!(field.numeric(), (number.to_string(), 0)),
                    Cell::Decimal(_, scale) => {
                        let plain = cell.plain(Fraction::Always);
                        prop_assert_eq!(field.numeric(), (plain, i16::from(*scale)));
                    }
                    Cell::Boolean(value) => prop_assert_eq!(field.take(1), [u8::from(*value)]),
                    Cell::Date(_, days) => prop_assert_eq!(field.i32(), days - 10_957),
                    Cell::Timestamp(_, _, micros) => {
                        prop_assert_eq!(field.i64(), micros - 946_684_800_000_000);
                    }
                }
                prop_assert!(field.0.is_empty());
            }
        }
        prop_assert!(bytes.0.is_empty());
    }
}

/// A reader of the binary form, as its documentation describes it.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    /// The number as text, without zeros at its ends, and its places.
    fn numeric(&mut self) -> (String, i16) {
        let (count, weight, sign, scale) = (self.i16(), self.i16(), self.i16(), self.i16());
        let digits: Vec<_> = (0..count).map(|_| self.i16()).collect();
        assert!(digits.iter().all(|digit| (0..10_000).contains(digit)));
        let digit = |weight_of: i16| {
            let place = usize::try_from(weight - weight_of).ok();
            place
                .and_then(|place| digits.get(place))
                .copied()
                .unwrap_or(0)
        };
        let part = |weights: &mut dyn Iterator<Item = i16>| -> String {
            weights
                .map(|weight| format!("{:04}", digit(weight)))
                .collect()
        };
        let whole = part(&mut (0..=weight.max(0)).rev());
        let places = part(&mut (-12..0).rev());
        let number = format!("{}.{places}", whole.trim_start_matches('0'));
        let number = number.trim_end_matches('0').trim_end_matches('.');
        let zero = if number.is_empty() || number.starts_with('.') {
            "0"
        } else {
            ""
        };
        let minus = if sign == 0x4000 { "-" } else { "" };
        (format!("{minus}{zero}{number}"), scale)
    }
}

#[test]
fn every_special_at_every_offset() {
    // One text of all, so that whatever stands behind a text is not blank.
    for special in (0_u8..=127)
        .map(char::from)
        .chain(['é', '\u{20ac}', '\u{1f600}', '\u{ffff}'])
    {
        let texts: Vec<_> = (0..50)
            .map(|at| format!("{}{special}{}", "x".repeat(at % 34), "y".repeat(at)))
            .collect();
        let batch = RecordBatch::try_from_iter([(
            "t",
            Arc::new(StringArray::from(texts.clone())) as ArrayRef,
        )]);
        let batch = batch.unwrap();
        let mut out = Vec::new();
        let encoder = JsonRows::new(&batch, &JsonOptions::new(Layout::Lines)).unwrap();
        encoder.append(0..texts.len(), ALL, &mut out).unwrap();
        let expected: String = texts
            .iter()
            .map(|text| format!("{{\"t\":{}}}\n", serde_json::to_string(text).unwrap()))
            .collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn only_special_characters() {
    let texts = StringArray::from(vec!["\u{1}".repeat(1_000), "\"".repeat(1_000)]);
    let batch = RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap();
    let mut out = Vec::new();
    JsonRows::new(&batch, &JsonOptions::new(Layout::Arrays))
        .unwrap()
        .append(0..2, ALL, &mut out)
        .unwrap();
    let expected = format!(
        "[\"{}\"],[\"{}\"]",
        "\\u0001".repeat(1_000),
        "\\\"".repeat(1_000)
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);

    let mut out = Vec::new();
    CsvRows::new(&batch, &CsvOptions::default())
        .unwrap()
        .append(1..2, ALL, &mut out)
        .unwrap();
    assert_eq!(out, format!("\"{}\"\n", "\"".repeat(2_000)).as_bytes());
}

#[test]
fn a_day_without_four_digits_of_year_stops_before_its_row() {
    let days = Date32Array::from(vec![Some(0), None, Some(2_932_897), Some(1)]);
    let batch = RecordBatch::try_from_iter([("due", Arc::new(days) as ArrayRef)]).unwrap();
    let json = JsonRows::new(&batch, &JsonOptions::new(Layout::Lines)).unwrap();
    let mut out = Vec::new();
    let refused = json.append(0..4, ALL, &mut out).unwrap_err();
    assert_eq!((refused.row, refused.column.as_str()), (2, "due"));
    assert_eq!(out, b"{\"due\":\"1970-01-01\"}\n{\"due\":null}\n");
    assert_eq!(json.append(3..4, ALL, &mut out).unwrap(), 4);
    assert!(out.ends_with(b"{\"due\":\"1970-01-02\"}\n"));

    let csv = CsvRows::new(&batch, &CsvOptions::default()).unwrap();
    assert_eq!(csv.append(0..4, ALL, &mut Vec::new()).unwrap_err(), refused);
    let copy = CopyRows::new(&batch).unwrap();
    assert_eq!(
        copy.append(0..4, ALL, &mut Vec::new()).unwrap_err(),
        refused
    );
    let error = sync_core::Error::from(refused);
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error.to_string().contains("(column: due, row: 2)"),
        "{error}"
    );
}

#[test]
fn postgres_gets_no_nul() {
    let long = "x".repeat(20);
    let texts = StringArray::from(vec!["fine".to_owned(), format!("{long}\0{long}")]);
    let batch = RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap();
    let mut out = Vec::new();
    let csv = CsvRows::new(&batch, &CsvOptions::default()).unwrap();
    assert_eq!(csv.append(0..2, ALL, &mut out).unwrap_err().row, 1);
    assert_eq!(out, b"\"fine\"\n");
    out.clear();
    let copy = CopyRows::new(&batch).unwrap();
    assert_eq!(copy.append(0..2, ALL, &mut out).unwrap_err().row, 1);
    assert_eq!(out, b"\0\x01\0\0\0\x04fine");
}

#[test]
fn other_types_are_refused_by_name() {
    let decimals = |scale| {
        Decimal128Array::from(vec![1])
            .with_precision_and_scale(38, scale)
            .unwrap()
    };
    let local = TimestampMicrosecondArray::from(vec![0]);
    let columns: [ArrayRef; 4] = [
        Arc::new(Float64Array::from(vec![0.5])),
        Arc::new(decimals(-2)),
        Arc::new(local.clone()),
        Arc::new(local.with_timezone("Europe/Berlin")),
    ];
    for column in columns {
        let batch = RecordBatch::try_from_iter([("odd", column)]).unwrap();
        let errors = [
            JsonRows::new(&batch, &JsonOptions::new(Layout::Lines))
                .err()
                .unwrap(),
            CsvRows::new(&batch, &CsvOptions::default()).err().unwrap(),
            CopyRows::new(&batch).err().unwrap(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(
                error.context().any(|context| context == ("column", "odd")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_text_beyond_the_limit_takes_no_room() {
    let texts = StringArray::from(vec!["a".to_owned(), "b".repeat(1 << 20)]);
    let batch = RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap();
    let encoder = JsonRows::new(&batch, &JsonOptions::new(Layout::Objects)).unwrap();
    let mut out = Vec::new();
    assert_eq!(encoder.append(0..2, 1_000, &mut out).unwrap(), 1);
    assert_eq!(out, b"{\"t\":\"a\"}");
    assert!(out.capacity() < 100_000);
}

#[test]
fn rows_of_several_batches_join() {
    let batch =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])
            .unwrap();
    let encoder = JsonRows::new(&batch, &JsonOptions::new(Layout::Objects)).unwrap();
    let mut out = b"{\"rows\":[".to_vec();
    encoder.append(0..2, ALL, &mut out).unwrap();
    encoder.append(1..2, ALL, &mut out).unwrap();
    out.extend_from_slice(b"]}");
    assert_eq!(out, b"{\"rows\":[{\"n\":1},{\"n\":2},{\"n\":2}]}");
}
