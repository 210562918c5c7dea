//! Hails: whether anybody is there, before a handshake is spent on it.
//!
//! ```text
//!   hail ──▶ a process reads: ──▶ answered     (a stateless reset) ─▶ handshake
//!        ──▶ nobody:          again, and again ─▶ given up; one in eight is dialed once all the same
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use super::carriage::{DIAL_TIMEOUT, Flight};
use super::connection::UDP_BYTES;
use super::node::Process;
use super::protocol::{Carrier, Protocol};
use super::world::{Happening, World};
use crate::output::{Class, Event};
use crate::time::Instant;

/// After a handshake or a hail went unanswered, for so long others begin with a hail.
const UNEASY: Duration = Duration::from_secs(30);
/// How often a peer is hailed in the time that datagrams are worth, and again in what a stream is
/// worth beyond that; in pauses that double.
const HAILS_MAX: u32 = 3;
/// One in so many of those who do not answer is tried all the same.
const TRIED_EVERY: u32 = 8;
/// The part of the datagrams' patience that a handshake gets where nobody answered.
const LAST_TRY_DIVISOR: u32 = 3;
/// A hail, which looks like a packet of a connection, and the reset that answers it.
const HAIL_BYTES: u64 = UDP_BYTES + 45;
const HAIL_ANSWER_BYTES: u64 = UDP_BYTES + 44;

impl<P: Protocol> World<P> {
    /// Whether somebody did not answer of late: then a handshake may be for nobody.
    pub(super) fn is_uneasy(&self, from: usize) -> bool {
        let process = self.nodes[from].process.as_ref();
        let unanswered = process.and_then(|process| process.unanswered);
        P::carrier() == Carrier::Quic && unanswered.is_some_and(|at| self.now.since(at) < UNEASY)
    }

    /// Whom it suspects, or holds as failed, is likely not to answer.
    pub(super) fn note_silence(&mut self, number: usize, event: &Event) {
        if matches!(
            event,
            Event::MemberSuspected(_) | Event::MemberFailed { .. }
        ) {
            self.note_unanswered(number);
        }
    }

    pub(super) fn note_unanswered(&mut self, from: usize) {
        self.nodes[from].process_mut().unanswered = Some(self.now);
    }

    /// Before a handshake: whether anybody is there. Of those who do not answer a few are tried all
    /// the same, for the network may carry nothing but handshakes to strangers.
    pub(super) fn hail(&mut self, from: usize, to: SocketAddr, hailed: u32) {
        let (now, patience) = (self.now, P::cold_patience(&self.config).min(DIAL_TIMEOUT));
        let dial = self
            .dials
            .get_mut(&(from, to))
            .expect("found by the caller");
        if self.nodes[from].running(dial.life).is_none() {
            self.dials.remove(&(from, to));
            return;
        }
        if now < dial.next {
            return;
        }
        let reliable = |flight: &Flight<P>| flight.class == Class::Reliable;
        let for_stream = dial.waiting.iter().any(reliable);
        let pause = match (hailed / HAILS_MAX, for_stream) {
            (0, _) => Some(pause(patience, hailed)),
            (1, true) => Some(pause(DIAL_TIMEOUT - patience, hailed - HAILS_MAX)),
            _ => None,
        };
        if let Some(pause) = pause {
            dial.hailed = Some(hailed + 1);
            let at = match self.try_hail(from, to) {
                Some(answered) => {
                    self.begin_after_hail(from, to, None);
                    answered
                }
                None => now + pause,
            };
            if let Some(dial) = self.dials.get_mut(&(from, to)) {
                dial.next = at;
            }
            return self.queue.schedule(at, Happening::Dial { from, to });
        }
        self.note_unanswered(from);
        let process = self.nodes[from].process_mut();
        process.silent = process.silent.wrapping_add(1);
        if process.silent.is_multiple_of(TRIED_EVERY) {
            self.begin_after_hail(from, to, Some(now + patience / LAST_TRY_DIVISOR));
            self.queue.schedule(now, Happening::Dial { from, to });
        } else {
            self.end_dial(from, to, "timed out");
        }
    }

    fn begin_after_hail(&mut self, from: usize, to: SocketAddr, last: Option<Instant>) {
        self.spend(from, self.machine.handshake);
        let dial = self
            .dials
            .get_mut(&(from, to))
            .expect("found by the caller");
        (dial.hailed, dial.begun, dial.last) = (None, self.now, last);
    }

    /// One hail. When it is answered, if it is.
    fn try_hail(&mut self, from: usize, to: SocketAddr) -> Option<Instant> {
        self.spend(from, self.machine.packet);
        self.nodes[from].sent.hails += 1;
        self.through_uplink(from, self.now, HAIL_BYTES)?;
        let host = self.host_at(to)?;
        let carried = self.network.is_open(from, host)
            && !self.network.loses(from, host, &mut self.rng)
            && !self.network.loses(host, from, &mut self.rng);
        let reads = |process: &Process<P>| process.reads();
        if !carried || !self.nodes[host].process.as_ref().is_some_and(reads) {
            return None;
        }
        self.spend(host, self.machine.packet);
        self.through_uplink(host, self.now, HAIL_ANSWER_BYTES)?;
        let there = self.network.delay(from, host, &mut self.rng);
        let back = self.network.delay(host, from, &mut self.rng);
        Some(self.now + there + back)
    }
}

/// How long an answer is waited for, of a time that all hails share.
fn pause(time: Duration, hailed: u32) -> Duration {
    time / ((1 << HAILS_MAX) - 1) * (1 << hailed)
}
