//! What becomes of packets between hosts: delay, loss, cuts.
//!
//! Links have a direction. A datagram needs its own direction only, a stream needs both (a
//! handshake and acknowledgements come back), and is not lost but late.

use std::collections::HashSet;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The links of a world.
#[derive(Debug)]
pub(crate) struct Network {
    /// The least and the most time that a packet takes on a link. Each link has its own delay, to
    /// which every packet adds up to a fifth, so that packets overtake each other now and then.
    pub(crate) delay: (Duration, Duration),
    /// The share of packets that are lost, on any link.
    pub(crate) loss: f64,
    /// The share of packets that are lost on all links of single hosts, in and out.
    pub(crate) host_loss: Vec<(usize, f64)>,
    seed: u64,
    cut: HashSet<(usize, usize)>,
    datagrams_cut: HashSet<(usize, usize)>,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            delay: (Duration::from_micros(100), Duration::from_micros(500)),
            loss: 0.0,
            host_loss: Vec::new(),
            seed,
            cut: HashSet::new(),
            datagrams_cut: HashSet::new(),
        }
    }

    /// From now on nothing of what `from` sends reaches `to`.
    pub(crate) fn cut_one_way(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// From now on these two do not reach each other.
    pub(crate) fn cut_pair(&mut self, a: usize, b: usize) {
        self.cut.extend([(a, b), (b, a)]);
    }

    /// These two reach each other again.
    pub(crate) fn mend_pair(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
    }

    /// From now on members of different groups do not reach each other.
    pub(crate) fn cut_into(&mut self, groups: &[Vec<usize>]) {
        for (at, group) in groups.iter().enumerate() {
            for other in &groups[at + 1..] {
                for &a in group {
                    other.iter().for_each(|&b| self.cut_pair(a, b));
                }
            }
        }
    }

    /// Between these two only streams pass from now on.
    pub(crate) fn cut_datagrams(&mut self, a: usize, b: usize) {
        self.datagrams_cut.extend([(a, b), (b, a)]);
    }

    /// Ends every cut.
    pub(crate) fn mend(&mut self) {
        self.cut.clear();
        self.datagrams_cut.clear();
    }

    /// Whether a stream can stand between two hosts.
    pub(super) fn is_open(&self, a: usize, b: usize) -> bool {
        !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a))
    }

    /// Whether a datagram gets lost, by a cut or by chance.
    pub(super) fn drops(&self, from: usize, to: Option<usize>, rng: &mut fastrand::Rng) -> bool {
        let Some(link) = to.map(|to| (from, to)) else {
            return true;
        };
        let cut = self.cut.contains(&link) || self.datagrams_cut.contains(&link);
        cut || self.loses(from, to, rng)
    }

    /// Whether a packet gets lost by chance.
    pub(super) fn loses(&self, from: usize, to: Option<usize>, rng: &mut fastrand::Rng) -> bool {
        let of_host = self
            .host_loss
            .iter()
            .filter(|(host, _)| *host == from || Some(*host) == to);
        let kept = of_host.fold(1.0 - self.loss, |kept, (_, loss)| kept * (1.0 - loss));
        kept < 1.0 && rng.f64() >= kept
    }

    /// How long a packet takes.
    pub(super) fn delay(
        &self,
        from: usize,
        to: Option<usize>,
        rng: &mut fastrand::Rng,
    ) -> Duration {
        let (min, max) = self.delay;
        let mut link = [0; 16];
        link[..8].copy_from_slice(&(from as u64).to_le_bytes());
        link[8..].copy_from_slice(&to.map_or(u64::MAX, |to| to as u64).to_le_bytes());
        let share = xxh3_64_with_seed(&link, self.seed) as f64 / u64::MAX as f64;
        (min + (max - min).mul_f64(share)).mul_f64(1.0 + rng.f64() / 5.0)
    }
}
