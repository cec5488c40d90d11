//! What is compared for speed must give the same text.

use intacct_sync_benches::escaping::{Contract, ESCAPERS, Output, Results, naive, stripped};
use intacct_sync_benches::writing::Records;
use intacct_sync_benches::{SEED, text};
use intacct_xml::escape::XmlBuffer;
use proptest::prelude::*;

/// Text in which all that matters to XML is frequent.
fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>(),
        4 => "[ -~]".prop_map(|text| text.chars().next().unwrap_or(' ')),
        2 => prop::sample::select("&<>\"'\r\n\t".chars().collect::<Vec<_>>()),
        1 => prop::sample::select("\0\u{1}\u{8}\u{B}\u{1F}\u{FFFE}\u{FFFF}".chars().collect::<Vec<_>>()),
        1 => prop::sample::select("\u{FFFD}\u{FFFC}\u{FEFF}\u{7F}\u{85}é株".chars().collect::<Vec<_>>()),
    ];
    prop::collection::vec(character, 0..80).prop_map(String::from_iter)
}

fn all_agree_on(text: &str) -> Result<(), TestCaseError> {
    let clean = stripped(text);
    for escaper in ESCAPERS {
        let input = if escaper.contract.sanitises() {
            text
        } else {
            &clean
        };
        let output = (escaper.one)(input);
        if escaper.contract == Contract::Copies {
            prop_assert_eq!(&output, input, "{}", escaper.name);
            continue;
        }
        let meaning = quick_xml::escape::unescape(&output)
            .map_err(|error| TestCaseError::fail(format!("{}: {error}", escaper.name)))?;
        prop_assert_eq!(&*meaning, &clean, "{}", escaper.name);

        let is_spelt_alike = escaper.contract != Contract::EscapesHtml || !clean.contains('\r');
        if escaper.contract.escapes_like_text() && is_spelt_alike {
            prop_assert_eq!(&output, &naive(text), "{}", escaper.name);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn on_any_text(text in any_text()) {
        all_agree_on(&text)?;
    }
}

#[test]
fn on_the_texts_that_are_measured() {
    for corpus in text::corpora(SEED) {
        for text in corpus.texts.iter().take(64) {
            let begin = text.chars().take(5000).collect::<String>();
            if let Err(difference) = all_agree_on(&begin) {
                panic!("{}: {difference}", corpus.name);
            }
        }
    }
}

#[test]
fn appending_to_all_is_appending_to_each() {
    let texts: Vec<String> = ["a & b", "", "\u{1}<c>\r", "d\"e'"]
        .map(str::to_owned)
        .into();
    let appends = |results| results == Results::Appended;
    for escaper in ESCAPERS.iter().filter(|escaper| appends(escaper.results)) {
        let mut output = Output::for_texts(&texts);
        (escaper.all)(&texts, &mut output);
        (escaper.all)(&texts, &mut output);
        let each: String = texts.iter().map(|text| (escaper.one)(text)).collect();
        assert_eq!(output.into_string(), each.repeat(2), "{}", escaper.name);
    }
}

#[test]
fn the_corpora_are_what_their_names_say() {
    let corpora = text::corpora(SEED);
    let find = |name| {
        corpora
            .iter()
            .find(|corpus| corpus.name == name)
            .expect("a corpus")
    };
    let changed = |name| {
        let texts = &find(name).texts;
        let changed = texts.iter().filter(|text| naive(text) != **text).count();
        100 * changed / texts.len()
    };
    assert_eq!(changed("short_clean"), 0);
    assert_eq!(changed("clean_long"), 0);
    assert_eq!(changed("multilingual"), 0);
    // Of the 7 % with a special, a quarter have a quote, which stays in element text.
    assert!(
        (3..=8).contains(&changed("short_mixed")),
        "{}",
        changed("short_mixed")
    );
    assert_eq!(changed("dense"), 100);
    assert!(
        find("control_laden")
            .texts
            .iter()
            .all(|text| stripped(text).len() < text.len())
    );
    assert_eq!(find("clean_long").bytes(), 4 << 20);
    assert_eq!(find("clean_64k").bytes(), 64 << 10);
    assert_eq!(changed("clean_64k"), 0);
    assert!(
        find("short_clean")
            .texts
            .iter()
            .all(|text| (8..=40).contains(&text.len()))
    );

    let again = text::corpora(SEED);
    assert!(
        corpora
            .iter()
            .zip(&again)
            .all(|(one, other)| one.texts == other.texts)
    );
    assert_ne!(corpora[0].texts, text::corpora(SEED + 1)[0].texts);
}

#[test]
fn the_same_records_are_written() {
    let records = Records::new(30, SEED);
    let read = |xml: &str| {
        let document = roxmltree::Document::parse(xml).expect("well formed");
        let elements = document.descendants().filter(|node| node.is_element());
        let leaves = elements.filter(|node| node.first_element_child().is_none());
        leaves
            .map(|node| {
                (
                    node.tag_name().name().to_owned(),
                    node.text().unwrap_or("").to_owned(),
                )
            })
            .filter(|(name, _)| records.names.contains(&name.as_str()))
            .collect::<Vec<_>>()
    };
    let texts = records.texts.iter().flatten();
    let expected: Vec<_> = records
        .names
        .iter()
        .cycle()
        .zip(texts)
        .map(|(name, text)| ((*name).to_owned(), text.clone()))
        .collect();

    let mut ours = XmlBuffer::new();
    records.push_to(&mut ours);
    let alone = [
        ours.into_string().into_bytes(),
        records.quick_xml().expect("written"),
        records.stripped_quick_xml().expect("written"),
    ];
    for xml in alone {
        let xml = String::from_utf8(xml).expect("text");
        assert_eq!(read(&format!("<x>{xml}</x>")), expected);
    }
    assert_eq!(
        read(&records.request().expect("a request").to_xml()),
        expected
    );
}
