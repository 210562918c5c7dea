//! A handful of processes on a table: packets take a millisecond, and the test cuts the lines.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Claim, Record};
use super::*;
use crate::member::Instance;
use crate::name::NodeName;
use crate::output::{JoinError, Signal};
use crate::sim::report::Net;
use crate::sim::world::{Machine, World};

const LATENCY: Duration = Duration::from_millis(1);

/// What is dropped: sender, receiver, class.
type Fault = fn(usize, usize, Class) -> bool;

/// A few processes, and the packets between them.
struct Table {
    now: Instant,
    nodes: Vec<Baseline>,
    down: Vec<bool>,
    dropped: Fault,
    sent: u64,
    wire: BTreeMap<(Instant, u64), (usize, usize, Class, Packet)>,
    events: Vec<(Instant, usize, Event)>,
    signals: Vec<(Instant, usize, Signal)>,
}

fn name(number: u32) -> NodeName {
    format!("n{number}@10.0.0.{number}").parse().unwrap()
}

fn contact(number: u32) -> Contact {
    Contact {
        name: name(number),
        address: ([10, 0, 0, u8::try_from(number).unwrap()], 4370).into(),
    }
}

fn id(number: usize) -> NodeId {
    name(u32::try_from(number).unwrap()).id()
}

pub(super) fn profile(number: u32) -> Arc<Profile> {
    Arc::new(Profile {
        name: name(number),
        life: members::life(1),
        instance: Instance::new(0, number.into()),
        address: contact(number).address,
        rpc_port: 5370,
        version: "".into(),
        side: None,
        tags: BTreeMap::new(),
    })
}

fn identity(number: u32) -> Identity {
    Identity {
        contact: contact(number),
        instance: Instance::new(0, number.into()),
        wall_ms: 0,
        cluster_name: "convoke".into(),
        tags: BTreeMap::new(),
    }
}

fn claim(node: u32, incarnation: u32, by: u32) -> Claim {
    Claim {
        node: name(node),
        incarnation,
        by: name(by),
    }
}

impl Table {
    fn with(nodes: Vec<Baseline>) -> Self {
        Self {
            now: Instant::ORIGIN,
            down: vec![false; nodes.len()],
            nodes,
            dropped: |_, _, _| false,
            sent: 0,
            wire: BTreeMap::new(),
            events: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// Members that have known each other for long.
    fn settled(config: &Config, count: u32) -> Self {
        let profiles: Vec<_> = (0..count).map(profile).collect();
        let fleet = Baseline::fleet(config, &profiles, Instant::ORIGIN);
        let node = |(seed, profile)| {
            let memory = &mut Memory::default();
            Baseline::settled(config, &fleet, profile, memory, seed, Instant::ORIGIN)
        };
        Self::with((0..).zip(&profiles).map(node).collect())
    }

    /// Nodes that know nobody.
    fn alone(config: &Config, count: u32) -> Self {
        let node = |number: u32| fresh(config, number, Instant::ORIGIN);
        Self::with((0..count).map(node).collect())
    }

    fn tell(&mut self, node: usize, input: impl FnOnce(&mut Baseline, Instant)) {
        input(&mut self.nodes[node], self.now);
        self.settle(node);
    }

    fn settle(&mut self, node: usize) {
        loop {
            match self.nodes[node].poll(self.now) {
                Action::Transmit { to, class, packet } => self.transmit(node, &to, class, packet),
                Action::Event(event) => self.events.push((self.now, node, event)),
                Action::Signal(signal) => self.signals.push((self.now, node, signal)),
                Action::Knock(_) | Action::Changed(_) => {}
                Action::Wake(_) => break,
            }
        }
        self.nodes[node].check().unwrap();
        self.nodes[node].members.audit();
    }

    fn transmit(&mut self, from: usize, to: &Target, class: Class, packet: Packet) {
        let address = match to {
            Target::Node(contact) => contact.address,
            Target::Address(address) => *address,
        };
        let to = self.nodes.iter().position(|n| n.contact.address == address);
        let to = to.expect("somebody listens there");
        if !(self.dropped)(from, to, class) {
            self.sent += 1;
            let arrival = (self.now + LATENCY, self.sent);
            self.wire.insert(arrival, (from, to, class, packet));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.wire.keys().next().map(|&(at, _)| at);
            let up = |&node: &usize| !self.down[node];
            let wakes = (0..self.nodes.len()).filter(up);
            let wake = wakes
                .filter_map(|n| Some((self.nodes[n].timers.next()?, n)))
                .min();
            match (packet, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = at;
                    let (from, to, class, packet) = self.wire.pop_first().unwrap().1;
                    let sender = self.nodes[from].contact.clone();
                    if !self.down[to] {
                        self.tell(to, |n, now| n.handle_packet(now, &sender, class, packet));
                    }
                }
                (_, Some((at, node))) if at <= end => {
                    self.now = self.now.max(at);
                    self.tell(node, |n, now| n.handle_timeout(now));
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Runs until something holds, and says for how long.
    fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let begin = self.now;
        while !holds(self) {
            assert!(self.now.since(begin) < limit, "not within {limit:?}");
            self.run(Duration::from_millis(10));
        }
        self.now.since(begin)
    }

    fn health(&self, observer: usize, subject: usize) -> Health {
        self.nodes[observer].health(id(subject))
    }

    fn everyone_holds(&self, subject: usize, health: Health) -> bool {
        (0..self.nodes.len())
            .filter(|&n| n != subject && !self.down[n])
            .all(|n| self.health(n, subject) == health)
    }

    fn count(&self, which: fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, _, e)| which(e)).count()
    }
}

fn fresh(config: &Config, number: u32, now: Instant) -> Baseline {
    let memory = &mut Memory::default();
    Baseline::start(config, &identity(number), memory, number.into(), now)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn whoever_is_well_is_never_suspected() {
    for config in [Config::lifeguard(), Config::swim()] {
        let mut table = Table::settled(&config, 8);
        table.run(secs(300));
        assert!(table.events.is_empty(), "{:?}", table.events);
        assert!(table.nodes.iter().all(|n| n.awareness.score() == 0));
    }
}

#[test]
fn a_crash_is_found_within_a_pass_and_the_time_to_refute() {
    for config in [Config::lifeguard(), Config::swim()] {
        let mut table = Table::settled(&config, 8);
        table.down[3] = true;
        let lasted = table.run_until(secs(40), |t| t.everyone_holds(3, Health::Failed));
        // Suspected no earlier than a probe's end, dead no earlier than the least timeout later.
        assert!(lasted >= Duration::from_millis(4900), "{lasted:?}");
        assert!(lasted <= secs(12), "{lasted:?}");
        assert_eq!(table.count(|e| matches!(e, Event::MemberFailed { .. })), 7);
        assert!((0..8).all(|n| n == 3 || table.nodes[n].size() == 7));
    }
}

#[test]
fn the_dead_are_forgotten_when_gossip_to_them_has_ended() {
    let mut table = Table::settled(&Config::lifeguard(), 8);
    table.down[3] = true;
    table.run_until(secs(40), |t| t.everyone_holds(3, Health::Failed));
    table.run(secs(25));
    assert!(table.everyone_holds(3, Health::Failed));
    // The time that is left, and a pass.
    table.run(secs(14));
    assert!(table.everyone_holds(3, Health::Unknown));
    let forgotten = table.count(|e| matches!(e, Event::MemberForgotten(_)));
    assert_eq!(forgotten, 7);
}

#[test]
fn a_member_of_which_only_one_line_is_cut_answers_through_helpers() {
    let mut table = Table::settled(&Config::lifeguard(), 8);
    table.dropped = |from, to, _| from.min(to) == 0 && from.max(to) == 1;
    table.run(secs(60));
    assert_eq!(table.count(|e| matches!(e, Event::MemberSuspected(_))), 0);
}

#[test]
fn a_member_that_only_streams_reach_is_not_suspected() {
    let mut table = Table::settled(&Config::lifeguard(), 8);
    table.dropped = |from, to, class| class == Class::Datagram && (from == 1 || to == 1);
    table.run(secs(60));
    assert!(table.everyone_holds(1, Health::Alive));
    assert!(table.events.is_empty());
    let mut config = Config::lifeguard();
    config.stream_probes = false;
    let mut table = Table::settled(&config, 8);
    table.dropped = |from, to, class| class == Class::Datagram && (from == 1 || to == 1);
    table.run(secs(60));
    assert!(table.count(|e| matches!(e, Event::MemberSuspected(_))) > 0);
}

#[test]
fn a_suspect_that_hears_of_it_refutes_with_a_higher_incarnation() {
    let mut table = Table::settled(&Config::lifeguard(), 8);
    table.tell(2, |n, now| n.on_suspect(now, &claim(5, 1, 2)));
    assert_eq!(table.health(2, 5), Health::Suspect);
    table.run(secs(2));
    assert!((0..8).all(|n| table.health(n, 5) == Health::Alive));
    assert_eq!(table.nodes[5].incarnation, 2);
    let digest = table.nodes[5].digest();
    assert!(table.nodes.iter().all(|n| n.digest() == digest));
    let suspected = table.count(|e| matches!(e, Event::MemberSuspected(_)));
    let refuted = table.count(|e| matches!(e, Event::MemberRefuted(_)));
    assert_eq!(suspected, refuted);
    assert!(table.nodes.iter().all(|n| n.suspicions.is_empty()));
}

#[test]
fn having_to_refute_is_a_sign_of_ill_health_under_lifeguard_alone() {
    for (config, score) in [(Config::lifeguard(), 1), (Config::swim(), 0)] {
        let mut table = Table::settled(&config, 4);
        table.tell(1, |n, now| n.on_suspect(now, &claim(1, 1, 2)));
        assert_eq!(table.nodes[1].awareness.score(), score);
        assert_eq!(table.nodes[1].incarnation, 2);
    }
}

#[test]
fn news_of_an_older_incarnation_change_nothing() {
    let mut table = Table::settled(&Config::lifeguard(), 4);
    let moved =
        |incarnation| move |n: &mut Baseline, now| n.on_alive(now, id(1), &profile(1), incarnation);
    table.tell(0, moved(5));
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 4, 2)));
    table.tell(0, |n, now| n.on_dead(now, &claim(1, 4, 2)));
    assert_eq!(table.health(0, 1), Health::Alive);
    table.tell(0, |n, now| n.on_dead(now, &claim(1, 5, 2)));
    assert_eq!(table.health(0, 1), Health::Failed);
    table.tell(0, moved(5));
    assert_eq!(table.health(0, 1), Health::Failed);
    table.tell(0, |n, now| n.on_dead(now, &claim(1, 6, 1)));
    assert_eq!(table.health(0, 1), Health::Failed, "the dead do not leave");
    table.tell(0, moved(6));
    assert_eq!(table.health(0, 1), Health::Alive);
}

#[test]
fn of_somebody_unknown_only_good_news_are_taken() {
    let mut table = Table::settled(&Config::lifeguard(), 4);
    table.tell(0, |n, now| n.on_suspect(now, &claim(9, 1, 2)));
    table.tell(0, |n, now| n.on_dead(now, &claim(9, 1, 2)));
    assert_eq!(table.health(0, 9), Health::Unknown);
    assert_eq!(table.nodes[0].broadcasts.len(), 0);
}

#[test]
fn independent_accusers_shorten_a_suspicion_and_are_passed_on() {
    let mut table = Table::settled(&Config::lifeguard(), 10);
    table.down = vec![true; 10];
    table.down[0] = false;
    let left = |t: &Table| {
        t.nodes[0]
            .timers
            .expiry_of(Timer::Suspicion(id(1)))
            .unwrap()
    };
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 2)));
    assert_eq!(left(&table), Instant::ORIGIN + secs(24));
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 2)));
    assert_eq!(left(&table), Instant::ORIGIN + secs(24));
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 3)));
    assert_eq!(left(&table), Instant::from_micros(11_381_000));
    let passed_on = table.nodes[0].broadcasts.take(8, 1400);
    assert_eq!(passed_on, [Message::Suspect(claim(1, 1, 3))]);
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 4)));
    assert_eq!(left(&table), Instant::ORIGIN + secs(4));
    table.run(Duration::from_millis(3999));
    assert_eq!(table.health(0, 1), Health::Suspect);
    table.run(Duration::from_millis(2));
    assert_eq!(table.health(0, 1), Health::Failed);
}

#[test]
fn a_confirmation_after_the_shortened_time_ends_the_suspicion_at_once() {
    let mut table = Table::settled(&Config::lifeguard(), 10);
    table.down = vec![true; 10];
    table.down[0] = false;
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 2)));
    table.run(secs(13));
    assert_eq!(table.health(0, 1), Health::Suspect);
    table.tell(0, |n, now| n.on_suspect(now, &claim(1, 1, 3)));
    table.run(Duration::from_millis(1));
    assert_eq!(table.health(0, 1), Health::Failed);
}

#[test]
fn a_ping_tells_a_suspect_so_that_it_can_refute() {
    for (config, told) in [(Config::lifeguard(), true), (Config::swim(), false)] {
        let mut table = Table::settled(&config, 3);
        table.tell(0, |n, now| {
            n.on_suspect(now, &claim(1, 1, 2));
            // All that rides on packets has been sent.
            while n.broadcasts.len() > 0 {
                n.broadcasts.take(4, 1400);
            }
        });
        table.down[2] = true;
        table.run(secs(3));
        let state = if told { Health::Alive } else { Health::Suspect };
        assert_eq!(table.health(0, 1), state);
    }
}

/// Lets node 0 probe node 1, which is down; the others are helpers.
fn probe_the_dead(config: &Config, dropped: Fault) -> Table {
    let mut table = Table::settled(config, 5);
    for node in 2..5 {
        // Helpers help, and do not probe.
        table.nodes[node].timers.clear();
    }
    table.down[1] = true;
    table.dropped = dropped;
    table.nodes[0].timers.clear();
    table.tell(0, |n, now| {
        let slot = n.members.find(id(1)).unwrap();
        n.begin_probe(now, slot);
    });
    table.run(Duration::from_millis(999));
    assert_eq!(table.health(0, 1), Health::Alive);
    table.run(Duration::from_millis(2));
    assert_eq!(table.health(0, 1), Health::Suspect);
    table
}

#[test]
fn missing_nacks_worsen_local_health_and_nacks_that_came_do_not() {
    let score =
        |config: &Config, dropped| probe_the_dead(config, dropped).nodes[0].awareness.score();
    let in_time = Config {
        nack_after: Duration::from_millis(400),
        ..Config::lifeguard()
    };
    assert_eq!(score(&in_time, |_, _, _| false), 0);
    assert_eq!(score(&in_time, |from, _, _| from == 2), 1);
    assert_eq!(score(&in_time, |_, to, _| to == 0), 3);
    // At memberlist's own numbers the first nacks come as the probe ends.
    assert_eq!(score(&Config::lifeguard(), |_, _, _| false), 3);
    let without = Config {
        nacks: false,
        ..Config::lifeguard()
    };
    assert_eq!(score(&without, |_, _, _| false), 1);
    assert_eq!(score(&Config::swim(), |_, _, _| false), 0);
}

#[test]
fn an_ill_node_waits_longer_and_probes_less() {
    let mut table = Table::settled(&Config::lifeguard(), 5);
    table.tell(0, |n, _| n.awareness.worsen(7));
    table.down = vec![false, true, true, true, true];
    let first = table.run_until(secs(20), |t| !t.events.is_empty());
    assert!(first >= secs(8), "{first:?}");
    let before = table.nodes[0].seq;
    table.run(secs(16));
    assert_eq!(table.nodes[0].seq - before, 2, "one probe in eight seconds");
}

#[test]
fn an_answer_that_is_read_after_the_probe_was_over_does_not_count() {
    for (late, state) in [(999, Health::Alive), (1001, Health::Suspect)] {
        let mut table = Table::settled(&Config::lifeguard(), 2);
        table.down[1] = true;
        table.nodes[0].timers.clear();
        table.tell(0, |n, now| {
            let slot = n.members.find(id(1)).unwrap();
            n.begin_probe(now, slot);
        });
        // The process stands still, reads what came, and only then looks at the time.
        table.now += Duration::from_millis(late);
        let ack = Packet::new(vec![Message::Ack(1)], Class::Datagram, true);
        table.tell(0, |n, now| {
            n.handle_packet(now, &contact(1), Class::Datagram, ack);
            n.handle_timeout(now);
            n.handle_timeout(now);
        });
        assert_eq!(table.health(0, 1), state);
    }
}

#[test]
fn a_ping_for_another_name_is_not_answered() {
    let mut table = Table::settled(&Config::lifeguard(), 2);
    let ping = |node| Message::Ping {
        seq: 9,
        node,
        source: contact(0).into(),
    };
    let packet = |node| Packet::new(vec![ping(node)], Class::Datagram, true);
    let answers = |table: &mut Table, node| {
        let before = table.sent;
        table.tell(1, |n, now| {
            n.handle_packet(now, &contact(0), Class::Datagram, packet(node));
        });
        table.sent - before
    };
    assert_eq!(answers(&mut table, name(7)), 0);
    assert_eq!(answers(&mut table, name(1)), 1);
}

#[test]
fn joining_is_a_full_exchange_with_the_seed_and_news_for_the_others() {
    let mut table = Table::alone(&Config::lifeguard(), 5);
    for node in 1..5 {
        let seed = Target::Address(contact(0).address);
        table.tell(node, |n, now| n.join(now, &seed));
        table.run(secs(1));
    }
    table.run(secs(3));
    let digest = table.nodes[0].digest();
    assert!(
        table
            .nodes
            .iter()
            .all(|n| n.size() == 5 && n.digest() == digest)
    );
    let joined = |(_, _, signal): &&(_, _, _)| *signal == Signal::JoinEnded(Ok(()));
    assert_eq!(table.signals.iter().filter(joined).count(), 4);
    assert_eq!(table.count(|e| matches!(e, Event::MemberJoined(_))), 20);
}

#[test]
fn a_join_that_nobody_answers_fails_in_time() {
    let mut table = Table::alone(&Config::lifeguard(), 2);
    table.down[0] = true;
    let seed = Target::Address(contact(0).address);
    table.tell(1, |n, now| n.join(now, &seed));
    table.tell(1, |n, now| n.join(now, &seed));
    table.run(secs(11));
    table.tell(1, |n, now| n.join(now, &seed));
    table.tell(1, |n, now| {
        n.handle_unreachable(now, &seed, "connection refused");
    });
    let ended = |error| Signal::JoinEnded(Err(error));
    let signals: Vec<_> = table.signals.iter().map(|(_, _, s)| s.clone()).collect();
    assert_eq!(
        signals,
        [
            ended(JoinError::Busy),
            ended(JoinError::Timeout(secs(10))),
            ended(JoinError::Unreachable("connection refused".into())),
        ]
    );
}

#[test]
fn a_full_exchange_brings_the_living_suspects_the_dead_and_believes_goodbyes() {
    let mut table = Table::settled(&Config::lifeguard(), 4);
    let record = |number: u32, incarnation, state| Record {
        id: name(number).id(),
        profile: profile(number),
        incarnation,
        state,
    };
    let list = message::List::new(vec![
        record(0, 1, State::Dead),
        record(1, 1, State::Dead),
        record(2, 1, State::Left),
        record(3, 7, State::Alive),
        record(4, 1, State::Alive),
        record(5, 1, State::Dead),
    ]);
    table.tell(0, |n, now| n.on_push_pull(now, &contact(3), &list, true));
    let health = [1, 2, 3, 4, 5].map(|n| table.health(0, n));
    assert_eq!(
        health,
        [
            Health::Suspect,
            Health::Left,
            Health::Alive,
            Health::Alive,
            Health::Unknown
        ]
    );
    assert_eq!(table.nodes[0].incarnation, 2, "it refuted its own death");
}

#[test]
fn who_was_missed_by_gossip_is_learned_by_a_full_exchange() {
    let mut table = Table::settled(&Config::lifeguard(), 4);
    table.tell(0, |n, now| {
        n.on_alive(now, id(9), &profile(9), 1);
        n.broadcasts = Broadcasts::default();
    });
    table
        .nodes
        .push(fresh(&Config::lifeguard(), 9, Instant::ORIGIN));
    table.down.push(false);
    table.nodes.last_mut().unwrap().timers.clear();
    // The one who knows may first meet those who are no news to it.
    table.run(secs(91));
    assert!((0..4).all(|n| table.health(n, 9) == Health::Alive));
}

#[test]
fn a_goodbye_is_known_to_all_as_such_and_ends_when_it_was_told_often_enough() {
    let mut table = Table::settled(&Config::lifeguard(), 10);
    table.run(secs(5));
    let begin = table.now;
    table.tell(4, |n, now| n.leave(now));
    let known = table.run_until(secs(5), |t| t.everyone_holds(4, Health::Left));
    assert!(known <= secs(2), "{known:?}");
    table.run(secs(4));
    let [(ended, 4, Signal::LeaveEnded)] = table.signals[..] else {
        panic!("{:?}", table.signals);
    };
    // Eight times to three members at a time.
    let lasted = ended.since(begin);
    assert!(
        lasted >= Duration::from_millis(300) && lasted <= secs(1),
        "{lasted:?}"
    );
    let others = table.count(|e| !matches!(e, Event::MemberLeft(_)));
    assert_eq!((others, table.events.len()), (0, 9));
    assert_eq!(table.nodes[4].timers.len(), 0);
}

#[test]
fn a_goodbye_that_nobody_hears_has_its_time_and_alone_it_takes_none() {
    let mut table = Table::alone(&Config::lifeguard(), 1);
    table.tell(0, |n, now| n.leave(now));
    assert_eq!(table.signals.len(), 1);
}

#[test]
fn a_restarted_process_outdoes_the_death_of_its_former_life() {
    let config = Config::lifeguard();
    let mut table = Table::settled(&config, 6);
    table.down[2] = true;
    table.run_until(secs(40), |t| t.everyone_holds(2, Health::Failed));
    table.nodes[2] = fresh(&config, 2, table.now);
    table.down[2] = false;
    let seed = Target::Address(contact(0).address);
    table.tell(2, |n, now| n.join(now, &seed));
    table.run(secs(5));
    assert!((0..6).all(|n| table.health(n, 2) == Health::Alive));
    assert_eq!(table.nodes[2].incarnation, 2);
}

#[test]
fn a_name_moves_to_another_address_only_when_its_owner_has_left() {
    let mut table = Table::settled(&Config::lifeguard(), 4);
    let mut moved = (*profile(1)).clone();
    moved.address.set_port(9999);
    let moved = Arc::new(moved);
    let address = |t: &Table| {
        let n = &t.nodes[0];
        n.members
            .profile(n.members.find(id(1)).unwrap())
            .address
            .port()
    };
    table.tell(0, |n, now| n.on_alive(now, id(1), &moved, 9));
    assert_eq!(address(&table), 4370);
    table.tell(0, |n, now| n.on_dead(now, &claim(1, 1, 2)));
    table.tell(0, |n, now| n.on_alive(now, id(1), &moved, 9));
    assert_eq!(
        (address(&table), table.health(0, 1)),
        (4370, Health::Failed)
    );
    table.tell(0, |n, now| n.on_alive(now, id(1), &profile(1), 2));
    table.tell(0, |n, now| n.on_dead(now, &claim(1, 2, 1)));
    table.tell(0, |n, now| n.on_alive(now, id(1), &moved, 1));
    assert_eq!((address(&table), table.health(0, 1)), (9999, Health::Alive));
}

/// Cuts six members into halves for longer than the dead are remembered; says whether they are
/// one cluster ten minutes after.
fn heals(config: &Config) -> bool {
    let mut table = Table::settled(config, 6);
    table.dropped = |from, to, _| (from < 3) != (to < 3);
    table.run(secs(120));
    assert!(table.nodes.iter().all(|n| n.size() == 3));
    assert_eq!(table.nodes[0].is_lost(id(5)), config.reconnect.is_some());
    table.dropped = |_, _, _| false;
    table.run(secs(600));
    let digest = table.nodes[0].digest();
    table
        .nodes
        .iter()
        .all(|n| n.size() == 6 && n.digest() == digest)
}

#[test]
fn a_long_cut_is_for_ever_unless_the_lost_are_tried_again() {
    assert!(!heals(&Config::lifeguard()));
    assert!(heals(&Config::lifeguard().with_serf()));
}

#[test]
fn a_snapshot_brings_a_restarted_process_back_by_itself() {
    let config = Config::lifeguard().with_serf();
    let mut table = Table::settled(&config, 4);
    let mut memory = Memory::default();
    table.nodes[3].persist(&mut memory);
    assert_eq!(memory.contacts.len(), 3);
    table.nodes[3] = Baseline::start(&config, &identity(3), &mut memory, 9, table.now);
    table.down[0] = true;
    table.settle(3);
    table.run(secs(25));
    assert_eq!(table.nodes[3].size(), table.nodes[1].size());
    assert!(table.signals.is_empty(), "nobody asked for a join");
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = || {
        let mut table = Table::settled(&Config::lifeguard(), 6);
        table.down[1] = true;
        table.run(secs(60));
        (table.sent, format!("{:?}", table.events))
    };
    assert_eq!(run(), run());
}

#[test]
fn no_datagram_is_larger_than_its_limit() {
    let mut table = Table::alone(
        &Config {
            compression: false,
            ..Config::lifeguard()
        },
        60,
    );
    for node in 1..60 {
        let seed = Target::Address(contact(0).address);
        table.tell(node, |n, now| n.join(now, &seed));
    }
    let mut largest = 0;
    for _ in 0..3000 {
        table.run(Duration::from_millis(1));
        let datagrams = table
            .wire
            .values()
            .filter(|(_, _, class, _)| *class == Class::Datagram);
        largest = largest.max(datagrams.map(|(_, _, _, p)| p.bytes()).max().unwrap_or(0));
    }
    // The checksum comes on top.
    assert!((1200..=1405).contains(&largest), "{largest}");
    assert!(table.nodes.iter().all(|n| n.size() == 60));
}

/// A cluster in the simulator, on a network of one data centre.
fn lan(count: usize, seed: u64) -> World<Baseline> {
    let mut world = World::empty(seed, Config::lifeguard());
    world.machine = Machine::MEASURED;
    world.checks = true;
    world.network.travel(Net::Lan);
    world.settle_cluster(count);
    world.run_for(secs(20));
    world
}

/// Until everyone else holds that of the first node, in seconds: the median of several runs.
fn median_until(health: Health, happening: fn(&mut World<Baseline>)) -> f64 {
    let run = |seed| {
        let mut world = lan(64, seed);
        happening(&mut world);
        let subject = world.nodes[0].id();
        let known = world.run_until(secs(60), |world| {
            (1..64).all(|n| world.nodes[n].engine().health(subject) == health)
        });
        assert!(
            world.checked.violations.is_empty(),
            "{:?}",
            world.checked.violations
        );
        known.expect("within a minute").as_secs_f64()
    };
    let mut times: Vec<_> = (0..9).map(run).collect();
    times.sort_by(f64::total_cmp);
    times[4]
}

#[test]
fn a_crash_among_64_is_known_to_all_in_the_time_that_memberlist_takes() {
    // Measured of memberlist itself: 9.6 s.
    let time = median_until(Health::Failed, |world| world.crash(0));
    assert!((8.6..10.6).contains(&time), "{time}");
}

#[test]
fn a_leave_among_64_is_known_to_all_in_the_time_that_memberlist_takes() {
    // Measured of memberlist itself: 0.76 s.
    let time = median_until(Health::Left, |world| world.tell(0, Protocol::leave));
    assert!((0.4..1.0).contains(&time), "{time}");
}

#[test]
fn sixty_four_that_join_at_once_take_the_time_that_they_take_with_memberlist() {
    // Measured of memberlist itself: 1.21 s, and once 61 s.
    let run = |seed| {
        let mut world = World::<Baseline>::empty(seed, Config::lifeguard());
        world.machine = Machine::MEASURED;
        world.network.travel(Net::Lan);
        world.add_many(64);
        world.run_for(secs(1));
        for joiner in 1..64 {
            world.send_join(joiner, 0);
        }
        let whole = |world: &World<Baseline>| world.nodes.iter().all(|n| n.engine().size() == 64);
        world
            .run_until(secs(120), whole)
            .expect("in two minutes")
            .as_secs_f64()
    };
    let mut times: Vec<_> = (0..9).map(run).collect();
    times.sort_by(f64::total_cmp);
    assert!((0.8..2.4).contains(&times[4]), "{times:?}");
}
