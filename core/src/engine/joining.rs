//! Joining: asking to be let in, changing cluster, catching up. Letting in is [`super::admitting`].
//!
//! In this order: the target grants an admission; the joiner's program prepares; the joiner says
//! goodbye to its old cluster, clears, and is a member of the new one. So a refusal leaves the
//! joiner as it was. The whole list of members is read from several of them, so that a storm of
//! joiners does not read it from one.

use std::sync::Arc;
use std::time::Duration;

use super::leaving::Farewell;
use super::{Departure, Engine};
use crate::member::{Fingerprint, Life, Profile, Standing, State};
use crate::message::{
    Contact, Intent, JoinGranted, JoinRefused, JoinRequest, Message, Ping, Refusal, Rumor, SeqNo,
};
use crate::name::{NodeId, NodeName};
use crate::newcomer::Newcomer;
use crate::output::{Change, Class, JoinError, Signal, Target};
use crate::probe::Purpose;
use crate::time::Instant;
use crate::timers::Timer;

/// How often a join is tried when the target refuses the connection.
const ATTEMPTS_MAX: u32 = 2;
/// One that does not answer is tried again for as long as there is so much time left: of a host that
/// hundreds ask at once, the last of them hear after some seconds.
const TRY_TIME: Duration = Duration::from_secs(4);
/// What took so long was no refusal.
const UNANSWERED: Duration = Duration::from_secs(1);
/// Pause before asking a busy target again.
const BUSY_PAUSE: Duration = Duration::from_millis(250);
/// The first pause between two looks at whether a joiner has caught up; later ones double.
const CATCH_UP_TICK: Duration = Duration::from_millis(25);
/// The longest such pause.
const CATCH_UP_TICK_MAX: Duration = Duration::from_millis(500);
/// How often in a row it compares with the same member: each other one is a handshake.
const ASKED_IN_A_ROW: usize = 3;
/// A joiner that learned of nobody new for this long holds what there is to know, even where
/// constant change keeps fingerprints from ever being equal.
const CATCH_UP_CALM: Duration = Duration::from_secs(1);
/// The most requests on behalf of discovery that wait for an answer.
pub(super) const PROPOSALS_MAX: usize = 64;

/// What this node is doing about its membership.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing: it is in a cluster, perhaps of its own.
    Settled,
    /// It asked to be let in.
    Asking(Asking),
    /// It was let in, and its program prepares.
    Preparing(Box<Preparing>),
    /// It is in, and learns who the others are.
    CatchingUp(Box<CatchingUp>),
    /// Its program prepares to leave.
    PreparingLeave,
    /// It says goodbye.
    Departing(Farewell),
}

#[derive(Debug)]
pub(super) struct Asking {
    seq: SeqNo,
    pub(super) target: Target,
    deadline: Instant,
    attempts: u32,
    /// When the last of them began.
    tried: Instant,
    /// Who let it wait, having a change of its own to end first.
    busy: Option<NodeName>,
    /// The target's cluster is coming to this one: its arrival ends the join.
    pub(super) awaited: Option<NodeId>,
}

#[derive(Debug)]
pub(super) struct Preparing {
    granted: JoinGranted,
    from: Contact,
    /// What the target held when it answered.
    shown: Fingerprint,
    /// How long the answer took.
    waited: Duration,
    /// When the join of an operator has failed; discovery has nobody to tell.
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct CatchingUp {
    target: Contact,
    goal: Fingerprint,
    goal_size: usize,
    /// Whether the target named all of them. What comes besides is more than the goal, and looks different
    /// by that.
    told_all: bool,
    /// Whom to compare with, one after the other, where it has no companions.
    sources: Vec<NodeId>,
    /// How often it compared.
    compared: usize,
    began: Instant,
    learned: Instant,
    pause: Duration,
    deadline: Option<Instant>,
    changed_cluster: bool,
}

impl Message {
    /// Whether it may cross the border between two clusters.
    pub(super) fn is_about_joining(&self) -> bool {
        matches!(
            self,
            Self::JoinRequest(_) | Self::JoinGranted(_) | Self::JoinRefused(_) | Self::WrongCluster
        )
    }
}

impl Engine {
    // ---- asking ----

    /// Begins a join; its end is a [`Signal::JoinEnded`], [`crate::Config::join_timeout`] later at
    /// the latest.
    ///
    /// # Errors
    /// When the target is this node or a member already, or a join or leave goes on.
    pub fn join(&mut self, now: Instant, target: Target) -> Result<(), JoinError> {
        if !self.is_free() {
            return Err(JoinError::Busy);
        }
        if self.is_me(&target) {
            return Err(JoinError::Myself);
        }
        if self.is_member_at(&target) {
            return Err(JoinError::AlreadyInCluster);
        }
        self.ask(now, target, now + self.config.join_timeout, 1, None);
        Ok(())
    }

    /// Whether an operator's command may begin. It takes precedence over the catching up of a node
    /// that returned or was discovered, which nobody waits for.
    pub(super) fn is_free(&mut self) -> bool {
        if matches!(&self.phase, Phase::CatchingUp(catching) if catching.deadline.is_none()) {
            self.end_catching_up(true);
        }
        matches!(self.phase, Phase::Settled)
    }

    /// Discovery found a node. Ignored while discovery is off, while a join or leave goes on, and
    /// where it is a member already, or a lost one that an operator wants to heal by hand.
    pub fn propose(&mut self, now: Instant, target: Target) {
        let idle = matches!(self.phase, Phase::Settled) && self.proposals.len() < PROPOSALS_MAX;
        let known = self.is_me(&target) || self.is_member_at(&target);
        let parted = !self.config.autoheal && self.is_failed_at(&target);
        if self.discovery && idle && !known && !parted {
            let seq = self.request_join(now, target, Intent::Discovered);
            self.proposals.insert(seq, now);
        }
    }

    pub(super) fn is_me(&self, target: &Target) -> bool {
        match target {
            Target::Node(contact) => contact.id() == self.me,
            Target::Address(address) => *address == self.profile.address,
        }
    }

    pub(super) fn is_member_at(&self, target: &Target) -> bool {
        match target {
            Target::Node(contact) => self.is_present(contact.id()),
            Target::Address(address) => self
                .roster
                .members()
                .any(|(_, member)| member.is_present() && member.profile.address == *address),
        }
    }

    fn is_failed_at(&self, target: &Target) -> bool {
        let failed = self.roster.members().filter(|(_, held)| held.is_failed());
        let failed = failed.map(|(id, held)| (id, held.profile.address));
        // Who was failed when this node was started anew, and has not been met since.
        let mates = self.mates.iter().filter_map(|id| {
            let entry = self.roster.acquaintance(id)?;
            (entry.standing.state == State::Failed).then_some((id, entry.address))
        });
        let mut all = failed.chain(mates);
        match target {
            Target::Node(contact) => all.any(|(id, _)| id == contact.id()),
            Target::Address(address) => all.any(|(_, at)| at == *address),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        target: Target,
        deadline: Instant,
        attempts: u32,
        busy: Option<NodeName>,
    ) {
        self.forget_request();
        let seq = self.request_join(now, target.clone(), Intent::Explicit);
        self.phase = Phase::Asking(Asking {
            seq,
            target,
            deadline,
            attempts,
            tried: now,
            busy,
            awaited: None,
        });
        self.timers.set(Timer::Join, deadline);
    }

    pub(super) fn request_join(&mut self, now: Instant, target: Target, intent: Intent) -> SeqNo {
        let asked = match &target {
            Target::Node(contact) => contact.id(),
            Target::Address(_) => self.me,
        };
        let seq = self.questions.ask(asked, Purpose::Contact, now);
        let request = JoinRequest {
            seq,
            intent,
            cluster_name: self.cluster_name.clone(),
            cluster: self.cluster,
            size: self.size_on_wire(),
            admitted: self.admitted,
            profile: self.profile.clone(),
        };
        self.transmit_to(
            target,
            Class::Reliable,
            vec![Message::JoinRequest(Box::new(request))],
        );
        seq
    }

    pub(super) fn size_on_wire(&self) -> u32 {
        u32::try_from(self.roster.present()).unwrap_or(u32::MAX)
    }

    /// A packet could not be sent, or a connection could not be made: a hint with its cause. Only
    /// a join heeds it; what it says of a member, the detector will find out.
    pub fn handle_unreachable(&mut self, now: Instant, to: &Target, cause: &str) {
        let Phase::Asking(asking) = &self.phase else {
            return;
        };
        if asking.target != *to || asking.awaited.is_some() {
            return;
        }
        let (deadline, attempts) = (asking.deadline, asking.attempts);
        let unanswered = now.since(asking.tried) >= UNANSWERED;
        let again = unanswered && now + TRY_TIME <= deadline;
        if again || attempts < ATTEMPTS_MAX {
            self.ask(now, to.clone(), deadline, attempts + 1, None);
        } else {
            self.end_asking(Err(JoinError::Unreachable(cause.to_owned())));
        }
    }

    /// What was asked for before is not wanted any more: an answer that comes late changes nothing.
    fn forget_request(&mut self) {
        if let Phase::Asking(asking) = &self.phase {
            self.questions.close(asking.seq);
        }
    }

    fn end_asking(&mut self, result: Result<(), JoinError>) {
        self.forget_request();
        self.phase = Phase::Settled;
        self.timers.stop(Timer::Join);
        self.signal(Signal::JoinEnded(result));
    }

    /// Gives up whatever is going on, because this node's stay ended.
    pub(super) fn abandon_phase(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::Asking(_) | Phase::Preparing(_) | Phase::CatchingUp(_) => {
                self.signal(Signal::JoinEnded(Err(JoinError::Busy)));
            }
            Phase::PreparingLeave | Phase::Departing(_) => self.signal(Signal::LeaveEnded),
            Phase::Settled => {}
        }
    }

    // ---- being let in ----

    pub(super) fn on_join_granted(
        &mut self,
        now: Instant,
        from: &Contact,
        shown: Fingerprint,
        granted: JoinGranted,
    ) {
        let question = self.questions.close(granted.seq);
        let Some(question) = question.filter(|_| !self.is_departing()) else {
            self.stats.unbelieved += 1;
            return;
        };
        let asked = match &self.phase {
            Phase::Asking(asking) if asking.seq == granted.seq => Some(asking.deadline),
            _ => None,
        };
        if granted.cluster == self.cluster {
            self.proposals.remove(&granted.seq);
            if asked.is_none() && self.is_to_stay_apart(from.id()) {
                return;
            }
            self.adopt(now, from, shown, &granted, asked);
            return;
        }
        let proposed = self.proposals.remove(&granted.seq).is_some()
            && self.discovery
            && matches!(self.phase, Phase::Settled);
        if asked.is_some() || proposed {
            let preparing = Preparing {
                granted,
                from: from.clone(),
                shown,
                waited: now.since(question.sent),
                deadline: asked,
            };
            self.phase = Phase::Preparing(Box::new(preparing));
            self.timers.stop(Timer::Join);
            self.signal(Signal::Prepare(Change::Join));
        }
    }

    /// Whether this node has a side by now, and a node that nobody here knows as present is not to
    /// make it one with another: without `autoheal` an operator does.
    fn is_to_stay_apart(&self, id: NodeId) -> bool {
        let apart = self.roster.present() > 1 && !self.is_present(id);
        !self.config.autoheal && apart && !self.is_awaited(id)
    }

    /// Answers a [`Signal::Prepare`]: the program is ready for the change. A no-op where nothing
    /// waits for it.
    pub fn prepared(&mut self, now: Instant) {
        match std::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::Preparing(preparing) => self.change_cluster(now, *preparing),
            Phase::PreparingLeave => self.depart(now, Departure::Leave),
            other => self.phase = other,
        }
    }

    fn change_cluster(&mut self, now: Instant, preparing: Preparing) {
        let Preparing {
            granted,
            from,
            shown,
            waited,
            deadline,
        } = preparing;
        if self.roster.present() > 1 {
            self.say_goodbye_in_passing(now);
        }
        self.clear();
        self.cluster = granted.cluster;
        (self.admitted, self.withdrawn) = (true, false);
        let incarnation = self.profile.life.above(granted.floor).incarnation;
        let life = Life {
            admission: granted.admission,
            incarnation,
        };
        self.profile = Arc::new(Profile {
            life,
            ..(*self.profile).clone()
        });
        self.settle(now);
        self.signal_membership();
        self.newcomer = Newcomer::of(from.id(), waited, now);
        self.catch_up(now, &from, shown, &granted, deadline, true);
    }

    /// Let in to the cluster that this node is in already: after a restart, by discovery, or to
    /// heal by hand what `autoheal = false` leaves apart.
    fn adopt(
        &mut self,
        now: Instant,
        from: &Contact,
        shown: Fingerprint,
        granted: &JoinGranted,
        asked: Option<Instant>,
    ) {
        let mine = self.profile.life;
        let admission = mine.admission.max(granted.admission);
        let raise = admission > mine.admission || granted.floor >= mine.incarnation;
        if raise {
            let life = Life { admission, ..mine }.above(granted.floor);
            self.announce(
                now,
                Profile {
                    life,
                    ..(*self.profile).clone()
                },
            );
        }
        if granted.quorum {
            self.mates.clear();
        }
        if !self.admitted || self.withdrawn {
            (self.admitted, self.withdrawn) = (true, false);
            self.signal_membership();
        }
        if asked.is_some() || matches!(self.phase, Phase::Settled) {
            self.catch_up(now, from, shown, granted, asked, false);
        }
    }

    fn catch_up(
        &mut self,
        now: Instant,
        target: &Contact,
        goal: Fingerprint,
        granted: &JoinGranted,
        deadline: Option<Instant>,
        changed_cluster: bool,
    ) {
        self.phase = Phase::CatchingUp(Box::new(CatchingUp {
            target: target.clone(),
            goal,
            goal_size: granted.size as usize,
            told_all: granted.members.len() >= granted.size as usize,
            sources: granted.members.iter().map(|profile| profile.id()).collect(),
            compared: 0,
            began: now,
            learned: now,
            pause: CATCH_UP_TICK.max(self.newcomer.pace(now)),
            deadline,
            changed_cluster,
        }));
        let me = self.me;
        for profile in granted.members.iter().filter(|profile| profile.id() != me) {
            self.accept(
                now,
                &Rumor::Alive(profile.clone()),
                Some(target.id()),
                false,
            );
        }
        let myself = Rumor::Alive(self.profile.clone());
        self.transmit(
            target.clone(),
            Class::Reliable,
            vec![Message::Rumor(myself.clone())],
        );
        self.spread(now, myself, Some(target.id()), true);
        self.timers.set(Timer::Join, now);
    }

    // ---- catching up ----

    /// Somebody became a member here.
    pub(super) fn on_member_arrived(&mut self, now: Instant, id: NodeId) {
        self.newcomer.learn(now);
        match &mut self.phase {
            Phase::CatchingUp(catching) => {
                catching.learned = now;
                if self.holds_goal() {
                    self.timers.set(Timer::Join, now);
                }
            }
            Phase::Asking(asking) if asking.awaited == Some(id) => self.end_asking(Ok(())),
            _ => {}
        }
    }

    /// A member showed its fingerprint: where the target holds what this node holds, it has
    /// caught up.
    pub(super) fn on_joined_seen(&mut self, peer: NodeId) {
        if let Phase::CatchingUp(catching) = &self.phase
            && catching.target.id() == peer
            && self.divergence.agrees(peer, self.fingerprint())
        {
            self.end_catching_up(true);
        }
    }

    /// Whether this node holds, itself apart, what the target held when it answered: by its fingerprint,
    /// exactly that.
    fn holds_goal(&self) -> bool {
        let Phase::CatchingUp(catching) = &self.phase else {
            return false;
        };
        let mine = Standing::alive(self.profile.life).digest(self.me);
        let ours = self.fingerprint();
        catching.told_all || ours.without(mine) == catching.goal || ours == catching.goal
    }

    pub(super) fn on_join_tick(&mut self, now: Instant) {
        match &self.phase {
            Phase::Asking(asking) if now >= asking.deadline => {
                let error = match asking.busy.clone() {
                    Some(by) => JoinError::Refused {
                        by,
                        refusal: Refusal::Busy,
                    },
                    None => JoinError::Timeout(self.config.join_timeout),
                };
                self.end_asking(Err(error));
            }
            Phase::Asking(asking) => {
                let (target, busy) = (asking.target.clone(), asking.busy.clone());
                let (deadline, attempts) = (asking.deadline, asking.attempts);
                self.ask(now, target, deadline, attempts, busy);
            }
            Phase::CatchingUp(_) => self.on_catch_up_tick(now),
            _ => {}
        }
    }

    fn on_catch_up_tick(&mut self, now: Instant) {
        let calm = |catching: &CatchingUp| {
            now.since(catching.learned) >= CATCH_UP_CALM
                && now.since(catching.began) >= CATCH_UP_CALM * 2
        };
        let Phase::CatchingUp(catching) = &self.phase else {
            return;
        };
        let knows_enough = calm(catching) && self.roster.present() >= catching.goal_size;
        if self.holds_goal() || knows_enough {
            self.end_catching_up(true);
            return;
        }
        let given_up = now.since(catching.began) >= self.config.join_timeout;
        if given_up || catching.deadline.is_some_and(|deadline| now >= deadline) {
            self.end_catching_up(false);
            return;
        }
        self.ask_for_members(now);
    }

    fn ask_for_members(&mut self, now: Instant) {
        let companions = self.companions(now);
        let Phase::CatchingUp(catching) = &mut self.phase else {
            return;
        };
        let pause = catching.pause.mul_f64(0.5 + self.rng.f64());
        let most = CATCH_UP_TICK_MAX.max(self.newcomer.pace(now));
        catching.pause = (catching.pause * 2).min(most);
        let sources = companions.as_ref().unwrap_or(&catching.sources);
        let turn = catching.compared / ASKED_IN_A_ROW % sources.len().max(1);
        catching.compared += 1;
        let target = catching.target.id();
        // Whose host knew nobody yet asks the host.
        let source = sources.get(turn).copied().unwrap_or(target);
        if source != self.me {
            self.compare_with(now, source);
        }
        let seq = self.questions.ask(target, Purpose::Contact, now);
        self.send(
            target,
            Class::Datagram,
            vec![Message::Ping(Ping { seq, suspect: None })],
        );
        self.timers.set(Timer::Join, now + pause);
    }

    fn end_catching_up(&mut self, complete: bool) {
        let Phase::CatchingUp(catching) = std::mem::replace(&mut self.phase, Phase::Settled) else {
            return;
        };
        self.timers.stop(Timer::Join);
        if catching.changed_cluster {
            self.signal(Signal::Resume(Change::Join, true));
        }
        if catching.deadline.is_some() {
            let incomplete = JoinError::Incomplete(self.config.join_timeout);
            self.signal(Signal::JoinEnded(if complete {
                Ok(())
            } else {
                Err(incomplete)
            }));
        }
    }

    /// The target of a join went to another cluster meanwhile: follow it.
    pub(super) fn on_target_moved(&mut self, now: Instant, id: NodeId) {
        let Phase::CatchingUp(catching) = &self.phase else {
            return;
        };
        let (target, changed_cluster) = (catching.target.clone(), catching.changed_cluster);
        let Some(deadline) = catching.deadline.filter(|_| target.id() == id) else {
            return;
        };
        if changed_cluster {
            self.signal(Signal::Resume(Change::Join, true));
        }
        self.ask(now, Target::Node(target), deadline, 1, None);
    }

    // ---- being refused ----

    pub(super) fn on_join_refused(&mut self, now: Instant, from: &Contact, refused: &JoinRefused) {
        let refusal = &refused.refusal;
        self.proposals.remove(&refused.seq);
        let asked = matches!(&self.phase, Phase::Asking(asking) if asking.seq == refused.seq);
        match refusal {
            Refusal::Removed { admission } if !asked => {
                let ours = self.questions.close(refused.seq).is_some();
                if ours && *admission >= self.profile.life.admission {
                    self.on_own_removal(now, from);
                }
            }
            Refusal::SmallerCluster if asked => self.await_target(from.id()),
            Refusal::Busy if asked => {
                let Phase::Asking(asking) = &mut self.phase else {
                    return;
                };
                asking.busy = Some(from.name.clone());
                let at = (now + BUSY_PAUSE.mul_f64(0.5 + self.rng.f64())).min(asking.deadline);
                self.timers.set(Timer::Join, at);
            }
            _ if asked => {
                let error = JoinError::Refused {
                    by: from.name.clone(),
                    refusal: refusal.clone(),
                };
                self.end_asking(Err(error));
            }
            _ => {}
        }
        if !refusal.is_ordinary() || asked {
            self.signal(Signal::Refused {
                peer: from.clone(),
                by_us: false,
                refusal: refusal.clone(),
            });
        }
    }

    fn await_target(&mut self, id: NodeId) {
        if let Phase::Asking(asking) = &mut self.phase {
            asking.awaited = Some(id);
        }
    }
}
