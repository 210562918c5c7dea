use proptest::prelude::*;

use super::queue::TICKS_MAX;
use super::*;
use crate::message::Failed;
use crate::roster::tests::{life, profile};

const ME: NodeId = NodeId(0);

fn at(millis: u64) -> Instant {
    Instant::ORIGIN + Duration::from_millis(millis)
}

fn alive(n: u64) -> Rumor {
    Rumor::Alive(profile(&format!("n{n}@10.0.0.1"), life(1, 1)))
}

fn failed(n: u64) -> Rumor {
    Rumor::Failed(Failed {
        id: NodeId(n),
        life: life(1, 1),
        by: NodeId(7),
        accusers: 3,
        doubtful: false,
        refused: false,
        heard: false,
    })
}

fn left(n: u64) -> Rumor {
    Rumor::Left {
        id: NodeId(n),
        life: life(1, 1),
    }
}

fn gossip() -> Dissemination {
    Dissemination::new(&Config::lan(), ME, at(0))
}

fn push(gossip: &mut Dissemination, rumor: Rumor) {
    gossip.push(rumor, None, true, 100);
}

#[test]
fn the_urgent_goes_first_and_the_fresh_goes_once() {
    let mut gossip = gossip();
    push(&mut gossip, alive(1));
    push(&mut gossip, left(2));
    let flushed = gossip.flush(&Config::lan(), 4, 1000, at(1000), 10);
    assert_eq!(
        flushed
            .iter()
            .map(|fresh| fresh.rumor.clone())
            .collect::<Vec<_>>(),
        [left(2), alive(1)]
    );
    assert!(
        !gossip.has_fresh()
            && gossip
                .flush(&Config::lan(), 4, 1000, at(1001), 10)
                .is_empty()
    );
    assert!(!gossip.is_empty());
}

#[test]
fn three_that_agree_end_the_repetitions() {
    let mut gossip = gossip();
    push(&mut gossip, alive(1));
    gossip.flush(&Config::lan(), 4, 1000, at(0), 10);
    let ours = Fingerprint(7);
    for peer in [1, 1, 1, 2] {
        gossip.on_fingerprint(NodeId(peer), ours, ours);
    }
    gossip.on_fingerprint(NodeId(9), Fingerprint(8), ours);
    assert!(!gossip.is_empty());
    gossip.on_fingerprint(NodeId(3), ours, ours);
    assert!(gossip.is_empty());
}

#[test]
fn agreement_stops_only_what_the_fingerprint_covers() {
    let mut gossip = gossip();
    gossip.push(left(1), None, false, 100);
    gossip.flush(&Config::lan(), 4, 1000, at(0), 10);
    for peer in 1..=3 {
        gossip.on_fingerprint(NodeId(peer), Fingerprint(7), Fingerprint(7));
    }
    assert_eq!(gossip.repeat(true, |_| true), [left(1)]);
}

#[test]
fn a_rumor_is_repeated_three_times_at_most() {
    let (config, mut gossip) = (Config::lan(), gossip());
    push(&mut gossip, alive(1));
    gossip.flush(&config, 4, 1000, at(0), 10);
    for _ in 0..3 {
        assert_eq!(gossip.repeat(false, |_| true).len(), 1);
    }
    gossip.end_tick();
    assert!(gossip.is_empty());
}

#[test]
fn a_rumor_that_comes_again_needs_one_repetition_less() {
    let (config, mut gossip) = (Config::lan(), gossip());
    push(&mut gossip, alive(1));
    gossip.flush(&config, 4, 1000, at(0), 10);
    gossip.on_heard_again(&alive(1));
    let later = Rumor::Alive(profile("n1@10.0.0.1", life(1, 2)));
    gossip.on_heard_again(&later);
    let repeated: Vec<_> = (0..3)
        .map(|_| gossip.repeat(false, |_| true).len())
        .collect();
    assert_eq!(repeated, [1, 1, 0]);
}

#[test]
fn what_everybody_shows_to_know_does_not_stay_for_ever() {
    let (config, mut gossip) = (Config::lan(), gossip());
    push(&mut gossip, alive(1));
    gossip.flush(&config, 4, 1000, at(0), 10);
    for _ in 0..TICKS_MAX {
        assert!(gossip.repeat(true, |_| true).is_empty());
        gossip.end_tick();
    }
    assert!(gossip.is_empty());
}

#[test]
fn load_makes_news_wait_longer_and_calm_makes_them_quick_again() {
    let (config, mut gossip) = (Config::lan(), gossip());
    let mut now = at(0);
    for _ in 0..40 {
        now += gossip.news.wait;
        gossip.flush(&config, 4, 1000, now, 10);
    }
    assert_eq!(gossip.news.wait, config.gossip_interval);
    gossip.flush(&config, 4, 1000, now + Duration::from_secs(2), 10);
    assert_eq!(gossip.news.wait, config.coalesce_min);
}

#[test]
fn verdicts_of_a_crowd_wait_longer_and_reach_fewer_the_oftener_they_were_heard() {
    let (mut gossip, mut rng) = (gossip(), fastrand::Rng::with_seed(1));
    let mut now = at(0);
    let mut longest = Duration::ZERO;
    for n in 0..300 {
        push(&mut gossip, failed(n));
        let heard = (n % 4) as usize;
        (0..heard).for_each(|_| gossip.on_heard_again(&failed(n)));
        let fresh = gossip.flush(&Config::lan(), 4, 1000, now, 10);
        let reach = if n < 44 { 4 } else { [3, 2, 2, 2][heard] };
        assert_eq!(fresh[0].reach, reach, "{n}");
        let wait = gossip.flush_at(&failed(n), now, &mut rng).since(now);
        longest = longest.max(wait);
        if n < 89 {
            assert!(wait <= Config::lan().gossip_interval.mul_f64(1.5), "{n}");
        }
        now += Duration::from_millis(20);
    }
    assert!(longest > Config::lan().gossip_interval * 4);
    assert!(gossip.is_crowded(now));
    now += CROWD_OVER;
    push(&mut gossip, failed(999));
    let fresh = gossip.flush(&Config::lan(), 4, 1000, now, 10);
    assert_eq!(fresh[0].reach, 4, "another row began");
    for n in 0..300 {
        push(&mut gossip, failed(n));
        let fresh = gossip.flush(&Config::lan(), 4, 256, now, 10);
        assert_eq!(fresh[0].reach, 4, "in a small cluster");
    }
    assert!(!gossip.is_crowded(now));
}

#[test]
fn too_many_rumors_cost_the_least_urgent() {
    let mut gossip = gossip();
    for n in 0..5 {
        gossip.push(alive(n), None, true, 4);
    }
    assert_eq!(gossip.push(left(9), None, true, 4), 1);
    assert_eq!(gossip.len(), 4);
    let waiting = gossip.flush(&Config::lan(), 4, 1000, at(0), 10);
    assert_eq!(waiting[0].rumor, left(9));
    assert_eq!(waiting[1].rumor, alive(2), "the oldest went");
}

/// The queue as the protocol has it, without any index.
#[derive(Default)]
struct Naive {
    /// In the order of arrival.
    queue: Vec<Entry>,
    agreeing: Vec<NodeId>,
}

struct Entry {
    rumor: Rumor,
    fresh: bool,
    covered: bool,
    sent: u8,
    ticks: u8,
}

impl Naive {
    fn push(&mut self, rumor: Rumor, covered: bool, rumors_max: usize) -> u64 {
        self.queue.retain(|held| held.rumor.id() != rumor.id());
        self.queue.push(Entry {
            rumor,
            fresh: true,
            covered,
            sent: 0,
            ticks: 0,
        });
        let mut dropped = 0;
        while self.queue.len() > rumors_max {
            let urgencies = self.queue.iter().map(|held| urgency(&held.rumor, ME));
            let least = urgencies.clone().max().unwrap();
            let oldest = urgencies.clone().position(|urgency| urgency == least);
            self.queue.remove(oldest.unwrap());
            dropped += 1;
        }
        dropped
    }

    fn same(&mut self, rumor: &Rumor) -> Option<&mut Entry> {
        let same = |held: &&mut Entry| {
            held.rumor.id() == rumor.id() && held.rumor.standing() == rumor.standing()
        };
        self.queue.iter_mut().find(same)
    }

    fn flush(&mut self, max: usize) -> Vec<Rumor> {
        let mut fresh: Vec<_> = self.queue.iter_mut().filter(|held| held.fresh).collect();
        fresh.sort_by_key(|held| urgency(&held.rumor, ME));
        let taken = fresh.into_iter().take(max).map(|held| {
            held.fresh = false;
            held.rumor.clone()
        });
        taken.collect()
    }

    fn repeat(&mut self, peer_agrees: bool, max: usize) -> Vec<Rumor> {
        let retransmits_max = Config::lan().retransmits_max;
        let is_due = |held: &&mut Entry| {
            !held.fresh && held.sent < retransmits_max && !(peer_agrees && held.covered)
        };
        let mut due: Vec<_> = self.queue.iter_mut().filter(is_due).collect();
        due.sort_by_key(|held| (urgency(&held.rumor, ME), held.sent));
        let taken = due.into_iter().take(max).map(|held| {
            held.sent += 1;
            held.rumor.clone()
        });
        taken.collect()
    }

    fn end_tick(&mut self) {
        for held in self.queue.iter_mut().filter(|held| !held.fresh) {
            held.ticks += 1;
        }
        let retransmits_max = Config::lan().retransmits_max;
        let stays =
            |held: &Entry| held.fresh || (held.sent < retransmits_max && held.ticks < TICKS_MAX);
        self.queue.retain(stays);
    }

    fn on_agreement(&mut self, peer: NodeId) {
        if self.queue.is_empty() || self.agreeing.contains(&peer) {
            return;
        }
        self.agreeing.push(peer);
        if self.agreeing.len() >= AGREEING_MIN {
            self.queue.retain(|held| held.fresh || !held.covered);
        }
    }
}

/// What can happen to the queue.
#[derive(Clone, Debug)]
enum Step {
    Push(Rumor, bool),
    HeardAgain(Rumor),
    Cover(Rumor),
    Flush(usize),
    Repeat(bool, usize),
    EndTick,
    Agrees(u64),
    Changed,
}

/// Rumors of every urgency about few members, each with few lives.
fn any_rumor() -> impl Strategy<Value = Rumor> {
    (0..12_u64, 1..3_u64, 0..4).prop_map(|(n, incarnation, kind)| {
        let profile = profile(&format!("n{n}@10.0.0.1"), life(1, incarnation));
        let (id, life) = (profile.id(), profile.life);
        match kind {
            0 => Rumor::Left { id, life },
            1 => Rumor::Failed(Failed {
                id,
                life,
                by: ME,
                accusers: 3,
                doubtful: false,
                refused: false,
                heard: false,
            }),
            _ => Rumor::Alive(profile),
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_rumor(), any::<bool>()).prop_map(|(rumor, covered)| Step::Push(rumor, covered)),
        3 => any_rumor().prop_map(Step::HeardAgain),
        1 => any_rumor().prop_map(Step::Cover),
        2 => (0..6_usize).prop_map(Step::Flush),
        3 => (any::<bool>(), 0..6_usize).prop_map(|(agrees, max)| Step::Repeat(agrees, max)),
        1 => Just(Step::EndTick),
        1 => (1..5_u64).prop_map(Step::Agrees),
        1 => Just(Step::Changed),
    ]
}

/// Takes a step on both, and compares what comes of it.
fn compare(step: Step, gossip: &mut Dissemination, naive: &mut Naive) {
    const RUMORS_MAX: usize = 8;
    match step {
        Step::Push(rumor, covered) => {
            let dropped = gossip.push(rumor.clone(), None, covered, RUMORS_MAX);
            assert_eq!(dropped, naive.push(rumor, covered, RUMORS_MAX));
        }
        Step::HeardAgain(rumor) => {
            gossip.on_heard_again(&rumor);
            if let Some(held) = naive.same(&rumor) {
                held.sent += 1;
            }
        }
        Step::Cover(rumor) => {
            gossip.cover(&rumor);
            if let Some(held) = naive.same(&rumor) {
                held.covered = true;
            }
        }
        Step::Flush(max) => {
            let flushed = gossip.flush(&Config::lan(), 4, 1000, at(0), max);
            let flushed: Vec<_> = flushed.into_iter().map(|fresh| fresh.rumor).collect();
            assert_eq!(flushed, naive.flush(max));
        }
        Step::Repeat(agrees, max) => {
            let mut room = max;
            let fits = |_: &Rumor| room.checked_sub(1).map(|left| room = left).is_some();
            assert_eq!(gossip.repeat(agrees, fits), naive.repeat(agrees, max));
        }
        Step::EndTick => {
            gossip.end_tick();
            naive.end_tick();
        }
        Step::Agrees(peer) => {
            gossip.on_fingerprint(NodeId(peer), Fingerprint(7), Fingerprint(7));
            naive.on_agreement(NodeId(peer));
        }
        Step::Changed => {
            gossip.on_changed();
            naive.agreeing.clear();
        }
    }
}

proptest! {
    #[test]
    fn the_queue_does_what_it_would_do_without_an_index(
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let (mut gossip, mut naive) = (gossip(), Naive::default());
        for step in steps {
            compare(step, &mut gossip, &mut naive);
            prop_assert_eq!(gossip.len(), naive.queue.len());
            prop_assert_eq!(gossip.is_empty(), naive.queue.is_empty());
            prop_assert_eq!(gossip.has_fresh(), naive.queue.iter().any(|held| held.fresh));
        }
    }
}
