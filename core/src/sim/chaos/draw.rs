//! Drawing a schedule from a seed.
//!
//! Each seed prefers some faults and leaves out others: where everything happens at once, nothing
//! happens for long enough to do its worst.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::report::Net;
use super::schedule::{Clock, NODES_MAX, Place, Schedule, Step, may_move};

/// Something that may be drawn.
type Happening = fn(&mut Draft);

/// How often something happens, and whether every seed has it: what ends a fault must not be
/// missing.
const KINDS: [(u32, bool, Happening); 25] = [
    (4, false, Draft::crash),
    (5, true, Draft::start),
    (3, false, Draft::bounce),
    (1, false, Draft::crash_many),
    (2, false, Draft::shut_down),
    (3, false, Draft::stop),
    (4, true, Draft::resume),
    (1, false, Draft::slow),
    (1, false, Draft::jump),
    (1, false, Draft::drift),
    (3, false, Draft::join),
    (1, false, Draft::join_again),
    (2, false, Draft::leave),
    (2, false, Draft::force_leave),
    (2, false, Draft::cut),
    (1, false, Draft::cut_one_way),
    (2, false, Draft::cut_links),
    (3, true, Draft::mend),
    (1, false, Draft::lose),
    (1, false, Draft::lose_at_a_host),
    (1, false, Draft::disorder),
    (1, false, Draft::narrow),
    (1, false, Draft::narrow_a_host),
    (1, false, Draft::shrink),
    (1, false, Draft::travel),
];
/// By how much a seed multiplies how often something happens.
const PREFERENCES: [u32; 5] = [0, 1, 1, 1, 4];
const STEPS: std::ops::Range<usize> = 8..60;
const NODES: std::ops::Range<usize> = 5..17;
const FORGETS_AFTER: [u64; 4] = [20, 60, 300, 300];
/// The most processes that are stopped at a time.
const STOPPED_MAX: usize = 4;

impl Schedule {
    /// The schedule of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut draft = Draft::new(seed);
        let forgets_after = Duration::from_secs(draft.pick(&FORGETS_AFTER));
        let weights = KINDS.map(|(weight, needed, happen)| {
            let preference = draft.pick(&PREFERENCES);
            (weight * if needed { 1 } else { preference }, happen)
        });
        let count = draft.rng.usize(STEPS);
        while draft.steps.len() < count {
            draft.something(&weights);
        }
        Self {
            seed,
            nodes: draft.nodes,
            forgets_after,
            steps: draft.steps,
        }
    }
}

/// A schedule that is being drawn, and roughly what its nodes will be at.
struct Draft {
    rng: fastrand::Rng,
    nodes: usize,
    inside: BTreeSet<usize>,
    outside: BTreeSet<usize>,
    down: BTreeSet<usize>,
    stopped: BTreeSet<usize>,
    newcomers: std::ops::Range<usize>,
    addresses: u8,
    steps: Vec<(Duration, Step)>,
}

impl Draft {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(!seed);
        let nodes = rng.usize(NODES);
        Self {
            rng,
            nodes,
            inside: (0..nodes).collect(),
            outside: BTreeSet::new(),
            down: BTreeSet::new(),
            stopped: BTreeSet::new(),
            newcomers: nodes..NODES_MAX,
            addresses: 0,
            steps: Vec::new(),
        }
    }

    fn something(&mut self, weights: &[(u32, Happening)]) {
        let sum: u32 = weights.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.rng.u32(..sum);
        for (weight, happen) in weights {
            if drawn < *weight {
                return happen(self);
            }
            drawn -= weight;
        }
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn of(&mut self, set: &BTreeSet<usize>) -> Option<usize> {
        self.rng.choice(set.iter().copied())
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.rng.u32(..count) == 0
    }

    /// A member that runs.
    fn somebody(&mut self) -> Option<usize> {
        let idle = &self.down | &self.stopped;
        self.of(&(&self.inside - &idle))
    }

    fn anybody(&mut self) -> usize {
        self.rng.usize(..self.newcomers.start)
    }

    /// Mostly soon, now and then after long enough for verdicts.
    fn push(&mut self, step: Step) {
        let (min, max) = match self.rng.u32(..20) {
            0..6 => (0, 200),
            6..16 => (200, 4000),
            16..19 => (4000, 12_000),
            _ => (12_000, 45_000),
        };
        self.push_within(min, max, step);
    }

    fn push_within(&mut self, min: u64, max: u64, step: Step) {
        let wait = Duration::from_millis(self.rng.u64(min..=max));
        self.steps.push((wait, step));
    }

    // ---- processes ----

    fn crash(&mut self) {
        let up = &(&self.inside | &self.outside) - &self.down;
        let Some(node) = self.of(&up) else { return };
        let step = if self.rng.bool() {
            Step::Crash(node)
        } else {
            Step::Kill(node)
        };
        self.push(step);
        self.note_down(node);
    }

    fn note_down(&mut self, node: usize) {
        self.down.insert(node);
        self.stopped.remove(&node);
    }

    fn crash_many(&mut self) {
        let mut up: Vec<_> = (&self.inside - &self.down).into_iter().collect();
        self.rng.shuffle(&mut up);
        up.truncate(self.rng.usize(..=up.len()));
        for node in up {
            self.push_within(0, 20, Step::Crash(node));
            self.note_down(node);
        }
    }

    fn shut_down(&mut self) {
        let Some(node) = self.somebody() else { return };
        self.push(Step::Shutdown(node));
        self.note_down(node);
    }

    fn start(&mut self) {
        let down = self.down.clone();
        let Some(node) = self.of(&down) else { return };
        self.start_node(node, 4000);
    }

    /// Down and up again, sooner than anybody notices.
    fn bounce(&mut self) {
        let Some(node) = self.somebody() else { return };
        self.push(Step::Kill(node));
        self.note_down(node);
        self.start_node(node, 300);
    }

    fn start_node(&mut self, node: usize, wait_max: u64) {
        let others: BTreeSet<_> = self.down.iter().copied().filter(|&n| n != node).collect();
        let place = match self.rng.u32(..4) {
            0 if may_move(node) => {
                self.addresses = self.addresses.saturating_add(1);
                Place::New(self.addresses)
            }
            1 if may_move(node) => self.of(&others).map_or(Place::Same, Place::Of),
            _ => Place::Same,
        };
        let clock = self.one_in(4).then(|| Clock {
            ahead: self.pick(&[-3600, -5, 0, 5, 3600]),
            ppm: self.pick(&[-5000, -200, 0, 200, 5000]),
        });
        let forgets = self.one_in(6);
        let step = Step::Start {
            node,
            place,
            forgets,
            clock,
        };
        self.push_within(0, wait_max, step);
        self.down.remove(&node);
        if forgets {
            self.inside.remove(&node);
            self.outside.insert(node);
            if !self.one_in(4) {
                self.join_node(node);
            }
        }
    }

    fn stop(&mut self) {
        if self.stopped.len() >= STOPPED_MAX {
            return;
        }
        let Some(node) = self.somebody() else { return };
        let step = match self.rng.u32(..3) {
            0 => Step::Freeze(node),
            1 => Step::Block(node),
            _ => Step::Suspend(node),
        };
        self.push(step);
        self.stopped.insert(node);
    }

    fn resume(&mut self) {
        let stopped = self.stopped.clone();
        if let Some(node) = self.of(&stopped) {
            self.push(Step::Resume(node));
            self.stopped.remove(&node);
        }
    }

    fn slow(&mut self) {
        let factor = self.pick(&[1, 30, 300, 1000, 3000]);
        match self.somebody().filter(|_| factor > 1) {
            Some(node) => self.push(Step::Slow(node, factor)),
            None => self.push(Step::Quicken),
        }
    }

    fn jump(&mut self) {
        let Some(node) = self.somebody() else { return };
        let time = self.pick(&[500, 2_000, 10_000, 60_000, 3_600_000, 86_400_000]);
        self.push(Step::Jump(node, Duration::from_millis(time)));
    }

    fn drift(&mut self) {
        let node = self.anybody();
        let ppm = self.pick(&[0, -300_000, -5000, 5000, 300_000]);
        self.push(Step::Drift(node, ppm));
    }

    // ---- commands ----

    fn join(&mut self) {
        let outside = &self.outside - &self.down;
        let known = self.of(&outside).filter(|_| self.rng.bool());
        if let Some(node) = known.or_else(|| self.newcomers.next()) {
            self.join_node(node);
        }
    }

    fn join_node(&mut self, node: usize) {
        let Some(by) = self.somebody() else { return };
        self.push(Step::Join { node, by });
        self.outside.remove(&node);
        self.inside.insert(node);
    }

    /// An operator joins a member to another one.
    fn join_again(&mut self) {
        if let (Some(node), Some(by)) = (self.somebody(), self.somebody()) {
            self.push(Step::Join { node, by });
        }
    }

    fn leave(&mut self) {
        let Some(node) = self.somebody() else { return };
        self.push(Step::Leave(node));
        self.inside.remove(&node);
        self.outside.insert(node);
    }

    fn force_leave(&mut self) {
        let inside = self.inside.clone();
        let (by, node) = (self.somebody(), self.of(&inside));
        if let (Some(by), Some(node)) = (by, node) {
            self.push(Step::ForceLeave { node, by });
            self.inside.remove(&node);
            self.outside.insert(node);
        }
    }

    // ---- the network ----

    fn groups(&mut self) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.rng.usize(2..5)];
        // Now and then one side is small.
        let lopsided = self.rng.bool();
        for node in 0..NODES_MAX {
            let drawn = self.rng.usize(..groups.len());
            let again = self.rng.usize(..groups.len());
            groups[if lopsided { drawn.min(again) } else { drawn }].push(node);
        }
        groups
    }

    fn cut(&mut self) {
        let groups = self.groups();
        self.push(Step::Cut(groups));
    }

    fn cut_one_way(&mut self) {
        let mut groups = self.groups();
        self.rng.shuffle(&mut groups);
        self.push(Step::CutOneWay(groups));
    }

    fn cut_links(&mut self) {
        for _ in 0..self.rng.u32(1..4) {
            let (a, b) = (self.anybody(), self.anybody());
            let step = match self.rng.u32(..3) {
                0 => Step::CutPair(a, b),
                1 => Step::CutLink(a, b),
                _ => Step::CutDatagrams(a, b),
            };
            self.push_within(0, 500, step);
        }
    }

    fn mend(&mut self) {
        self.push(Step::Mend);
    }

    fn lose(&mut self) {
        let share = self.pick(&[0, 0, 2, 5, 10, 20, 30]);
        self.push(Step::Loss(share));
    }

    fn lose_at_a_host(&mut self) {
        let node = self.anybody();
        let (sent, received) = self.pick(&[(0, 0), (0, 80), (80, 0), (30, 30), (100, 0), (0, 100)]);
        self.push(Step::HostLoss {
            node,
            sent,
            received,
        });
    }

    fn disorder(&mut self) {
        let share = self.pick(&[0, 5, 30]);
        let step = if self.rng.bool() {
            Step::Repeat(share)
        } else {
            Step::HoldUp(share)
        };
        self.push(step);
    }

    fn narrow(&mut self) {
        let bandwidth = self.pick(&[None, None, Some(3_000), Some(20_000), Some(200_000)]);
        self.push(Step::Bandwidth(bandwidth));
    }

    fn narrow_a_host(&mut self) {
        let node = self.anybody();
        let bandwidth = self.pick(&[None, Some(2_000), Some(20_000)]);
        self.push(Step::HostBandwidth(node, bandwidth));
    }

    /// Queues hold little, or much.
    fn shrink(&mut self) {
        let step = if self.rng.bool() {
            Step::Backlog(self.pick(&[2_000, 16_000, 64_000]))
        } else {
            Step::Socket(self.pick(&[4, 20, 500]))
        };
        self.push(step);
    }

    fn travel(&mut self) {
        let net = self.pick(&[Net::Lan, Net::Wan, Net::Tail]);
        self.push(Step::Travel(net));
    }
}
