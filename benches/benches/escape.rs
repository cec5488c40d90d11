//! Sanitise and escape, beside what others do.

use std::hint::black_box;

use criterion::Criterion;
use intacct_sync_benches::comparison::{Comparison, Work};
use intacct_sync_benches::cpu_time::ThreadCpuTime;
use intacct_sync_benches::escaping::ESCAPERS;
use intacct_sync_benches::{SEED, text};

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(ThreadCpuTime)
        .configure_from_args();
    for corpus in text::corpora(SEED) {
        let work = Work {
            group: format!("escape/{}", corpus.name),
            element: "text",
            elements: corpus.texts.len() as u64,
            bytes: corpus.bytes() as u64,
        };
        let mut comparison = Comparison::new(work, 15);
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
        comparison.measure(
            &mut criterion,
            &ThreadCpuTime,
            &[
                "plain_append",
                "naive_replaces",
                "strip_then_quick_xml",
                "quick_xml_partial_escape",
                "quick_xml_escape",
                "quick_xml_cow",
                "html_escape",
            ],
        );
    }
    criterion.final_summary();
}
