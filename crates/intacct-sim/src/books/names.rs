//! Words for names, places and descriptions, some of them awkward on purpose.

use fastrand::Rng;

use super::Contact;

const FIRST: [&str; 24] = [
    "Ana",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Grace",
    "Héctor",
    "Ingrid",
    "Jun",
    "Kwame",
    "Leilani",
    "Marta",
    "Niamh",
    "Oluwaseun",
    "Priya",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomás",
    "Uma",
    "Wei",
    "Yuki",
    "Zofia",
];
const LAST: [&str; 24] = [
    "Abara",
    "Bergström",
    "Castillo",
    "D'Angelo",
    "Eriksen",
    "Fournier",
    "Grant",
    "Hakimi",
    "Ito",
    "Jensen",
    "Kowalska",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "O'Brien",
    "Patel",
    "Quispe",
    "Rossi",
    "Schäfer",
    "Tanaka",
    "Ueda",
    "Vargas",
    "Weiß",
    "Zhang",
];
const STEMS: [&str; 28] = [
    "Alder",
    "Bluewater",
    "Cascade",
    "Delta Ridge",
    "Evergreen",
    "Fathom",
    "Granite",
    "Harbor",
    "Ironwood",
    "Juniper",
    "Keystone",
    "Lakeshore",
    "Meridian",
    "Northgate",
    "Orchard",
    "Pinnacle",
    "Quarry",
    "Redwood",
    "Summit",
    "Tidewater",
    "Umber",
    "Vantage",
    "Willow",
    "Yellowstone",
    "Zephyr",
    "Copper Hill",
    "Stone Creek",
    "Silver Fern",
];
const TRADES: [&str; 20] = [
    "Analytics",
    "Builders",
    "Catering",
    "Consulting",
    "Data Centers",
    "Electric",
    "Fabrication",
    "Freight",
    "Graphics",
    "Insurance",
    "Janitorial",
    "Law",
    "Logistics",
    "Media",
    "Office Supply",
    "Packaging",
    "Software",
    "Staffing",
    "Travel",
    "Utilities",
];
const FORMS: [&str; 8] = [
    "Inc.", "LLC", "Ltd.", "Corp.", "GmbH", "S.A.", "Group", "Partners",
];
/// Company names that break careless software.
const AWKWARD_NAMES: [&str; 12] = [
    "Smith & Sons",
    "O'Reilly \"Quick\" Print",
    "<Angle> Brackets Ltd.",
    "Müller & Söhne GmbH",
    "東京データ株式会社",
    "Société Générale d'Équipement",
    "A&amp;B Already Escaped Co.",
    "C]]>D Data Services",
    "  Leading and trailing  ",
    "Łódź Überprüfung s.r.o.",
    "100% Pure / _Under_score",
    "Emoji 🚀 Ventures",
];
/// Descriptions that break careless software.
const AWKWARD_TEXTS: [&str; 14] = [
    "Q&A session <with> \"quotes\"",
    "Line one\nLine two",
    "Tab\tseparated\tvalues",
    "Windows line\r\nends here",
    "Ends a section ]]> early",
    "Déjà vu: ça coûte 5 €",
    "四半期レビュー（予算）",
    "it's 5 < 6 && 7 > 3",
    "&lt;not a tag&gt; &#38; co",
    " spaces at both ends ",
    "50% deposit_for work",
    "back\\slash and 'single' quotes",
    "Ω≈ç√∫ – em—dash … ellipsis",
    "زيارة العميل",
];
const WORK: [&str; 20] = [
    "Monthly retainer",
    "Office rent",
    "Cloud hosting",
    "Conference travel",
    "Replacement laptops",
    "Legal review",
    "Design work",
    "Freight charges",
    "Insurance premium",
    "Cleaning service",
    "Team offsite",
    "Contract staff",
    "Printing",
    "Phone lines",
    "License renewal",
    "Site survey",
    "Support plan",
    "Training seats",
    "Annual audit",
    "Advertising campaign",
];
const WHEN: [&str; 10] = [
    "January",
    "Q1",
    "spring",
    "first half",
    "Q2",
    "summer",
    "Q3",
    "autumn",
    "Q4",
    "year end",
];
const STREETS: [&str; 10] = [
    "Market St",
    "Rue de l'Église",
    "Main Street",
    "2nd Ave",
    "King's Road",
    "Hauptstraße",
    "Harbour View",
    "Calle Mayor",
    "Park Lane",
    "Oak & Elm Crossing",
];
const TITLES: [&str; 10] = [
    "Controller",
    "AP Clerk",
    "Engineer",
    "Sales Manager",
    "Recruiter",
    "VP, Finance & Ops",
    "Support Lead",
    "Analyst",
    "Designer",
    "Project Manager",
];

/// City, state, country and its code.
pub(crate) const CITIES: [(&str, &str, &str, &str); 12] = [
    ("Portland", "OR", "United States", "US"),
    ("San José", "CA", "United States", "US"),
    ("Chicago", "IL", "United States", "US"),
    ("Montréal", "QC", "Canada", "CA"),
    ("Toronto", "ON", "Canada", "CA"),
    ("London", "", "United Kingdom", "GB"),
    ("Leeds", "", "United Kingdom", "GB"),
    ("München", "BY", "Germany", "DE"),
    ("Lyon", "", "France", "FR"),
    ("Osaka", "", "Japan", "JP"),
    ("Austin", "TX", "United States", "US"),
    ("Boston", "MA", "United States", "US"),
];

/// Payment terms: name and days.
pub(crate) const TERMS: [(&str, i32); 4] = [
    ("Net 30", 30),
    ("Net 15", 15),
    ("Net 60", 60),
    ("Due on receipt", 0),
];

/// The members of the dimension `region`.
pub(crate) const REGIONS: [&str; 4] = ["North", "South & Islands", "Zürich", "Overseas <all>"];

/// The name of an asset, by its number.
pub(crate) fn asset(number: u32) -> String {
    const KINDS: [&str; 5] = ["Truck", "Press \"A\"", "Crane", "Server & rack", "測定器"];
    format!("{} {:03}", KINDS[number as usize % KINDS.len()], number + 1)
}

/// Ratings of the custom field RATING of vendors; the first stands for none.
pub(crate) const RATINGS: [&str; 6] = ["", "A", "B", "C", "Preferred & trusted", "Blocked"];

pub(crate) fn company(random: &mut Rng, number: u32) -> String {
    if random.u32(0..20) == 0 {
        return format!("{} {number}", pick(random, &AWKWARD_NAMES));
    }
    let (stem, trade) = (pick(random, &STEMS), pick(random, &TRADES));
    format!("{stem} {trade} {} {number}", pick(random, &FORMS))
}

pub(crate) fn job_title(random: &mut Rng) -> &'static str {
    pick(random, &TITLES)
}

pub(crate) fn contact(random: &mut Rng) -> Contact {
    let (first, last) = (pick(random, &FIRST), pick(random, &LAST));
    let mailbox: String = format!("{first}.{last}")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let street = format!("{} {}", random.u32(1..9900), pick(random, &STREETS));
    Contact {
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        phone: format!("+1 503 555 {:04}", random.u32(0..10_000)),
        email: format!("{}@example.com", mailbox.to_lowercase()),
        street,
        street2: if random.u32(0..6) == 0 {
            "Suite <4>\nBack door".into()
        } else {
            String::new()
        },
        city: random.u8(0..CITIES.len() as u8),
        zip: format!("{:05}", random.u32(500..99_999)),
    }
}

/// Descriptions for lines and headers; about one in twenty is awkward, the first is empty.
pub(crate) fn texts(random: &mut Rng) -> Vec<String> {
    let mut texts = vec![String::new()];
    for number in 1..2_000 {
        texts.push(if random.u32(0..20) == 0 {
            pick(random, &AWKWARD_TEXTS).to_owned()
        } else {
            format!("{}, {} #{number}", pick(random, &WORK), pick(random, &WHEN))
        });
    }
    texts
}

pub(crate) fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(0..from.len())]
}
