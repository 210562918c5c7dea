//! Carriage: how a packet gets from a process to another one, or does not.
//!
//! ```text
//!   transmit ─ warm ───────────▶ depart ── datagram ─▶ land ────┐
//!        └──── cold ─▶ dial ───────▲   └── stream ───▶ attempt ─┴─▶ deliver
//!                       └ nobody ▶ fail                 └ lost ▶ retry
//! ```
//!
//! While peers are silent a dial begins with a [hail](super::hail).

use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{ANSWER_BYTES, DIAL_BYTES, INITIAL_BYTES, UDP_BYTES};
use super::connection::{Arrival, ack_bytes, datagram_bytes, stream_bytes};
use super::node::{Life, Received};
use super::protocol::{Carrier, Protocol, STREAM_TIMEOUT};
use super::world::{Happening, World};
use crate::message::Contact;
use crate::name::NodeName;
use crate::output::{Class, Target};
use crate::time::Instant;

/// The time before the first repetition of what a stream lost; it doubles, up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// The same for a handshake, of which nothing is known about the round trip.
const DIAL_RETRY_MIN: Duration = Duration::from_millis(300);
/// How long a handshake is tried.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many packets wait for one handshake; more are dropped.
const WAITING_MAX: usize = 16;

/// A packet on its way.
#[derive(Debug)]
pub(super) struct Flight<P: Protocol> {
    pub(super) from: usize,
    /// The process that sent it: nobody else is told how it ended.
    pub(super) from_life: Life,
    sender: Contact,
    to: Target,
    pub(super) class: Class,
    packet: P::Packet,
    bytes: u64,
    sent: Instant,
    tries: u32,
    /// It has come through the receiver's link.
    received: bool,
    /// For a stream: the process at the other end of the connection, once it has been reached.
    to_life: Option<Life>,
}

/// A handshake that goes on.
#[derive(Debug)]
pub(super) struct Dial<P: Protocol> {
    pub(super) life: Life,
    pub(super) begun: Instant,
    tries: u32,
    /// When its next packet leaves.
    pub(super) next: Instant,
    /// Before it begins: how often the peer was hailed.
    pub(super) hailed: Option<u32>,
    /// When its only try ends, for nobody answered those.
    pub(super) last: Option<Instant>,
    pub(super) waiting: Vec<Flight<P>>,
}

impl<P: Protocol> World<P> {
    // ---- packets ----

    /// Puts a packet on its way.
    pub(super) fn transmit(&mut self, from: usize, to: Target, class: Class, packet: P::Packet) {
        let bytes = P::packet_bytes(&packet) as u64;
        let packet = if self.through_codec {
            P::through_codec(&self.config, class, packet)
        } else {
            packet
        };
        let node = &mut self.nodes[from];
        match class {
            Class::Datagram => node.sent.datagrams += 1,
            Class::Reliable => node.sent.reliable += 1,
        }
        let (sender, from_life) = (node.contact(), node.process_mut().life);
        let flight = Flight {
            from,
            from_life,
            sender,
            to,
            class,
            packet,
            bytes,
            sent: self.now,
            tries: 0,
            received: false,
            to_life: None,
        };
        self.spend(from, self.machine.packet);
        match self.ready(&flight) {
            None => self.wait_for_dial(flight),
            Some(at) if at > self.now => self.depart_at(at, flight),
            Some(_) => self.depart(flight),
        }
    }

    /// When there is a connection for a packet. `None`: one has to be made.
    fn ready(&self, flight: &Flight<P>) -> Option<Instant> {
        if P::carrier() == Carrier::UdpTcp {
            return Some(self.now);
        }
        let Target::Node(contact) = &flight.to else {
            return None;
        };
        let to = self.host_at(contact.address)?;
        self.connections
            .ready(flight.from, flight.from_life, to, self.now)
    }

    fn host_of(&self, target: &Target) -> Option<usize> {
        self.host_at(address(target))
    }

    /// Whose address it is: nobody's, once its node has moved.
    pub(super) fn host_at(&self, address: SocketAddr) -> Option<usize> {
        let host = self.addresses.get(&address).copied()?;
        (self.nodes[host].address == address).then_some(host)
    }

    /// When what a process hands to its socket now is on the wire: after the work that the CPU has
    /// before, and what the link carries before. `None`: the link is full.
    fn departure(&mut self, from: usize, bytes: u64) -> Option<Instant> {
        let process = self.nodes[from].process.as_ref();
        let ready = process.map_or(self.now, |process| process.busy_until.max(self.now));
        self.through_uplink(from, ready, bytes)
    }

    /// When what is ready to be sent is through the host's link. `None`: the link is full.
    pub(super) fn through_uplink(
        &mut self,
        from: usize,
        ready: Instant,
        bytes: u64,
    ) -> Option<Instant> {
        let (bandwidth, max) = self.link_of(from);
        let node = &mut self.nodes[from];
        let through = match bandwidth {
            None => Some(ready),
            Some(bandwidth) => {
                let at = node.uplink.pass(ready.as_micros(), bytes, bandwidth, max);
                at.map(Instant::from_micros)
            }
        };
        match through {
            Some(_) => node.sent.bytes += bytes,
            None => node.dropped.uplink += 1,
        }
        through
    }

    /// A host's bandwidth, and what may wait for it.
    fn link_of(&self, host: usize) -> (Option<u64>, u64) {
        let network = &self.network;
        (network.bandwidth_of(host), network.backlog_bytes_max)
    }

    /// A packet leaves its host, on a connection that is there.
    fn depart(&mut self, flight: Flight<P>) {
        let quic = P::carrier() == Carrier::Quic;
        let Some(to) = self.host_of(&flight.to) else {
            // No host has that address: nothing ever comes back.
            if flight.class == Class::Reliable {
                self.fail_after(&flight, DIAL_TIMEOUT, "timed out");
            }
            return;
        };
        let from = flight.from;
        let acks = self.connections.leave(from, to, self.now);
        let opens = !quic && !self.connections.is_exchange_open(from, to, self.now);
        let bytes = match flight.class {
            Class::Datagram => datagram_bytes(quic, flight.bytes),
            Class::Reliable => stream_bytes(quic, opens, flight.bytes),
        };
        let departure = self.departure(from, bytes + acks);
        let mut delay = self.network.delay(from, to, &mut self.rng);
        if flight.class == Class::Reliable && opens && !quic {
            delay *= 3;
        }
        match flight.class {
            Class::Reliable => match departure {
                Some(at) => self.queue.schedule(at + delay, Happening::Stream(flight)),
                None => self.retry(flight),
            },
            Class::Datagram => {
                let Some(at) = departure else { return };
                if self.network.drops(from, to, &mut self.rng) {
                    return;
                }
                let at = at + delay;
                if self.network.repeated > 0.0 && self.rng.f64() < self.network.repeated {
                    let again = self.network.delay(from, to, &mut self.rng);
                    let copy = flight.copy();
                    self.queue.schedule(at + again, Happening::Datagram(copy));
                }
                self.queue.schedule(at, Happening::Datagram(flight));
            }
        }
    }

    /// A datagram is at its address.
    pub(super) fn land(&mut self, flight: Flight<P>) {
        let Some(to) = self.host_of(&flight.to) else {
            return;
        };
        let Some(flight) = self.through_downlink(to, flight) else {
            return;
        };
        let node = &self.nodes[to];
        match &node.process {
            Some(_) if !is_meant(&flight.to, &node.name) => {
                self.fail(&flight, "another name answers");
            }
            Some(process) => {
                let life = process.life;
                if self.arrive(&flight, to, life) {
                    self.deliver(to, flight);
                }
            }
            None if node.refuses => self.fail(&flight, "connection refused"),
            None => {}
        }
    }

    /// A datagram waits at the receiver's link if others came before it.
    fn through_downlink(&mut self, to: usize, flight: Flight<P>) -> Option<Flight<P>> {
        let bytes = flight.bytes + UDP_BYTES;
        match self.reception(to, &flight, bytes) {
            Some(at) if at > self.now => {
                let received = true;
                let flight = Flight { received, ..flight };
                self.queue.schedule(at, Happening::Datagram(flight));
                None
            }
            Some(_) => Some(flight),
            None => None,
        }
    }

    /// When a packet that has come to a host is through its link. `None`: the link is full.
    fn reception(&mut self, to: usize, flight: &Flight<P>, bytes: u64) -> Option<Instant> {
        let (Some(bandwidth), max) = self.link_of(to) else {
            return Some(self.now);
        };
        if flight.received {
            return Some(self.now);
        }
        let node = &mut self.nodes[to];
        let at = node
            .downlink
            .pass(self.now.as_micros(), bytes, bandwidth, max);
        node.dropped.downlink += u64::from(at.is_none());
        at.map(Instant::from_micros)
    }

    /// Whether the receiver still has the connection that a packet came on.
    fn arrive(&mut self, flight: &Flight<P>, to: usize, life: Life) -> bool {
        let from = (flight.from, flight.from_life);
        if P::carrier() == Carrier::UdpTcp {
            if flight.class == Class::Reliable {
                self.connections.open(from, (to, life), self.now);
            }
            return true;
        }
        match self.connections.arrive(from, (to, life), self.now) {
            Arrival::Known { acks } => {
                self.nodes[to].sent.bytes += ack_bytes(acks);
                true
            }
            Arrival::Reset => false,
        }
    }

    /// One try to carry a packet over a stream. It needs both directions, and a process that runs.
    pub(super) fn attempt(&mut self, mut flight: Flight<P>) {
        let Some(to) = self.host_of(&flight.to) else {
            return self.fail(&flight, "timed out");
        };
        let open = self.network.is_open(flight.from, to);
        let lost = self.network.loses(flight.from, to, &mut self.rng);
        let node = &self.nodes[to];
        let process = node.process.as_ref().map(|p| (p.life, p.is_frozen()));
        match process.filter(|_| open) {
            None if open && node.refuses => self.fail(&flight, "connection refused"),
            Some(_) if !is_meant(&flight.to, &node.name) => {
                self.fail(&flight, "another name answers");
            }
            Some((life, _)) if flight.to_life.is_some_and(|met| met != life) => {
                self.fail(&flight, "connection reset");
            }
            Some((life, false)) if !lost && self.has_room(to) => self.take_in(to, life, flight),
            met => {
                flight.to_life = flight.to_life.or(met.map(|(life, _)| life));
                self.retry(flight);
            }
        }
    }

    /// A stream's packet has come to a host that takes it, once it is through the host's link.
    fn take_in(&mut self, to: usize, life: Life, mut flight: Flight<P>) {
        let bytes = stream_bytes(P::carrier() == Carrier::Quic, false, flight.bytes);
        match self.reception(to, &flight, bytes) {
            None => self.retry(flight),
            Some(at) if at > self.now => {
                flight.received = true;
                self.queue.schedule(at, Happening::Stream(flight));
            }
            Some(_) if self.arrive(&flight, to, life) => self.deliver(to, flight),
            Some(_) => self.fail(&flight, "connection reset"),
        }
    }

    /// Whether a process's buffers take another packet. Of a stream, what they do not take is sent
    /// again.
    fn has_room(&self, number: usize) -> bool {
        let process = self.nodes[number].process.as_ref();
        process.is_some_and(|process| process.inbox.len() < self.socket_packets_max)
    }

    fn retry(&mut self, mut flight: Flight<P>) {
        if self.now.since(flight.sent) >= STREAM_TIMEOUT {
            return self.fail(&flight, "timed out");
        }
        let wait = (RETRY_MIN * (1 << flight.tries.min(10))).min(RETRY_MAX);
        flight.tries += 1;
        let bytes = datagram_bytes(true, flight.bytes.min(1150));
        // What does not fit into the link is lost once more: the next try is due by then.
        self.through_uplink(flight.from, self.now, bytes);
        self.queue
            .schedule(self.now + wait, Happening::Stream(flight));
    }

    fn deliver(&mut self, to: usize, flight: Flight<P>) {
        self.fold(&[to as u64, flight.from as u64, flight.bytes, 3]);
        let Flight {
            sender,
            class,
            packet,
            ..
        } = flight;
        let received = Received {
            from: sender,
            class,
            packet,
        };
        self.receive(to, received);
    }

    /// Tells the sender that a packet did not arrive.
    fn fail(&mut self, flight: &Flight<P>, cause: &'static str) {
        let back = match self.host_of(&flight.to) {
            Some(to) => self.network.delay(to, flight.from, &mut self.rng),
            None => Duration::ZERO,
        };
        self.fail_after(flight, back, cause);
    }

    fn fail_after(&mut self, flight: &Flight<P>, wait: Duration, cause: &'static str) {
        let (node, life, to) = (flight.from, flight.from_life, flight.to.clone());
        let what = Happening::Unreachable {
            node,
            life,
            to,
            cause,
        };
        self.queue.schedule(self.now + wait, what);
    }

    // ---- handshakes ----

    fn wait_for_dial(&mut self, flight: Flight<P>) {
        let (from, to, life) = (flight.from, address(&flight.to), flight.from_life);
        let (now, cost) = (self.now, self.machine.handshake);
        let named = matches!(flight.to, Target::Node(_));
        let hails = named && self.is_uneasy(from);
        let dial = self.dials.entry((from, to)).or_insert_with(|| Dial {
            life,
            begun: now,
            tries: 0,
            next: now,
            hailed: hails.then_some(0),
            last: None,
            waiting: Vec::new(),
        });
        let begins = dial.waiting.is_empty();
        if dial.waiting.len() < WAITING_MAX {
            dial.waiting.push(flight);
        }
        if begins {
            if !hails {
                self.spend(from, cost);
            }
            let at = self.nodes[from].process_mut().busy_until.max(now);
            self.queue.schedule(at, Happening::Dial { from, to });
        }
    }

    /// A handshake's next packet leaves, or nobody waits for it any longer.
    pub(super) fn dial(&mut self, from: usize, to: SocketAddr) {
        let Some(dial) = self.dials.get_mut(&(from, to)) else {
            return;
        };
        if let Some(hailed) = dial.hailed {
            return self.hail(from, to, hailed);
        }
        let (life, begun) = (dial.life, dial.begun);
        let datagrams_end = begun + P::cold_patience(&self.config).min(DIAL_TIMEOUT);
        let end = dial.end(datagrams_end);
        if self.nodes[from].running(life).is_none() {
            self.dials.remove(&(from, to));
        } else if self.now >= end {
            // Who gives up says so, in one more padded packet.
            self.through_uplink(from, self.now, INITIAL_BYTES);
            self.end_dial(from, to, "timed out");
        } else if self.now >= dial.next {
            self.try_dial(from, to);
        }
        let Some(dial) = self.dials.get(&(from, to)) else {
            return;
        };
        let mut at = dial.next.min(dial.last.unwrap_or(begun + DIAL_TIMEOUT));
        if self.now < datagrams_end {
            at = at.min(datagrams_end);
        }
        self.queue.schedule(at, Happening::Dial { from, to });
    }

    /// One try of a handshake: both directions must carry it, and somebody must be there.
    fn try_dial(&mut self, from: usize, to: SocketAddr) {
        let now = self.now;
        let dial = self
            .dials
            .get_mut(&(from, to))
            .expect("found by the caller");
        let (life, tries) = (dial.life, dial.tries);
        dial.next = now + DIAL_RETRY_MIN * (1 << tries.min(4));
        dial.tries += 1;
        if tries > 0 {
            self.note_unanswered(from);
        }
        // Until it is answered, a handshake is one padded packet, and two at each repetition.
        let packets = if tries == 0 { 1 } else { 2 };
        let leaves = self.through_uplink(from, now, INITIAL_BYTES * packets);
        self.nodes[from].sent.dials += 1;
        let host = self.host_at(to).filter(|_| leaves.is_some());
        let reached = host.filter(|&host| {
            let lost = |world: &mut Self, a, b| world.network.loses(a, b, &mut world.rng);
            self.network.is_open(from, host)
                && !(0..packets).all(|_| lost(self, from, host))
                && !lost(self, host, from)
        });
        let node = reached.map(|host| (host, &self.nodes[host]));
        match node.map(|(host, node)| (host, node.refuses, node.process.as_ref())) {
            Some((host, _, Some(process))) if process.reads() => {
                let there = process.life;
                self.shake_hands(from, life, host, there, to);
            }
            Some((_, true, None)) => self.end_dial(from, to, "connection refused"),
            _ => {}
        }
    }

    /// A handshake succeeds: a round trip and both CPUs' work later what waits goes out.
    fn shake_hands(&mut self, from: usize, life: Life, host: usize, there: Life, to: SocketAddr) {
        let mut dial = self.dials.remove(&(from, to)).expect("found by the caller");
        let rest = self.through_uplink(from, self.now, DIAL_BYTES - INITIAL_BYTES);
        let answer = self.through_uplink(host, self.now, ANSWER_BYTES);
        self.nodes[host].sent.handshakes += 1;
        self.nodes[from].sent.handshakes += 1;
        self.spend(host, self.machine.handshake);
        let process = self.nodes[host].process.as_ref();
        let free = process.map_or(self.now, |process| process.busy_until.max(self.now));
        // Of what did not fit into a link, the repetition is through by then.
        let late = self.now + RETRY_MIN;
        let answered = free.max(rest.unwrap_or(late)).max(answer.unwrap_or(late));
        let there_and_back = self.network.delay(from, host, &mut self.rng)
            + self.network.delay(host, from, &mut self.rng);
        let done = answered + there_and_back;
        let patience = P::cold_patience(&self.config).min(DIAL_TIMEOUT);
        if done >= dial.end(dial.begun + patience) {
            // This end has given up by then, and the other one has worked in vain.
            dial.next = dial.begun + DIAL_TIMEOUT;
            self.dials.insert((from, to), dial);
            return;
        }
        self.connections.open((from, life), (host, there), done);
        for flight in dial.waiting {
            let late = done.since(flight.sent) > P::cold_patience(&self.config);
            if flight.class == Class::Reliable || !late {
                self.depart_at(done, flight);
            }
        }
    }

    /// A packet that waited for a handshake leaves when it is done.
    fn depart_at(&mut self, done: Instant, flight: Flight<P>) {
        let Some(to) = self.host_of(&flight.to) else {
            return;
        };
        let from = flight.from;
        let delay = self.network.delay(from, to, &mut self.rng);
        let bytes = match flight.class {
            Class::Datagram => datagram_bytes(true, flight.bytes),
            Class::Reliable => stream_bytes(true, false, flight.bytes),
        };
        let through = self.through_uplink(from, done, bytes);
        match flight.class {
            Class::Datagram => {
                let Some(at) = through else { return };
                if !self.network.drops(from, to, &mut self.rng) {
                    self.queue.schedule(at + delay, Happening::Datagram(flight));
                }
            }
            Class::Reliable => {
                let at = through.unwrap_or(done + RETRY_MIN);
                self.queue.schedule(at + delay, Happening::Stream(flight));
            }
        }
    }

    pub(super) fn end_dial(&mut self, from: usize, to: SocketAddr, cause: &'static str) {
        let dial = self.dials.remove(&(from, to));
        for flight in dial.into_iter().flat_map(|dial| dial.waiting) {
            self.fail(&flight, cause);
        }
    }
}

impl<P: Protocol> Dial<P> {
    /// When it is given up: datagrams are worth less time than a stream.
    fn end(&self, datagrams_end: Instant) -> Instant {
        let reliable = |flight: &Flight<P>| flight.class == Class::Reliable;
        match self.last {
            Some(end) => end,
            None if self.waiting.iter().any(reliable) => self.begun + DIAL_TIMEOUT,
            None => datagrams_end,
        }
    }
}

impl<P: Protocol> Flight<P> {
    fn copy(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            to: self.to.clone(),
            packet: self.packet.clone(),
            ..*self
        }
    }
}

fn address(target: &Target) -> SocketAddr {
    match target {
        Target::Node(contact) => contact.address,
        Target::Address(address) => *address,
    }
}

/// Whether a node is the one that a packet is for.
fn is_meant(target: &Target, name: &NodeName) -> bool {
    match target {
        Target::Node(contact) => contact.name == *name,
        Target::Address(_) => true,
    }
}
