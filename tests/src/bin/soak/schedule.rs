//! What is done to the hosts, and when: a function of the seed and the length alone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use convoke_tests::Cut;
use fastrand::Rng;

/// So many hosts there are.
pub(crate) const HOSTS: u8 = 12;
/// The first goes its own way at no time: who left joins it again.
const ANCHOR: u8 = 1;
/// Time between two steps, in milliseconds.
const PAUSE: std::ops::Range<u64> = 300..5_000;
/// So many hosts at the most are dead, frozen or gone at a time.
const AWAY_MAX: usize = 5;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The network carries all but this.
    Cut(Cut),
    /// The network carries everything.
    Mend,
    /// The network loses so many of a hundred packets.
    Lose(u8),
    /// The process on this host dies without a word.
    Kill(u8),
    /// It is started again.
    Start(u8),
    /// It stands still.
    Freeze(u8),
    /// It goes on.
    Thaw(u8),
    /// It leaves its cluster, and goes on alone.
    Leave(u8),
    /// It joins the first host's.
    Join(u8),
}

/// Where a host is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Dead,
    Frozen,
    Gone,
}

/// All that happens, each so long after the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule(pub(crate) Vec<(Duration, Step)>);

impl Schedule {
    /// The schedule of this seed.
    pub(crate) fn draw(seed: u64, length: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut away = BTreeMap::new();
        let mut steps = Vec::new();
        let mut at = Duration::ZERO;
        loop {
            at += Duration::from_millis(rng.u64(PAUSE));
            if at >= length {
                return Self(steps);
            }
            steps.push((at, step(&mut rng, &mut away)));
        }
    }
}

fn step(rng: &mut Rng, away: &mut BTreeMap<u8, Away>) -> Step {
    match rng.u8(..100) {
        0..20 => Step::Cut(cut(rng)),
        20..35 => Step::Mend,
        35..40 => Step::Lose(rng.u8(5..=30)),
        40..45 => Step::Lose(0),
        45..75 if away.len() < AWAY_MAX => go(rng, away),
        _ => come(rng, away).unwrap_or(Step::Mend),
    }
}

fn go(rng: &mut Rng, away: &mut BTreeMap<u8, Away>) -> Step {
    let here: Vec<u8> = (1..=HOSTS).filter(|n| !away.contains_key(n)).collect();
    let host = here[rng.usize(..here.len())];
    let (how, step) = match rng.u8(..3) {
        0 if host != ANCHOR => (Away::Gone, Step::Leave(host)),
        1 => (Away::Frozen, Step::Freeze(host)),
        _ => (Away::Dead, Step::Kill(host)),
    };
    away.insert(host, how);
    step
}

fn come(rng: &mut Rng, away: &mut BTreeMap<u8, Away>) -> Option<Step> {
    let hosts: Vec<u8> = away.keys().copied().collect();
    let host = *hosts.get(rng.usize(..hosts.len().max(1)))?;
    Some(match away.remove(&host)? {
        Away::Dead => Step::Start(host),
        Away::Frozen => Step::Thaw(host),
        Away::Gone => Step::Join(host),
    })
}

fn cut(rng: &mut Rng) -> Cut {
    let one = rng.u8(1..=HOSTS);
    let other = (one + rng.u8(..HOSTS - 1)) % HOSTS + 1;
    let edge = rng.u8(1..HOSTS);
    let (below, above) = (1..=edge, edge + 1..=HOSTS);
    match rng.u8(..5) {
        0 => Cut::between(&(one..=one), &(other..=other)),
        1 => Cut::one_way(&(one..=one), &(1..=HOSTS)),
        2 => Cut::one_way(&(1..=HOSTS), &(one..=one)),
        3 => Cut::sides(&[1..=4, 5..=8, 9..=12]),
        _ => Cut::sides(&[below, above]),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(cut) => write!(f, "cut {cut}"),
            Self::Mend => f.write_str("mend"),
            Self::Lose(percent) => write!(f, "lose {percent} %"),
            Self::Kill(n) => write!(f, "kill {n}"),
            Self::Start(n) => write!(f, "start {n}"),
            Self::Freeze(n) => write!(f, "freeze {n}"),
            Self::Thaw(n) => write!(f, "thaw {n}"),
            Self::Leave(n) => write!(f, "leave {n}"),
            Self::Join(n) => write!(f, "join {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_schedule() {
        let minute = Duration::from_secs(60);
        assert_eq!(Schedule::draw(7, minute), Schedule::draw(7, minute));
        assert_ne!(Schedule::draw(7, minute), Schedule::draw(8, minute));
    }

    #[test]
    fn nothing_happens_to_those_who_are_away_but_their_return() {
        for seed in 0..200 {
            let mut away = BTreeMap::new();
            for (_, step) in Schedule::draw(seed, Duration::from_secs(600)).0 {
                match step {
                    Step::Kill(n) => assert_eq!(away.insert(n, Away::Dead), None),
                    Step::Freeze(n) => assert_eq!(away.insert(n, Away::Frozen), None),
                    Step::Leave(n) => assert_eq!(away.insert(n, Away::Gone), None),
                    Step::Start(n) => assert_eq!(away.remove(&n), Some(Away::Dead)),
                    Step::Thaw(n) => assert_eq!(away.remove(&n), Some(Away::Frozen)),
                    Step::Join(n) => assert_eq!(away.remove(&n), Some(Away::Gone)),
                    Step::Cut(_) | Step::Mend | Step::Lose(_) => {}
                }
                assert!(away.len() <= AWAY_MAX);
                assert_ne!(away.get(&ANCHOR), Some(&Away::Gone));
            }
        }
    }
}
