//! Sanitise and escape, beside what others do.

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{Criterion, Throughput};
use intacct_sync_benches::cpu_time::ThreadCpuTime;
use intacct_sync_benches::escaping::ESCAPERS;
use intacct_sync_benches::figures::{self, Yardsticks};
use intacct_sync_benches::{SEED, text};

fn main() -> std::io::Result<()> {
    let begin = SystemTime::now();
    let mut criterion = Criterion::default()
        .with_measurement(ThreadCpuTime)
        .configure_from_args();
    escape(&mut criterion);
    criterion.final_summary();
    figures::print(
        "escape/",
        begin,
        Yardsticks {
            candidates: &["plain_append", "quick_xml_escape", "strip_then_quick_xml"],
            element: "text",
        },
    )
}

fn escape(criterion: &mut Criterion<ThreadCpuTime>) {
    for corpus in text::corpora(SEED) {
        let mut group = criterion.benchmark_group(format!("escape/{}", corpus.name));
        group.throughput(Throughput::ElementsAndBytes {
            elements: corpus.texts.len() as u64,
            bytes: corpus.bytes() as u64,
        });
        for escaper in ESCAPERS {
            // The buffer is warm, as that of a request being written.
            let mut out = String::new();
            group.bench_function(escaper.name, |bencher| {
                bencher.iter(|| {
                    out.clear();
                    (escaper.all)(black_box(&corpus.texts), &mut out);
                    black_box(&out);
                });
            });
        }
        group.finish();
    }
}
