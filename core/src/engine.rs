//! The engine: routes inputs to the nouns, and their decisions to outputs.
//!
//! ```text
//!   handle_packet ─┐   detecting · accusing · judging  ┌─▶ Transmit
//!   handle_timeout ┼─▶ spreading · healing             ┼─▶ Event, Signal
//!   join, leave, … ┘   joining · admitting · leaving   └─▶ Changed, Timeout
//! ```
//!
//! Nothing here waits, sleeps, locks or looks at a clock. An input is handled to its end; what it
//! leads to is queued and taken by [`Engine::poll_output`].

mod accusing;
mod admitting;
mod believing;
mod detecting;
mod healing;
mod joining;
mod judging;
mod knocking;
mod leaving;
#[cfg(feature = "sim")]
pub(crate) mod limits;
mod returning;
mod spreading;
mod watching;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::awareness::Awareness;
use crate::case::{Casebook, Finding, What};
use crate::config::Config;
use crate::dissemination::Dissemination;
use crate::divergence::Divergence;
use crate::jury::Jury;
use crate::knock::Knocks;
use crate::mates::Mates;
use crate::member::{
    Admission, Fingerprint, Incarnation, Instance, Life, Member, Profile, Standing, State, tags_fit,
};
use crate::message::{ClusterId, Contact, Message, Messages, Packet, Rumor};
use crate::name::{NodeId, NodeName};
use crate::newcomer::Newcomer;
use crate::output::{
    Class, Downed, Event, MemberEvent, Membership, Output, Partition, Signal, TagsError, Target,
    Transmit,
};
use crate::partition::{self, PartitionWatch};
use crate::probe::{Prober, Questions};
use crate::ring::Rings;
use crate::roster::Roster;
use crate::stats::Stats;
use crate::suspicion::{Flaps, Suspicion};
use crate::time::Instant;
use crate::timers::{Timer, Timers};
use admitting::Doubt;
use believing::Pending;
use joining::Phase;

/// The least time between two answers to one peer that it is not believed.
const TOLD_INTERVAL: Duration = Duration::from_secs(1);
/// The most peers of which such answers are remembered.
const TOLD_MAX: usize = 4096;
/// Time between two rounds of forgetting what is old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// A pause of this length may have cost this node its standing: it asks at once.
const PAUSE_LONG: Duration = Duration::from_secs(1);

/// Who a node is when it starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its name.
    pub name: NodeName,
    /// Where others reach its gossip endpoint.
    pub address: SocketAddr,
    /// The port of its RPC endpoint.
    pub rpc_port: u16,
    /// This process.
    pub instance: Instance,
    /// The software version.
    pub version: Arc<str>,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// The name of the cluster it is configured for.
    pub cluster_name: Arc<str>,
    /// Its membership: remembered, or [`Membership::founding`]. The incarnation is the one to
    /// start at: above every one that was persisted, and at least the milliseconds since 1970.
    pub membership: Membership,
    /// Members of the past: addresses to return by, and floors that stale facts must exceed.
    pub contacts: Vec<Acquaintance>,
    /// Removals that must not be undone, the oldest first.
    pub tombstones: Vec<(NodeId, Admission)>,
}

/// An entry of the address book.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Acquaintance {
    /// The node.
    pub name: NodeName,
    /// Where it was last reached.
    pub address: SocketAddr,
    /// The last accepted fact about it. A weaker one is stale.
    pub standing: Standing,
    /// Whether it was forgotten, with quorum, as one that was absent for too long. It is called all
    /// the same, and nobody waits for it: it counts in no quorum, after a restart either.
    #[serde(default)]
    pub forgotten: bool,
    /// Of one that failed: whether it failed by itself, and was not lost to a partition.
    #[serde(default)]
    pub crashed: bool,
}

/// What kind of goodbye a leave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The node goes on alone under a new cluster id, and discovery stops.
    Leave,
    /// The process ends; it remembers its cluster and returns at the next start.
    Shutdown,
}

/// The membership engine of one node: a deterministic state machine. Call an input method, then
/// [`Engine::poll_output`] until it returns [`Output::Timeout`].
#[derive(Debug)]
pub struct Engine {
    config: Config,
    rng: fastrand::Rng,
    me: NodeId,
    profile: Arc<Profile>,
    cluster_name: Arc<str>,
    cluster: ClusterId,
    admitted: bool,
    discovery: bool,
    withdrawn: bool,
    mates: Mates,
    phase: Phase,
    newcomer: Newcomer,
    doubts: BTreeMap<NodeId, Doubt>,
    proposals: BTreeMap<crate::message::SeqNo, Instant>,
    returning: Duration,

    roster: Roster,
    rings: Rings,
    timers: Timers,
    awareness: Awareness,
    prober: Prober,
    questions: Questions,
    suspicions: BTreeMap<NodeId, Suspicion>,
    pending: BTreeMap<NodeId, Pending>,
    /// When somebody last objected to a verdict.
    objected: Option<Instant>,
    flaps: Flaps,
    jury: Jury,
    knocks: Knocks,
    gossip: Dissemination,
    divergence: Divergence,
    watch: PartitionWatch,
    partition: Option<Partition>,
    /// Whom it holds: they are not forgotten.
    held: BTreeSet<NodeId>,
    /// Since when this side is to give up, by [`Config::split_brain`].
    losing: Option<Instant>,
    quorum: bool,
    down: Option<Downed>,
    bridges: BTreeMap<NodeId, Instant>,
    /// When members that were failed were last heard again, of late.
    returned: BTreeMap<NodeId, Instant>,
    heal_turns: u32,
    /// By name and address: a name may have had two owners of late.
    told: BTreeMap<(NodeId, SocketAddr), Instant>,
    cases: Casebook,

    out: VecDeque<Output>,
    changed: BTreeSet<NodeId>,
    stats: Stats,
}

impl Engine {
    /// A node that starts. The same arguments and inputs give the same outputs.
    pub fn new(config: Config, start: Start, seed: u64, now: Instant) -> Self {
        let Membership {
            cluster,
            admission,
            admitted,
            incarnation,
            discovery,
            withdrawn,
            down,
        } = start.membership;
        let profile = Arc::new(Profile {
            name: start.name,
            life: Life {
                admission,
                incarnation,
            },
            instance: start.instance,
            address: start.address,
            rpc_port: start.rpc_port,
            version: start.version,
            side: None,
            tags: start.tags,
        });
        let me = profile.id();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut engine = Self {
            prober: Prober::new(&mut rng),
            rng,
            me,
            profile,
            cluster_name: start.cluster_name,
            cluster,
            admitted,
            discovery,
            withdrawn,
            mates: Mates::new(now),
            phase: Phase::Settled,
            newcomer: Newcomer::none(),
            doubts: BTreeMap::new(),
            proposals: BTreeMap::new(),
            returning: Duration::ZERO,
            roster: Roster::new(&config),
            rings: Rings::new(me),
            timers: Timers::default(),
            awareness: Awareness::new(&config, now),
            questions: Questions::default(),
            suspicions: BTreeMap::new(),
            pending: BTreeMap::new(),
            objected: None,
            flaps: Flaps::default(),
            jury: Jury::default(),
            knocks: Knocks::default(),
            gossip: Dissemination::new(&config, me, now),
            divergence: Divergence::default(),
            watch: PartitionWatch::default(),
            partition: None,
            held: BTreeSet::new(),
            losing: None,
            quorum: true,
            down: None,
            bridges: BTreeMap::new(),
            returned: BTreeMap::new(),
            heal_turns: 0,
            told: BTreeMap::new(),
            cases: Casebook::default(),
            out: VecDeque::new(),
            changed: BTreeSet::new(),
            stats: Stats::default(),
            config,
        };
        for (id, admission) in start.tombstones {
            engine
                .roster
                .apply(now, &crate::message::Rumor::Removed { id, admission });
        }
        let strangers = start
            .contacts
            .into_iter()
            .filter(|contact| contact.name.id() != me);
        for contact in strangers {
            if admitted && contact.standing.state != State::Left && !contact.forgotten {
                engine.mates.remember(contact.name.id());
            }
            engine.roster.remember(contact);
        }
        engine.settle(now);
        engine.quorum = engine.computed_quorum();
        if admitted {
            engine.timers.set(Timer::Return, now);
        }
        engine.look_for_mates(now);
        if down {
            engine.stay_down(now);
        }
        engine
    }

    /// The same node, as it is after long in a cluster of these members.
    #[cfg(feature = "sim")]
    pub(crate) fn among(mut self, roster: Roster) -> Self {
        self.roster = roster;
        self.timers.stop(Timer::Return);
        for (id, _) in self.roster.members() {
            self.rings.touch(id);
        }
        self.quorum = self.computed_quorum();
        self.changed.clear();
        self
    }

    /// The removal that stands against a name.
    #[cfg(feature = "sim")]
    pub(crate) fn buried(&self, id: NodeId) -> Option<Admission> {
        self.roster.tombstone(id)
    }

    /// What a fact about somebody who is not a member must exceed.
    #[cfg(feature = "sim")]
    pub(crate) fn floor(&self, id: NodeId) -> Option<Standing> {
        let buried = self.roster.tombstone(id).map(Standing::removed);
        let forgotten = self.roster.acquaintance(id).map(|entry| entry.standing);
        buried.max(forgotten)
    }

    /// What a test of the checkers breaks on purpose.
    #[cfg(all(test, feature = "sim"))]
    pub(crate) fn tamper(&mut self) -> (&mut Config, &mut Roster) {
        (&mut self.config, &mut self.roster)
    }

    /// The numbers that it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    // ---- input ----

    /// A packet came. `from` is vouched for by the transport: the name in the certificate, and the
    /// UDP address it came from.
    pub fn handle_packet(&mut self, now: Instant, from: &Contact, class: Class, packet: Packet) {
        let id = from.id();
        if id == self.me {
            // Another process of this name: the cluster tells the two apart, not they each other.
            self.stats.unbelieved += 1;
            return;
        }
        if packet.cluster != self.cluster.tag() {
            self.on_foreign_packet(now, from, packet);
            return;
        }
        let silence = self.awareness.silence(now);
        self.awareness.hear(now);
        let deaf = partition::is_deaf(&self.config, silence);
        if deaf {
            // Whoever is not heard can't answer.
            self.questions.on_answered();
            if self.awareness.is_gated(self.roster.present()) {
                self.on_deaf(now, silence);
            }
        }
        if self.watch.is_alone() {
            self.assess_partition(now);
        }
        let believed = self.greet(now, from, &packet);
        for message in packet.messages {
            if believed || message.is_about_joining() {
                self.on_message(now, from, class, packet.fingerprint, message);
            } else {
                self.stats.unbelieved += 1;
            }
        }
        // A message may have ended this node's stay in the cluster that the packet is of.
        if packet.cluster == self.cluster.tag()
            && self.roster.member(id).is_some_and(Member::is_present)
        {
            self.on_fingerprint(now, id, packet.fingerprint);
        }
    }

    /// Time passed. Early or repeated calls do nothing. Hand in queued packets first: a deadline
    /// must not be judged while the answer to it waits to be read.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late = self
            .timers
            .next()
            .map_or(Duration::ZERO, |due| now.since(due));
        if late >= self.config.stall_min {
            self.on_stall(now, late);
        }
        // A timer that is set anew for this very moment waits for the next call, so that inputs come
        // in between.
        for _ in 0..self.timers.len() {
            let Some(timer) = self.timers.expire(now) else {
                break;
            };
            self.on_timer(now, timer);
        }
    }

    /// Replaces this node's tags (within [`crate::member::TAGS_BYTES_MAX`]).
    ///
    /// # Errors
    /// When the tags are too large; nothing changes.
    pub fn set_tags(
        &mut self,
        now: Instant,
        tags: BTreeMap<String, String>,
    ) -> Result<(), TagsError> {
        if !tags_fit(&tags) {
            return Err(TagsError);
        }
        if tags != self.profile.tags {
            let life = self.profile.life.above(Incarnation(0));
            self.announce(
                now,
                Profile {
                    life,
                    tags,
                    ..(*self.profile).clone()
                },
            );
        }
        Ok(())
    }

    /// Turns discovery on or off; the new value comes back in a [`Signal::Membership`].
    pub fn set_discovery(&mut self, on: bool) {
        if self.discovery != on {
            self.discovery = on;
            self.withdrawn &= !on;
            self.signal_membership();
        }
    }

    /// Changes after how long a failed or left member is forgotten: those who are absent for
    /// longer already go with the next turn. As [`Config::autoclean`].
    pub fn set_autoclean(&mut self, now: Instant, autoclean: Option<Duration>) {
        self.config.autoclean = autoclean;
        self.roster.set_autoclean(now, autoclean);
    }

    // ---- output ----

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        match self.changed.pop_first() {
            Some(id) => Output::Changed(id),
            None => Output::Timeout(self.timers.next()),
        }
    }

    // ---- reading ----

    /// What this node says of itself.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Its membership, as in the last [`Signal::Membership`].
    pub fn membership(&self) -> Membership {
        Membership {
            cluster: self.cluster,
            admission: self.profile.life.admission,
            admitted: self.admitted,
            incarnation: self.profile.life.incarnation,
            discovery: self.discovery,
            withdrawn: self.withdrawn,
            down: self.down.is_some(),
        }
    }

    /// All that is known, this node included, in no particular order.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.roster.members()
    }

    /// One of them.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.roster.member(id)
    }

    /// How many are present, this node included.
    pub fn size(&self) -> usize {
        self.roster.present()
    }

    /// The fingerprint of the present members.
    pub fn fingerprint(&self) -> Fingerprint {
        self.roster.fingerprint()
    }

    /// Whether this node's side has quorum.
    pub fn has_quorum(&self) -> bool {
        self.quorum
    }

    /// The partition that stands, if any.
    pub fn partition(&self) -> Option<&Partition> {
        self.partition.as_ref()
    }

    /// Whether and why this node is down, by [`Config::split_brain`].
    pub fn downed(&self) -> Option<&Downed> {
        self.down.as_ref()
    }

    /// The address book and the members, to be persisted now and then.
    pub fn acquaintances(&self) -> Vec<Acquaintance> {
        let mut all = self.roster.acquaintances(self.me);
        for entry in &mut all {
            let id = entry.name.id();
            let parted = self.watch.lost().contains(&id);
            if let Some(member) = self.roster.member(id) {
                entry.crashed = member.is_failed() && !parted;
            }
        }
        all
    }

    /// The tombstones, the oldest first, to be persisted when a member was removed.
    pub fn tombstones(&self) -> Vec<(NodeId, Admission)> {
        self.roster.tombstones().collect()
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What this node found about members of late, the oldest first: turning points, for whoever
    /// asks why. Kept over changes of cluster, within [`crate::case::FINDINGS_MAX`].
    pub fn findings(&self) -> impl Iterator<Item = &Arc<Finding>> {
        self.cases.findings()
    }

    /// How many findings were ever made: changes exactly when [`Engine::findings`] does.
    pub fn findings_made(&self) -> u64 {
        self.cases.recorded()
    }

    /// The local health: 0 is well, [`Config::awareness_max`] is worst.
    pub fn awareness(&self) -> u32 {
        self.awareness.score()
    }

    /// How many rumors and suspicions are held, for checks of boundedness.
    pub fn load(&self) -> (usize, usize) {
        (self.gossip.len(), self.suspicions.len())
    }

    // ---- routing ----

    fn on_message(
        &mut self,
        now: Instant,
        from: &Contact,
        class: Class,
        shown: Fingerprint,
        message: Message,
    ) {
        match message {
            Message::Ping(ping) => self.on_ping(now, from, class, &ping),
            Message::Ack(ack) => self.on_ack(now, from, shown, &ack),
            Message::PingRequest(request) => self.on_ping_request(now, from, &request),
            Message::Nack(nack) => self.on_nack(now, from, &nack),
            Message::Suspect(suspect) => {
                self.on_accusation(now, &suspect, from.id(), None);
            }
            Message::Rumor(rumor) => self.on_rumor(now, from, &rumor),
            Message::Verdicts(verdicts) => {
                for failed in verdicts {
                    self.on_rumor(now, from, &Rumor::Failed(failed));
                }
            }
            Message::JoinRequest(request) => self.on_join_request(now, from, *request),
            Message::JoinGranted(granted) => self.on_join_granted(now, from, shown, *granted),
            Message::JoinRefused(refused) => self.on_join_refused(now, from, &refused),
            Message::Compare(compare) => self.on_compare(now, from, &compare),
            Message::Summaries(summaries) => self.on_summaries(now, from, &summaries),
            Message::Records(records) => self.on_records(now, from, &records),
            Message::Want(ids) => self.on_want(now, from, &ids),
            // From a node that has come to this cluster since it said so.
            Message::WrongCluster => {}
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Probe => self.on_probe_turn(now),
            Timer::ProbeStage(seq) => self.on_probe_stage(now, seq),
            Timer::Burst => self.on_burst(now),
            Timer::RelayNack(seq) => self.on_relay_silent(seq),
            Timer::Suspicion(id) => self.on_suspicion_over(now, id),
            Timer::Widen(id) => self.on_accused_for_long(now, id),
            Timer::Trial(id) => self.on_trial_stage(now, id),
            Timer::Believe(id) => self.on_no_objection(now, id),
            Timer::Doubt(id) => self.on_doubt_over(now, id),
            Timer::Flush => self.on_flush(now),
            Timer::Gossip => self.on_gossip_tick(now),
            Timer::Compare => self.on_compare_turn(now),
            Timer::Assess => self.assess_partition(now),
            Timer::Heal => self.on_heal_turn(now),
            Timer::Return => self.on_return_turn(now),
            Timer::Mates => self.look_for_mates(now),
            Timer::Join => self.on_join_tick(now),
            Timer::Leave => self.on_leave_tick(now),
            Timer::Sweep => self.on_sweep(now),
        }
    }

    /// A packet of another cluster: only joins cross the border.
    fn on_foreign_packet(&mut self, now: Instant, from: &Contact, packet: Packet) {
        let mut foreign = false;
        for message in packet.messages {
            if message == Message::WrongCluster {
                self.on_wrong_cluster(now, from);
            } else if message.is_about_joining() {
                self.on_message(now, from, Class::Reliable, packet.fingerprint, message);
            } else {
                foreign = true;
            }
        }
        if foreign {
            self.stats.foreign_packets += 1;
            if self.may_tell(now, from) {
                self.transmit(from.clone(), Class::Datagram, vec![Message::WrongCluster]);
            }
        }
    }

    /// Looks at who speaks before listening. False for those whose stay is over.
    fn greet(&mut self, now: Instant, from: &Contact, packet: &Packet) -> bool {
        let id = from.id();
        let joins = packet.messages.iter().any(Message::is_about_joining);
        if let Some(member) = self.roster.member(id) {
            let (standing, address) = (member.standing, member.profile.address);
            if standing.state == State::Failed && !joins {
                self.watch.on_packet(id, now);
                self.bridge(now, id);
                // Who says that this node was removed would not listen; it is told of the
                // admission since.
                if !packet.messages.iter().any(|m| says_removed(m, self.me)) {
                    self.tell_failed(now, from, standing.life);
                }
            }
            self.tell_suspected(now, from);
            if let Some(admission) = self.roster.ended(id, Admission::default())
                && address != from.address
                && !joins
                && self.may_tell(now, from)
            {
                // Another has the name by now. Whoever was removed does not know it yet, and must
                // hear of it before it hears of its heir; whoever was admitted since does not mind.
                self.tell_removed(from, Class::Datagram, admission);
                self.tell_removed(from, Class::Reliable, admission);
            }
            return true;
        }
        let buried = self.roster.tombstone(id);
        if let Some(admission) = buried.filter(|&buried| !comes_anew(packet, id, buried)) {
            if !joins && self.may_tell(now, from) {
                self.tell_removed(from, Class::Reliable, admission);
            }
            return false;
        }
        let floor = self.roster.acquaintance(id).map(|entry| entry.standing);
        match floor {
            Some(floor) if !floor.is_present() => self.tell_failed(now, from, floor.life),
            _ if !joins && self.may_tell(now, from) => {
                self.transmit(from.clone(), Class::Datagram, vec![Message::Want(vec![id])]);
            }
            _ => {}
        }
        true
    }

    /// Tells a peer that a stay of its name was ended.
    fn tell_removed(&mut self, to: &Contact, class: Class, admission: Admission) {
        let id = to.id();
        let removed = crate::message::Rumor::Removed { id, admission };
        self.transmit(to.clone(), class, vec![Message::Rumor(removed)]);
    }

    /// This node was not there for a while: it must not hold that against others.
    fn on_stall(&mut self, now: Instant, stall: Duration) {
        self.stats.stalls += 1;
        self.awareness.worsen(1);
        self.awareness.forgive(stall, now);
        self.questions.forgive(stall, now);
        self.mates.forgive(stall, now);
        self.put_off_judgement(now, stall);
        if stall >= PAUSE_LONG {
            self.call_neighbours(now);
        }
    }

    /// For so long this node could not have heard anybody: whoever was waited for in that time gets
    /// it again, and no more.
    fn put_off_judgement(&mut self, now: Instant, time: Duration) {
        let (probes, jury) = (&self.prober.probes, &self.jury);
        self.timers.put_off_judgement(|timer| {
            let began = match timer {
                Timer::ProbeStage(seq) => probes.get(&seq).map(|probe| probe.started),
                Timer::Trial(id) => jury.trial(id).map(|trial| trial.started),
                _ => None,
            };
            began.map_or(Duration::ZERO, |began| now.since(began).min(time))
        });
        let (present, soonest) = (self.roster.present(), now + self.config.probe_interval);
        for (&id, suspicion) in &mut self.suspicions {
            suspicion.put_off(now.since(suspicion.since()).min(time));
            let flaps = self.flaps.count(id, self.config.flap_half_life, now);
            let deadline = suspicion.deadline(&self.config, present, flaps);
            self.timers.set(Timer::Suspicion(id), deadline.max(soonest));
        }
    }

    fn on_sweep(&mut self, now: Instant) {
        self.timers.set(Timer::Sweep, now + SWEEP_INTERVAL);
        self.questions.sweep(now);
        self.knocks.sweep(now);
        self.flaps.sweep(self.config.flap_half_life, now);
        self.bridges.retain(|_, until| *until > now);
        let bridge = self.config.bridge;
        self.returned.retain(|_, at| now.since(*at) < bridge);
        self.told.retain(|_, at| now.since(*at) < TOLD_INTERVAL);
        self.proposals
            .retain(|_, at| now.since(*at) < self.config.join_timeout);
        self.tell_heard(now);
        self.ask_who_is_there(now);
        if !self.watch.is_dirty() {
            self.assess_partition(now);
        }
        self.forget_the_dead(now);
        self.roster.sweep(now);
    }

    // ---- shared by all ----

    /// Begins anew as a member of `self.cluster` who knows nobody.
    fn settle(&mut self, now: Instant) {
        self.roster
            .apply(now, &crate::message::Rumor::Alive(self.profile.clone()));
        self.changed.insert(self.me);
        let probe = now + self.config.probe_interval.mul_f64(self.rng.f64());
        self.timers.set(Timer::Probe, probe);
        self.timers
            .set(Timer::Sweep, now + SWEEP_INTERVAL.mul_f64(self.rng.f64()));
        self.set_heal_turn(now);
    }

    /// Forgets everything about the present cluster, and who is in it.
    fn clear(&mut self) {
        self.changed.extend(self.roster.members().map(|(id, _)| id));
        self.roster.clear();
        self.rings = Rings::new(self.me);
        self.timers.clear();
        self.prober.clear();
        self.questions.clear();
        self.suspicions.clear();
        self.pending.clear();
        self.objected = None;
        self.flaps = Flaps::default();
        self.jury.clear();
        self.knocks.clear();
        self.gossip.clear();
        self.divergence.clear();
        self.watch.clear();
        self.partition = None;
        self.held.clear();
        self.losing = None;
        self.come_up();
        self.bridges.clear();
        self.returned.clear();
        self.mates.clear();
        self.doubts.clear();
        self.proposals.clear();
        self.told.clear();
        self.newcomer = Newcomer::none();
    }

    /// Goes on alone, in a cluster that nobody else can be in.
    fn go_alone(&mut self, now: Instant) {
        self.clear();
        let halves = (self.rng.u64(..), self.rng.u64(..));
        self.cluster = ClusterId(u128::from(halves.0) << 64 | u128::from(halves.1));
        self.discovery = false;
        self.withdrawn = true;
        self.admitted = false;
        let incarnation = self.profile.life.above(Incarnation(0)).incarnation;
        let life = Life {
            admission: Admission(1),
            incarnation,
        };
        self.profile = Arc::new(Profile {
            life,
            ..(*self.profile).clone()
        });
        self.phase = Phase::Settled;
        self.settle(now);
        self.update_quorum();
        self.signal_membership();
    }

    /// Says something new of oneself.
    fn announce(&mut self, now: Instant, profile: Profile) {
        let side = self.said_side(now);
        self.profile = Arc::new(Profile { side, ..profile });
        let rumor = crate::message::Rumor::Alive(self.profile.clone());
        self.roster.apply(now, &rumor);
        self.on_view_changed(now, self.me);
        self.spread(now, rumor, None, true);
        self.signal_membership();
    }

    /// The fingerprint changed by this member.
    fn on_view_changed(&mut self, now: Instant, id: NodeId) {
        self.changed.insert(id);
        self.rings.touch(id);
        self.gossip.on_changed();
        if !self.is_torn()
            && let Some(at) = self.divergence.on_changed(&self.config, now, &mut self.rng)
        {
            let at = at + self.gossip.unrest(now);
            self.timers.set(Timer::Compare, at);
        }
        self.update_quorum();
    }

    fn refreshed_rings(&mut self) -> &Rings {
        if self.rings.is_stale() {
            self.rings.refresh(self.roster.members());
        }
        &self.rings
    }

    fn contact(&self, id: NodeId) -> Option<Contact> {
        self.roster.contact(id)
    }

    fn send(&mut self, to: NodeId, class: Class, messages: impl Into<Messages>) {
        if let Some(contact) = self.contact(to) {
            self.transmit(contact, class, messages);
        }
    }

    fn transmit(&mut self, to: Contact, class: Class, messages: impl Into<Messages>) {
        self.transmit_to(Target::Node(to), class, messages);
    }

    fn transmit_to(&mut self, to: Target, class: Class, messages: impl Into<Messages>) {
        let packet = Packet {
            cluster: self.cluster.tag(),
            fingerprint: self.fingerprint(),
            messages: messages.into(),
        };
        self.out
            .push_back(Output::Transmit(Transmit { to, class, packet }));
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn signal(&mut self, signal: Signal) {
        self.out.push_back(Output::Signal(signal));
    }

    fn signal_membership(&mut self) {
        let membership = self.membership();
        self.signal(Signal::Membership(membership));
    }

    /// Whether a peer may be told again that it is not believed.
    fn may_tell(&mut self, now: Instant, to: &Contact) -> bool {
        let peer = (to.id(), to.address);
        let told = self.told.get(&peer);
        let recent = told.is_some_and(|&at| now.since(at) < TOLD_INTERVAL);
        if recent || self.told.len() >= TOLD_MAX {
            return false;
        }
        self.told.insert(peer, now);
        true
    }

    /// Notes something about a member whose name is known.
    fn note(&mut self, now: Instant, id: NodeId, life: Life, what: What) {
        if let Some(about) = self.name_of(id) {
            self.note_about(now, about, life, what);
        }
    }

    fn note_about(&mut self, now: Instant, about: NodeName, life: Life, what: What) {
        self.cases.record(Finding {
            at: now,
            about,
            incarnation: life.incarnation,
            what,
        });
    }

    /// The name of a member, or of one of the past.
    fn name_of(&self, id: NodeId) -> Option<NodeName> {
        if id == self.me {
            return Some(self.profile.name.clone());
        }
        let member = self.roster.member(id).map(|member| &member.profile.name);
        let past = || self.roster.acquaintance(id).map(|entry| &entry.name);
        member.or_else(past).cloned()
    }

    /// The name and the life of a member, or of one of the past.
    fn last_known(&self, id: NodeId) -> Option<(NodeName, Life)> {
        let member = self.roster.member(id);
        let life = member.map(|member| member.standing.life);
        let past = || Some(self.roster.acquaintance(id)?.standing.life);
        Some((self.name_of(id)?, life.or_else(past)?))
    }

    fn member_event(&self, id: NodeId) -> Option<MemberEvent> {
        let member = self.roster.member(id)?;
        Some(MemberEvent {
            name: member.profile.name.clone(),
            life: member.standing.life,
        })
    }
}

fn says_removed(message: &Message, id: NodeId) -> bool {
    matches!(message, Message::Rumor(crate::message::Rumor::Removed { id: removed, .. }) if *removed == id)
}

/// Whether a removed node says that it was admitted again since.
fn comes_anew(packet: &Packet, id: NodeId, buried: Admission) -> bool {
    let anew = |message: &Message| match message {
        Message::Rumor(rumor) => rumor.id() == id && rumor.standing().life.admission > buried,
        _ => false,
    };
    packet.messages.iter().any(anew)
}

impl Membership {
    /// A node that has no past: alone in a cluster of its own, or, where discovery is on, in the
    /// one that all nodes of its cluster name start in.
    pub fn founding(cluster: ClusterId, incarnation: Incarnation, discovery: bool) -> Self {
        Self {
            cluster,
            admission: Admission(1),
            admitted: false,
            incarnation,
            discovery,
            withdrawn: false,
            down: false,
        }
    }
}
