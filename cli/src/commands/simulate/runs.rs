//! Runs every seed, over all cores, and hands the results on in the order of the seeds.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};

use anyhow::{Context as _, anyhow};
use convoke_core::sim::report::{Progress, Run, Setup};

use super::plan::Plan;
use super::progress::Bar;
use super::stop::Stop;

/// The most results for each thread that wait for one of an earlier seed.
const WAITING_PER_THREAD_MAX: u64 = 16;

/// What simulates one seed.
pub(super) type Runner<'a> = &'a (dyn Fn(&Setup, u64, &mut dyn FnMut(Progress)) -> Run + Sync);

/// A run that ended, or the words with which the simulator gave up.
type Ended = (u64, Result<Run, String>);

/// Runs all seeds of a plan, so many at a time. `each` gets the runs in the order of their seeds,
/// whichever ends first; all but the first without what only plots need. Where the user stops it,
/// those up to the first that had not ended.
///
/// # Errors
/// When the simulator gives up, or a thread can't be started.
pub(super) fn all(
    plan: &Plan,
    threads: usize,
    runner: Runner<'_>,
    bar: &Bar,
    stop: &Stop,
    each: &mut dyn FnMut(Run),
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let (sender, ended) = channel();
        let crew = Crew {
            plan,
            runner,
            bar,
            stop,
            sender,
        };
        crew.work(scope, threads as u64, &ended, each)
    })
}

/// The threads at work.
struct Crew<'a> {
    plan: &'a Plan,
    runner: Runner<'a>,
    bar: &'a Bar,
    stop: &'a Stop,
    sender: Sender<Ended>,
}

impl<'a> Crew<'a> {
    fn work<'scope>(
        &self,
        scope: &'scope Scope<'scope, 'a>,
        threads: u64,
        ended: &Receiver<Ended>,
        each: &mut dyn FnMut(Run),
    ) -> anyhow::Result<()> {
        // Seeds by their place: begun, at work, and handed on.
        let (mut begun, mut working, mut handed) = (0, 0, 0);
        let mut waiting = BTreeMap::new();
        while handed < self.plan.seeds {
            let ahead = handed + WAITING_PER_THREAD_MAX * threads;
            let stopped = self.stop.is_asked();
            if stopped && working == 0 {
                break;
            }
            while !stopped && working < threads && begun < self.plan.seeds.min(ahead) {
                self.begin(scope, begun)?;
                (begun, working) = (begun + 1, working + 1);
            }
            let (index, run) = ended.recv().context("no run is at work")?;
            working -= 1;
            match run {
                Ok(run) => drop(waiting.insert(index, run)),
                Err(_) if self.stop.is_asked() => {}
                Err(words) => return Err(self.gave_up(index, &words)),
            }
            while let Some(run) = waiting.remove(&handed) {
                each(run);
                handed += 1;
            }
        }
        Ok(())
    }

    fn begin<'scope>(&self, scope: &'scope Scope<'scope, 'a>, index: u64) -> anyhow::Result<()> {
        let (plan, runner, bar, sender) = (self.plan, self.runner, self.bar, self.sender.clone());
        let stop = self.stop;
        let seed = plan.first_seed + index;
        let work = move || {
            let mut lane = bar.run();
            let mut progress = |progress| {
                stop.unwind_if_asked();
                lane.reached(progress);
            };
            let run = catch_unwind(AssertUnwindSafe(|| {
                runner(&plan.setup, seed, &mut progress)
            }));
            let run = run
                .map(|run| slim(run, index))
                .map_err(|panic| words(&*panic));
            // Nobody listens any more once another run gave up.
            let _ = sender.send((index, run));
        };
        thread::Builder::new()
            .name(format!("seed {seed}"))
            .spawn_scoped(scope, work)
            .with_context(|| format!("cannot start a thread for seed {seed}"))?;
        Ok(())
    }

    fn gave_up(&self, index: u64, words: &str) -> anyhow::Error {
        let seed = self.plan.first_seed + index;
        let replay = self.plan.replay(seed);
        anyhow!("the simulator gave up at seed {seed}: {words}\n  again: {replay}")
    }
}

/// Thousands of runs wait or are folded: only the first is drawn.
fn slim(run: Run, index: u64) -> Run {
    if index == 0 {
        return run;
    }
    Run {
        notes: Vec::new(),
        marks: Vec::new(),
        load: Default::default(),
        ..run
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::simulate::plan::tests::plan;
    use convoke_core::Instant;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    const SEEDS: u64 = 200;

    fn seeds() -> Plan {
        plan(&format!("crash|--nodes|8|--first-seed|10|--seeds|{SEEDS}")).unwrap()
    }

    fn of(seed: u64) -> Run {
        Run {
            seed,
            marks: vec![(Instant::ORIGIN, "crash".into())],
            ..Run::default()
        }
    }

    #[test]
    fn runs_come_in_the_order_of_their_seeds_however_long_each_takes() {
        let plan = seeds();
        let bar = Bar::new(SEEDS, "crash");
        // The first takes until the others have run ahead as far as they may.
        let ran = AtomicUsize::new(0);
        let ahead = 4 * WAITING_PER_THREAD_MAX as usize - 1;
        let runner = |_: &Setup, seed: u64, progress: &mut dyn FnMut(Progress)| {
            while seed == 10 && ran.load(Ordering::SeqCst) < ahead {
                std::thread::yield_now();
            }
            ran.fetch_add(1, Ordering::SeqCst);
            progress(Progress { share: 0.5 });
            of(seed)
        };
        let mut came = Vec::new();
        all(&plan, 4, &runner, &bar, &Stop::default(), &mut |run| {
            came.push(run);
        })
        .unwrap();
        let order: Vec<u64> = came.iter().map(|run| run.seed).collect();
        assert_eq!(order, (10..10 + SEEDS).collect::<Vec<_>>());
        let marked: Vec<u64> = came
            .iter()
            .filter(|run| !run.marks.is_empty())
            .map(|run| run.seed)
            .collect();
        assert_eq!(marked, [10], "only the first is drawn");
    }

    #[test]
    fn no_more_run_at_a_time_than_there_is_room_for() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let runner = |_: &Setup, seed: u64, _: &mut dyn FnMut(Progress)| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(200));
            now.fetch_sub(1, Ordering::SeqCst);
            of(seed)
        };
        let bar = Bar::new(SEEDS, "crash");
        all(&seeds(), 2, &runner, &bar, &Stop::default(), &mut |_| {}).unwrap();
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn what_had_ended_when_it_was_stopped_is_handed_on() {
        let stop = Stop::default();
        let runner = |_: &Setup, seed: u64, progress: &mut dyn FnMut(Progress)| {
            if seed == 14 {
                stop.ask();
            }
            progress(Progress { share: 0.5 });
            of(seed)
        };
        let mut came = Vec::new();
        let bar = Bar::new(SEEDS, "crash");
        all(&seeds(), 1, &runner, &bar, &stop, &mut |run| {
            came.push(run.seed);
        })
        .unwrap();
        assert_eq!(came, [10, 11, 12, 13]);
    }

    #[test]
    fn a_run_that_gives_up_is_named_with_the_command_that_repeats_it() {
        let runner = |_: &Setup, seed: u64, _: &mut dyn FnMut(Progress)| {
            assert!(seed != 12, "the roster forgot itself");
            of(seed)
        };
        let bar = Bar::new(SEEDS, "crash");
        let error = all(&seeds(), 2, &runner, &bar, &Stop::default(), &mut |_| {}).unwrap_err();
        let expected = "the simulator gave up at seed 12: the roster forgot itself\n  \
                        again: convoke simulate crash --nodes 8 --first-seed 12";
        assert_eq!(error.to_string(), expected);
    }
}
