//! One round in a process and a network of its own: how it is started, and what it does there.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::convoke::Convoke;
use super::engine::Engine;
use super::error::Error;
use super::figure::Figure;
use super::ground::{Ground, apart};
use super::measure::Round;
use super::meter::{Whose, held};
use super::outcome::{Assignment, Outcome};
use super::panics::Panics;
use super::subject::Subject;
use super::{peers, processes};

/// How often it is looked whether a round has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// What all processes of a round may hold.
const MEMORY_MAX: u64 = 8 << 30;
/// How often it is looked what they do.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// Has a fresh process measure, and ends it after its time.
///
/// # Errors
/// When it can't be started, gives no figure, or takes longer than it may.
pub(super) fn run(assignment: &Assignment) -> Result<Outcome, Error> {
    let own = std::env::current_exe().map_err(|cause| Error::File {
        path: "the bench".to_owned(),
        cause,
    })?;
    let text = serde_json::to_string(assignment).expect("an assignment is plain");
    let mut command = apart(&own);
    command.arg("--assignment").arg(text);
    let child = spawn(&mut command)?;
    end(child, assignment.limit())
}

fn spawn(command: &mut Command) -> Result<Child, Error> {
    // Its standard input tells it that this process is there.
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| Error::Missing {
            program: "unshare",
            cause,
            package: "util-linux",
        })
}

fn end(mut child: Child, limit: Duration) -> Result<Outcome, Error> {
    let said = reader(child.stdout.take().expect("it is piped"));
    let complaint = reader(child.stderr.take().expect("it is piped"));
    let began = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if began.elapsed() < limit => thread::sleep(LOOK_INTERVAL),
            _ => break None,
        }
    };
    let Some(status) = ended else {
        // Namespaces and all that is in them go with it.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::TooLong(limit));
    };
    let (said, complaint) = (text(said), text(complaint));
    if !status.success() {
        let words = complaint.trim();
        return Err(match words.strip_prefix("unshare: ") {
            Some(words) if !words.starts_with("failed to execute") => {
                Error::NoNamespace(words.to_owned())
            }
            _ if words.is_empty() => Error::NoOutcome(format!("the process ended: {status}")),
            _ => Error::NoOutcome(words.to_owned()),
        });
    }
    serde_json::from_str(&said).map_err(|error| Error::NoOutcome(format!("{error} in {said:?}")))
}

fn reader(mut from: impl io::Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is better than nothing.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

fn text(reader: thread::JoinHandle<Vec<u8>>) -> String {
    let bytes = reader.join().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the fresh process does: measures, and prints the outcome.
///
/// # Errors
/// When there is nothing to measure.
pub(super) fn measure(assignment: &Assignment) -> Result<(), Error> {
    thread::spawn(end_with_parent);
    thread::spawn(end_with_memory);
    let outcome = outcome(assignment)?;
    let text = serde_json::to_string(&outcome).expect("an outcome is plain");
    // Whoever is gone does not read.
    let _ = writeln!(io::stdout(), "{text}");
    Ok(())
}

fn outcome(assignment: &Assignment) -> Result<Outcome, Error> {
    let ground = Ground::new()?;
    let panics = Panics::count();
    let mut outcome = match (assignment.engine, assignment.figure) {
        (_, Figure::Kill) => {
            let program = program(assignment.program.as_deref())?;
            processes::measure(assignment, &program)
        }
        (Engine::Convoke, _) => play(&Convoke::default(), &ground, assignment),
        _ => peers::measure(&ground, assignment),
    }?;
    outcome.notes.extend(panics.words());
    Ok(outcome)
}

/// Measures nodes of this engine.
///
/// # Errors
/// When there is nothing to measure.
pub(super) fn play<S: Subject>(
    subject: &S,
    ground: &Ground,
    assignment: &Assignment,
) -> Result<Outcome, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::File {
            path: "the runtime".to_owned(),
            cause,
        })?;
    let round = Round {
        subject,
        ground,
        assignment,
    };
    let outcome = runtime.block_on(round.measure());
    // The nodes end with the process.
    runtime.shutdown_background();
    outcome
}

/// Standard input ends when the process does that started this one.
fn end_with_parent() {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1);
}

/// Ends the round before it takes the machine's memory.
fn end_with_memory() {
    loop {
        let all = [Whose::Own, Whose::Others].map(|whose| held(whose).unwrap_or_default());
        let bytes: u64 = all.iter().sum();
        if bytes > MEMORY_MAX {
            // Whoever is gone does not read.
            let _ = writeln!(
                io::stderr(),
                "ended: it held more than {} GB",
                MEMORY_MAX >> 30
            );
            std::process::exit(1);
        }
        thread::sleep(MEMORY_INTERVAL);
    }
}

/// The `convoke` program: this one, or the one that was built beside the bench.
///
/// # Errors
/// Where it is not there.
pub(super) fn program(given: Option<&Path>) -> Result<PathBuf, Error> {
    let beside = || {
        let own = std::env::current_exe().unwrap_or_default();
        // target/release/deps/convergence-0123 or target/release/convergence → target/release
        let folder = own.parent().unwrap_or(Path::new("")).to_owned();
        let profile = folder.parent().filter(|_| folder.ends_with("deps"));
        profile.unwrap_or(&folder).join("convoke")
    };
    let program = given.map_or_else(beside, Path::to_owned);
    if program.is_file() {
        Ok(program)
    } else {
        Err(Error::NoProgram(program.display().to_string()))
    }
}
