//! The world: virtual time, and what happens in it.
//!
//! Intuition: a process cannot tell whether its caller's clock is the wall's. So a queue of
//! happenings, ordered by time, plays network and scheduler for all of them: what a process sends
//! becomes a happening at its receiver a little later, its timeout a happening at itself. Nothing
//! else makes time pass; two minutes of a hundred nodes take a second, and the same seed gives the
//! same run to the byte ([`World::trace`]).

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::carriage::{Dial, Flight};
use super::check::Checks;
use super::connection::Connections;
use super::knock::Knock;
use super::ledger::Ledger;
use super::network::Network;
use super::node::{Life, Node, Process, Received, SOCKET_PACKETS_MAX, Stopped, hold};
use super::protocol::{Action, Protocol};
use super::queue::Queue;
use crate::name::{NodeId, NodeName};
use crate::output::{Event, Signal, Target};
use crate::roster::IdHasher;
use crate::time::Instant;

/// The whole of it.
#[derive(Debug)]
pub struct World<P: Protocol> {
    /// For nodes that are started from now on.
    pub config: P::Config,
    /// What the network does to packets.
    pub network: Network,
    /// What packets cost at their ends.
    pub machine: Machine,
    /// What a process's socket holds while it can't read; what comes after is lost.
    pub socket_packets_max: usize,
    /// Whether packets become bytes on their way. Slower, and the real thing.
    pub through_codec: bool,
    /// Whether nodes keep everything that their processes told.
    pub keeps_events: bool,
    /// Whether each process is checked whenever it has done something.
    pub checks: bool,
    /// All nodes that there ever were, by their number.
    pub nodes: Vec<Node<P>>,
    /// The present.
    pub now: Instant,
    /// What was told, counted.
    pub ledger: Ledger,
    /// What the checkers found.
    pub checked: Checks,
    pub(super) rng: fastrand::Rng,
    /// For what a frozen process sees first when it wakes.
    wakes: fastrand::Rng,
    /// For what becomes of knocks: what else is drawn does not depend on them.
    pub(super) knocks: fastrand::Rng,
    pub(super) queue: Queue<Happening<P>>,
    /// When each of the cores that processes share is free.
    cores: [Instant; CORES_MAX],
    pub(super) connections: Connections,
    pub(super) dials: BTreeMap<(usize, SocketAddr), Dial<P>>,
    pub(super) addresses: BTreeMap<SocketAddr, usize>,
    numbers: HashMap<NodeId, Vec<usize>, BuildHasherDefault<IdHasher>>,
    trace: u64,
}

/// The most cores that processes may share.
const CORES_MAX: usize = 64;

/// What a node's CPU spends. Zero: everything is done at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// For a packet, at each end.
    pub packet: Duration,
    /// For a handshake, at each end.
    pub handshake: Duration,
    /// By how much everything takes longer at a node that is slow, with the node's number.
    pub slow: Option<(usize, u32)>,
    /// All processes share so many cores, at most 64. `None`: each has one of its own.
    pub cores: Option<usize>,
}

impl Machine {
    /// As measured over real QUIC on one core: 41 µs for a datagram there and back at both ends
    /// together, 1.3 ms for a handshake at both ends together.
    pub const MEASURED: Self = Self {
        packet: Duration::from_micros(10),
        handshake: Duration::from_micros(650),
        slow: None,
        cores: None,
    };

    /// All nodes in one process on two cores, as measured: what the kernel does for a packet, and
    /// what it takes to wake a task, included.
    pub const CROWDED: Self = Self {
        packet: Duration::from_micros(25),
        handshake: Duration::from_micros(850),
        slow: None,
        cores: Some(2),
    };

    fn is_free(&self) -> bool {
        self.packet.is_zero() && self.handshake.is_zero()
    }

    fn cost(&self, node: usize, base: Duration) -> Duration {
        match self.slow {
            Some((slow, factor)) if slow == node => base * factor,
            _ => base,
        }
    }
}

#[derive(Debug)]
pub(super) enum Happening<P: Protocol> {
    Wake {
        node: usize,
        life: Life,
    },
    /// A process reads the next packet that waits.
    Work {
        node: usize,
        life: Life,
    },
    Datagram(Flight<P>),
    Stream(Flight<P>),
    /// One try of a handshake.
    Dial {
        from: usize,
        to: SocketAddr,
    },
    Unreachable {
        node: usize,
        life: Life,
        to: Target,
        cause: &'static str,
    },
    /// A knock is at its host.
    Knock(Knock),
    /// The host's refusal is back.
    Refused(Knock),
}

impl<P: Protocol> World<P> {
    /// An empty world.
    pub fn empty(seed: u64, config: P::Config) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            config,
            network: Network::new(rng.u64(..)),
            machine: Machine::default(),
            socket_packets_max: SOCKET_PACKETS_MAX,
            through_codec: true,
            keeps_events: true,
            checks: false,
            nodes: Vec::new(),
            now: Instant::ORIGIN + Duration::from_secs(1),
            ledger: Ledger::default(),
            checked: Checks::default(),
            queue: Queue::default(),
            cores: [Instant::ORIGIN; CORES_MAX],
            connections: Connections::default(),
            dials: BTreeMap::new(),
            addresses: BTreeMap::new(),
            numbers: HashMap::default(),
            rng,
            wakes: fastrand::Rng::with_seed(!seed),
            knocks: fastrand::Rng::with_seed(seed.rotate_left(32)),
            trace: seed,
        }
    }

    // ---- nodes ----

    /// Adds a node with its own host and the next number's name, starts it, and returns its number.
    pub fn add(&mut self) -> usize {
        let number = self.add_down();
        self.start(number);
        number
    }

    /// Adds a node of this name at this address, starts it, and returns its number.
    pub fn add_named(&mut self, name: NodeName, address: SocketAddr) -> usize {
        let number = self.add_named_down(name, address);
        self.start(number);
        number
    }

    /// Adds this many nodes.
    pub fn add_many(&mut self, count: usize) {
        for _ in 0..count {
            self.add();
        }
    }

    /// Adds a node with its own host and the next number's name, and does not start it.
    pub fn add_down(&mut self) -> usize {
        let number = self.nodes.len();
        let host = host(number);
        let name = format!("n{number}@{host}").parse().expect("a valid name");
        self.add_named_down(name, SocketAddr::new(host.into(), 4370))
    }

    fn add_named_down(&mut self, name: NodeName, address: SocketAddr) -> usize {
        let number = self.nodes.len();
        self.numbers.entry(name.id()).or_default().push(number);
        self.nodes.push(Node::new(name, address, self.rng.u128(..)));
        number
    }

    /// Makes this many nodes that have been members of one cluster for long.
    pub fn settle_cluster(&mut self, count: usize) {
        let first = self.nodes.len();
        let now = self.now;
        for _ in 0..count {
            self.add_down();
        }
        let profiles: Vec<_> = (first..first + count)
            .map(|number| {
                let identity = self.nodes[number].identity(now, &mut self.rng);
                super::convoke::profile(&identity)
            })
            .collect();
        let fleet = P::fleet(&self.config, &profiles, now);
        for (number, profile) in (first..).zip(&profiles) {
            let seed = self.rng.u64(..);
            let node = &mut self.nodes[number];
            let engine = P::settled(&self.config, &fleet, profile, &mut node.memory, seed, now);
            node.run(engine, now);
            self.addresses.insert(node.address, number);
            self.settle(number);
        }
    }

    /// Starts a node that is down, with what it remembers.
    pub fn start(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        assert!(node.process.is_none(), "{} is down", node.name);
        let claimed = self.addresses.insert(node.address, number);
        let address = self.nodes[number].address;
        let free = claimed.is_none_or(|old| {
            let old = &self.nodes[old];
            old.process.is_none() || old.address != address
        });
        assert!(free, "nobody else listens at that address");
        self.checked.note_start(number);
        let config = self.config.clone();
        self.nodes[number].start(&config, self.now, &mut self.rng);
        self.settle(number);
    }

    /// Ends a process without a goodbye. Its host swallows what is sent to it.
    pub fn crash(&mut self, number: usize) {
        self.end(number, false);
    }

    /// Ends a process without a goodbye on a host that lives on, and refuses what is sent to it.
    pub fn kill(&mut self, number: usize) {
        self.end(number, true);
    }

    fn end(&mut self, number: usize, refuses: bool) {
        self.nodes[number].end(refuses);
        self.dials.retain(|&(from, _), _| from != number);
    }

    /// Stops a process from running; what is sent to it waits in its socket's buffer.
    pub fn pause(&mut self, number: usize) {
        self.nodes[number].process_mut().stopped = Stopped::Frozen { shown: None };
    }

    /// Suspends a process's host, and its clock with it: when it runs again, to itself it never
    /// stopped.
    pub fn suspend(&mut self, number: usize) {
        let now = self.now;
        let process = self.nodes[number].process_mut();
        let shown = Some(process.clock(now));
        process.stopped = Stopped::Frozen { shown };
    }

    /// Holds what a process sends and what is sent to it; its timers run on (Lifeguard §5).
    pub fn block(&mut self, number: usize) {
        self.nodes[number].process_mut().stopped = Stopped::Blocked(Vec::new());
    }

    /// A process's clock jumps forward while it runs.
    pub fn set_clock_forward(&mut self, number: usize, time: Duration) {
        self.nodes[number].process_mut().set_clock_forward(time);
        self.settle(number);
    }

    /// A host's clock runs so much faster from now on, in millionths.
    pub fn set_drift(&mut self, number: usize, ppm: i64) {
        let now = self.now;
        let node = &mut self.nodes[number];
        node.drift_ppm = ppm;
        if let Some(process) = &mut node.process {
            process.set_drift(now, ppm);
            self.settle(number);
        }
    }

    /// Lets a stopped process run again. What a blocked one wanted to send goes first, then it
    /// reads what came meanwhile. A frozen one finds its timers expired and its socket full, and
    /// which of the two it sees first is nobody's promise: in a process of several threads, those
    /// that wait for time and those that wait for packets wake at once (memberlist judges in the
    /// timers' own goroutines; the driver of Convoke lets its readers catch up, but for so long
    /// only). So it is drawn for every wake, for every protocol alike.
    pub fn resume(&mut self, number: usize) {
        let now = self.now;
        let process = self.nodes[number].process_mut();
        let life = process.life;
        let stopped = std::mem::replace(&mut process.stopped, Stopped::No);
        match stopped {
            Stopped::Blocked(held) => {
                for (to, class, packet) in held {
                    self.transmit(number, to, class, packet);
                }
            }
            Stopped::Frozen { shown: Some(shown) } => process.set_clock(now, shown),
            Stopped::Frozen { shown: None } if self.wakes.bool() => {
                self.tell(number, |engine, time| engine.handle_timeout(time));
            }
            _ => {}
        }
        if self.machine.is_free() {
            let process = self.nodes[number].process_mut();
            let time = process.clock(now);
            for received in std::mem::take(&mut process.inbox) {
                let Received {
                    from,
                    class,
                    packet,
                } = received;
                process.engine.handle_packet(time, &from, class, packet);
            }
            process.engine.handle_timeout(time);
            self.settle(number);
        } else {
            self.schedule_work(number, life);
            let process = self.nodes[number].process_mut();
            process.wake = Some(now);
            self.queue
                .schedule(now, Happening::Wake { node: number, life });
        }
    }

    /// Gives a process an input by hand, and does what follows.
    pub fn tell<T>(&mut self, number: usize, input: impl FnOnce(&mut P, Instant) -> T) -> T {
        let process = self.nodes[number].process_mut();
        let time = process.clock(self.now);
        let result = input(&mut process.engine, time);
        self.settle(number);
        result
    }

    /// Begins a join.
    pub fn send_join(&mut self, joiner: usize, target: usize) {
        self.checked.note_join(joiner, target);
        let target = Target::Node(self.nodes[target].contact());
        self.tell(joiner, |engine, now| engine.join(now, &target));
    }

    /// The numbers of the nodes that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&number| self.nodes[number].is_running())
            .collect()
    }

    /// The numbers of the nodes of a name.
    pub(super) fn numbers_of(&self, id: NodeId) -> &[usize] {
        self.numbers.get(&id).map_or(&[], Vec::as_slice)
    }

    /// What stands for everything that happened: equal for equal runs.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    // ---- time ----

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until something holds, looked at every millisecond; says how long it took.
    /// `None`: it did not come to hold within `limit`.
    pub fn run_until(
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
        let (at, what) = self.queue.pop().expect("peeked by the caller");
        assert!(at >= self.now, "time goes forward");
        self.now = at;
        match what {
            Happening::Wake { node, life } => self.wake(node, life),
            Happening::Work { node, life } => self.work(node, life),
            Happening::Datagram(flight) => self.land(flight),
            Happening::Stream(flight) => self.attempt(flight),
            Happening::Dial { from, to } => self.dial(from, to),
            Happening::Unreachable {
                node,
                life,
                to,
                cause,
            } => {
                if let Some(process) = self.nodes[node].running(life) {
                    let time = process.clock(at);
                    process.engine.handle_unreachable(time, &to, cause);
                    self.settle(node);
                }
            }
            Happening::Knock(knock) => self.answer_knock(knock),
            Happening::Refused(knock) => self.end_knock(&knock),
        }
    }

    // ---- processes ----

    fn wake(&mut self, node: usize, life: Life) {
        let now = self.now;
        let Some(process) = self.nodes[node].running(life) else {
            return;
        };
        if process.wake.is_none_or(|wake| wake > now) {
            return;
        }
        // What waits to be read comes before what is judged.
        let busy = process.busy_until > now || (process.reads() && !process.inbox.is_empty());
        if busy {
            let at = process.busy_until.max(now + Duration::from_micros(1));
            process.wake = Some(at);
            self.queue.schedule(at, Happening::Wake { node, life });
            return;
        }
        process.wake = None;
        process.note_wake(now);
        let time = process.clock(now);
        process.engine.handle_timeout(time);
        self.settle(node);
    }

    /// Something arrives at a process: it is read at once, or when the CPU is free.
    pub(super) fn receive(&mut self, to: usize, received: Received<P>) {
        let free = self.machine.is_free();
        let process = self.nodes[to].process_mut();
        let life = process.life;
        if process.reads() && free {
            self.read(to, received);
            return;
        }
        if process.inbox.len() >= self.socket_packets_max {
            self.nodes[to].dropped.socket += 1;
            return;
        }
        process.inbox.push_back(received);
        if process.reads() {
            self.schedule_work(to, life);
        }
    }

    pub(super) fn schedule_work(&mut self, node: usize, life: Life) {
        let now = self.now;
        let process = self.nodes[node].process_mut();
        if !process.works && !process.inbox.is_empty() {
            process.works = true;
            let at = process.busy_until.max(now);
            self.queue.schedule(at, Happening::Work { node, life });
        }
    }

    fn work(&mut self, node: usize, life: Life) {
        let now = self.now;
        let Some(process) = self.nodes[node].running(life) else {
            // Frozen meanwhile: begins anew when it is resumed.
            if let Some(process) = &mut self.nodes[node].process {
                process.works = false;
            }
            return;
        };
        process.works = false;
        if !process.reads() {
            return;
        }
        if process.busy_until > now {
            self.schedule_work(node, life);
            return;
        }
        if let Some(received) = process.inbox.pop_front() {
            self.spend(node, self.machine.packet);
            self.read(node, received);
        }
        if self.nodes[node].running(life).is_some() {
            self.schedule_work(node, life);
        }
    }

    fn read(&mut self, node: usize, received: Received<P>) {
        let process = self.nodes[node].process_mut();
        let time = process.clock(self.now);
        let Received {
            from,
            class,
            packet,
        } = received;
        process.engine.handle_packet(time, &from, class, packet);
        self.settle(node);
    }

    /// The CPU of a node has something to do.
    pub(super) fn spend(&mut self, node: usize, base: Duration) {
        let (now, cost) = (self.now, self.machine.cost(node, base));
        self.nodes[node].sent.cpu += cost;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let Some(cores) = self.machine.cores else {
            process.busy_until = process.busy_until.max(now) + cost;
            return;
        };
        let core = self.cores[..cores.clamp(1, CORES_MAX)].iter_mut().min();
        let core = core.expect("there is one: clamped above");
        *core = (*core).max(now) + cost;
        process.busy_until = process.busy_until.max(*core);
    }

    /// Does what a process wants done, until it wants nothing more.
    pub(super) fn settle(&mut self, number: usize) {
        loop {
            let process = self.nodes[number].process_mut();
            let time = process.clock(self.now);
            match process.engine.poll(time) {
                Action::Transmit { to, class, packet } => {
                    if let Stopped::Blocked(held) = &mut process.stopped {
                        hold(held, (to, class, packet));
                    } else {
                        self.transmit(number, to, class, packet);
                    }
                }
                Action::Knock(at) if process.reads() => self.knock(number, at),
                Action::Knock(_) => {}
                Action::Event(event) => {
                    self.note_silence(number, &event);
                    self.note_event(number, event);
                }
                Action::Signal(signal) => self.note_signal(number, signal),
                Action::Changed(id) => {
                    if self.keeps_events {
                        self.nodes[number].changed.insert(id);
                    }
                    if self.checks {
                        self.check_changed(number, id);
                    }
                }
                Action::Wake(timeout) => {
                    if std::mem::take(&mut process.preparing) {
                        process.engine.prepared(time);
                        continue;
                    }
                    let wake = timeout.map(|shown| process.when(shown).max(self.now));
                    self.set_wake(number, wake);
                    break;
                }
            }
        }
        if self.checks {
            self.check(number);
        }
    }

    fn set_wake(&mut self, node: usize, wake: Option<Instant>) {
        let process = self.nodes[node].process_mut();
        if process.wake == wake {
            return;
        }
        process.wake = wake;
        let life = process.life;
        if let Some(at) = wake {
            self.queue.schedule(at, Happening::Wake { node, life });
        }
    }

    fn note_event(&mut self, number: usize, event: Event) {
        self.fold(&[number as u64, 1]);
        self.keep_account(number, &event);
        if self.keeps_events {
            self.nodes[number].events.push((self.now, event));
        }
    }

    fn note_signal(&mut self, number: usize, signal: Signal) {
        self.fold(&[number as u64, 2]);
        self.checked.note_signal(number, &signal);
        let node = &mut self.nodes[number];
        P::remember(&mut node.memory, &signal);
        if let Signal::Prepare(_) = signal {
            node.process_mut().preparing = true;
        }
        if self.keeps_events {
            node.signals.push((self.now, signal));
        }
    }

    pub(super) fn fold(&mut self, words: &[u64]) {
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

impl<P: Protocol> Process<P> {
    /// Which of its node's processes it is.
    pub fn life(&self) -> Life {
        self.life
    }
}
