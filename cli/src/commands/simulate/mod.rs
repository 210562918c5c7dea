//! `convoke simulate`: a large fleet in virtual time, and what became of it.
//!
//! The simulator itself is `convoke_core::sim`; here is what a person and a script see of it. All
//! that can be wrong with a command is told before the first run; what the runs come to is printed
//! before anything that went wrong in them is told.

mod distribution;
mod figures;
mod memory;
mod plan;
mod plot;
mod progress;
mod runs;
mod set;
mod stop;
mod table;
mod words;

use std::io::{self, Write};
use std::time::Instant;

use super::print_json;
use crate::args::SimulateArgs;
use crate::exit::{Code, Exit};
use crate::logging::colour;
use figures::{Figures, Report};
use plan::Plan;
use plot::Target;
use progress::Bar;
use runs::Runner;
pub(super) use stop::Stop;
use table::Effort;

/// Carries the command out, with `runner` as the simulator.
///
/// # Errors
/// Usage errors; a plot that can't be written; runs that went wrong, after all is printed.
pub(super) fn run(
    args: &SimulateArgs,
    runner: Runner<'_>,
    stop: &Stop,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut plan = Plan::new(args)?;
    let target = args.plot.as_deref().map(Target::new).transpose()?;
    let room = memory::available();
    if !args.force {
        fits(&plan, memory::total())?;
    }
    warn(&plan, room);
    let side_by_side = memory::side_by_side(plan.setup.nodes, room);
    let (began, bar) = (Instant::now(), Bar::new(plan.seeds, &plan.scenario));
    let mut figures = Figures::default();
    let mut first = None;
    runs::all(&plan, side_by_side, runner, &bar, stop, &mut |run| {
        figures.add(&run);
        first.get_or_insert(run);
    })
    .inspect_err(|_| bar.clear())?;
    bar.clear();
    // Whether or not it was asked for after the last one.
    let stopped = figures.runs < plan.seeds;
    let wanted = std::mem::replace(&mut plan.seeds, figures.runs);
    if figures.runs == 0 {
        return Err(interrupted(0, wanted));
    }
    let effort = Effort {
        took: began.elapsed(),
        side_by_side: side_by_side.min(usize::try_from(plan.seeds).unwrap_or(usize::MAX)),
    };
    let printed = if args.json {
        print_json(out, &Report::new(&plan, &figures))
    } else {
        let text = table::table(&plan, &figures, effort, colour(&io::stdout()));
        write!(out, "{text}").map_err(Into::into)
    };
    // Also where nobody reads what is printed: the plot was wanted.
    if let (Some(target), Some(first)) = (target, &first) {
        target.write(&plot::svg(&plan, &figures, first)?)?;
    }
    printed?;
    match stopped {
        true => Err(interrupted(figures.runs, wanted)),
        false => verdict(&plan, &figures),
    }
}

/// What Ctrl-C leaves.
fn interrupted(runs: u64, wanted: u64) -> anyhow::Error {
    let told = match runs {
        0 => "nothing is told",
        _ => "the figures are of these",
    };
    let (runs, wanted) = (words::count(runs), words::counted(wanted, "run"));
    Exit::error(
        Code::Interrupted,
        format!("stopped after {runs} of {wanted}: {told}"),
    )
}

/// Whether this machine's memory can hold it.
fn fits(plan: &Plan, total: Option<u64>) -> Result<(), Exit> {
    let needed = memory::of_world(plan.setup.nodes);
    match total.filter(|total| *total < needed) {
        Some(total) => Err(Exit::new(
            Code::Refused,
            format!(
                "{} nodes that all know each other take about {} of memory, and this machine has \
                 {} in all: take fewer, or --force",
                words::count(plan.setup.nodes as u64),
                words::bytes(needed as f64),
                words::bytes(total as f64)
            ),
        )),
        None => Ok(()),
    }
}

/// What the user should know before it begins.
fn warn(plan: &Plan, room: Option<u64>) {
    let needed = memory::of_world(plan.setup.nodes);
    let short = room.filter(|room| *room < needed).map(|room| {
        format!(
            "{} nodes that all know each other take about {} of memory, and this machine has {}: \
             expect it to fail",
            words::count(plan.setup.nodes as u64),
            words::bytes(needed as f64),
            words::bytes(room as f64)
        )
    });
    for warning in plan.vain.iter().chain(&short) {
        // Where stderr is closed, nobody wants to know.
        let _ = writeln!(io::stderr(), "convoke: warning: {warning}");
    }
}

/// Whether all went well, as the exit code tells it.
fn verdict(plan: &Plan, figures: &Figures) -> anyhow::Result<()> {
    if figures.faulty == 0 {
        return Ok(());
    }
    let told: Vec<String> = figures
        .faults
        .iter()
        .map(|fault| table::fault(plan, fault))
        .collect();
    let more = figures.faulty - told.len() as u64;
    let more = match more {
        0 => String::new(),
        more => format!("\nand {} more", words::count(more)),
    };
    let wrong = words::count(figures.faulty);
    Err(Exit::error(
        Code::Refused,
        format!(
            "{wrong} of {} went wrong\n{}{more}",
            words::counted(figures.runs, "run"),
            told.join("\n")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;
    use convoke_core::sim::report::{Progress, Run, Setup};
    use figures::tests::crash;

    fn args(line: &str) -> SimulateArgs {
        let words = ["convoke", "simulate"].into_iter();
        match Cli::try_parse_from(words.chain(line.split_whitespace()))
            .expect(line)
            .command
        {
            Command::Simulate(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    /// What a command prints and ends with, where seed 2 breaks a rule.
    fn ran(line: &str) -> (String, anyhow::Result<()>) {
        let runner = |_: &Setup, seed: u64, _: &mut dyn FnMut(Progress)| Run {
            converged: seed != 3,
            violations: Vec::from_iter((seed == 2).then(|| "n1 rose from the dead".to_owned())),
            ..crash(seed, 4000)
        };
        let mut out = Vec::new();
        let result = run(&args(line), &runner, &Stop::default(), &mut out);
        (String::from_utf8(out).expect("text"), result)
    }

    #[test]
    fn what_went_wrong_is_told_after_all_is_printed_and_is_a_refusal() {
        let (out, result) = ran("crash --nodes 8 --seeds 4 --json");
        let json: serde_json::Value = serde_json::from_str(&out).expect("one object");
        assert_eq!(json["result"]["converged"], false);
        let error = result.unwrap_err();
        let exit = error.downcast_ref::<Exit>().expect("an exit code");
        assert_eq!(exit.code, Code::Refused);
        let again = "again: convoke simulate crash --nodes 8 --first-seed";
        let expected = format!(
            "2 of 4 runs went wrong\nseed 2: n1 rose from the dead\n  {again} 2\n\
             seed 3: did not converge in time\n  {again} 3"
        );
        assert_eq!(exit.message, expected);
        let (out, result) = ran("crash --nodes 8 --seeds 2");
        assert!(
            out.contains("1 of 2 runs went wrong") && result.is_err(),
            "{out}"
        );
    }

    #[test]
    fn what_went_well_is_no_error_and_the_plot_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plot.svg");
        let (out, result) = ran(&format!("crash --nodes 8 --plot {}", file.display()));
        assert!(result.is_ok() && out.contains("crash: one member"), "{out}");
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg"));
    }

    #[test]
    fn what_is_stopped_tells_what_there_is_and_exits_so() {
        let stop = Stop::default();
        let runner = |_: &Setup, seed: u64, progress: &mut dyn FnMut(Progress)| {
            if seed == 3 {
                stop.ask();
            }
            progress(Progress { share: 0.5 });
            crash(seed, 4000)
        };
        let mut args = args("crash --nodes 8 --seeds 9");
        // One at a time.
        args.nodes = 5000;
        args.force = true;
        let mut out = Vec::new();
        let error = run(&args, &runner, &stop, &mut out).unwrap_err();
        let exit = error.downcast_ref::<Exit>().expect("an exit code");
        assert_eq!(exit.code, Code::Interrupted);
        assert_eq!(
            exit.message,
            "stopped after 2 of 9 runs: the figures are of these"
        );
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("crash --nodes 5000 --seeds 2\n"), "{text}");
    }

    #[test]
    fn a_world_that_cannot_fit_is_refused() {
        let plan = plan::tests::plan("crash|--nodes|100000").unwrap();
        let exit = fits(&plan, Some(24 << 30)).unwrap_err();
        assert!(exit.message.contains("take about 1.0 TB"), "{exit}");
        assert!(fits(&plan, None).is_ok());
    }

    #[test]
    fn a_plot_that_cannot_be_written_is_told_before_anything_runs() {
        let runner = |_: &Setup, _: u64, _: &mut dyn FnMut(Progress)| -> Run {
            unreachable!("nothing runs")
        };
        let args = args("crash --nodes 8 --plot /none/such/plot.svg");
        let error = run(&args, &runner, &Stop::default(), &mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains("there is no folder /none/such"),
            "{error}"
        );
    }
}
