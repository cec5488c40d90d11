//! What the company added to the product: custom fields, an object of its own, and a dimension.
//!
//! Names of such fields keep the letters in which somebody once wrote them.

use super::super::{Asset, Books, Entry, Item, NONE, Party, Region};
use super::{Line, Spec, date, instant, key_of};
use crate::calendar;
use crate::decimal::Decimal;
use crate::table::Row;
use crate::value::{Class, Value};

/// Assets that vendors name; they stay.
pub(crate) const NAMED_ASSETS: u32 = 6;

/// The values of the fields that hold several at once.
const PLACES: &[(&str, &str)] = &[
    ("North", "North"),
    ("South & Islands", "South & Islands"),
    ("Zürich", "Zürich"),
];
const TAGS: &[(&str, &str)] = &[
    ("leased", "leased"),
    ("insured", "insured"),
    ("sold", "sold"),
];

/// A number for a record that stays the same whatever happens to it.
fn fate(books: &Books, row: &impl Row) -> u64 {
    let mixed = books.seed ^ u64::from(row.head().id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20
}

/// Some of the values of a field, joined as the gateway joins them.
fn picked<'a>(fate: u64, values: &[(&str, &str)]) -> Value<'a> {
    let chosen = values
        .iter()
        .enumerate()
        .filter(|(place, _)| fate >> place & 1 == 1);
    let labels: Vec<&str> = chosen.map(|(_, (label, _))| *label).collect();
    Value::owned(labels.join("#~#"))
}

/// The region of a line follows from its location; some locations are in none.
fn region_of(books: &Books, location: u32) -> u32 {
    if location == NONE {
        return NONE;
    }
    let place = (location + books.seed as u32) % 6;
    if place < books.regions.slots() {
        place
    } else {
        NONE
    }
}

impl<T: Line> Spec<T> {
    /// The user-defined dimension of a line: the id of its record.
    pub(super) fn user_dimension(self) -> Self {
        self.int("GLDIMregion", |books, line| {
            let location = line.dimensions(books).location;
            key_of(&books.regions, region_of(books, location))
        })
        .custom()
        .relation("GLDIMregion", "region", "GLDIMregion", |books, line| {
            Some(region_of(books, line.dimensions(books).location))
        })
    }
}

impl Spec<Party> {
    pub(super) fn vendor_custom(self) -> Self {
        self.choice("Preferred_Regions", PLACES, |books, row| {
            picked(fate(books, row), PLACES)
        })
        .custom()
        .decimal("Contract_Value", |books, row| {
            match fate(books, row) % 100_000 {
                units if units % 4 == 0 => Value::Null,
                units => Value::Number(Decimal {
                    units: i128::from(units),
                    scale: 3,
                }),
            }
        })
        .custom()
        .date("Last_Audit", |books, row| match fate(books, row) % 400 {
            days if days % 3 == 0 => Value::Null,
            days => date(calendar::days(2024, 6, 1) + days as i32),
        })
        .custom()
        .int("Rasset", |books, row| {
            key_of(&books.assets, asset_of(books, row))
        })
        .custom()
        .relation("Rasset", "asset", "Rasset", |books, row| {
            Some(asset_of(books, row))
        })
    }
}

fn asset_of(books: &Books, vendor: &Party) -> u32 {
    let place = (fate(books, vendor) / 7 % u64::from(NAMED_ASSETS * 2)) as u32;
    if place < NAMED_ASSETS { place } else { NONE }
}

impl Spec<Item> {
    pub(super) fn bill_item_custom(self) -> Self {
        self.text("Freight_Class", |books, row| match fate(books, row) % 5 {
            0 => Value::text("FTL <20t"),
            1 => Value::text("LTL & parcel"),
            _ => Value::Null,
        })
        .custom()
    }
}

impl Spec<Entry> {
    pub(super) fn entry_custom(self) -> Self {
        self.text("Cost_Note", |books, row| match fate(books, row) % 9 {
            0 => Value::text("see file"),
            1 => Value::text("\"split\" 50/50"),
            _ => Value::Null,
        })
        .custom()
    }
}

pub(super) fn asset() -> Spec<Asset> {
    Spec::new("asset", "Asset", |books| &books.assets)
        .id()
        .text("name", |_, row| Value::text(&row.name))
        .last(|info| info.required = true)
        .money("Book_Value", |_, row| Value::Money(row.value))
        .date("Acquired", |_, row| date(row.acquired))
        .choice("Tags", TAGS, |books, row| picked(fate(books, row), TAGS))
        // Two fields that differ in their letters only.
        .text("Site", |books, row| match fate(books, row) % 3 {
            0 => Value::Null,
            _ => Value::text("Hall 1"),
        })
        .text("site", |books, row| match fate(books, row) % 4 {
            0 => Value::Null,
            _ => Value::text("yard"),
        })
        .platform()
}

pub(super) fn region() -> Spec<Region> {
    Spec::new("region", "Region", |books| &books.regions)
        .id()
        .text("name", |_, row| Value::text(row.name))
        .last(|info| info.required = true)
        .platform()
}

impl<T: Row> Spec<T> {
    /// Objects of a company's own have an id in the place of RECORDNO.
    fn id(self) -> Self {
        self.int("id", |_, row| Value::Key(u64::from(row.head().id)))
            .last(|info| {
                info.class = Class::Number;
                info.read_only = true;
            })
    }

    /// When and by whom the record was made and changed, under the names of such objects.
    fn platform(self) -> Self {
        self.int("createdBy", |_, row| {
            Value::Key(u64::from(row.head().created_by))
        })
        .instant("createdAt", |_, row| instant(row.head().created))
        .int("updatedBy", |_, row| {
            Value::Key(u64::from(row.head().modified_by))
        })
        .instant("updatedAt", |_, row| instant(row.head().modified))
        .url()
        .business_key("name")
    }
}
