//! The chaos campaign: random storms over whole fleets in virtual time, by the thousand.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use convoke_core::sim::chaos::{Outcome, Schedule, minimise, run};

/// Of so many seeds that break something the schedule is made smaller.
const MINIMISED_MAX: usize = 3;
/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Runs random storms over fleets of the engine in virtual time: crashes, restarts, pauses, cuts,
/// loss, joins, leaves, removals. Checks after every step what must always hold, and at the end
/// that those who belong together find together. Exit status 1 where something did not hold.
#[derive(Parser)]
#[command(name = "tests/chaos", allow_negative_numbers = true)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = count)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = seed)]
    first_seed: u64,
    /// How many to run at a time [default: one for each core]
    #[arg(long, value_name = "J", value_parser = jobs)]
    jobs: Option<usize>,
    /// Run one seed, and tell all that was done; where it breaks something, with the smallest
    /// schedule that does
    #[arg(long, value_name = "SEED", value_parser = seed, conflicts_with_all = ["seeds", "first_seed", "jobs"])]
    replay: Option<u64>,
}

fn count(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|count| *count > 0);
    number.ok_or_else(|| "expected a number of seeds, 1 at least".into())
}

fn seed(text: &str) -> Result<u64, String> {
    let number = text.parse().ok();
    number.ok_or_else(|| format!("expected a seed, a number from 0 to {}", u64::MAX))
}

fn jobs(text: &str) -> Result<usize, String> {
    const JOBS_MAX: usize = 1024;
    let number = text
        .parse()
        .ok()
        .filter(|jobs| (1..=JOBS_MAX).contains(jobs));
    number.ok_or_else(|| format!("expected how many run at a time, 1 to {JOBS_MAX}"))
}

impl Arguments {
    /// The arguments of this process; where seeds go beyond the last number, it ends here.
    fn read() -> Self {
        let arguments = Self::parse();
        let last = arguments.first_seed.checked_add(arguments.seeds - 1);
        if last.is_none() {
            let words = format!(
                "--first-seed: {} seeds from there go beyond {}",
                arguments.seeds,
                u64::MAX
            );
            Self::command()
                .error(ErrorKind::ValueValidation, words)
                .exit();
        }
        arguments
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let mut out = std::io::stdout().lock();
    // Whoever reads may have gone: that is no reason to panic.
    let passed = match arguments.replay {
        Some(seed) => replay(seed, &mut out),
        None => Campaign::run(&arguments).report(&arguments, &mut out),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn replay(seed: u64, out: &mut impl Write) -> std::io::Result<bool> {
    let schedule = Schedule::draw(seed);
    writeln!(out, "{schedule}")?;
    let outcome = run(&schedule);
    writeln!(out, "{}\n", outcome.story)?;
    let steps = schedule.steps.len();
    let together = match outcome.converged_after {
        Some(time) => format!("together {time:?} after the mending"),
        None => "not together after the mending".to_owned(),
    };
    writeln!(
        out,
        "{} of {steps} steps applied; {:?} of virtual time; {together}; trace {:016x}",
        outcome.applied, outcome.lasted, outcome.trace
    )?;
    if outcome.violations.is_empty() {
        writeln!(out, "nothing was violated")?;
        return Ok(true);
    }
    tell_smallest(&schedule, out)?;
    Ok(false)
}

fn tell_smallest(schedule: &Schedule, out: &mut impl Write) -> std::io::Result<()> {
    let seed = schedule.seed;
    let Some(smallest) = minimise(schedule) else {
        return writeln!(out, "seed {seed}: nothing was violated when it ran again");
    };
    writeln!(
        out,
        "\nseed {seed}, made smaller in {} runs:",
        smallest.runs
    )?;
    write!(out, "{}", smallest.schedule)?;
    for violation in &smallest.outcome.violations {
        writeln!(out, "violates {violation}")?;
    }
    writeln!(out, "{}", smallest.outcome.story)?;
    writeln!(out, "replay it: tests/chaos --replay {seed}")
}

/// What all seeds came to.
#[derive(Default)]
struct Campaign {
    seeds: u64,
    virtual_time: Duration,
    /// Of all seeds together, in whichever order they ended.
    trace: u64,
    converged_after: Vec<Duration>,
    broken: BTreeMap<u64, Outcome>,
    took: Duration,
}

impl Campaign {
    fn run(arguments: &Arguments) -> Self {
        let began = Instant::now();
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = arguments.jobs.unwrap_or(cores);
        let (first, count) = (arguments.first_seed, arguments.seeds);
        // A panic is caught and told with its seed.
        std::panic::set_hook(Box::new(|_| {}));
        let mut campaign = Self::default();
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            let (sender, outcomes) = mpsc::sync_channel(jobs * 4);
            for _ in 0..jobs {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= count {
                            break;
                        }
                        let seed = first + nth;
                        if sender.send((seed, run(&Schedule::draw(seed)))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut told = began;
            for (seed, outcome) in outcomes {
                campaign.note(seed, outcome);
                if told.elapsed() >= PROGRESS_EVERY {
                    told = Instant::now();
                    campaign.tell_progress(count, began.elapsed());
                }
            }
        });
        campaign.took = began.elapsed();
        campaign
    }

    fn note(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.virtual_time += outcome.lasted;
        let place = u32::try_from(seed % 64).unwrap_or_default();
        self.trace = self.trace.wrapping_add(outcome.trace.rotate_left(place));
        self.converged_after.extend(outcome.converged_after);
        if let Some(violation) = outcome.violations.first() {
            let _ = writeln!(std::io::stderr(), "seed {seed} violates {violation}");
            self.broken.insert(seed, outcome);
        }
    }

    fn tell_progress(&self, count: u64, so_far: Duration) {
        let (done, broken) = (self.seeds, self.broken.len());
        let left = so_far.mul_f64((count - done) as f64 / done.max(1) as f64);
        let _ = writeln!(
            std::io::stderr(),
            "{done} of {count} seeds, {broken} with violations, {} s left",
            left.as_secs()
        );
    }

    /// Says what there is to say. True where nothing was violated.
    fn report(mut self, arguments: &Arguments, out: &mut impl Write) -> std::io::Result<bool> {
        for seed in self.broken.keys().take(MINIMISED_MAX) {
            tell_smallest(&Schedule::draw(*seed), out)?;
        }
        if !self.broken.is_empty() {
            writeln!(out)?;
        }
        self.converged_after.sort_unstable();
        let quantile = |share: f64| {
            let most = self.converged_after.len().saturating_sub(1);
            let at = (most as f64 * share) as usize;
            self.converged_after.get(at).copied().unwrap_or_default()
        };
        writeln!(
            out,
            "{} seeds ({} to {}), {} with violations",
            self.seeds,
            arguments.first_seed,
            arguments.first_seed + (arguments.seeds - 1),
            self.broken.len()
        )?;
        for (seed, outcome) in &self.broken {
            writeln!(
                out,
                "  {:?}: tests/chaos --replay {seed}",
                outcome.violations[0].invariant
            )?;
        }
        writeln!(
            out,
            "together after the mending: {:.2?} (median), {:.2?} (99 of 100), {:.2?} (most)",
            quantile(0.5),
            quantile(0.99),
            quantile(1.0)
        )?;
        writeln!(
            out,
            "{:.1} hours of virtual time in {:.1} s; trace {:016x}",
            self.virtual_time.as_secs_f64() / 3600.0,
            self.took.as_secs_f64(),
            self.trace
        )?;
        Ok(self.broken.is_empty())
    }
}
