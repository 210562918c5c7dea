//! What becomes of packets between hosts: delay, loss, repetition, bandwidth, cuts.
//!
//! Links have a direction. A datagram needs its own direction only, a stream needs both (a
//! handshake and acknowledgements come back), and is not lost but late.

use std::collections::BTreeSet;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::report::Net;

/// The links of a world.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long packets take.
    pub delay: Delay,
    /// The share of packets that are lost, on any link.
    pub loss: f64,
    /// The share of packets that are lost on all links of single hosts: what they send, and what
    /// is sent to them.
    pub host_loss: Vec<(usize, f64, f64)>,
    /// Whether somebody who sees every knock answers it with a refusal that looks like the host's.
    pub refusals_forged: bool,
    /// The share of datagrams that arrive twice.
    pub repeated: f64,
    /// The share of packets that are held up for 1 to 20 ms, so that later ones overtake them.
    pub held_up: f64,
    /// What each host can send and receive, in bytes a second. `None`: any amount.
    pub bandwidth: Option<u64>,
    /// What single hosts can send and receive instead, in bytes a second.
    pub host_bandwidth: Vec<(usize, u64)>,
    /// How many bytes wait at such a limit, before more are dropped.
    pub backlog_bytes_max: u64,
    seed: u64,
    cut: BTreeSet<(usize, usize)>,
    datagrams_cut: BTreeSet<(usize, usize)>,
    /// For each host its group; links between groups are cut.
    groups: Vec<u32>,
    /// Whether only what the first group's others send is cut: what group 1.. sends is lost.
    one_way: bool,
}

/// How long packets take from host to host.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    /// Each link has its own delay between the two, to which every packet adds up to a fifth.
    Uniform(Duration, Duration),
    /// Every packet draws from a distribution, given by its quantiles.
    Drawn(&'static [(f64, Duration)]),
    /// Hosts lie in regions, in turn; a packet takes the time between their regions, times 1 to
    /// 1.2, and what a packet takes within one is drawn.
    Regions(&'static [&'static [u64]], &'static [(f64, Duration)]),
}

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// A data centre: median 0.25 ms.
const LAN: &[(f64, Duration)] = &[
    (0.0, us(100)),
    (0.5, us(250)),
    (0.9, us(400)),
    (0.99, us(800)),
    (0.999, us(2000)),
    (1.0, us(5000)),
];
/// The same with a heavy tail.
const TAIL: &[(f64, Duration)] = &[
    (0.0, us(100)),
    (0.5, us(250)),
    (0.9, us(500)),
    (0.98, us(2000)),
    (0.99, us(10_000)),
    (0.999, us(100_000)),
    (1.0, us(200_000)),
];
/// One way between four regions of the world, in milliseconds.
const REGIONS: &[&[u64]] = &[
    &[0, 35, 45, 110],
    &[35, 0, 70, 90],
    &[45, 70, 0, 120],
    &[110, 90, 120, 0],
];

/// How much longer than usual a packet takes that is held up.
const HELD_UP: (Duration, Duration) = (us(1000), us(20_000));

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            delay: Delay::Uniform(us(100), us(500)),
            loss: 0.0,
            host_loss: Vec::new(),
            refusals_forged: false,
            repeated: 0.0,
            held_up: 0.0,
            bandwidth: None,
            host_bandwidth: Vec::new(),
            backlog_bytes_max: 1 << 20,
            seed,
            cut: BTreeSet::new(),
            datagrams_cut: BTreeSet::new(),
            groups: Vec::new(),
            one_way: false,
        }
    }

    /// Packets travel so from now on.
    pub fn travel(&mut self, net: Net) {
        self.delay = match net {
            Net::Lan => Delay::Drawn(LAN),
            Net::Wan => Delay::Regions(REGIONS, LAN),
            Net::Tail => Delay::Drawn(TAIL),
        };
    }

    /// From now on nothing of what `from` sends reaches `to`.
    pub fn cut_one_way(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// From now on these two do not reach each other.
    pub fn cut_pair(&mut self, a: usize, b: usize) {
        self.cut.extend([(a, b), (b, a)]);
    }

    /// These two reach each other again.
    pub fn mend_pair(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
    }

    /// From now on members of different groups do not reach each other. Whoever is in none of them
    /// is in all.
    pub fn cut_into(&mut self, groups: &[Vec<usize>]) {
        self.set_groups(groups, false);
    }

    /// From now on nothing of what members of later groups send reaches the first one.
    pub fn cut_into_one_way(&mut self, groups: &[Vec<usize>]) {
        self.set_groups(groups, true);
    }

    fn set_groups(&mut self, groups: &[Vec<usize>], one_way: bool) {
        let size = groups.iter().flatten().max().map_or(0, |most| most + 1);
        self.groups = vec![u32::MAX; size];
        for (number, group) in (0..).zip(groups) {
            for &host in group {
                self.groups[host] = number;
            }
        }
        self.one_way = one_way;
    }

    /// Between these two only streams pass from now on.
    pub fn cut_datagrams(&mut self, a: usize, b: usize) {
        self.datagrams_cut.extend([(a, b), (b, a)]);
    }

    /// Ends every cut.
    pub fn mend(&mut self) {
        self.cut.clear();
        self.datagrams_cut.clear();
        self.groups.clear();
    }

    /// Whether nothing passes from one host to the other.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        let group = |host: usize| self.groups.get(host).copied().unwrap_or(u32::MAX);
        let (ours, theirs) = (group(from), group(to));
        let apart = ours != theirs && ours != u32::MAX && theirs != u32::MAX;
        let by_group = apart && (!self.one_way || theirs == 0);
        by_group || (!self.cut.is_empty() && self.cut.contains(&(from, to)))
    }

    /// Whether everything passes between two hosts, both ways.
    pub fn is_whole(&self, a: usize, b: usize) -> bool {
        let datagrams_cut = |link| self.datagrams_cut.contains(&link);
        self.is_open(a, b) && !datagrams_cut((a, b)) && !datagrams_cut((b, a))
    }

    /// Whether a stream can stand between two hosts.
    pub(super) fn is_open(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// Whether a datagram gets lost, by a cut or by chance.
    pub(super) fn drops(&self, from: usize, to: usize, rng: &mut fastrand::Rng) -> bool {
        let only_streams =
            !self.datagrams_cut.is_empty() && self.datagrams_cut.contains(&(from, to));
        self.is_cut(from, to) || only_streams || self.loses(from, to, rng)
    }

    /// Whether a packet gets lost by chance.
    pub(super) fn loses(&self, from: usize, to: usize, rng: &mut fastrand::Rng) -> bool {
        let of_hosts = self.host_loss.iter().map(|&(host, sent, received)| {
            let sent = if host == from { sent } else { 0.0 };
            let received = if host == to { received } else { 0.0 };
            (1.0 - sent) * (1.0 - received)
        });
        let kept = of_hosts.fold(1.0 - self.loss, |kept, share| kept * share);
        kept < 1.0 && rng.f64() >= kept
    }

    /// What a host can send and receive, in bytes a second.
    pub(super) fn bandwidth_of(&self, host: usize) -> Option<u64> {
        let mut own = self.host_bandwidth.iter();
        let own = own.find(|(narrow, _)| *narrow == host);
        own.map(|(_, bandwidth)| *bandwidth).or(self.bandwidth)
    }

    /// How long a packet takes.
    pub(super) fn delay(&self, from: usize, to: usize, rng: &mut fastrand::Rng) -> Duration {
        let usual = match &self.delay {
            Delay::Uniform(min, max) => {
                (*min + (*max - *min).mul_f64(self.share(from, to))).mul_f64(1.0 + rng.f64() / 5.0)
            }
            Delay::Drawn(quantiles) => drawn(quantiles, rng),
            Delay::Regions(between, within) => {
                let region = |host: usize| host % between.len();
                let far = Duration::from_millis(between[region(from)][region(to)]);
                far.mul_f64(1.0 + rng.f64() / 5.0) + drawn(within, rng)
            }
        };
        if self.held_up > 0.0 && rng.f64() < self.held_up {
            let (min, max) = HELD_UP;
            return usual + min + (max - min).mul_f64(rng.f64());
        }
        usual
    }

    /// A number of the link's own, 0 to 1.
    fn share(&self, from: usize, to: usize) -> f64 {
        let mut link = [0; 16];
        link[..8].copy_from_slice(&(from as u64).to_le_bytes());
        link[8..].copy_from_slice(&(to as u64).to_le_bytes());
        xxh3_64_with_seed(&link, self.seed) as f64 / u64::MAX as f64
    }
}

/// A value of a distribution that is given by its quantiles, straight between them. No logarithm:
/// those differ between machines.
fn drawn(quantiles: &[(f64, Duration)], rng: &mut fastrand::Rng) -> Duration {
    let share = rng.f64();
    let upper = quantiles.iter().position(|&(q, _)| share < q).unwrap_or(1);
    let ((low, from), (high, to)) = (quantiles[upper - 1], quantiles[upper]);
    from + (to - from).mul_f64((share - low) / (high - low))
}

/// One end of a link with a limited bandwidth: what is sent waits for what was sent before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pipe {
    /// Microseconds since the origin.
    free_at: u64,
}

impl Pipe {
    /// When `bytes` that come at a moment (in microseconds) are through. `None`: too many wait.
    pub(super) fn pass(&mut self, at: u64, bytes: u64, bandwidth: u64, max: u64) -> Option<u64> {
        let wait = self.free_at.saturating_sub(at);
        if wait.saturating_mul(bandwidth) / 1_000_000 > max {
            return None;
        }
        self.free_at = at.max(self.free_at) + bytes * 1_000_000 / bandwidth.max(1);
        Some(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_centre_takes_a_quarter_of_a_millisecond() {
        let mut network = Network::new(1);
        network.travel(Net::Lan);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut delays: Vec<_> = (0..10_001).map(|_| network.delay(0, 1, &mut rng)).collect();
        delays.sort();
        assert!((240..260).contains(&delays[5000].as_micros()));
        assert!(delays[0] >= us(100) && delays[10_000] <= us(5000));
    }

    #[test]
    fn regions_are_as_far_apart_as_the_world_is() {
        let mut network = Network::new(1);
        network.travel(Net::Wan);
        let mut rng = fastrand::Rng::with_seed(1);
        let far = network.delay(2, 3, &mut rng);
        assert!((120..150).contains(&far.as_millis()), "{far:?}");
        assert!(network.delay(2, 6, &mut rng) < Duration::from_millis(6));
    }

    #[test]
    fn a_cut_into_groups_leaves_those_outside_alone() {
        let mut network = Network::new(1);
        network.cut_into(&[vec![0, 1], vec![2]]);
        assert!(network.is_cut(0, 2) && network.is_cut(2, 1) && !network.is_cut(0, 1));
        assert!(!network.is_cut(3, 0) && !network.is_cut(2, 3));
        network.cut_into_one_way(&[vec![0, 1], vec![2]]);
        assert!(network.is_cut(2, 0) && !network.is_cut(0, 2) && !network.is_open(0, 2));
        network.mend();
        assert!(!network.is_cut(2, 0));
    }

    #[test]
    fn a_full_pipe_delays_and_then_drops() {
        let mut pipe = Pipe::default();
        assert_eq!(pipe.pass(0, 500, 1_000_000, 1000), Some(500));
        assert_eq!(pipe.pass(0, 1000, 1_000_000, 1000), Some(1500));
        assert_eq!(pipe.pass(0, 1, 1_000_000, 1000), None);
        assert_eq!(pipe.pass(2000, 1, 1_000_000, 1000), Some(2001));
    }

    #[test]
    fn the_loss_of_a_host_has_two_directions() {
        let mut network = Network::new(1);
        network.host_loss = vec![(3, 1.0, 0.0)];
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(network.drops(3, 0, &mut rng) && !network.drops(0, 3, &mut rng));
    }
}
