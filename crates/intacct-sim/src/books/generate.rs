//! Makes a company: its master data, then two years of business, day by day.

use fastrand::Rng;

use super::balances::{Balances, FIRST_MONTH, MONTHS};
use super::chart;
use super::events::{RATE_ONE, Side};
use super::names;
use super::{
    Account, Asset, Books, Department, Employee, Heading, Journal, Location, NO_DATE, NONE, Origin,
    Period, Plain, Posting, Project, Region, Status, User, head,
};
use crate::calendar::{self, DAY, HOUR};
use crate::company::Scale;
use crate::table::{Row, Table};

/// The first day of business.
const OPENING: i32 = calendar::days(2024, 1, 1);

/// A company that is a function of seed, scale and the instant at which its clock starts.
pub(crate) fn generate(seed: u64, scale: Scale, start: i64) -> Books {
    let sizes = Sizes::of(scale);
    let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ scale.lines());
    let mut books = empty(seed, start);
    books.texts = names::texts(&mut random);
    master_data(&mut books, &sizes, &mut random);
    opening_balances(&mut books);
    business(&mut books, &sizes, &mut random);
    never_modified(&mut books);
    own_records(&mut books, &sizes);
    books.settle();
    books
}

/// How many of each there are.
struct Sizes {
    lines: u32,
    /// Ledger lines that one import posts in one second.
    import: u32,
    parties: u32,
    projects: u32,
    employees: u32,
    departments: usize,
}

impl Sizes {
    fn of(scale: Scale) -> Self {
        let (import, parties, projects, employees, departments) = match scale {
            Scale::Tiny => (120, 20, 6, 8, 5),
            Scale::Small => (2_600, 160, 30, 40, 8),
            Scale::Medium => (6_000, 1_500, 200, 300, 10),
            Scale::Large => (9_000, 4_000, 600, 1_200, 10),
        };
        let lines = scale.lines() as u32;
        Self {
            lines,
            import,
            parties,
            projects,
            employees,
            departments,
        }
    }
}

fn empty(seed: u64, start: i64) -> Books {
    Books {
        seed,
        start,
        entities: Table::new(1),
        locations: Table::new(1),
        departments: Table::new(1),
        classes: Table::new(1),
        projects: Table::new(1),
        customers: Table::new(11),
        vendors: Table::new(21),
        employees: Table::new(31),
        accounts: Table::new(101),
        journals: Table::new(1),
        periods: Table::new(1),
        users: Table::new(1),
        // Transactions count on from what the company had before it moved to this system, and
        // cross a power of ten soon: numbers must not be compared as texts.
        bills: Table::new(950),
        bill_items: Table::new(1_900),
        payments: Table::new(90),
        payment_details: Table::new(900),
        invoices: Table::new(930),
        invoice_items: Table::new(1_920),
        batches: Table::new(870),
        entries: Table::new(9_600),
        audit: Table::new(1),
        assets: Table::new(10_095),
        regions: Table::new(10_001),
        texts: Vec::new(),
        open_bills: Vec::new(),
        open_invoices: Vec::new(),
        balances: Balances::default(),
        balance_rows: std::sync::OnceLock::new(),
    }
}

/// The records of the company's own object and dimension. They have dice of their own, so that
/// all else is what it would be without them.
fn own_records(books: &mut Books, sizes: &Sizes) {
    let mut random = Rng::with_seed(books.seed ^ 0xA55E_7000);
    for (place, name) in names::REGIONS.into_iter().enumerate() {
        let made = at(OPENING, 10 * HOUR + place as i64);
        books.regions.push(Region {
            head: head(made, 0),
            name,
        });
    }
    for number in 0..(sizes.parties / 4).max(12) {
        let acquired = OPENING + random.i32(0..600);
        let slot = books.assets.push(Asset {
            head: head(at(acquired, 11 * HOUR), 0),
            name: names::asset(number),
            value: random.i64(10_000..90_000_000),
            acquired,
        });
        if random.bool() {
            books.assets.complete(slot).head.modified =
                at(acquired + random.i32(1..100), 12 * HOUR);
        }
    }
}

fn at(date: i32, seconds: i64) -> u32 {
    (i64::from(date) * DAY + seconds) as u32
}

fn master_data(books: &mut Books, sizes: &Sizes, random: &mut Rng) {
    // Everything that the company started with was imported in one second.
    let imported = at(OPENING - 20, 9 * HOUR + 754);
    for (login, description) in [
        ("sim-user", "Web services user"),
        ("admin", "Administrator"),
        ("close", "Month end & close"),
    ] {
        books.users.push(User {
            head: head(imported, 0),
            login: login.to_owned(),
            description: description.to_owned(),
        });
    }
    let mut categories: Vec<&str> = Vec::new();
    for (place, (number, title, balance_sheet, debit, category)) in
        chart::ACCOUNTS.into_iter().enumerate()
    {
        let known = categories.iter().position(|known| *known == category);
        let category_key = known.unwrap_or_else(|| {
            categories.push(category);
            categories.len() - 1
        });
        books.accounts.push(Account {
            head: head(imported + place as u32 / 20, 0),
            number,
            title,
            balance_sheet,
            debit,
            category,
            category_key: category_key as u32 + 1,
            status: Status::Active,
            require_department: !balance_sheet && place % 3 == 0,
            taxable: place % 7 == 0,
            tax_code: if place % 5 == 0 {
                format!("0{place:02}")
            } else {
                String::new()
            },
        });
    }
    for (symbol, title, book, adjusting) in chart::JOURNALS {
        let head = head(imported, 0);
        books.journals.push(Journal {
            head,
            symbol,
            title,
            book,
            adjusting,
            last_number: 0,
        });
    }
    periods(books, imported);
    places(books, imported);
    let titles = [
        ("010", "Sales", NONE),
        ("011", "Inside Sales", 0),
        ("020", "Engineering", NONE),
        ("030", "Finance & Administration", NONE),
        ("040", "Customer Support", NONE),
        ("021", "Platform", 2),
        ("050", "Marketing", NONE),
        ("060", "研究開発", NONE),
        ("0511", "Events <live>", 6),
        ("070", "Facilities", NONE),
    ];
    for (code, title, parent) in titles.into_iter().take(sizes.departments) {
        books.departments.push(Department {
            head: head(imported, 0),
            code: code.to_owned(),
            title: title.to_owned(),
            parent,
            supervisor: NONE,
            status: Status::Active,
            report_title: String::new(),
        });
    }
    for (code, name) in [
        ("C-01", "Enterprise"),
        ("C-02", "Mid-market"),
        ("C-03", "Public & Non-profit"),
        ("C-04", "Éducation"),
    ] {
        books.classes.push(Plain {
            head: head(imported + 3, 0),
            code: code.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            status: Status::Active,
        });
    }
    people(books, sizes, random, imported);
    for side in [Side::Purchase, Side::Sale] {
        for number in 0..sizes.parties {
            // A quarter came with the import, the others one by one in the weeks after it.
            let made = if number < sizes.parties / 4 {
                imported + 60
            } else {
                imported + 400 + number * 613 % 1_200_000
            };
            let slot = books.new_party(side, random, made);
            if number % 40 == 17 {
                let party = match side {
                    Side::Purchase => books.vendors.complete(slot),
                    Side::Sale => books.customers.complete(slot),
                };
                // Private to an entity: no documents, seen at top level only on request.
                party.head.entity = 1 + (number % 3) as u8;
                party.head.private = true;
            }
        }
    }
    for number in 0..sizes.projects {
        let customer = random.u32(0..books.customers.slots() * 8 / 10);
        let begin = OPENING + random.i32(0..500);
        let entity = random.u8(0..3);
        let location = books.a_location(random, entity) + 1;
        books.projects.push(Project {
            head: head(imported + 300 + number * 97, 0),
            name: format!("{} rollout {number}", names::job_title(random)),
            customer,
            manager: random.u32(0..books.employees.slots()),
            department: random.u8(0..books.departments.slots() as u8) + 1,
            location,
            begin,
            end: begin + random.i32(30..400),
            budget: random.i64(10..900) * 100_000,
            contract: random.i64(10..900) * 123_450,
            text: random.u32(0..2_000),
            status: Status::Active,
            billing: random.u8(0..3),
        });
    }
}

fn periods(books: &mut Books, imported: u32) {
    for month in 0..MONTHS as i32 {
        let start = calendar::first_of_month(FIRST_MONTH + month);
        let (year, number, _) = calendar::civil(start);
        books.periods.push(Period {
            head: head(imported, 0),
            name: format!("Month Ended {} {year}", MONTH_NAMES[number as usize - 1]),
            start,
            end: calendar::first_of_month(FIRST_MONTH + month + 1) - 1,
            budgeting: true,
        });
    }
    for year in 2024..2024 + MONTHS as i32 / 12 {
        books.periods.push(Period {
            head: head(imported, 0),
            name: format!("Calendar Year Ended December {year}"),
            start: calendar::days(year, 1, 1),
            end: calendar::days(year, 12, 31),
            budgeting: false,
        });
    }
}

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn places(books: &mut Books, imported: u32) {
    let entities = [
        ("100", "Hollin Ridge Inc.", 0_u8),
        ("200", "Hollin Ridge Canada Ltée", 4),
        ("300", "Hollin Ridge (UK) Limited", 5),
    ];
    let location = |code: String, name: String, parent: u32, city: u8| Location {
        head: head(imported, 0),
        tax_id: format!("98-{:07}", 1_234_567 + u32::from(city) * 7_919),
        code,
        name,
        parent,
        city,
        currency: 0,
        status: Status::Active,
    };
    for (code, name, city) in entities {
        let entity = location(code.to_owned(), name.to_owned(), NONE, city);
        books.entities.push(entity.clone());
        books.locations.push(entity);
    }
    let sites = [
        [
            ("01", "Headquarters", 0),
            ("02", "Chicago Warehouse", 2),
            ("03", "Boston & Austin", 11),
        ],
        [
            ("01", "Montréal", 3),
            ("02", "Toronto", 4),
            ("03", "Remote Canada", 4),
        ],
        [
            ("01", "London", 5),
            ("02", "Leeds", 6),
            ("03", "München (branch)", 7),
        ],
    ];
    for (entity, sites) in sites.into_iter().enumerate() {
        for (code, name, city) in sites {
            let code = format!("{}-{code}", entities[entity].0);
            books
                .locations
                .push(location(code, name.to_owned(), entity as u32, city));
        }
    }
}

fn people(books: &mut Books, sizes: &Sizes, random: &mut Rng, imported: u32) {
    for number in 0..sizes.employees {
        let entity = random.u8(0..3);
        let location = books.a_location(random, entity) + 1;
        books.employees.push(Employee {
            head: head(imported + 100 + number / 10, 0),
            contact: names::contact(random),
            title: names::job_title(random).to_owned(),
            department: random.u8(0..books.departments.slots() as u8) + 1,
            location,
            supervisor: if number == 0 {
                NONE
            } else {
                random.u32(0..number)
            },
            start: OPENING - random.i32(20..3_000),
            end: NO_DATE,
            status: Status::Active,
        });
    }
    for slot in 0..books.departments.slots() {
        let supervisor = random.u32(0..books.employees.slots());
        books.departments.complete(slot).supervisor = supervisor;
    }
}

/// What the company had on its first day, so that balances stand on something.
fn opening_balances(books: &mut Books) {
    let place = books.entities.slots() as u8 + 1;
    let capital = 900_000_000;
    let lines = [
        Posting::plain(chart::CASH, place, true, 700_000_000),
        Posting::plain(chart::PETTY_CASH, place, true, 5_000_000),
        Posting::plain(chart::EQUIPMENT, place, true, 120_000_000),
        Posting::plain(chart::PREPAID, place, true, 75_000_000),
        Posting::plain(chart::CAPITAL, place, false, capital),
    ];
    let heading = Heading {
        journal: chart::GENERAL,
        date: OPENING,
        currency: 0,
        rate: RATE_ONE,
        entity: 1,
        origin: Origin::Manual,
        text: 0,
    };
    books.post(heading, &lines, at(OPENING, 7 * HOUR));
}

fn business(books: &mut Books, sizes: &Sizes, random: &mut Rng) {
    let last = calendar::date_of(books.start);
    let span = (last - OPENING).max(1);
    let imports = [
        OPENING + span / 5,
        OPENING + span / 2,
        OPENING + span * 4 / 5,
    ];
    // The largest import is in the middle; the two others are smaller.
    let import_lines = [sizes.import / 4, sizes.import, sizes.import / 3];
    for day in 0..=span {
        let date = OPENING + day;
        let regular =
            u64::from(sizes.lines) * u64::from(day.unsigned_abs() + 1) / (span as u64 + 1);
        let regular = regular as u32;
        let missing = regular.saturating_sub(books.entries.slots());
        // Work starts at eight and stops at half past two, whatever is left to do.
        let mut second = 8 * HOUR;
        let step = (6 * HOUR + HOUR / 2) / i64::from(missing / 3 + 1);
        while books.entries.slots() < regular {
            one_event(books, random, date, at(date, second));
            second = (second + random.i64(0..=step * 2)).min(14 * HOUR + HOUR / 2);
        }
        if let Some(import) = imports.iter().position(|&on| on == date) {
            let until = books.entries.slots() + import_lines[import];
            while books.entries.slots() < until {
                one_event(books, random, date, at(date, 14 * HOUR + 45 * 60 + 17));
            }
        }
    }
}

fn one_event(books: &mut Books, random: &mut Rng, date: i32, at: u32) {
    match random.u32(0..100) {
        0..27 => {
            books.new_document(Side::Purchase, random, date, at);
        }
        27..54 => {
            books.new_document(Side::Sale, random, date, at);
        }
        54..73 => {
            books.pay_some(random, date, at);
        }
        73..88 => {
            books.receive_some(random, date, at);
        }
        _ => {
            books.new_entry(random, date, at);
        }
    }
}

/// A few records of every kind were created and never modified.
fn never_modified(books: &mut Books) {
    fn forget<T: Row>(table: &mut Table<T>, one_in: u32) {
        for slot in (one_in / 3..table.slots()).step_by(one_in as usize) {
            let head = table.get(slot).head();
            if head.created == head.modified {
                table.forget_change(slot);
            }
        }
    }
    forget(&mut books.vendors, 60);
    forget(&mut books.customers, 60);
    forget(&mut books.accounts, 30);
    forget(&mut books.employees, 30);
    forget(&mut books.bills, 150);
    forget(&mut books.bill_items, 250);
    forget(&mut books.invoices, 150);
    forget(&mut books.invoice_items, 250);
    forget(&mut books.payments, 150);
    forget(&mut books.payment_details, 250);
    forget(&mut books.batches, 150);
    forget(&mut books.entries, 300);
}
