//! Measures the suites and says which goals are reached.

use std::path::Path;
use std::process::ExitCode;

use intacct_sync_benches::comparison::Effort;
use intacct_sync_benches::machine::Machine;
use intacct_sync_benches::parsing::Result;
use intacct_sync_benches::report;
use intacct_sync_benches::rounds::{Group, Rounds};
use intacct_sync_benches::suites::{SUITES, Suite};

const USAGE: &str = "\
Measures how fast the hot core is, beside others in the same run.

  cargo run --release -p intacct-sync-benches -- [--quick] [--write] [SUITE...]

  --quick   small inputs and few rounds: says only that everything runs, and never fails
  --write   puts the tables of the suites into benches/README.md

Without names all suites are measured. Fails if a floor is missed.
";

fn main() -> Result<ExitCode> {
    let Some(asked) = Asked::from_arguments(std::env::args().skip(1)) else {
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
        Some(asked)
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
