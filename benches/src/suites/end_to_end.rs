//! From a gateway's XML to a file that can be proved: how near to the gateway's own time, and what the
//! proof costs.

use std::path::PathBuf;
use std::time::Duration;

use crate::comparison::{Effort, Meter};
use crate::end_to_end::{Destination, Moving};
use crate::goal::Goal;
use crate::paced::Pace;
use crate::parsing::Result;
use crate::process::Usage;

const PAGE: u32 = 1_000;

/// The figures that need nothing but this workspace; `benches/peers` has those beside other tools.
///
/// # Errors
/// If a process cannot be started, or records are missing.
pub fn run(meter: &mut dyn Meter) -> Result<()> {
    if meter.effort() == Effort::Quick {
        no_waiting(meter, 2_000, 1)
    } else {
        no_waiting(meter, 20_000, 5)?;
        waiting(meter)
    }
}

/// Records a second with and without the audit trail, one after the other, several times.
fn no_waiting(meter: &mut dyn Meter, records: usize, rounds: usize) -> Result<()> {
    let pace = Pace::instant(records);
    let mut shares = Vec::new();
    for _ in 0..rounds {
        let plain = moved(Destination::Lines, false, 1, &pace)?;
        let proved = moved(Destination::Lines, true, 1, &pace)?;
        shares.push(proved.speed() / plain.speed());
    }
    let group = "end_to_end/no_waiting";
    let what = "share of the records a second that the audit trail leaves";
    meter.figure(group, Goal::at_least("X5", what, 0.75), median(shares));
    Ok(())
}

/// The time over what the gateway alone takes, by one request after the other.
fn waiting(meter: &mut dyn Meter) -> Result<()> {
    const PAGES: u32 = 20;
    let pace = Pace {
        round_trip: Duration::from_millis(50),
        work: Duration::from_millis(300),
        // Each page of a walk through a window begins with the last record of the one before.
        ..Pace::instant((PAGES * (PAGE - 1) + 1) as usize)
    };
    let bound = (pace.round_trip + pace.work) * PAGES;
    for (at_once, what, floor) in [
        (1, "times the gateway's time", 1.03),
        (2, "times the gateway's time, two requests at once", 0.6),
    ] {
        let usage = moved(Destination::Lines, true, at_once, &pace)?;
        let times = usage.wall.as_secs_f64() / bound.as_secs_f64();
        let goal = Goal::at_most("X4", what, floor);
        meter.figure("end_to_end/l50_s300", goal, times);
    }
    Ok(())
}

fn moved(into: Destination, audit: bool, at_once: usize, pace: &Pace) -> Result<Usage> {
    let moving = Moving {
        into,
        audit,
        page_size: PAGE,
        at_once,
    };
    moving.measure(pace, &folder())
}

/// A folder of this process alone, beside the program: where a build may write.
fn folder() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap_or_default();
    folder.set_file_name(format!("moved-{}", std::process::id()));
    folder
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
