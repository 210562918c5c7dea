//! Everything at once, at random: whatever happened, when it ends those who belong together find
//! together, and nobody else is among them.

use std::collections::BTreeSet;

use convoke_core::{Departure, Signal};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::WrongFailure;

const NODES_MAX: usize = 24;

/// A world in which anything may happen, and who should be in its cluster.
struct Chaos {
    world: World,
    rng: fastrand::Rng,
    /// Members, up or down. Those who are joining are neither in nor out until that has ended.
    inside: BTreeSet<usize>,
    paused: BTreeSet<usize>,
    /// Members that removed somebody. They stay: what they know nobody else may have heard.
    removers: BTreeSet<usize>,
    said: Vec<String>,
}

impl Chaos {
    fn new(seed: u64, size: usize) -> Self {
        let world = World::cluster(seed, size);
        let (inside, paused) = ((0..size).collect(), BTreeSet::new());
        let rng = fastrand::Rng::with_seed(!seed);
        Self {
            world,
            rng,
            inside,
            paused,
            removers: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    fn say(&mut self, what: &str, who: &[usize]) {
        let at = self.world.now;
        self.said.push(format!("{at:?} {what} {who:?}"));
    }

    /// A member that runs.
    fn somebody(&mut self) -> Option<usize> {
        let running = self.world.running();
        let fit: Vec<_> = running
            .into_iter()
            .filter(|number| self.inside.contains(number))
            .collect();
        self.rng.choice(fit)
    }

    fn something_happens(&mut self) {
        match self.rng.u32(..20) {
            0..4 => self.crash(),
            4..8 => self.start(),
            8..10 => self.pause(),
            10..12 => self.resume(),
            12..14 => self.cut(),
            14 => self.cut_links(),
            15 => {
                self.say("mend", &[]);
                self.world.network.mend();
            }
            16 => {
                self.world.network.loss = f64::from(self.rng.u32(..4)) / 20.0;
                self.say("loss", &[]);
            }
            17 => self.join(),
            18 => self.leave(),
            _ => self.force_leave(),
        }
        let pause = self.rng.u64(50..4000);
        self.world.run_for(ms(pause));
    }

    fn crash(&mut self) {
        let running = self.world.running().len();
        if let Some(number) = self.somebody().filter(|_| running > 4) {
            self.say("crash", &[number]);
            self.world.crash(number);
        }
    }

    fn start(&mut self) {
        let down = |&number: &usize| self.world.nodes[number].process.is_none();
        let down: Vec<_> = (0..self.world.nodes.len()).filter(down).collect();
        if let Some(number) = self.rng.choice(down) {
            self.say("start", &[number]);
            self.world.start(number);
        }
    }

    fn pause(&mut self) {
        if let Some(number) = self.somebody().filter(|_| self.paused.len() < 3) {
            self.say("pause", &[number]);
            self.world.pause(number);
            self.paused.insert(number);
        }
    }

    fn resume(&mut self) {
        if let Some(number) = self.paused.pop_first() {
            self.say("resume", &[number]);
            self.world.resume(number);
        }
    }

    fn cut(&mut self) {
        let sides = self.rng.usize(2..4);
        let mut groups = vec![Vec::new(); sides];
        for number in 0..self.world.nodes.len() {
            groups[self.rng.usize(..sides)].push(number);
        }
        self.said
            .push(format!("{:?} cut {groups:?}", self.world.now));
        self.world.network.cut_into(&groups);
    }

    fn cut_links(&mut self) {
        for _ in 0..3 {
            let (a, b) = (
                self.rng.usize(..self.world.nodes.len()),
                self.rng.usize(..self.world.nodes.len()),
            );
            self.say("cut one way", &[a, b]);
            self.world.network.cut_one_way(a, b);
        }
    }

    /// A newcomer joins by somebody who holds others: the only one that it ever heard of might be
    /// lost, and then nobody could find it.
    fn join(&mut self) {
        let room = self.world.nodes.len() < NODES_MAX;
        let target = self
            .somebody()
            .filter(|&target| room && self.world.nodes[target].engine().size() > 2);
        let Some(target) = target else { return };
        let number = self.world.add();
        self.say("join", &[number, target]);
        let result = self.world.join(number, target);
        self.said.push(format!("{:?} {result:?}", self.world.now));
        // "Incomplete" is in; every other failure is out.
        let incomplete = matches!(result, Err(convoke_core::output::JoinError::Incomplete(_)));
        if result.is_ok() || incomplete {
            self.inside.insert(number);
        }
    }

    fn leave(&mut self) {
        let number = self.somebody().filter(|_| self.inside.len() > 6);
        let Some(number) = number.filter(|number| !self.removers.contains(number)) else {
            return;
        };
        let begun = self
            .world
            .tell(number, |engine, now| engine.leave(now, Departure::Leave));
        self.say("leave", &[number]);
        self.said.push(format!("{begun:?}"));
        if begun.is_ok() {
            self.world.run_for(s(2));
            self.inside.remove(&number);
        }
    }

    fn force_leave(&mut self) {
        let Some(by) = self.somebody().filter(|_| self.inside.len() > 6) else {
            return;
        };
        let others = self.inside.difference(&self.removers).copied();
        let others: Vec<_> = others.filter(|&number| number != by).collect();
        let Some(number) = self.rng.choice(others) else {
            return;
        };
        let name = self.world.nodes[number].name.clone();
        let done = self
            .world
            .tell(by, |engine, now| engine.force_leave(now, &name));
        self.say("force-leave", &[by, number]);
        self.said.push(format!("{done:?}"));
        if done.is_ok() {
            // One who falls silent at once has told nobody: let it be heard.
            self.world.run_for(ms(500));
            self.inside.remove(&number);
            self.removers.insert(by);
        }
    }

    fn everything_is_mended(&mut self) {
        self.say("all is mended", &[]);
        self.world.network.mend();
        self.world.network.loss = 0.0;
        while !self.paused.is_empty() {
            self.resume();
        }
        for number in 0..self.world.nodes.len() {
            if self.world.nodes[number].process.is_none() {
                self.world.start(number);
            }
        }
    }

    fn inside(&self) -> Vec<usize> {
        self.inside.iter().copied().collect()
    }

    fn story(&self) -> String {
        format!("{}\n{}", self.said.join("\n"), self.world.describe())
    }
}

fn storm(seed: u64, happenings: usize) {
    let mut chaos = Chaos::new(seed, 12);
    for _ in 0..happenings {
        chaos.something_happens();
    }
    chaos.everything_is_mended();
    let inside = chaos.inside();
    let together = chaos.world.run_until(s(120), |world| world.agree(&inside));
    assert!(
        together.is_some(),
        "seed {seed}: they find together: {inside:?}\n{}",
        chaos.story()
    );
    let since = chaos.world.now;
    chaos.world.run_for(s(60));
    assert!(
        chaos.world.agree(&inside),
        "seed {seed}: and stay so: {inside:?}\n{}",
        chaos.story()
    );
    let wrong = chaos.world.wrong_failures(since);
    let inside_and_failed = |failure: &&&WrongFailure| {
        [failure.by, failure.about]
            .iter()
            .all(|node| inside.contains(node))
    };
    let wrong: Vec<_> = wrong.iter().filter(inside_and_failed).collect();
    assert!(
        wrong.is_empty(),
        "seed {seed}: without a late verdict, as {wrong:?} after {since:?}\n{}",
        chaos.story()
    );
    for number in 0..chaos.world.nodes.len() {
        let (rumors, suspicions) = chaos.world.nodes[number].engine().load();
        assert_eq!(
            (rumors, suspicions),
            (0, 0),
            "seed {seed}: n{number} is at rest"
        );
        let is_inside = inside.contains(&number);
        let signals = &chaos.world.nodes[number].signals;
        let removed = signals.iter().any(|(_, signal)| *signal == Signal::Removed);
        assert!(
            !(removed && is_inside),
            "seed {seed}: n{number} was not removed by mistake"
        );
    }
}

/// How many storms: `CHAOS_SEEDS` in the environment, 24 where it says nothing.
fn seeds() -> std::ops::Range<u64> {
    let set = std::env::var("CHAOS_SEEDS").ok();
    let count = set.map_or(24, |set| set.parse().expect("CHAOS_SEEDS is a number"));
    0..count
}

#[test]
fn those_who_belong_together_find_together() {
    for seed in seeds() {
        storm(seed, 30);
    }
}
