//! Joining, leaving, and coming together again.
//!
//! A join is a full exchange with the seed. A leave is the news of one's own death, told by oneself;
//! it is over when that has been sent as often as a broadcast is. memberlist never contacts the dead
//! again, which is why its partitions stay; Serf tries one at random now and then, and after a
//! restart those whom it knew.

use std::collections::VecDeque;

use crate::message::Contact;
use crate::output::{JoinError, Signal, Target};
use crate::time::Instant;

use super::Baseline;
use super::timers::Timer;
use crate::sim::protocol::Action;

/// A join that waits for its answer.
#[derive(Debug)]
pub(super) struct Joining {
    seed: Target,
    /// Whom to try next if this one does not answer. Members of the past: nobody waits for the
    /// outcome.
    others: Option<VecDeque<Contact>>,
}

/// Whether this process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// No.
    Staying,
    /// Its goodbye is being told.
    Leaving,
    /// It has left, and does nothing any more: its program shuts it down. To join again takes a
    /// new process.
    Gone,
}

impl Baseline {
    /// Joins whoever listens there.
    pub(super) fn begin_join(&mut self, now: Instant, seed: Target) {
        if self.departure != Departure::Staying {
            return self.end_join(Err(JoinError::Busy));
        }
        if self.joining.as_ref().is_some_and(|j| j.others.is_none()) {
            return self.end_join(Err(JoinError::Busy));
        }
        if address_of(&seed) == self.contact.address {
            return self.end_join(Err(JoinError::Myself));
        }
        self.ask_to_join(now, seed, None);
    }

    /// Joins one of these, whoever answers first in random order.
    pub(super) fn rejoin(&mut self, now: Instant, mut contacts: Vec<Contact>) {
        self.rng.shuffle(&mut contacts);
        self.try_next(now, contacts.into());
    }

    fn try_next(&mut self, now: Instant, mut contacts: VecDeque<Contact>) {
        if let Some(contact) = contacts.pop_front() {
            self.ask_to_join(now, Target::Node(contact), Some(contacts));
        }
    }

    fn ask_to_join(&mut self, now: Instant, seed: Target, others: Option<VecDeque<Contact>>) {
        self.joining = Some(Joining {
            seed: seed.clone(),
            others,
        });
        self.timers
            .set(Timer::Join, now + self.config.stream_timeout);
        self.push(seed, false);
    }

    /// Somebody answered with all that it knows.
    pub(super) fn on_joined(&mut self, from: &Contact) {
        let is_seed = |joining: &mut Joining| address_of(&joining.seed) == from.address;
        if let Some(joining) = self.joining.take_if(is_seed) {
            self.timers.stop(Timer::Join);
            if joining.others.is_none() {
                self.end_join(Ok(()));
            }
        }
    }

    /// A packet could not be carried.
    pub(super) fn on_seed_unreachable(&mut self, now: Instant, to: &Target, cause: &str) {
        let is_seed = self.joining.as_ref().is_some_and(|j| j.seed == *to);
        if is_seed {
            self.join_failed(now, JoinError::Unreachable(cause.to_owned()));
        }
    }

    /// The seed did not answer.
    pub(super) fn on_join_timeout(&mut self, now: Instant) {
        self.join_failed(now, JoinError::Timeout(self.config.stream_timeout));
    }

    fn join_failed(&mut self, now: Instant, error: JoinError) {
        self.timers.stop(Timer::Join);
        match self.joining.take().map(|joining| joining.others) {
            None => {}
            Some(None) => self.end_join(Err(error)),
            Some(Some(others)) => self.try_next(now, others),
        }
    }

    fn end_join(&mut self, result: Result<(), JoinError>) {
        let signal = Signal::JoinEnded(result);
        self.out.push_back(Action::Signal(signal));
    }

    /// Tells everyone goodbye.
    pub(super) fn begin_leave(&mut self, now: Instant) {
        if self.departure != Departure::Staying {
            return;
        }
        self.departure = Departure::Leaving;
        self.timers
            .set(Timer::Leave, now + self.config.leave_timeout);
        let goodbye = self.claim(self.own_slot(), self.incarnation);
        self.on_dead(now, &goodbye);
        if self.members.present() == 0 {
            self.finish_leave();
        }
    }

    /// Ends the leave once the goodbye has been sent often enough.
    pub(super) fn finish_leave_when_told(&mut self) {
        if self.departure == Departure::Leaving && !self.broadcasts.contains(self.me) {
            self.finish_leave();
        }
    }

    /// The goodbye was told, or has had enough time.
    pub(super) fn finish_leave(&mut self) {
        if self.departure == Departure::Leaving {
            self.departure = Departure::Gone;
            self.timers.clear();
            self.out.push_back(Action::Signal(Signal::LeaveEnded));
        }
    }

    /// Time to try one of those who failed: the more likely the more of them there are.
    pub(super) fn on_reconnect_due(&mut self, now: Instant) {
        let Some(interval) = self.config.reconnect else {
            return;
        };
        self.timers.set(Timer::Reconnect, now + interval);
        let lost = self.lost.len();
        if lost == 0 {
            return;
        }
        let present = self.members.present().max(1);
        let index = self.rng.usize(..lost);
        if self.rng.f64() * present as f64 <= lost as f64 {
            let (_, profile) = self.lost.get_index(index).expect("within the length");
            let contact = super::contact_of(profile);
            self.push(Target::Node(contact), false);
        }
    }

    /// Whether this member is on the list of those to be reached again.
    #[cfg(test)]
    pub(super) fn is_lost(&self, id: crate::name::NodeId) -> bool {
        self.lost.contains_key(&id)
    }
}

fn address_of(target: &Target) -> std::net::SocketAddr {
    match target {
        Target::Node(contact) => contact.address,
        Target::Address(address) => *address,
    }
}
