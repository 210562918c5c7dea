//! What views differ in, in words: whom who holds as what.

use std::collections::BTreeMap;

use super::protocol::{Health, Protocol};
use super::world::World;

/// The most members that are told one by one.
const TOLD_MAX: usize = 6;
/// The most nodes whose views are looked into.
const OBSERVERS_MAX: usize = 1000;

impl<P: Protocol> World<P> {
    /// In which members the views of these nodes are not as they should be: all of these present,
    /// and nobody else. Nothing where they [agree](World::agree).
    pub fn differences(&self, group: &[usize]) -> Vec<String> {
        if self.agree(group) {
            return Vec::new();
        }
        let every = group.len().div_ceil(OBSERVERS_MAX).max(1);
        let observers: Vec<usize> = group.iter().copied().step_by(every).collect();
        let mut wrong = BTreeMap::new();
        for subject in 0..self.nodes.len() {
            let held = self.held_wrongly(subject, group, &observers);
            if !held.is_empty() {
                wrong.insert(subject, held);
            }
        }
        if wrong.is_empty() {
            return vec!["all hold the same members, not all at the same incarnation".to_owned()];
        }
        let tell = |(&subject, held): (&usize, &BTreeMap<Health, usize>)| {
            let others = observers.iter().filter(|&&n| n != subject).count();
            self.tell_held(subject, held, others)
        };
        let mut told: Vec<String> = wrong.iter().take(TOLD_MAX).map(tell).collect();
        let more = wrong.len() - told.len();
        told.extend((more > 0).then(|| format!("and {more} more members")));
        told
    }

    /// How many hold a member as what it should not be.
    fn held_wrongly(
        &self,
        subject: usize,
        group: &[usize],
        observers: &[usize],
    ) -> BTreeMap<Health, usize> {
        let belongs = group.contains(&subject);
        let mut held = BTreeMap::new();
        for &observer in observers.iter().filter(|&&n| n != subject) {
            let health = self.health(observer, subject);
            if (health <= Health::Suspect) != belongs {
                *held.entry(health).or_default() += 1;
            }
        }
        held
    }

    fn tell_held(&self, subject: usize, held: &BTreeMap<Health, usize>, others: usize) -> String {
        let runs = match self.nodes[subject].is_running() {
            true => "runs",
            false => "does not run",
        };
        let held: Vec<String> = held
            .iter()
            .map(|(health, count)| format!("{} by {count}", word(*health)))
            .collect();
        let held = held.join(", ");
        format!("node {subject}, which {runs}, is held {held} of {others}")
    }
}

/// As what a member is held.
const fn word(health: Health) -> &'static str {
    match health {
        Health::Alive => "alive",
        Health::Suspect => "suspect",
        Health::Failed => "failed",
        Health::Left => "gone",
        Health::Removed => "removed",
        Health::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use std::time::Duration;

    #[test]
    fn those_who_are_held_wrongly_are_told_with_how_many_hold_them_so() {
        let mut world = World::<Engine>::cluster(1, 4);
        assert_eq!(world.differences(&[0, 1, 2, 3]), [""; 0]);
        world.crash(3);
        assert_eq!(
            world.differences(&[0, 1, 2]),
            ["node 3, which does not run, is held alive by 3 of 3"]
        );
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.differences(&[0, 1, 2]), [""; 0]);
        let many: Vec<usize> = (0..10).collect();
        let world = {
            let mut world = World::<Engine>::new(1);
            world.add_many(10);
            world
        };
        let told = world.differences(&many);
        assert_eq!(
            (told.len(), told[TOLD_MAX].as_str()),
            (TOLD_MAX + 1, "and 4 more members")
        );
        assert_eq!(told[0], "node 0, which runs, is held unknown by 9 of 9");
    }
}
