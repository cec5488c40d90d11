//! The records of the paced gateway: a thousand vendors, again and again under other numbers.

use std::io::Write;

use crate::SEED;
use crate::page::{GL_DETAIL_FORMS, Page};
use crate::record::{Record, Vendor};

/// The number of the first record. All numbers have as many digits, so that they are also in the
/// order of texts.
pub const FIRST_NUMBER: usize = 10_000_001;

/// How many seconds lie between the times of change of two records.
pub const SECONDS_APART: usize = 30;

/// When the first record was changed, in seconds since 1970: 2024-01-01 00:00 UTC.
pub const fn first_modified() -> i64 {
    1_704_067_200
}

const DIFFERENT: usize = 1_000;

/// Vendors as elements, with a place for number and time.
pub(super) struct Records {
    count: usize,
    templates: Vec<Template>,
}

struct Template {
    xml: Vec<u8>,
    number_at: usize,
    modified_at: usize,
}

const NUMBER: &str = "00000000";
const MODIFIED: &str = "00/00/0000 00:00:00";

impl Records {
    pub(super) fn new(count: usize) -> Self {
        let page = Page::<Vendor>::new(GL_DETAIL_FORMS[0], DIFFERENT, SEED);
        let begin = format!("<{}>", Vendor::OBJECT);
        let end = format!("</{}>", Vendor::OBJECT);
        let elements = page.body.split(begin.as_str()).skip(1);
        let templates = elements
            .filter_map(|rest| Some(rest.split_once(end.as_str())?.0))
            .map(|fields| {
                let xml = format!("{begin}{fields}{end}");
                let (xml, _) = with_value(&xml, "RECORDNO", NUMBER);
                let (xml, modified_at) = with_value(&xml, "WHENMODIFIED", MODIFIED);
                let (xml, number_at) = with_value(&xml, "RECORDNO", NUMBER);
                Template {
                    xml: xml.into_bytes(),
                    number_at,
                    modified_at,
                }
            });
        Self {
            count,
            templates: templates.collect(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Appends a record as an element.
    pub(super) fn push(&self, index: usize, out: &mut Vec<u8>) {
        let template = &self.templates[index % self.templates.len()];
        let from = out.len();
        out.extend_from_slice(&template.xml);
        let record = &mut out[from..];
        let mut number = &mut record[template.number_at..][..NUMBER.len()];
        // The texts are as long as their places.
        let _ = write!(number, "{}", FIRST_NUMBER + index);
        let place = &mut record[template.modified_at..][..MODIFIED.len()];
        place.copy_from_slice(date_time(modified(index)).as_bytes());
    }

    /// How many records have a smaller number.
    pub(super) fn below_number(&self, number: usize) -> usize {
        number.saturating_sub(FIRST_NUMBER).min(self.count)
    }

    /// How many records were changed before that.
    pub(super) fn before(&self, seconds: i64) -> usize {
        let since = usize::try_from(seconds - first_modified()).unwrap_or(0);
        since.div_ceil(SECONDS_APART).min(self.count)
    }
}

/// When a record was changed, in seconds since 1970.
pub(super) fn modified(index: usize) -> i64 {
    first_modified() + (index * SECONDS_APART) as i64
}

/// Sets the value of an element, and says where it stands.
fn with_value(xml: &str, name: &str, value: &str) -> (String, usize) {
    let begin = format!("<{name}>");
    let at = xml.find(&begin).map_or(0, |at| at + begin.len());
    let end = xml[at..].find("</").map_or(at, |end| at + end);
    (format!("{}{value}{}", &xml[..at], &xml[end..]), at)
}

/// `mm/dd/yyyy hh:mm:ss`
pub(super) fn date_time(seconds: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds);
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (month, day, year) = (u8::from(at.month()), at.day(), at.year());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
}

/// The seconds since 1970 of `mm/dd/yyyy hh:mm:ss`, or of a day alone.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|text| text.parse::<u16>().ok());
    let (month, day, year) = (next()?, next()?, next()?);
    let [hour, minute, second] = [(); 3].map(|()| next().unwrap_or(0) as u8);
    let month = time::Month::try_from(month as u8).ok()?;
    let date = time::Date::from_calendar_date(i32::from(year), month, day as u8).ok()?;
    let at = date.with_hms(hour, minute, second).ok()?;
    Some(at.assume_utc().unix_timestamp())
}
