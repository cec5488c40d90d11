//! Sanitise and escape, beside what others do.

use std::hint::black_box;

use crate::comparison::{Comparison, Meter, Work};
use crate::escaping::{ESCAPERS, Output};
use crate::goal::Goal;
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
            let mut output = Output::for_texts(texts);
            comparison.add(escaper.name, move || {
                output.clear();
                (escaper.all)(black_box(texts), &mut output);
                black_box(&output);
            });
        }
        for yardstick in YARDSTICKS {
            comparison.yardstick(yardstick);
        }
        for goal in goals(corpus.name) {
            comparison.goal(goal);
        }
        meter.compare(comparison)?;
    }
    Ok(())
}

const YARDSTICKS: [&str; 6] = [
    "plain_append",
    "naive_replaces",
    "strip_then_quick_xml",
    "quick_xml_partial_escape",
    "quick_xml_escape",
    "v_htmlescape",
];

fn goals(corpus: &str) -> Vec<Goal> {
    let faster = |id, yardstick, floor| Goal::times_as_fast(id, "ours_append", yardstick, floor);
    let slower = |id, yardstick, floor| Goal::times_the_time(id, "ours_append", yardstick, floor);
    match corpus {
        "short_clean" => vec![
            slower("E1", "plain_append", 2.0).stretch(1.65),
            faster("E1", "v_htmlescape", 2.5),
            faster("E1", "quick_xml_escape", 3.5),
            faster("E1", "strip_then_quick_xml", 15.0),
            Goal::times_as_fast("E8", "ours_cow", "quick_xml_cow", 1.2),
            Goal::nanoseconds_an_element("E8", "ours_cow", 10.0).stretch(6.0),
        ],
        "short_mixed" => vec![
            slower("E2", "plain_append", 2.6).stretch(2.15),
            faster("E2", "v_htmlescape", 1.9),
            faster("E2", "quick_xml_escape", 3.2),
        ],
        "memo" => vec![
            faster("E3", "quick_xml_escape", 10.0).stretch(25.0),
            Goal::gigabytes_per_second("E3", "ours_append", 8.0),
        ],
        "clean_long" => vec![
            faster("E4", "quick_xml_escape", 12.0),
            slower("E4", "memcpy", 5.5).stretch(1.5),
        ],
        "dense" => vec![faster("E5", "quick_xml_escape", 5.0).stretch(8.0)],
        "multilingual" => vec![faster("E6", "quick_xml_escape", 3.0).stretch(8.0)],
        "control_laden" => vec![faster("E7", "strip_then_quick_xml", 6.0).stretch(11.0)],
        _ => Vec::new(),
    }
}
