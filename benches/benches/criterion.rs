//! The suites under Criterion, which follows single candidates over time.
//!
//! Ratios of its figures are not to be trusted on a shared machine; the package's program measures
//! those.

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};
use intacct_sync_benches::clock::Clock;
use intacct_sync_benches::comparison::{Comparison, Effort, Meter};
use intacct_sync_benches::goal::Goal;
use intacct_sync_benches::parsing::Result;
use intacct_sync_benches::suites::SUITES;

fn main() -> Result<()> {
    let mut meter = Followed {
        by_processor_time: Criterion::default()
            .with_measurement(ThreadCpuTime)
            .configure_from_args(),
        by_wall_time: Criterion::default().sample_size(10).configure_from_args(),
    };
    SUITES
        .iter()
        .try_for_each(|suite| (suite.run)(&mut meter))?;
    meter.by_processor_time.final_summary();
    Ok(())
}

struct Followed {
    by_processor_time: Criterion<ThreadCpuTime>,
    by_wall_time: Criterion<WallTime>,
}

impl Meter for Followed {
    fn effort(&self) -> Effort {
        Effort::Full
    }

    fn compare(&mut self, mut comparison: Comparison<'_>) -> Result<()> {
        match comparison.clock() {
            Clock::ThreadCpu => follow(&mut self.by_processor_time, &mut comparison),
            Clock::Wall => follow(&mut self.by_wall_time, &mut comparison),
        }
        Ok(())
    }

    fn figure(&mut self, _group: &str, _goal: Goal, _figure: f64) {}

    fn skip(&mut self, _group: &str, _why: &str) {}
}

fn follow<M: Measurement + 'static>(criterion: &mut Criterion<M>, comparison: &mut Comparison<'_>) {
    let work = comparison.work();
    let mut group = criterion.benchmark_group(&work.group);
    group.throughput(Throughput::ElementsAndBytes {
        elements: work.elements,
        bytes: work.bytes,
    });
    comparison.for_each_candidate(|name, run| {
        group.bench_function(name, |bencher| bencher.iter(&mut *run));
    });
    group.finish();
}

/// [`Clock::ThreadCpu`] for Criterion.
#[derive(Clone, Copy, Debug, Default)]
struct ThreadCpuTime;

impl Measurement for ThreadCpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Clock::ThreadCpu.now()
    }

    fn end(&self, start: Duration) -> Duration {
        Clock::ThreadCpu.now().saturating_sub(start)
    }

    fn add(&self, left: &Duration, right: &Duration) -> Duration {
        *left + *right
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        // A clock that is coarser than the work would otherwise give zero, which has no logarithm.
        value.as_nanos().max(1) as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
