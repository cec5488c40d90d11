//! Sanitise and escape, beside what others do.

use std::hint::black_box;

use crate::comparison::{Comparison, Meter, Work};
use crate::escaping::ESCAPERS;
use crate::parsing::Result;
use crate::{SEED, text};

/// Every way to escape on every corpus.
///
/// # Errors
/// If a goal names an unknown candidate.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    for corpus in text::corpora(SEED) {
        let mut comparison = Comparison::new(Work {
            group: format!("escape/{}", corpus.name),
            element: "text",
            elements: corpus.texts.len() as u64,
            bytes: corpus.bytes() as u64,
        });
        let texts = &corpus.texts;
        for escaper in ESCAPERS {
            // The buffer is warm, as that of a request being written.
            let mut out = String::new();
            comparison.add(escaper.name, move || {
                out.clear();
                (escaper.all)(black_box(texts), &mut out);
                black_box(&out);
            });
        }
        for yardstick in [
            "plain_append",
            "naive_replaces",
            "strip_then_quick_xml",
            "quick_xml_partial_escape",
            "quick_xml_escape",
            "quick_xml_cow",
            "html_escape",
        ] {
            comparison.yardstick(yardstick);
        }
        meter.compare(comparison)?;
    }
    Ok(())
}
