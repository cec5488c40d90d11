//! Texts to escape: eight corpora, the same for the same seed.

use fastrand::Rng;

/// Texts that have something in common, and a name for it.
#[derive(Clone, Debug)]
pub struct TextCorpus {
    /// The name in benchmark ids, such as `short_clean`.
    pub name: &'static str,
    /// The texts.
    pub texts: Vec<String>,
}

impl TextCorpus {
    /// The length of all texts together, in bytes of UTF-8.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    fn new(name: &'static str, count: usize, mut text: impl FnMut() -> String) -> Self {
        let texts = (0..count).map(|_| text()).collect();
        Self { name, texts }
    }
}

/// All corpora for a seed.
///
/// | name | texts | what is in them |
/// |---|---|---|
/// | `short_clean` | 4096 of 8 to 40 bytes | ASCII with nothing to do: most fields of most records |
/// | `short_mixed` | 4096 of 8 to 40 bytes | 7 % with one special, 4 % with letters beyond ASCII |
/// | `memo` | 32 of about 4 KiB | one special in 200 bytes |
/// | `clean_long` | 1 of 4 MiB | ASCII with nothing to do: larger than the caches near the core |
/// | `clean_64k` | 1 of 64 KiB | the same, and in the caches near the core |
/// | `dense` | 16 of 4 KiB | one special in 6 bytes, at random |
/// | `multilingual` | 32 of about 4 KiB | eight languages, no specials |
/// | `control_laden` | 32 of about 4 KiB | one forbidden character in 20, one special in 50 |
pub fn corpora(seed: u64) -> Vec<TextCorpus> {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    const LONG: usize = 4096;
    vec![
        TextCorpus::new("short_clean", 4096, || short(rng)),
        TextCorpus::new("short_mixed", 4096, || short_mixed(rng)),
        TextCorpus::new("memo", 32, || memo(rng)),
        TextCorpus::new("clean_long", 1, || prose(rng, 4 << 20)),
        TextCorpus::new("dense", 16, || {
            woven(rng, LONG, |rng| (rng.u8(..6) == 0).then(|| special(rng)))
        }),
        TextCorpus::new("multilingual", 32, || multilingual(rng)),
        TextCorpus::new("control_laden", 32, || control_laden(rng)),
        TextCorpus::new("clean_64k", 1, || prose(rng, 64 << 10)),
    ]
}

fn short(rng: &mut Rng) -> String {
    let length = rng.usize(8..=40);
    prose(rng, length)
}

fn short_mixed(rng: &mut Rng) -> String {
    let mut text = short(rng);
    match rng.u8(..100) {
        0..7 => {
            let at = rng.usize(..text.len());
            text.replace_range(at..=at, special(rng).encode_utf8(&mut [0; 4]));
        }
        7..11 => {
            let word = rng.choice(NAMES_BEYOND_ASCII).copied().unwrap_or_default();
            text.truncate(text.len() / 2);
            text.push_str(word);
        }
        _ => {}
    }
    text
}

fn memo(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..20 {
        text.push_str(&prose(rng, 199));
        text.push(special(rng));
    }
    text
}

fn multilingual(rng: &mut Rng) -> String {
    let mut text = String::new();
    while text.len() < 4096 {
        text.push_str(rng.choice(SENTENCES).copied().unwrap_or_default());
        text.push(' ');
    }
    text
}

fn control_laden(rng: &mut Rng) -> String {
    const FORBIDDEN: &[char] = &[
        '\0', '\u{1}', '\u{8}', '\u{B}', '\u{C}', '\u{1F}', '\u{FFFE}',
    ];
    woven(rng, 4096, |rng| match rng.u8(..100) {
        0..5 => rng.choice(FORBIDDEN).copied(),
        5..7 => Some(special(rng)),
        _ => None,
    })
}

/// Words and spaces, exactly as long as asked for.
fn prose(rng: &mut Rng, length: usize) -> String {
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(rng.choice(WORDS).copied().unwrap_or_default());
        text.push(' ');
    }
    text.truncate(length);
    text
}

/// Prose in which some characters are exchanged for others.
fn woven(rng: &mut Rng, length: usize, mut other: impl FnMut(&mut Rng) -> Option<char>) -> String {
    let plain = prose(rng, length);
    plain.chars().map(|c| other(rng).unwrap_or(c)).collect()
}

fn special(rng: &mut Rng) -> char {
    // Weighted as in business texts: an ampersand is a name, a bracket is rare.
    *rng.choice(b"&&&&<>\"'").unwrap_or(&b'&') as char
}

/// Words of business texts, without anything to escape.
pub(crate) const WORDS: &[&str] = &[
    "invoice",
    "March",
    "consulting",
    "services",
    "per",
    "agreement",
    "No.",
    "4711",
    "office",
    "supplies",
    "rent",
    "Q3",
    "travel",
    "Boston",
    "adjustment",
    "to",
    "accrual",
    "reversal",
    "of",
    "freight",
    "2026",
    "licence",
    "renewal",
    "support",
    "annual",
    "net",
    "30",
    "approved",
    "by",
    "warehouse",
    "deposit",
    "retainer",
];

/// Names that take more than one byte a letter.
pub(crate) const NAMES_BEYOND_ASCII: &[&str] = &[
    "Müller Söhne",
    "Café Zürich",
    "株式会社",
    "Łódź Stal",
    "Ångström",
    "São Paulo",
    "Œuvre",
];

const SENTENCES: &[&str] = &[
    "Die Rechnung über größere Mengen wurde geprüft.",
    "La facture a été réglée après l\u{2019}échéance.",
    "El señor Núñez aprobó el pago mañana.",
    "請求書は経理部門によって承認されました。",
    "发票已由财务部门审核并付款。",
    "Счёт оплачен в полном объёме.",
    "Το τιμολόγιο εγκρίθηκε από το λογιστήριο.",
    "الفاتورة معتمدة من قسم المحاسبة.",
];
