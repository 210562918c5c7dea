//! Counts the instructions of the hot paths, and compares them with what was accepted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use convoke_benches::instructions::{Accepted, PATHS, Path, count};

/// What was accepted, by kind of processor.
const ACCEPTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");
/// How to accept what is.
const ACCEPT: &str =
    "cargo run --release --locked -p convoke-benches --bin instructions -- --accept";

/// Counts the instructions of the engine's hot paths under valgrind, and fails where one takes a tenth
/// more than was accepted.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Arguments {
    /// Take the counts of now as the accepted ones, in benches/instructions.json
    #[arg(long)]
    accept: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// What runs under valgrind: one path
    #[command(hide = true)]
    Walk {
        /// Its name
        path: String,
    },
}

type All = BTreeMap<String, Accepted>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.part {
        Some(Part::Walk { path }) => walk(&path),
        None => counts().and_then(|counts| {
            if arguments.accept {
                accept(counts)
            } else {
                check(&counts)
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            let _ = writeln!(io::stderr(), "instructions: {words}");
            ExitCode::FAILURE
        }
    }
}

fn walk(path: &str) -> Result<(), String> {
    let path = Path::by_name(path).ok_or_else(|| format!("no path is named {path:?}"))?;
    path.walk();
    Ok(())
}

/// The counts of all paths.
fn counts() -> Result<BTreeMap<String, u64>, String> {
    if cfg!(debug_assertions) {
        return Err(format!("an unoptimized build is not what counts: {ACCEPT}"));
    }
    let count = |path: Path| Ok((path.name.to_owned(), count(path)?));
    let counts: Result<_, convoke_benches::instructions::CountError> =
        PATHS.into_iter().map(count).collect();
    counts.map_err(|error| error.to_string())
}

fn check(counts: &BTreeMap<String, u64>) -> Result<(), String> {
    let all = accepted()?;
    let processor = std::env::consts::ARCH;
    let Some(accepted) = all.get(processor) else {
        for (path, count) in counts {
            say(&format!("{path:<36} {count:>10} instructions"));
        }
        say(&format!("nothing was accepted for {processor}: {ACCEPT}"));
        return Ok(());
    };
    let mut bad = Vec::new();
    for (path, &count) in counts {
        let verdict = accepted.judge(path, count);
        let line = format!("{path:<36} {count:>10} instructions  {verdict}");
        say(&line);
        if verdict.is_bad() {
            bad.push(line);
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    let mut words = "these of the hot paths got dearer, or are new:\n".to_owned();
    bad.iter().for_each(|line| words += &format!("  {line}\n"));
    let compiler = compiler();
    if compiler != accepted.compiler {
        let theirs = &accepted.compiler;
        words += &format!("accepted with {theirs}, counted with {compiler}: that may be all\n");
    }
    Err(format!("{words}to accept what is: {ACCEPT}"))
}

fn accept(paths: BTreeMap<String, u64>) -> Result<(), String> {
    let mut all = accepted()?;
    let compiler = compiler();
    let of_now = Accepted { compiler, paths };
    all.insert(std::env::consts::ARCH.to_owned(), of_now);
    let text = serde_json::to_string_pretty(&all).expect("names and numbers are JSON");
    fs::write(ACCEPTED, text + "\n").map_err(|error| format!("{ACCEPTED}: {error}"))?;
    say("accepted: see benches/instructions.json");
    Ok(())
}

/// All that was accepted; nothing where there is no such file.
fn accepted() -> Result<All, String> {
    let text = match fs::read_to_string(ACCEPTED) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
        Err(error) => return Err(format!("{ACCEPTED}: {error}")),
    };
    serde_json::from_str(&text).map_err(|error| format!("{ACCEPTED}: {error}"))
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let words = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    words.unwrap_or_else(|_| "an unknown compiler".to_owned())
}

/// Whoever reads may have gone.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
