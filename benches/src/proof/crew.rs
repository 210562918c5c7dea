//! Runs a plan over all cores: the long runs first, and no two worlds at a time that would not
//! fit into the memory together.

use std::any::Any;
use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use convoke_core::sim;
use convoke_core::sim::report::{Run, Scenario, Setup};

use super::figures::Figures;
use super::plan::Plan;
use super::words::{counted, spoken};

/// Worlds of this many nodes or more run one at a time: one of 10,000 nodes takes 8 GB.
const LARGE: usize = 5000;
/// How often the progress is told while nothing ends.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The most seeds that are named where something went wrong.
const NAMED_MAX: usize = 5;
/// How finely a run's effort is counted.
const GRAINS: f64 = 1000.0;

/// Runs all of a plan. `tell` is told how far it is, in lines for a person.
///
/// The figures are those of the plan's experiments, in their order.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&str)) -> Vec<Figures> {
    let jobs = jobs(plan);
    let total = jobs.iter().map(|job| job.effort).sum::<f64>();
    let (queue, done) = (Queue::new(jobs), AtomicU64::new(0));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let (sender, ended) = channel();
        for _ in 0..cores {
            let (queue, done, sender) = (&queue, &done, sender.clone());
            scope.spawn(move || work(plan, queue, done, &sender));
        }
        drop(sender);
        let clock = Clock {
            began: Instant::now(),
            total,
            done: &done,
        };
        gather(plan, &ended, &clock, tell)
    })
}

/// One run that is to be done.
#[derive(Clone, Copy, Debug)]
struct Job {
    experiment: usize,
    setup: usize,
    seed: u64,
    /// About how many seconds it takes.
    effort: f64,
    large: bool,
}

/// All runs, the longest first.
fn jobs(plan: &Plan) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (number, experiment) in plan.experiments.iter().enumerate() {
        for (place, setup) in experiment.setups.iter().enumerate() {
            jobs.extend((1..=experiment.seeds).map(|seed| Job {
                experiment: number,
                setup: place,
                seed,
                effort: effort(setup),
                large: setup.nodes >= LARGE,
            }));
        }
    }
    jobs.sort_by(|a, b| b.effort.total_cmp(&a.effort));
    jobs
}

/// About how many seconds a run takes: for the order, and for how far all is.
fn effort(setup: &Setup) -> f64 {
    let nodes = setup.nodes as f64;
    let asked = setup.params.duration.map_or(60.0, |d| d.as_secs_f64());
    match setup.scenario {
        Scenario::Leave | Scenario::Crash | Scenario::Steady => nodes * 3e-3,
        Scenario::Loss => nodes * asked * 6e-5,
        // Everyone fails everyone on the other side, and meets them again.
        Scenario::Partition => nodes * nodes * 1.5e-4 * (1.0 + asked / 1800.0),
        Scenario::JoinStorm | Scenario::RestartAll | Scenario::Asymmetric => nodes * 3e-2,
        _ => nodes * 1.5e-2,
    }
}

/// What waits. A thread that finds nothing for it goes home: whoever has the large world at work
/// takes the other large ones as well.
struct Queue {
    waiting: Mutex<Waiting>,
}

struct Waiting {
    large: VecDeque<Job>,
    small: VecDeque<Job>,
    large_at_work: bool,
}

impl Queue {
    fn new(jobs: Vec<Job>) -> Self {
        let (large, small): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.large);
        let waiting = Mutex::new(Waiting {
            large: large.into(),
            small: small.into(),
            large_at_work: false,
        });
        Self { waiting }
    }

    fn take(&self) -> Option<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.large_at_work
            && let Some(job) = waiting.large.pop_front()
        {
            waiting.large_at_work = true;
            return Some(job);
        }
        waiting.small.pop_front()
    }

    fn done(&self, job: &Job) {
        if job.large {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.large_at_work = false;
        }
    }
}

/// A run that ended, or the words with which the simulator gave up.
struct Ended {
    job: Job,
    result: Result<Run, String>,
    took: Duration,
}

fn work(plan: &Plan, queue: &Queue, done: &AtomicU64, sender: &Sender<Ended>) {
    while let Some(job) = queue.take() {
        let setup = &plan.experiments[job.experiment].setups[job.setup];
        let (began, mut reached) = (Instant::now(), 0);
        let grains = |share: f64| (job.effort * share.clamp(0.0, 1.0) * GRAINS) as u64;
        let mut reach = |share: f64| {
            let now = grains(share).max(reached);
            done.fetch_add(now - reached, Ordering::Relaxed);
            reached = now;
        };
        let simulate = || sim::run(setup, job.seed, &mut |progress| reach(progress.share));
        let result = catch_unwind(AssertUnwindSafe(simulate)).map_err(|panic| words(&*panic));
        reach(1.0);
        queue.done(&job);
        let took = began.elapsed();
        // What only plots need is large, and waits for nobody.
        let result = result.map(|run| Run {
            notes: Vec::new(),
            load: Default::default(),
            known: Vec::new(),
            ..run
        });
        if sender.send(Ended { job, result, took }).is_err() {
            return;
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}

/// How far all is.
struct Clock<'a> {
    began: Instant,
    total: f64,
    done: &'a AtomicU64,
}

impl Clock<'_> {
    fn told(&self) -> String {
        let done = self.done.load(Ordering::Relaxed) as f64 / GRAINS;
        let share = (done / self.total.max(1.0)).clamp(0.0, 1.0);
        let gone = self.began.elapsed().as_secs();
        format!("{:3.0} %, {}:{:02}", share * 100.0, gone / 60, gone % 60)
    }
}

/// Folds what ends, and tells of it.
fn gather(
    plan: &Plan,
    ended: &Receiver<Ended>,
    clock: &Clock<'_>,
    tell: &mut dyn FnMut(&str),
) -> Vec<Figures> {
    let mut figures = vec![Figures::default(); plan.experiments.len()];
    let runs = |number: usize| {
        let experiment = &plan.experiments[number];
        experiment.seeds * experiment.setups.len() as u64
    };
    loop {
        match ended.recv_timeout(TELL_EVERY) {
            Ok(Ended { job, result, took }) => {
                let experiment = &plan.experiments[job.experiment];
                let figures = &mut figures[job.experiment];
                figures.took += took;
                match result {
                    Ok(run) => figures.add(&experiment.setups[job.setup], &run),
                    Err(words) => figures.add_gave_up(job.seed, words),
                }
                if figures.runs + figures.failures.len() as u64 == runs(job.experiment) {
                    let what = &experiment.what;
                    tell(&format!("{}  {what}: {}", clock.told(), summary(figures)));
                }
            }
            Err(RecvTimeoutError::Timeout) => tell(&format!("{}  …", clock.told())),
            Err(RecvTimeoutError::Disconnected) => return figures,
        }
    }
}

/// How an experiment went.
fn summary(figures: &Figures) -> String {
    let runs = counted(figures.runs, "run");
    let mut text = format!("{runs}, {} of one core", spoken(figures.took));
    if !figures.unequal.is_empty() {
        let seeds = named(figures.unequal.iter().copied());
        let count = figures.unequal.len();
        text += &format!("; views differ at the end of {count} (seed {seeds})");
    }
    if let Some((_, words)) = figures.failures.first() {
        let seeds = named(figures.failures.iter().map(|(seed, _)| *seed));
        text += &format!("; the simulator gave up at seed {seeds}: {words}");
    }
    text
}

fn named(seeds: impl Iterator<Item = u64>) -> String {
    let mut seeds: Vec<u64> = seeds.collect();
    seeds.sort_unstable();
    let more = if seeds.len() > NAMED_MAX { ", …" } else { "" };
    let seeds: Vec<_> = seeds.iter().take(NAMED_MAX).map(u64::to_string).collect();
    format!("{}{more}", seeds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::{Request, markdown};

    fn job(seed: u64, large: bool) -> Job {
        Job {
            experiment: 0,
            setup: 0,
            seed,
            effort: 1.0,
            large,
        }
    }

    #[test]
    fn large_worlds_run_one_at_a_time_beside_small_ones() {
        let queue = Queue::new(vec![job(1, true), job(2, true), job(3, false)]);
        let taken = || queue.take().map(|job| job.seed);
        assert_eq!(taken(), Some(1));
        assert_eq!((taken(), taken()), (Some(3), None));
        queue.done(&job(3, false));
        assert_eq!(taken(), None, "the first large one is still at work");
        queue.done(&job(1, true));
        assert_eq!((taken(), taken()), (Some(2), None));
    }

    #[test]
    fn the_longest_runs_begin_first() {
        let jobs = jobs(&Plan::new(Request::default()));
        assert!(jobs.is_sorted_by(|a, b| a.effort >= b.effort));
        assert_eq!(jobs.len() as u64, Plan::new(Request::default()).runs());
    }

    #[test]
    fn the_same_plan_gives_the_same_table() {
        let request = Request {
            rows: vec![1],
            seeds: Some(2),
            quick: true,
        };
        let mut plan = Plan::new(request);
        // The smallest fleet is enough for this.
        plan.lines.truncate(1);
        plan.experiments.truncate(3);
        let mut told = Vec::new();
        let mut table = || {
            let figures = run(&plan, &mut |line| told.push(line.to_owned()));
            markdown(&plan, &figures)
        };
        let first = table();
        assert_eq!(first, table());
        assert!(first.contains(" ms / "), "{first}");
        let ends = told.iter().filter(|line| line.contains("2 runs, "));
        assert_eq!(ends.count(), 2 * 3, "{told:?}");
    }

    #[test]
    fn seeds_that_went_wrong_are_named_up_to_a_limit() {
        assert_eq!(named([9, 3].into_iter()), "3, 9");
        assert_eq!(named(1..=9), "1, 2, 3, 4, 5, …");
    }
}
