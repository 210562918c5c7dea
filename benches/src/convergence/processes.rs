//! Real `convoke` processes, one of which is killed. What they know is what `convoke monitor` says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use super::error::Error;
use super::figure::{Figure, Quantity};
use super::ground::Ground;
use super::measure::knowledge;
use super::meter::resident;
use super::outcome::{Assignment, Outcome};
use super::samples::Samples;

/// Where they live, and what they are.
struct Processes {
    folder: TempDir,
    program: PathBuf,
    running: Vec<Process>,
    /// The numbers of those who found somebody dead, and whom, and when.
    deaths: Receiver<(usize, String, Instant)>,
}

/// A process that ends with its guard.
struct Process(Child);

/// A line of `convoke monitor --json`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    event: String,
    node: Option<String>,
}

/// Kills one of so many processes.
///
/// # Errors
/// When they do not start or do not become one cluster.
pub(super) fn measure(assignment: &Assignment, program: &Path) -> Result<Outcome, Error> {
    let mut processes = Processes::start(assignment, program)?;
    std::thread::sleep(assignment.times.settle);
    let mut held = 0;
    for process in &processes.running {
        held += resident(Some(process.0.id()))?;
    }
    let number = fastrand::Rng::with_seed(assignment.seed).usize(0..assignment.nodes);
    let since = Instant::now();
    drop(processes.running.remove(number));
    let pairs = processes.until_known(&name(number), assignment.nodes - 1, since);
    let mut outcome = knowledge(pairs, Figure::Kill);
    let mean = held as f64 / 1e6 / assignment.nodes as f64;
    outcome.is(Quantity::Memory, mean);
    Ok(outcome)
}

impl Processes {
    /// Starts them and joins all others to the first.
    fn start(assignment: &Assignment, program: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("convergence-").tempdir();
        let folder = folder.map_err(|cause| Error::File {
            path: std::env::temp_dir().display().to_string(),
            cause,
        })?;
        let (sender, deaths) = channel();
        let mut processes = Self {
            folder,
            program: program.to_owned(),
            running: Vec::new(),
            deaths,
        };
        for number in 0..assignment.nodes {
            let started = processes.spawn(&["start", "--node-name", &name(number)])?;
            processes.running.push(started);
        }
        processes.join(assignment.nodes)?;
        for number in 0..assignment.nodes {
            processes.listen(number, sender.clone())?;
        }
        Ok(processes)
    }

    fn join(&self, count: usize) -> Result<(), Error> {
        let deadline = Instant::now() + Figure::Join.limit();
        for number in 0..count {
            self.until_done(&["cluster", "status"], number, deadline)?;
        }
        let seed = name(0);
        for number in 1..count {
            // Whether all came of it is seen below.
            self.spawn(&["--node", &name(number), "cluster", "join", &seed])?
                .succeeds()?;
        }
        let size = count.to_string();
        let whole = ["--wait-size", &size, "--wait-converged", "--timeout", "20s"];
        self.until_done(&[&["cluster", "status"], &whole[..]].concat(), 0, deadline)
    }

    /// Runs a command against a node, again until it succeeds.
    fn until_done(
        &self,
        arguments: &[&str],
        number: usize,
        deadline: Instant,
    ) -> Result<(), Error> {
        let name = name(number);
        let arguments = [&["--node", &name], arguments].concat();
        while !self.spawn(&arguments)?.succeeds()? {
            if Instant::now() >= deadline {
                let limit = Figure::Join.limit();
                return Err(Error::NotWhole { limit, pairs: None });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Has what a node says of the dead sent.
    fn listen(
        &mut self,
        number: usize,
        deaths: Sender<(usize, String, Instant)>,
    ) -> Result<(), Error> {
        let name = name(number);
        let mut monitor = self.spawn(&["--node", &name, "monitor", "--json"])?;
        let said = monitor.0.stdout.take().expect("it is piped");
        // The monitor ends with its node, or is killed with its thread's guard.
        std::thread::spawn(move || {
            let _monitor = monitor;
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let Ok(Line {
                    event,
                    node: Some(node),
                }) = serde_json::from_str(&line)
                else {
                    continue;
                };
                if event == "member_failed" && deaths.send((number, node, Instant::now())).is_err()
                {
                    return;
                }
            }
        });
        Ok(())
    }

    fn until_known(&self, dead: &str, observers: usize, since: Instant) -> Samples {
        let (mut samples, mut waiting) = (Samples::default(), observers);
        let deadline = since + Figure::Kill.limit();
        while waiting > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.deaths.recv_timeout(left) {
                Ok((_, name, at)) if name == dead => {
                    samples.add(at.saturating_duration_since(since));
                    waiting -= 1;
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        (0..waiting).for_each(|_| samples.add_never());
        samples
    }

    /// The program, with folders of its own in place of the user's.
    fn spawn(&self, arguments: &[&str]) -> Result<Process, Error> {
        let folder = self.folder.path();
        let child = Command::new(&self.program)
            .env_clear()
            .env("HOME", folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", folder)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let missing = |cause| Error::Missing {
            program: "convoke",
            cause,
            package: "it by cargo build --release -p convoke-cli",
        };
        child.map(Process).map_err(missing)
    }
}

impl Process {
    fn succeeds(mut self) -> Result<bool, Error> {
        let ended = self.0.wait();
        let failed = |cause: std::io::Error| Error::Fails {
            program: "convoke",
            complaint: cause.to_string(),
        };
        Ok(ended.map_err(failed)?.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn name(number: usize) -> String {
    format!("n{number}@{}", Ground::address(number))
}
