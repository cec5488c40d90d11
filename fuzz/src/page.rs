//! Answers made of bytes that mean nothing.

use arbitrary::{Result, Unstructured};

/// The answers of one input, to be read one after the other by the same reader.
///
/// What begins with `<` is an answer as it stands: so are the seeds, and whoever has a page that
/// fails can put it into a file. Anything else is a recipe for one or two.
pub fn pages(input: &[u8]) -> Vec<Vec<u8>> {
    if input.first() == Some(&b'<') {
        return vec![input.to_vec()];
    }
    let mut recipe = Unstructured::new(input);
    let mut pages = Vec::new();
    while pages.len() < 2 && !recipe.is_empty() {
        // It ends where the recipe does; what is missing is chosen as zero.
        pages.extend(page(&mut recipe).ok());
    }
    pages
}

/// Where to cut an answer of that length: the same places for the same seed.
pub fn cuts(seed: u64, length: usize) -> Vec<usize> {
    let mut state = seed;
    let mut next = |limit: u64| {
        // Splitmix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    };
    // Short pieces find other faults than long ones.
    let longest = [1, 2, 7, 33, 300, 5000][next(6) as usize];
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < length {
        at += 1 + next(longest) as usize;
        cuts.push(at.min(length));
    }
    cuts
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response><control>\
    <status>success</status><senderid>s</senderid><controlid>c</controlid>\
    <uniqueid>false</uniqueid><dtdversion>3.0</dtdversion></control><operation><authentication>\
    <status>success</status><userid>u</userid><companyid>c</companyid></authentication>";
const TAIL: &str = "</operation></response>";

/// Every column type of [`schema`](crate::outcome::schema) has its name here; the others are unknown.
const NAMES: &[&str] = &[
    "TEXT", "TEXTS", "NUMBER", "AMOUNT", "FLAG", "DAY", "MOMENT", "KEY", "A.B", "N\u{E9}", "X", "Y",
];

const TEXTS: &[&str] = &[
    "",
    "7",
    "-12",
    "12.50",
    "0.125",
    "99999999999999999999",
    "true",
    "F",
    "01/31/2026",
    "02/30/2026",
    "01/31/2026 10:20:30",
    "a",
    " ",
    "\n",
    "\r\n",
    "\t",
    "fifteen letters",
    "sixteen letters.",
    "seventeen letters",
    "thirty-one letters and two words",
    "&amp;",
    "&lt;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&#65;",
    "&#x1F600;",
    "&#13;",
    ";",
    "\"",
    "\\",
    "]]",
    ">",
    "\u{7F}",
    "\u{E9}",
    "\u{682A}",
    "\u{FFFD}",
    "\u{FEFF}",
    "\u{1F600}",
];

/// Texts that have something dropped, or are refused.
const WILD_TEXTS: &[&str] = &[
    "&#0;", "&#xFFFE;", "&none;", "&", "&#;", "\u{1}", "\u{1F}", "\0", "\u{FFFE}", "\u{FFFF}",
    "]]>",
];

/// What is put where it may not belong.
const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "<X>",
    "</X>",
    "<X/>",
    "<!-- c -->",
    "<![CDATA[d]]>",
    "<?p i?>",
    "&amp;",
    "&",
    "\u{0}",
    " ",
    "</R>",
    "<R>",
    "</data>",
    "</result>",
    "<data>",
    "<data count=\"1\">",
    "\"",
    "=",
    "</response>",
    "<!DOCTYPE x>",
];

/// How a page is written.
struct Style {
    /// What stands between elements.
    gap: &'static str,
    /// Whether anything goes. Most such pages are refused, so only some are.
    is_wild: bool,
}

fn page(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut out = HEAD.to_owned();
    let style = Style {
        gap: u.choose(&["", "", "\n", "\n    "])?,
        is_wild: u.ratio(1_u8, 4)?,
    };
    for function in 0..=u.int_in_range(0..=4)? / 4 {
        result(u, &mut out, function, &style)?;
    }
    out.push_str(style.gap);
    out.push_str(TAIL);
    let mut bytes = out.into_bytes();
    for _ in 0..u.int_in_range(0..=7)? / 7 {
        damage(u, &mut bytes)?;
    }
    Ok(bytes)
}

fn result(u: &mut Unstructured<'_>, out: &mut String, function: u8, style: &Style) -> Result<()> {
    let gap = style.gap;
    let record = *u.choose(&["R", "VENDOR", "vendor"])?;
    let layout = layout(u)?;
    let records = u.int_in_range(0..=12)?;
    let count = records + u.int_in_range(0..=15)? / 15;
    let control = ["f", "g"][usize::from(function)];
    *out += &format!(
        "{gap}<result><status>success</status><function>query</function>\
        <controlid>{control}</controlid><data listtype=\"R\" count=\"{count}\" totalcount=\"99\" \
        numremaining=\"{}\">",
        99_u32.saturating_sub(count)
    );
    for _ in 0..records {
        *out += &format!("{gap}<{record}>");
        for name in &layout {
            field(u, out, name, style)?;
        }
        *out += &format!("{gap}</{record}>");
    }
    *out += &format!("{gap}</data></result>");
    Ok(())
}

fn layout(u: &mut Unstructured<'_>) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for name in NAMES {
        if u.ratio(2_u8, 3)? {
            names.push(*name);
        }
    }
    Ok(names)
}

/// Mostly as in the record before, sometimes in any other way.
fn field(u: &mut Unstructured<'_>, out: &mut String, name: &str, style: &Style) -> Result<()> {
    // Most fields are plain, or no two records would ever be alike.
    let shape: u8 = match u.ratio(1_u8, 4)? {
        true => u.int_in_range(37..=if style.is_wild { 63 } else { 60 })?,
        false => 0,
    };
    if shape < 60 && !(49..=52).contains(&shape) {
        out.push_str(style.gap);
    }
    let mut text = || text(u, style);
    match shape {
        0..=36 => *out += &format!("<{name}>{}</{name}>", text()?),
        37..=42 => *out += &format!("<{name}></{name}>"),
        43..=48 => *out += &format!("<{name}/>"),
        49..=52 => {}
        53 => *out += &format!("<{name} a=\"1\">{}</{name}>", text()?),
        54 => *out += &format!("<{name} >{}</{name} >", text()?),
        55 => *out += &format!("<{name}><![CDATA[{}]]></{name}>", text()?),
        56 => *out += &format!("<{name}>{}<!-- - -->{}</{name}>", text()?, text()?),
        57 => *out += &format!("<{name}><X>{}</X><Y/></{name}>", text()?),
        58 => *out += &format!("<{name}>1</{name}><{name}>2</{name}>"),
        59 => *out += &format!("<{name} />"),
        60 => *out += &format!("<NEW>{}</NEW>", text()?),
        61 => *out += &text()?,
        62 => *out += &format!("<{name} a=\"{}\">{}</{name}>", text()?, text()?),
        _ => *out += u.choose(PIECES)?,
    }
    Ok(())
}

fn text(u: &mut Unstructured<'_>, style: &Style) -> Result<String> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let is_wild = style.is_wild && u.ratio(1_u8, 16)?;
        text += u.choose(if is_wild { WILD_TEXTS } else { TEXTS })?;
    }
    Ok(text)
}

fn damage(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    let at = u.int_in_range(0..=bytes.len())?;
    let end = (at + u.int_in_range(0..=40)?).min(bytes.len());
    let piece = u.choose(PIECES)?.bytes();
    match u.int_in_range(0..=4)? {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, piece)),
        3 => bytes[at..end].iter_mut().try_for_each(|byte| {
            *byte = u.arbitrary()?;
            Ok(())
        })?,
        _ => {
            let copied = bytes[at..end].to_vec();
            bytes.splice(at..at, copied);
        }
    }
    Ok(())
}
