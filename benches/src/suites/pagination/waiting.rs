//! Reading from a gateway that takes its time: how near it comes to what no client can beat, and what
//! it costs.

use std::time::Duration;

use crate::comparison::{Effort, Meter};
use crate::goal::Goal;
use crate::paced::{FULL_PAGE, Pace};
use crate::paging::paced_reading::{Reading, Way};
use crate::parsing::Result;
use crate::process::Usage;

/// What one page takes, in milliseconds.
#[derive(Clone, Copy)]
struct Case {
    group: &'static str,
    round_trip: u64,
    work: u64,
    transfer: u64,
    sink: u64,
}

const CASES: [Case; 3] = [
    Case::new("pagination/l50_s300_t106_k250", [50, 300, 106, 250]),
    Case::new("pagination/l50_s300_t21_k20", [50, 300, 21, 20]),
    Case::new("pagination/l50_s500_t43_k40", [50, 500, 43, 40]),
];

/// A sink that is slower than the gateway.
const SLOW_SINK: Case = Case::new("pagination/l50_s300_t106_k500", [50, 300, 106, 500]);

const PAGES: u32 = 20;

pub(super) fn run(meter: &mut dyn Meter) -> Result<()> {
    if meter.effort() == Effort::Quick {
        let case = Case::new("pagination/l1_s5_t2_k1", [1, 5, 2, 1]);
        return against_the_formula(meter, case, 3);
    }
    for case in CASES {
        against_the_formula(meter, case, PAGES)?;
    }
    slow_sinks(meter)?;
    costs(meter)
}

/// The time that no client can beat, as a share of the time that ours takes.
fn against_the_formula(meter: &mut dyn Meter, case: Case, pages: u32) -> Result<()> {
    for (way, what) in [
        (Way::Walk, "walk by key, read ahead: share of the formula"),
        (Way::ReadMore, "readMore, read ahead: share of the formula"),
    ] {
        let usage = case.read(way, pages)?;
        let share = case.formula(1, pages).as_secs_f64() / usage.wall.as_secs_f64();
        let goal = Goal::at_least("G1", what, 0.97).stretch(0.99);
        meter.figure(case.group, goal, share);
    }
    // Parts end with pages that are not full, which the formula does not know.
    let pages = pages * 2;
    let usage = case.read(Way::Window(2), pages)?;
    let share = case.formula(2, pages).as_secs_f64() / usage.wall.as_secs_f64();
    let what = "window, two requests at once: share of the formula";
    meter.figure(
        case.group,
        Goal::at_least("G2", what, 0.93).stretch(0.97),
        share,
    );
    Ok(())
}

/// The time of the whole run behind its first page, over the time that the sink alone takes.
fn slow_sinks(meter: &mut dyn Meter) -> Result<()> {
    for (case, way, what) in [
        (
            SLOW_SINK,
            Way::Walk,
            "walk by key: times the sink's own time",
        ),
        (
            SLOW_SINK,
            Way::ReadMore,
            "readMore: times the sink's own time",
        ),
        (
            CASES[0],
            Way::Window(2),
            "two requests at once: times the sink's own time",
        ),
    ] {
        let usage = case.read(way, PAGES)?;
        let behind = usage.wall.saturating_sub(case.fetch());
        let times = behind.as_secs_f64() / (case.sink() * PAGES).as_secs_f64();
        meter.figure(
            case.group,
            Goal::at_most("G5", what, 1.05).stretch(1.02),
            times,
        );
    }
    Ok(())
}

/// Memory and processor time, with a gateway that does not let wait.
fn costs(meter: &mut dyn Meter) -> Result<()> {
    const GROUP: &str = "pagination/no_waiting";
    let read = |way, records| reading(way, 0).measure(&Pace::instant(records));
    let few = read(Way::Walk, 20_000)?;
    let many = read(Way::Walk, 200_000)?;
    let two = read(Way::Window(2), 200_000)?;
    if many.peak_bytes == 0 {
        meter.skip(
            GROUP,
            "this platform does not tell how much memory a process used",
        );
    } else {
        let peak = |what, floor| Goal::at_most("G3", what, floor);
        let growth = many.peak_mib() - few.peak_mib();
        meter.figure(
            GROUP,
            peak("MiB resident, one stream", 16.0),
            many.peak_mib(),
        );
        meter.figure(
            GROUP,
            peak("MiB more for 200 000 records than for 20 000", 1.0),
            growth,
        );
        let more = two.peak_mib() - many.peak_mib();
        meter.figure(GROUP, peak("MiB more with two requests at once", 8.0), more);
    }
    let micros = |usage: &Usage| usage.cpu_micros_a_record();
    let what = "µs of processor time a record, HTTP to typed columns";
    meter.figure(GROUP, Goal::at_most("G4", what, 2.5), micros(&many));
    Ok(())
}

fn reading(way: Way, sink: u64) -> Reading {
    Reading {
        way,
        // The older function gives no larger pages.
        page_size: match way {
            Way::ReadMore => 1_000,
            _ => FULL_PAGE as u32,
        },
        sink: Duration::from_millis(sink),
    }
}

impl Case {
    const fn new(group: &'static str, [round_trip, work, transfer, sink]: [u64; 4]) -> Self {
        Self {
            group,
            round_trip,
            work,
            transfer,
            sink,
        }
    }

    fn read(self, way: Way, pages: u32) -> Result<Usage> {
        let reading = reading(way, self.sink);
        // A full page is what the transfer of a pace is for.
        let smaller = FULL_PAGE as u32 / reading.page_size;
        reading.measure(&Pace {
            records: (pages * reading.page_size) as usize,
            round_trip: Duration::from_millis(self.round_trip),
            work: Duration::from_millis(self.work),
            transfer: Duration::from_millis(self.transfer) * smaller,
            at_once: usize::MAX,
        })
    }

    /// L + S + T
    fn fetch(self) -> Duration {
        Duration::from_millis(self.round_trip + self.work + self.transfer)
    }

    fn sink(self) -> Duration {
        Duration::from_millis(self.sink)
    }

    /// The first page, then for each further one whatever takes longest, then the last page's use:
    /// `L + S + T + (pages - 1) · max((L + S + T) / at once, K) + K`.
    fn formula(self, at_once: u32, pages: u32) -> Duration {
        let steady = (self.fetch() / at_once).max(self.sink());
        self.fetch() + steady * (pages - 1) + self.sink()
    }
}
