//! Makes the table of the README: what Convoke promises, measured beside memberlist and SWIM.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use convoke_benches::proof::{Figures, Plan, ROWS, Request, markdown, replace, run};

/// The text that the table is a part of.
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
/// The most seeds of one line.
const SEEDS_MAX: u64 = 10_000;

/// Simulates what Convoke promises, with Convoke, memberlist and SWIM, on all cores, and prints a
/// Markdown table of what came of it. Takes about twenty minutes on two cores, and 10 GB of memory.
#[derive(Debug, Parser)]
#[command(name = "proof")]
struct Arguments {
    /// Smaller clusters and fewer seeds: a look within two minutes, not a proof
    #[arg(long)]
    quick: bool,
    /// Only this criterion (repeatable)
    #[arg(long = "row", value_name = "N", value_parser = clap::value_parser!(u8).range(ROWS))]
    rows: Vec<u8>,
    /// How many seeds for everything [default: what suits each line]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: Option<u64>,
    /// Put the table into README.md, between its markers
    #[arg(long, conflicts_with_all = ["quick", "rows"])]
    write: bool,
}

fn main() -> ExitCode {
    match make(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            say(&format!("proof: {words}"));
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: Arguments) -> Result<(), String> {
    if arguments.write {
        // Before the work, not after it.
        with_table("")?;
    }
    let plan = Plan::new(Request {
        rows: arguments.rows,
        seeds: arguments.seeds,
        quick: arguments.quick,
    });
    say(&format!("{} runs", plan.runs()));
    let figures = run(&plan, &mut say);
    let table = markdown(&plan, &figures);
    // Whoever reads may have gone: the README is still to be written.
    let _ = write!(io::stdout(), "{table}");
    if figures.iter().any(Figures::gave_up) {
        return Err("some runs gave no result, see above; nothing was written".to_owned());
    }
    if arguments.write {
        let text = with_table(&table)?;
        fs::write(README, text).map_err(|error| format!("cannot write {README}: {error}"))?;
    }
    Ok(())
}

/// The README with this table in it.
fn with_table(table: &str) -> Result<String, String> {
    let text = fs::read_to_string(README);
    let text = text.map_err(|error| format!("cannot read {README}: {error}"))?;
    replace(&text, table).map_err(|error| format!("{README}: {error}"))
}

/// Tells whoever watches. Where stderr is closed, nobody does.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn error(line: &str) -> ErrorKind {
        let words = line.split_whitespace();
        Arguments::try_parse_from(words).unwrap_err().kind()
    }

    #[test]
    fn arguments_that_make_no_sense_are_usage_errors() {
        for row in ["0", "10", "x"] {
            assert_eq!(
                error(&format!("proof --row {row}")),
                ErrorKind::ValueValidation
            );
        }
        assert_eq!(error("proof --seeds 0"), ErrorKind::ValueValidation);
        assert_eq!(error("proof --what"), ErrorKind::UnknownArgument);
        for part in ["--quick", "--row 1"] {
            let line = format!("proof --write {part}");
            assert_eq!(error(&line), ErrorKind::ArgumentConflict, "{line}");
        }
    }

    #[test]
    fn rows_can_be_repeated() {
        let arguments = Arguments::try_parse_from(["proof", "--row", "1", "--row", "8"]);
        assert_eq!(arguments.unwrap().rows, [1, 8]);
    }
}
