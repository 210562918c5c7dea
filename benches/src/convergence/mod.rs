//! The convergence bench: real nodes over real networks, and how long they take to know.
//!
//! A `Figure` is something that is done to a fresh cluster. Each round of it runs
//! in a process and a network namespace of its own (`child`, `ground`): what one leaves behind
//! harms no other, and memory is counted from nothing. In there a `Round` starts
//! nodes of a `Subject`, which tell whom they see by their own events
//! (`views`), and an `Outcome` comes back. All outcomes are a
//! `Report`, told as text, JSON and HTML. With the feature `peers` other engines are
//! subjects too, and stand beside Convoke with ratios.
//!
//! How it is counted:
//!
//! - A time is that of the last (or first) event at a node, not of a look at it.
//! - Join: all listen, then all join one at once, until every ordered pair is up.
//! - At rest: 15 s after that, over 25 s. CPU is the process's, user and system; bytes and packets are
//!   the loopback interface's, IP headers included; memory is VmRSS less that before the first node.
//! - Silence: nftables drops what goes to or comes from the victims (no ICMP, no close), then they end.
//! - Loss and cuts: nftables drops packets where they arrive. False failures are what nodes say while
//!   it lasts.

mod arguments;
mod child;
mod cluster;
mod convoke;
mod engine;
mod error;
mod figure;
mod ground;
mod html;
mod measure;
mod meter;
mod outcome;
mod panics;
#[cfg(feature = "peers")]
mod peers;
#[cfg(not(feature = "peers"))]
#[path = "no_peers.rs"]
mod peers;
mod plot;
mod processes;
mod report;
mod samples;
mod subject;
mod table;
mod views;
mod words;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser as _;

use arguments::Arguments;
use error::Error;
use figure::Figure;
use outcome::Assignment;
use peers::Prepared;
use report::{Entry, Report};

/// The program: reads its arguments, measures, reports.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.assignment {
        Some(assignment) => child::measure(assignment),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.figures().contains(&Figure::Kill) {
        child::program(arguments.program.as_deref())?;
    }
    let prepared = Prepared::new(&arguments.subjects())?;
    // Before the work, not after it.
    for path in arguments.json.iter().chain(&arguments.html) {
        write(path, "")?;
    }
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        optimized: !cfg!(debug_assertions),
        cores: available_parallelism().map_or(1, usize::from),
        seed: arguments.seed,
        times: arguments.times(),
        entries: Vec::new(),
    };
    for (figure, nodes, engine) in arguments.experiments() {
        let assignment = Assignment {
            engine,
            figure,
            nodes,
            seed: arguments.seed,
            times: arguments.times(),
            program: match figure {
                Figure::Kill => arguments.program.clone(),
                _ => prepared.program(engine),
            },
        };
        report.add(entry(arguments.rounds, &assignment)?);
        // What is measured so far is there, whatever becomes of the rest.
        if let Err(error) = tell(arguments, &report) {
            say(&error.to_string());
        }
    }
    let _ = write!(io::stdout(), "{}", table::text(&report));
    tell(arguments, &report)
}

fn entry(rounds: u64, first: &Assignment) -> Result<Entry, Error> {
    let Assignment {
        engine,
        figure,
        nodes,
        ..
    } = *first;
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let (name, words) = (engine.name(), figure.words());
        say(&format!("{words}, {name} N={nodes}, round {}", round + 1));
        let assignment = Assignment {
            seed: first.seed.wrapping_add(round),
            ..first.clone()
        };
        match child::run(&assignment) {
            // No round would fare better.
            Err(error @ (Error::NoNamespace(_) | Error::Missing { .. })) => return Err(error),
            outcome => outcomes.push(outcome.map_err(|error| error.to_string())),
        }
    }
    Ok(Entry::new(engine, figure, nodes, outcomes))
}

fn tell(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(report).expect("a report is plain");
        write(path, &text)?;
    }
    if let Some(path) = &arguments.html {
        write(path, &html::page(report)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|cause| Error::File {
        path: path.display().to_string(),
        cause,
    })
}

/// Tells whoever watches. Where stderr is closed, nobody does.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
