//! Knocks: a process asks whether anything listens at a port, and a host that lives refuses where
//! nothing does.
//!
//! ```text
//!   knock ──▶ a process is there: nothing       (it does not answer what is no packet)
//!         ──▶ its host lives:     ──▶ refused   (ICMP port unreachable)
//!         ──▶ the host is silent: nothing
//! ```

use super::node::Life;
use super::protocol::Protocol;
use super::world::{Happening, World};
use crate::message::Contact;

/// A small datagram with its headers, padding left out.
const KNOCK_BYTES: u64 = 50;
/// An ICMP message that quotes it: two IP headers, its own, and the UDP header.
const REFUSAL_BYTES: u64 = 56;

/// A knock on its way, or its refusal.
#[derive(Clone, Debug)]
pub(super) struct Knock {
    from: usize,
    /// The process that knocked.
    life: Life,
    at: Contact,
}

impl<P: Protocol> World<P> {
    /// Puts a knock on its way.
    pub(super) fn knock(&mut self, from: usize, at: Contact) {
        self.spend(from, self.machine.packet);
        self.nodes[from].sent.bytes += KNOCK_BYTES;
        let life = self.nodes[from].process_mut().life();
        let knock = Knock { from, life, at };
        let to = self.host_at(knock.at.address);
        if self.network.refusals_forged {
            self.queue.schedule(self.now, Happening::Refused(knock));
        } else if let Some(to) = to.filter(|&to| self.passes(from, to)) {
            let delay = self.network.delay(from, to, &mut self.knocks);
            self.queue
                .schedule(self.now + delay, Happening::Knock(knock));
        }
    }

    /// A knock is at its host.
    pub(super) fn answer_knock(&mut self, knock: Knock) {
        let host = self.host_at(knock.at.address);
        let refuses = |&host: &usize| {
            let node = &self.nodes[host];
            node.refuses && node.process.is_none()
        };
        let Some(host) = host.filter(refuses) else {
            return;
        };
        self.nodes[host].sent.bytes += REFUSAL_BYTES;
        if self.passes(host, knock.from) {
            let delay = self.network.delay(host, knock.from, &mut self.knocks);
            self.queue
                .schedule(self.now + delay, Happening::Refused(knock));
        }
    }

    /// A refusal is back at the process that knocked.
    pub(super) fn end_knock(&mut self, knock: &Knock) {
        let now = self.now;
        let process = self.nodes[knock.from].running(knock.life);
        if let Some(process) = process.filter(|process| process.reads()) {
            let time = process.clock(now);
            process.engine.handle_refused(time, &knock.at);
            self.settle(knock.from);
        }
    }

    /// Whether a packet from one host to another one is neither lost nor cut off.
    fn passes(&mut self, from: usize, to: usize) -> bool {
        !self.network.drops(from, to, &mut self.knocks)
    }
}
