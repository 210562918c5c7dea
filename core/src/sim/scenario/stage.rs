//! The stage: a world with what is measured of it.

use std::time::Duration;

use super::super::node::Sent;
use super::super::protocol::{Health, Protocol};
use super::super::report::{Load, Params, Progress, Run, Setup};
use super::super::world::{Machine, World};
use crate::time::Instant;

/// How long a settled cluster runs before anything is measured: every member has been probed by
/// all of its observers, and their connections are warm.
const WARM_UP: Duration = Duration::from_secs(20);
/// The width of a bin of the load over time, where no scenario wants finer ones.
const BIN: Duration = Duration::from_millis(100);
/// Above this size, packets do not go through the codec: their bytes are counted all the same.
const CODEC_NODES_MAX: usize = 256;
/// How long views may take to agree once nothing gets lost any more.
const AGREEMENT: Duration = Duration::from_secs(60);
/// How often what is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(super) struct Stage<'a, P: Protocol> {
    pub(super) world: World<P>,
    pub(super) run: Run,
    pub(super) rng: fastrand::Rng,
    pub(super) nodes: usize,
    pub(super) params: Params,
    /// How long the scenario goes on, as far as is known: for the progress.
    planned: Duration,
    config: P::Config,
    setup: &'a Setup,
    progress: &'a mut dyn FnMut(Progress),
    /// The width of a bin of the load over time.
    pub(super) bin: Duration,
    next_bin: Instant,
    binned: (u64, u64),
    measuring: bool,
}

impl<'a, P: Protocol> Stage<'a, P> {
    pub(super) fn new(
        setup: &'a Setup,
        config: P::Config,
        seed: u64,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        let run = Run {
            seed,
            ..Run::default()
        };
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed_0f7e_a57e_0001);
        let world = world(setup, config.clone(), rng.u64(..));
        Self {
            world,
            run,
            rng,
            nodes: setup.nodes,
            params: setup.params.clone(),
            planned: WARM_UP,
            config,
            setup,
            progress,
            bin: BIN,
            next_bin: Instant::ORIGIN,
            binned: (0, 0),
            measuring: false,
        }
    }

    /// Puts an empty world in the place of the present one.
    pub(super) fn begin_anew(&mut self) {
        let trace = self.world.trace();
        self.run.trace = self.run.trace.rotate_left(7) ^ trace;
        self.world = world(self.setup, self.config.clone(), self.rng.u64(..));
    }

    /// Says how long the scenario takes from now on, the warming up included.
    pub(super) fn plan(&mut self, time: Duration) {
        self.planned = time;
    }

    /// A cluster that settled long ago, on warm connections.
    pub(super) fn settle(&mut self) {
        let loss = std::mem::take(&mut self.world.network.loss);
        self.world.settle_cluster(self.nodes);
        self.pass(WARM_UP);
        self.world.network.loss = loss;
    }

    /// Begins to measure, and to note who thinks what.
    pub(super) fn measure(&mut self) {
        self.world
            .nodes
            .iter_mut()
            .for_each(|n| n.sent = Sent::default());
        self.world.ledger.notes_max = Run::NOTES_MAX;
        self.world.ledger.reset();
        self.run.began = self.world.now;
        self.run.load = Load {
            width: self.bin,
            ..Load::default()
        };
        self.next_bin = self.world.now + self.bin;
        self.binned = (0, 0);
        self.measuring = true;
    }

    /// Says for the plots what is done now.
    pub(super) fn mark(&mut self, what: impl Into<String>) {
        self.run.marks.push((self.world.now, what.into()));
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            let next = end.min(self.world.now + BIN);
            self.world.run_for(next - self.world.now);
            self.look();
        }
    }

    /// Lets time pass until something holds, for `limit` at the most. Says how long it took.
    pub(super) fn until(
        &mut self,
        limit: Duration,
        holds: impl Fn(&World<P>) -> bool,
    ) -> Option<Duration> {
        let begin = self.world.now;
        while !holds(&self.world) {
            if self.world.now.since(begin) >= limit {
                return None;
            }
            self.world.run_for(LOOK_EVERY);
            self.look();
        }
        Some(self.world.now.since(begin))
    }

    /// Fills the bins of the load, and tells the progress.
    fn look(&mut self) {
        if self.measuring && self.world.now >= self.next_bin {
            let total = self.sent();
            let bin = (total.0 - self.binned.0, total.1 - self.binned.1);
            self.run.load.bins.push(bin);
            self.binned = total;
            self.next_bin += self.bin;
        }
        let done = self.world.now.since(Instant::ORIGIN).as_secs_f64();
        let share = (done / self.planned.as_secs_f64().max(1e-9)).min(0.999);
        (self.progress)(Progress { share });
    }

    /// Messages and bytes of all nodes since measuring began.
    pub(super) fn sent(&self) -> (u64, u64) {
        let nodes = self.world.nodes.iter();
        nodes.fold((0, 0), |(messages, bytes), node| {
            (messages + node.sent.messages(), bytes + node.sent.bytes)
        })
    }

    /// So many nodes that run, drawn at random.
    pub(super) fn draw(&mut self, count: usize) -> Vec<usize> {
        let mut drawn = self.world.running();
        self.rng.shuffle(&mut drawn);
        drawn.truncate(count);
        drawn.sort_unstable();
        drawn
    }

    /// Waits until all of `observers` know of all that is watched, and notes how long it took.
    pub(super) fn await_news(&mut self, observers: &[usize], limit: Duration) {
        let subjects: Vec<_> = self.world.ledger.watches().map(|(s, _)| s).collect();
        let enough = |world: &World<P>| {
            let mut news = subjects.iter().filter_map(|&s| world.ledger.news_of(s));
            news.all(|watch| watch.known.len() >= observers.len())
        };
        self.until(limit, enough);
        for subject in subjects {
            self.note_news(subject, observers);
        }
    }

    fn note_news(&mut self, subject: usize, observers: &[usize]) {
        let Some(watch) = self.world.ledger.news_of(subject) else {
            return;
        };
        let run = &mut self.run;
        let known = watch.known_by(observers.iter().copied());
        let each = observers.iter().filter_map(|o| watch.known.get(o));
        run.known.extend(each.map(|at| at.since(watch.since)));
        run.known_by_all.extend(known);
        if watch.want == Health::Failed {
            run.first_suspected.extend(watch.suspected());
            run.first_failed.extend(watch.first_known());
            run.failed_everywhere.extend(known);
        }
        if known.is_none() {
            run.missed += 1;
        }
    }

    /// Stops measuring: what is sent from now on is not counted.
    pub(super) fn stop_measuring(&mut self) {
        if !self.measuring {
            return;
        }
        self.measuring = false;
        let (messages, bytes) = self.sent();
        self.close_bin((messages, bytes));
        let busiest = self.world.nodes.iter().map(|node| node.sent.bytes).max();
        self.run.messages += messages;
        self.run.bytes += bytes;
        self.run.bytes_of_busiest = self.run.bytes_of_busiest.max(busiest.unwrap_or(0));
        self.run.measured += self.world.now - self.run.began;
    }

    /// What was sent since the last whole bin is one of its own.
    fn close_bin(&mut self, total: (u64, u64)) {
        let left = self.next_bin.since(self.world.now).min(self.bin);
        if left < self.bin {
            let bin = (total.0 - self.binned.0, total.1 - self.binned.1);
            self.run.load.bins.push(bin);
            self.run.load.last = Some(self.bin - left);
        }
    }

    /// The verdict at the end: whether these agree, if all came `in_time` until now. A suspicion
    /// that is on its way at this moment is no disagreement: what gets lost by chance ends then,
    /// and they are waited for. What is told meanwhile is not counted.
    pub(super) fn conclude(&mut self, group: &[usize], in_time: bool) -> bool {
        if in_time && !self.world.agree(group) {
            self.close_ledger();
            if std::mem::take(&mut self.world.network.loss) > 0.0 {
                self.mark("no loss");
            }
            self.until(AGREEMENT, |world| world.agree(group));
            self.take_notes();
            self.world.ledger.reset();
        }
        let agreed = in_time && self.world.agree(group);
        if !agreed && self.run.differences.is_empty() {
            self.run.differences = self.world.differences(group);
        }
        self.run.converged = agreed;
        agreed
    }

    /// Takes what the ledger counted into the run.
    pub(super) fn close_ledger(&mut self) {
        self.take_notes();
        let ledger = &mut self.world.ledger;
        self.run.false_failed_events += ledger.false_failed_events;
        self.run.false_failed_at_well += ledger.false_failed_at_well;
        self.run.false_failed_members += ledger.false_failed.len() as u64;
        self.run.suspicions += ledger.suspicions;
        self.run.refutations += ledger.refutations;
        ledger.reset();
    }

    fn take_notes(&mut self) {
        let room = Run::NOTES_MAX.saturating_sub(self.run.notes.len());
        let notes = std::mem::take(&mut self.world.ledger.notes);
        self.run.notes.extend(notes.into_iter().take(room));
    }

    pub(super) fn finish(mut self) -> Run {
        self.stop_measuring();
        self.close_ledger();
        let trace = self.world.trace();
        self.run.trace = self.run.trace.rotate_left(7) ^ trace;
        self.run.ended = self.world.now;
        let violations = std::mem::take(&mut self.world.checked.violations);
        self.run
            .violations
            .extend(violations.iter().map(ToString::to_string));
        (self.progress)(Progress { share: 1.0 });
        self.run
    }
}

fn world<P: Protocol>(setup: &Setup, config: P::Config, seed: u64) -> World<P> {
    let mut world = World::empty(seed, config);
    world.network.travel(setup.net);
    world.network.loss = setup.loss;
    world.through_codec = setup.nodes <= CODEC_NODES_MAX;
    world.keeps_events = false;
    world.checks = setup.params.checks;
    if setup.params.cpu.unwrap_or(true) {
        world.machine = Machine::MEASURED;
    }
    world
}
