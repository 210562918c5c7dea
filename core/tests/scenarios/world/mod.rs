//! A small world in virtual time: real engines, a made-up network, one seed.
//!
//! Intuition: an engine cannot tell whether its caller's clock is the wall's. So a queue of
//! happenings, ordered by time, plays network and scheduler for all of them: what an engine sends
//! becomes a happening at its receiver a little later, its timeout a happening at itself. Nothing
//! else makes time pass; two minutes of a hundred nodes take seconds, and the same seed gives the
//! same run to the byte ([`World::trace`]).
//!
//! [`network`] decides what arrives and when, [`node`] is what becomes of processes, [`watch`] is
//! what tests ask about it all.

mod network;
mod node;
mod watch;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use convoke_core::codec::{self, PACKET_BYTES_MAX};
use convoke_core::message::Message;
use convoke_core::{
    Class, Config, Contact, Engine, Event, Instant, NodeName, Output, Packet, Signal, Target,
    Transmit,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use network::Network;
use node::Received;
pub(crate) use node::{Life, Node};
pub(crate) use watch::Health;

/// The wall clock of the world's origin: milliseconds since 1970.
pub(crate) const EPOCH_MS: u64 = 1_782_120_000_000;
/// How long a stream goes on trying.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);
/// The time before the first repetition of what a stream lost; it doubles, up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// An engine that wants to be woken so often in one moment is spinning.
const WAKES_AT_ONCE_MAX: u32 = 1000;

/// The whole of it.
pub(crate) struct World {
    /// For nodes that are started from now on.
    pub(crate) config: Config,
    /// What the network does to packets.
    pub(crate) network: Network,
    /// Whether packets become bytes on their way. Slower, and the real thing.
    pub(crate) through_codec: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Instant,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    addresses: HashMap<SocketAddr, usize>,
    rng: fastrand::Rng,
    trace: u64,
    wrongly_failed: Vec<WrongFailure>,
}

/// A verdict about a node that was running.
#[derive(Clone, Debug)]
pub(crate) struct WrongFailure {
    pub(crate) at: Instant,
    pub(crate) by: usize,
    pub(crate) about: usize,
}

/// A happening and its time; of two at one time, the one that was scheduled first comes first.
struct Scheduled {
    at: Instant,
    number: u64,
    what: Happening,
}

enum Happening {
    Wake {
        node: usize,
        life: Life,
    },
    Datagram(Flight),
    Stream(Flight),
    Unreachable {
        node: usize,
        life: Life,
        to: Target,
        cause: &'static str,
    },
}

/// A packet on its way.
struct Flight {
    from: usize,
    /// The process that sent it: nobody else is told how it ended.
    from_life: Life,
    sender: Contact,
    to: Target,
    payload: Payload,
    sent: Instant,
    tries: u32,
    /// For a stream: the process at the other end of the connection, once it has been reached.
    to_life: Option<Life>,
}

enum Payload {
    Bytes(Vec<u8>),
    Typed(Box<Packet>),
}

impl World {
    /// An empty world with the LAN's configuration.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            config: Config::lan(),
            network: Network::new(rng.u64(..)),
            through_codec: true,
            nodes: Vec::new(),
            now: Instant::ORIGIN + Duration::from_secs(1),
            queue: BinaryHeap::new(),
            scheduled: 0,
            addresses: HashMap::new(),
            rng,
            trace: seed,
            wrongly_failed: Vec::new(),
        }
    }

    /// Adds a node with its own host and the next number's name, starts it, and returns its number.
    pub(crate) fn add(&mut self) -> usize {
        let number = self.nodes.len();
        let host = host(number);
        let name = format!("n{number}@{host}").parse().expect("a valid name");
        self.add_named(name, SocketAddr::new(host.into(), 4370))
    }

    /// Adds a node of this name at this address, starts it, and returns its number.
    pub(crate) fn add_named(&mut self, name: NodeName, address: SocketAddr) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node::new(name, address, self.rng.u128(..)));
        self.start(number);
        number
    }

    /// Adds this many nodes.
    pub(crate) fn add_many(&mut self, count: usize) {
        for _ in 0..count {
            self.add();
        }
    }

    /// Starts a node that is down, with what it remembers.
    pub(crate) fn start(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        assert!(node.process.is_none(), "{} is down", node.name);
        let claimed = self.addresses.insert(node.address, number);
        let free = claimed.is_none_or(|old| self.nodes[old].process.is_none());
        assert!(free, "nobody else listens at that address");
        let config = self.config.clone();
        self.nodes[number].start(config, self.now, &mut self.rng);
        self.settle(number);
    }

    /// Ends a process without a goodbye. Its host swallows what is sent to it.
    pub(crate) fn crash(&mut self, number: usize) {
        self.nodes[number].end(false);
    }

    /// Ends a process without a goodbye on a host that lives on, and refuses what is sent to it.
    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number].end(true);
    }

    /// Stops a process from running; what is sent to it waits in its socket's buffer.
    pub(crate) fn pause(&mut self, number: usize) {
        self.nodes[number].process_mut().paused = Some(Default::default());
    }

    /// Lets a paused process run again: first through what came meanwhile, then its timers.
    pub(crate) fn resume(&mut self, number: usize) {
        let now = self.now;
        let process = self.nodes[number].process_mut();
        for received in process.paused.take().expect("the node is paused") {
            let Received {
                from,
                class,
                packet,
            } = received;
            process.engine.handle_packet(now, &from, class, packet);
        }
        process.engine.handle_timeout(now);
        self.settle(number);
    }

    /// Gives a node an input by hand, and does what follows.
    pub(crate) fn tell<T>(
        &mut self,
        number: usize,
        input: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> T {
        let now = self.now;
        let result = input(&mut self.nodes[number].process_mut().engine, now);
        self.settle(number);
        result
    }

    /// Sends messages that `from` never thought of, in its name.
    pub(crate) fn forge(&mut self, from: usize, to: usize, messages: Vec<Message>) {
        let sender = self.nodes[from].engine();
        let cluster = sender.membership().cluster.tag();
        let packet = Packet {
            cluster,
            fingerprint: sender.fingerprint(),
            messages,
        };
        let to = Target::Node(self.nodes[to].contact());
        self.transmit(
            from,
            Transmit {
                to,
                class: Class::Reliable,
                packet,
            },
        );
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.peek().is_some_and(|next| next.0.at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until something holds, looked at every millisecond; says how long it took.
    /// `None`: it did not come to hold within `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begin = self.now;
        while !holds(self) {
            if self.now.since(begin) >= limit {
                return None;
            }
            self.run_for(Duration::from_millis(1));
        }
        Some(self.now.since(begin))
    }

    fn step(&mut self) {
        let Reverse(Scheduled { at, what, .. }) = self.queue.pop().expect("peeked by the caller");
        assert!(at >= self.now, "time goes forward");
        self.now = at;
        match what {
            Happening::Wake { node, life } => self.wake(node, life),
            Happening::Datagram(flight) => self.land(flight),
            Happening::Stream(flight) => self.attempt(flight),
            Happening::Unreachable {
                node,
                life,
                to,
                cause,
            } => {
                if let Some(process) = self.nodes[node].running(life) {
                    process.engine.handle_unreachable(at, &to, cause);
                    self.settle(node);
                }
            }
        }
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            number: self.scheduled,
            what,
        }));
    }

    fn wake(&mut self, node: usize, life: Life) {
        let now = self.now;
        let Some(process) = self.nodes[node].running(life) else {
            return;
        };
        if process.wake.is_some_and(|wake| wake <= now) {
            process.wake = None;
            process.note_wake(now);
            process.engine.handle_timeout(now);
            self.settle(node);
        }
    }

    /// Does what an engine wants done, until it wants nothing more.
    fn settle(&mut self, number: usize) {
        loop {
            match self.nodes[number].process_mut().engine.poll_output() {
                Output::Transmit(transmit) => self.transmit(number, transmit),
                Output::Event(event) => self.note_event(number, event),
                Output::Signal(signal) => self.note_signal(number, signal),
                Output::Changed(id) => drop(self.nodes[number].changed.insert(id)),
                Output::Timeout(timeout) => {
                    let process = self.nodes[number].process_mut();
                    if std::mem::take(&mut process.preparing) {
                        process.engine.prepared(self.now);
                        continue;
                    }
                    return self.set_wake(number, timeout);
                }
            }
        }
    }

    fn set_wake(&mut self, node: usize, timeout: Option<Instant>) {
        let process = self.nodes[node].process_mut();
        let Some(at) = timeout.map(|at| at.max(self.now)) else {
            process.wake = None;
            return;
        };
        if process.wake != Some(at) {
            process.wake = Some(at);
            let life = process.life;
            self.schedule(at, Happening::Wake { node, life });
        }
    }

    fn note_event(&mut self, number: usize, event: Event) {
        self.fold(&[number as u64, 1]);
        if let Event::MemberFailed(failed) = &event {
            let about = self
                .nodes
                .iter()
                .position(|n| n.name == failed.name && n.is_running());
            if let Some(about) = about {
                self.wrongly_failed.push(WrongFailure {
                    at: self.now,
                    by: number,
                    about,
                });
            }
        }
        self.nodes[number].events.push((self.now, event));
    }

    fn note_signal(&mut self, number: usize, signal: Signal) {
        self.fold(&[number as u64, 2]);
        let node = &mut self.nodes[number];
        match &signal {
            Signal::Prepare(_) => node.process_mut().preparing = true,
            Signal::Membership(membership) => node.memory.membership = membership.clone(),
            _ => {}
        }
        node.signals.push((self.now, signal));
    }

    /// Puts a packet on its way.
    fn transmit(&mut self, from: usize, transmit: Transmit) {
        let Transmit { to, class, packet } = transmit;
        let bytes_max = match class {
            Class::Datagram => self.config.datagram_bytes_max,
            Class::Reliable => PACKET_BYTES_MAX,
        };
        let payload = if self.through_codec {
            let bytes = codec::encode(&packet);
            assert!(
                bytes.len() <= bytes_max,
                "{} bytes at once: {packet:?}",
                bytes.len()
            );
            Payload::Bytes(bytes)
        } else {
            Payload::Typed(Box::new(packet))
        };
        let node = &mut self.nodes[from];
        node.sent.add(class, &payload);
        let (sender, from_life) = (node.contact(), node.process_mut().life);
        let sent = self.now;
        let flight = Flight {
            from,
            from_life,
            sender,
            to,
            payload,
            sent,
            tries: 0,
            to_life: None,
        };
        let to = self.addresses.get(flight.to.address()).copied();
        let at = self.now + self.network.delay(from, to, &mut self.rng);
        match class {
            Class::Reliable => self.schedule(at, Happening::Stream(flight)),
            Class::Datagram if self.network.drops(from, to, &mut self.rng) => {}
            Class::Datagram => self.schedule(at, Happening::Datagram(flight)),
        }
    }

    /// A datagram is at its address.
    fn land(&mut self, flight: Flight) {
        let Some(&to) = self.addresses.get(flight.to.address()) else {
            return;
        };
        let node = &self.nodes[to];
        match &node.process {
            Some(_) if !flight.to.is(&node.name) => self.fail(&flight, "another name answers"),
            Some(_) => self.deliver(to, flight, Class::Datagram),
            None if node.refuses => self.fail(&flight, "connection refused"),
            None => {}
        }
    }

    /// One try to carry a packet over a stream. It needs both directions, and a process that runs.
    fn attempt(&mut self, mut flight: Flight) {
        let to = self.addresses.get(flight.to.address()).copied();
        let reached = to.filter(|&to| self.network.is_open(flight.from, to));
        let lost = self.network.loses(flight.from, to, &mut self.rng);
        let node = reached.map(|to| &self.nodes[to]);
        match node.map(|node| (node, &node.process)) {
            Some((node, None)) if node.refuses => self.fail(&flight, "connection refused"),
            Some((node, Some(_))) if !flight.to.is(&node.name) => {
                self.fail(&flight, "another name answers");
            }
            Some((_, Some(process))) if flight.to_life.is_some_and(|life| life != process.life) => {
                self.fail(&flight, "connection reset");
            }
            Some((_, Some(process))) if process.paused.is_none() && !lost => {
                let to = reached.expect("it has a process");
                self.deliver(to, flight, Class::Reliable);
            }
            other => {
                let met = other.and_then(|(_, process)| process.as_ref().map(|p| p.life));
                flight.to_life = flight.to_life.or(met);
                self.retry(flight);
            }
        }
    }

    fn retry(&mut self, mut flight: Flight) {
        if self.now.since(flight.sent) >= STREAM_TIMEOUT {
            return self.fail(&flight, "timed out");
        }
        let wait = (RETRY_MIN * (1 << flight.tries.min(10))).min(RETRY_MAX);
        flight.tries += 1;
        self.schedule(self.now + wait, Happening::Stream(flight));
    }

    fn deliver(&mut self, to: usize, flight: Flight, class: Class) {
        let packet = match flight.payload {
            Payload::Bytes(bytes) => {
                self.trace = xxh3_64_with_seed(&bytes, self.trace);
                codec::decode(&bytes).expect("what an engine says can be encoded and decoded")
            }
            Payload::Typed(packet) => *packet,
        };
        self.fold(&[to as u64, flight.from as u64, 3]);
        let now = self.now;
        let process = self.nodes[to].process_mut();
        let from = flight.sender;
        match &mut process.paused {
            Some(waiting) => node::wait(
                waiting,
                Received {
                    from,
                    class,
                    packet,
                },
            ),
            None => {
                process.engine.handle_packet(now, &from, class, packet);
                self.settle(to);
            }
        }
    }

    /// Tells the sender that a packet did not arrive.
    fn fail(&mut self, flight: &Flight, cause: &'static str) {
        let to = self.addresses.get(flight.to.address()).copied();
        let at = self.now + self.network.delay(flight.from, to, &mut self.rng);
        let (node, life, to) = (flight.from, flight.from_life, flight.to.clone());
        self.schedule(
            at,
            Happening::Unreachable {
                node,
                life,
                to,
                cause,
            },
        );
    }

    fn fold(&mut self, words: &[u64]) {
        self.trace = self.trace.rotate_left(5) ^ self.now.as_micros();
        for word in words {
            self.trace = (self.trace.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}

/// The host of a node's number.
fn host(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("fewer nodes than addresses");
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + number)
}

/// Where a target listens, and whether a node is the one that is meant.
trait Aim {
    fn address(&self) -> &SocketAddr;
    fn is(&self, name: &NodeName) -> bool;
}

impl Aim for Target {
    fn address(&self) -> &SocketAddr {
        match self {
            Self::Node(contact) => &contact.address,
            Self::Address(address) => address,
        }
    }

    fn is(&self, name: &NodeName) -> bool {
        match self {
            Self::Node(contact) => contact.name == *name,
            Self::Address(_) => true,
        }
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}
