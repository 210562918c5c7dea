//! Leaving: goodbye by one's own will, removal by an operator's, and what a node is afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use super::joining::Phase;
use super::{Departure, Engine};
use crate::case::What;
use crate::message::{Contact, Message, Ping, Rumor};
use crate::name::{NodeId, NodeName};
use crate::output::{Change, Class, Event, ForceLeaveError, LeaveError, MemberEvent, Signal};
use crate::probe::Purpose;
use crate::time::Instant;
use crate::timers::Timer;

/// Time between repetitions of a goodbye that was not heard.
const FAREWELL_INTERVAL: Duration = Duration::from_millis(100);

/// A goodbye under way.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) departure: Departure,
    /// Who answered.
    heard: BTreeSet<NodeId>,
    /// How many are enough.
    enough: usize,
    deadline: Instant,
}

impl Engine {
    /// Begins a leave. Its end is a [`Signal::LeaveEnded`]; a [`Departure::Leave`] is preceded by
    /// a [`Signal::Prepare`], which [`Engine::prepared`] answers.
    ///
    /// # Errors
    /// When there is nobody to leave, or a join or leave goes on. A shutdown always begins.
    pub fn leave(&mut self, now: Instant, departure: Departure) -> Result<(), LeaveError> {
        if departure == Departure::Shutdown {
            if !self.is_departing() {
                // Whoever waits for a leave is answered by the end of this one.
                if !matches!(self.phase, Phase::PreparingLeave) {
                    self.abandon_phase();
                }
                self.depart(now, departure);
            }
            return Ok(());
        }
        if !self.is_free() {
            return Err(LeaveError::Busy);
        }
        // A node that is returning has mates, though it has not reached them.
        let alone = self.roster.present() + self.roster.failed() <= 1;
        if alone && !self.timers.is_set(Timer::Return) {
            return Err(LeaveError::NotInCluster);
        }
        self.phase = Phase::PreparingLeave;
        self.signal(Signal::Prepare(Change::Leave));
        Ok(())
    }

    /// Removes a member, running or not: its admission ends, and nothing it says undoes that. A
    /// member of the past that was not met since this node's start can be removed too.
    ///
    /// # Errors
    /// When it is this node itself, or unknown.
    pub fn force_leave(&mut self, now: Instant, name: &NodeName) -> Result<(), ForceLeaveError> {
        let id = name.id();
        if id == self.me {
            return Err(ForceLeaveError::Myself);
        }
        let member = self.roster.member(id).map(|member| member.standing);
        let missing = self.roster.acquaintance(id).map(|entry| entry.standing);
        let missing = missing.filter(|_| self.mates.contains(id));
        let standing = member.or(missing).ok_or(ForceLeaveError::NotInCluster)?;
        let admission = standing.life.admission;
        self.note(now, id, standing.life, What::Removed { via: None });
        let rumor = Rumor::Removed { id, admission };
        self.send(id, Class::Reliable, vec![Message::Rumor(rumor.clone())]);
        self.accept(now, &rumor, None, true);
        Ok(())
    }

    /// Whether this node is saying goodbye: it judges nobody and defends itself no more.
    pub(super) fn is_departing(&self) -> bool {
        matches!(self.phase, Phase::Departing(_))
    }

    pub(super) fn depart(&mut self, now: Instant, departure: Departure) {
        let life = self.profile.life;
        let goodbye = Rumor::Left { id: self.me, life };
        let successors = self.first_successors();
        self.pass_on_the_rest(now);
        if self.roster.present() > 1 {
            self.tell_own_end(Event::MemberLeft);
        }
        self.roster.apply(now, &goodbye);
        self.on_view_changed(now, self.me);
        let farewell = Farewell {
            departure,
            heard: BTreeSet::new(),
            enough: successors.len(),
            deadline: now + self.config.leave_linger,
        };
        self.phase = Phase::Departing(farewell);
        self.jury.clear();
        self.say_goodbye(now, &successors, Class::Datagram);
        self.end_farewell_if_heard(now);
    }

    /// What nobody was told yet would be lost with this node's stay: a removal, above all.
    fn pass_on_the_rest(&mut self, now: Instant) {
        if self.gossip.has_fresh() {
            self.on_flush(now);
        }
    }

    fn first_successors(&mut self) -> Vec<NodeId> {
        let fanout = self.config.fanout;
        self.refreshed_rings()
            .successors()
            .iter()
            .take(fanout)
            .copied()
            .collect()
    }

    fn say_goodbye(&mut self, now: Instant, to: &[NodeId], class: Class) {
        let goodbye = Rumor::Left {
            id: self.me,
            life: self.profile.life,
        };
        for &id in to {
            let seq = self.questions.ask(id, Purpose::Farewell, now);
            let ping = Message::Ping(Ping { seq, suspect: None });
            self.send(id, class, vec![Message::Rumor(goodbye.clone()), ping]);
        }
        self.timers.set(Timer::Leave, now + FAREWELL_INTERVAL);
    }

    pub(super) fn on_farewell_heard(&mut self, now: Instant, id: NodeId) {
        if let Phase::Departing(farewell) = &mut self.phase {
            farewell.heard.insert(id);
            if farewell.heard.len() >= farewell.enough {
                self.timers.set(Timer::Leave, now);
            }
        }
    }

    pub(super) fn on_leave_tick(&mut self, now: Instant) {
        if self.end_farewell_if_heard(now) {
            return;
        }
        let Phase::Departing(farewell) = &self.phase else {
            return;
        };
        let missing = farewell.enough - farewell.heard.len();
        let mut others: Vec<_> = self
            .roster
            .members()
            .filter(|(id, m)| m.is_healthy() && !farewell.heard.contains(id))
            .map(|(id, _)| id)
            .collect();
        self.rng.shuffle(&mut others);
        others.truncate(missing);
        self.say_goodbye(now, &others, Class::Reliable);
    }

    fn end_farewell_if_heard(&mut self, now: Instant) -> bool {
        let Phase::Departing(farewell) = &self.phase else {
            return true;
        };
        if farewell.heard.len() < farewell.enough && now < farewell.deadline {
            return false;
        }
        let departure = farewell.departure;
        self.timers.stop(Timer::Leave);
        match departure {
            Departure::Shutdown => self.timers.clear(),
            Departure::Leave => {
                self.go_alone(now);
                self.signal(Signal::Resume(Change::Leave, true));
            }
        }
        self.signal(Signal::LeaveEnded);
        true
    }

    /// Tells those who follow the events that this node's own stay is over: the members that it
    /// knew are not its members any more.
    fn tell_own_end(&mut self, event: fn(MemberEvent) -> Event) {
        let myself = MemberEvent {
            name: self.profile.name.clone(),
            life: self.profile.life,
        };
        self.event(event(myself));
    }

    /// This node hears that an operator removed it.
    pub(super) fn on_own_removal(&mut self, now: Instant, from: &Contact) {
        let via = Some(from.name.clone());
        self.note(now, self.me, self.profile.life, What::Removed { via });
        self.signal(Signal::Removed);
        self.evict(now, Event::MemberRemoved);
    }

    /// This node's stay was ended by others: by an operator, or by an older process of its name.
    pub(super) fn evict(&mut self, now: Instant, event: fn(MemberEvent) -> Event) {
        self.abandon_phase();
        self.signal(Signal::Prepare(Change::Removed));
        self.tell_own_end(event);
        self.go_alone(now);
        self.signal(Signal::Resume(Change::Removed, true));
    }

    /// Says goodbye to a cluster that is left for another one: over streams, for there is no time
    /// to wait for answers.
    pub(super) fn say_goodbye_in_passing(&mut self, now: Instant) {
        self.tell_own_end(Event::MemberLeft);
        self.pass_on_the_rest(now);
        let goodbye = Rumor::Left {
            id: self.me,
            life: self.profile.life,
        };
        self.roster.apply(now, &goodbye);
        for id in self.first_successors() {
            self.send(id, Class::Reliable, vec![Message::Rumor(goodbye.clone())]);
        }
    }
}
