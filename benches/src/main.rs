//! Measures the suites and says which goals are reached.

use std::path::Path;
use std::process::ExitCode;

use intacct_sync_benches::comparison::Effort;
use intacct_sync_benches::end_to_end::{MOVER, Moving};
use intacct_sync_benches::machine::Machine;
use intacct_sync_benches::paced::{self, Pace};
use intacct_sync_benches::paging::paced_reading::{READER, Reading};
use intacct_sync_benches::parsing::Result;
use intacct_sync_benches::process::{GATEWAY, PART};
use intacct_sync_benches::report;
use intacct_sync_benches::rounds::{Group, Rounds};
use intacct_sync_benches::suites::{SUITES, Suite};

const USAGE: &str = "\
Measures how fast the hot core is, beside others in the same run.

  cargo run --release -p intacct-sync-benches -- [--quick] [--write] [SUITE...]

  --quick   small inputs and few rounds: says only that everything runs, and never fails
  --write   puts the tables of the suites into benches/README.md; not with --quick

Without names all suites are measured. Fails if a floor is missed.
";

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [part, name, arguments @ ..] = arguments.as_slice()
        && part == PART
    {
        return run_part(name, arguments);
    }
    let Some(asked) = Asked::from_arguments(arguments.into_iter()) else {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        print(&format!("{USAGE}Suites: {}.\n", names.join(", ")));
        return Ok(ExitCode::from(2));
    };
    let machine = Machine::this();
    let mut rounds = Rounds::new(asked.effort, |group| print(&report::group(group)));
    for suite in &asked.suites {
        (suite.run)(&mut rounds)?;
    }
    print(&format!(
        "\nMeasured {machine}.\n\n{}",
        report::goals(rounds.groups())
    ));
    if asked.writes {
        write(&machine, &asked.suites, rounds.groups())?;
    }
    let fails = asked.effort == Effort::Full && rounds.has_missed();
    Ok(ExitCode::from(u8::from(fails)))
}

/// What a measurement runs in a process of its own.
fn run_part(name: &str, arguments: &[String]) -> Result<ExitCode> {
    match name {
        GATEWAY => paced::serve(Pace::parse(arguments)?, |url| print(&format!("{url}\n")))?,
        READER => print(&Reading::run_part(arguments)?.line()),
        MOVER => print(&Moving::run_part(arguments)?.line()),
        _ => return Err(format!("there is no part {name}").into()),
    }
    Ok(ExitCode::SUCCESS)
}

struct Asked {
    effort: Effort,
    writes: bool,
    suites: Vec<Suite>,
}

impl Asked {
    /// Nothing, if the arguments are not to be understood.
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self {
            effort: Effort::Full,
            writes: false,
            suites: Vec::new(),
        };
        for argument in arguments {
            match argument.as_str() {
                "--quick" => asked.effort = Effort::Quick,
                "--write" => asked.writes = true,
                name => {
                    let suite = SUITES.iter().find(|suite| suite.name == name)?;
                    asked.suites.push(*suite);
                }
            }
        }
        if asked.suites.is_empty() {
            asked.suites = SUITES.to_vec();
        }
        // Rough figures do not belong where people look for figures.
        (asked.effort == Effort::Full || !asked.writes).then_some(asked)
    }
}

fn write(machine: &Machine, suites: &[Suite], groups: &[Group]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut text = std::fs::read_to_string(&path)?;
    for suite in suites {
        let groups: Vec<_> = groups.iter().filter(|g| g.suite() == suite.name).collect();
        text = report::replace(&text, suite.name, &report::suite(machine, &groups))?;
    }
    Ok(std::fs::write(&path, text)?)
}

#[expect(clippy::print_stdout, reason = "it is what the program is run for")]
fn print(text: &str) {
    print!("{text}");
}
