//! Spreading: accepting facts, passing them on, and comparing with those who differ.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::joining::Phase;
use crate::case::What;
use crate::codec::{HEADER_BYTES, message_bytes};
use crate::dissemination::Leisure;
use crate::member::{Admission, Fingerprint, Instance, Life, Member, Profile, Standing, State};
use crate::message::{Compare, Contact, Failed, Message, Rumor, Summaries};
use crate::name::{NodeId, NodeName};
use crate::output::{Class, Event, MemberEvent, Signal};
use crate::partition::Return;
use crate::reconcile;
use crate::roster::{Change, Transition};
use crate::time::Instant;
use crate::timers::Timer;
use crate::verdicts::pack;

/// The most rumors of one flush: some twenty datagrams to each successor. More go with the next.
const FLUSH_RUMORS_MAX: usize = 256;
/// How many random neighbours a slow tick repeats news to.
const GOSSIP_PEERS: usize = 2;
/// A packet of records is closed when it has this many bytes.
const RECORDS_BYTES: usize = 256 << 10;
/// The most members of which it is remembered that they came back just now.
pub(super) const RETURNED_MAX: usize = 16_384;
/// How long a comparison waits for news that were not sent yet.
const FRESH_PATIENCE: Duration = Duration::from_millis(50);

impl Engine {
    // ---- accepting ----

    pub(super) fn on_rumor(&mut self, now: Instant, from: &Contact, rumor: &Rumor) {
        if rumor.id() == self.me {
            self.on_rumor_about_me(now, from, rumor);
            return;
        }
        self.newcomer.hear(from.id(), now);
        match rumor {
            Rumor::Failed(failed) => self.on_verdict(now, from.id(), failed),
            Rumor::Absent { .. } => {
                self.on_record(now, from, rumor, true);
                self.challenge_next(now);
            }
            rumor => {
                self.accept(now, rumor, Some(from.id()), true);
            }
        }
    }

    pub(super) fn verdict_quorum(&self) -> u8 {
        let others = u8::try_from(self.roster.present().saturating_sub(2)).unwrap_or(u8::MAX);
        self.config.verdict_quorum.min(others)
    }

    fn on_rumor_about_me(&mut self, now: Instant, from: &Contact, rumor: &Rumor) {
        match rumor {
            Rumor::Removed { admission, .. } => self.on_removed(now, from, *admission),
            Rumor::Alive(profile) => self.on_namesake(now, profile),
            Rumor::Absent { profile, .. } if profile.instance != self.profile.instance => {
                self.on_namesake(now, profile);
            }
            _ if self.is_departing() => {}
            _ if rumor.standing() > Standing::alive(self.profile.life) => {
                self.note_denial(now, from.id());
                self.refute(now, rumor.standing().life);
                self.bridge(now, from.id());
                self.transmit(
                    from.clone(),
                    Class::Datagram,
                    vec![Message::Rumor(Rumor::Alive(self.profile.clone()))],
                );
            }
            _ => {}
        }
    }

    /// A process of this node's name speaks. At this node's own address it can only be a former
    /// life; elsewhere it is alive, and of the two the one that started first keeps the name.
    fn on_namesake(&mut self, now: Instant, other: &Profile) {
        if other.instance == self.profile.instance
            || other.life < self.profile.life
            || self.is_departing()
        {
            return;
        }
        let elsewhere = other.address != self.profile.address;
        if elsewhere
            && other.instance < self.profile.instance
            && other.life.admission >= self.profile.life.admission
        {
            self.note(now, self.me, self.profile.life, What::GaveWay);
            self.signal(Signal::NameConflict {
                winner: other.address,
            });
            self.evict(now, Event::MemberLeft);
        } else {
            self.refute(now, other.life);
        }
    }

    /// Merges a fact and does all that follows from it. `forward`: whether others are to hear it
    /// from here. True where it was news.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        rumor: &Rumor,
        from: Option<NodeId>,
        forward: bool,
    ) -> bool {
        let id = rumor.id();
        if self.roster.is_known(rumor) {
            // Most of what comes: the same from each neighbour.
            self.gossip.on_heard_again(rumor);
            self.stats.stale_rumors += 1;
            return false;
        }
        let event = self.member_event(id);
        let removal = matches!(rumor, Rumor::Removed { .. });
        let known = removal.then(|| self.last_known(id)).flatten();
        let member = self.roster.member(id);
        let instance = member.map(|member| member.profile.instance);
        let address = member.map(|member| member.profile.address);
        let transition = self.roster.apply(now, rumor);
        if self.is_present(id) {
            self.mates.meet(id, now);
        } else if self.roster.member(id).is_some() || self.roster.tombstone(id).is_some() {
            self.mates.strike(id);
        }
        self.note_transition(now, rumor, from, &transition, known, address);
        let covered = match transition {
            Transition::Stale | Transition::Unknown => {
                self.gossip.on_heard_again(rumor);
                self.stats.stale_rumors += 1;
                return false;
            }
            Transition::Full => {
                self.stats.over_limit += 1;
                return false;
            }
            Transition::BelowFloor(floor) => {
                self.question_the_forgotten(now, rumor, floor.standing.life);
                return false;
            }
            Transition::Learned => {
                self.changed.insert(id);
                let since = self.roster.member(id).map(|member| member.since);
                self.watch_failed(now, id, since.map_or(Duration::ZERO, |at| now.since(at)));
                self.update_quorum();
                return false;
            }
            Transition::Joined { was } => {
                self.on_joined(now, id, was, instance);
                true
            }
            Transition::Renewed {
                was_suspected,
                restarted,
                retagged,
            } => {
                self.on_renewed(now, id, was_suspected, restarted, retagged);
                true
            }
            Transition::Failed(Change { was_present }) => {
                self.watch_failed(now, id, Duration::ZERO);
                let refused = self.roster.member(id).is_some_and(|member| member.refused);
                let event = event.map(|member| Event::MemberFailed { member, refused });
                self.on_gone(now, id, was_present, event);
                was_present
            }
            Transition::Left(Change { was_present }) => {
                self.watch.on_gone(id);
                self.assess_soon(now);
                self.on_gone(now, id, was_present, event.map(Event::MemberLeft));
                was_present
            }
            Transition::Removed(member) => {
                self.watch.on_gone(id);
                self.assess_soon(now);
                let was_present = member.is_some_and(|member| member.is_present());
                self.on_gone(now, id, was_present, event.map(Event::MemberRemoved));
                was_present
            }
        };
        if forward {
            self.spread(now, rumor.clone(), from, covered);
        }
        true
    }

    /// Notes what is told by no other finding: this node's own verdicts are noted where they fall.
    /// `address`: where the member was before.
    fn note_transition(
        &mut self,
        now: Instant,
        rumor: &Rumor,
        from: Option<NodeId>,
        transition: &Transition,
        known: Option<(NodeName, Life)>,
        address: Option<SocketAddr>,
    ) {
        let via = |engine: &Self| from.and_then(|from| engine.name_of(from));
        let what = match transition {
            Transition::Joined { was: Some(_) } => What::Returned,
            Transition::Renewed {
                restarted: true, ..
            } => match self.contact(rumor.id()).map(|contact| contact.address) {
                Some(at) if address != Some(at) => What::Replaced { at },
                _ => What::Restarted,
            },
            Transition::Renewed {
                was_suspected: true,
                ..
            } => What::Refuted,
            Transition::Failed(_) => match rumor {
                Rumor::Failed(failed) if failed.by == self.me => return,
                Rumor::Failed(failed) => What::Believed {
                    by: self.name_of(failed.by),
                    via: via(self),
                    accusers: failed.accusers,
                    refused: failed.refused,
                },
                _ => What::Believed {
                    by: None,
                    via: via(self),
                    accusers: 0,
                    refused: says_refused(rumor),
                },
            },
            Transition::Left(_) => What::Left,
            Transition::Removed(_) if from.is_some() => {
                let removed = What::Removed { via: via(self) };
                if let Some((name, life)) = known {
                    self.note_about(now, name, life, removed);
                }
                return;
            }
            _ => return,
        };
        self.note(now, rumor.id(), rumor.standing().life, what);
    }

    /// Somebody is present who was not. `instance`: the process that was known of it before.
    fn on_joined(
        &mut self,
        now: Instant,
        id: NodeId,
        was: Option<State>,
        instance: Option<Instance>,
    ) {
        if was == Some(State::Failed) {
            let profile = self.roster.member(id).map(|member| &member.profile);
            // Of one that was only remembered it is not known which process it was; but who was
            // started since names no side.
            let lived = |profile: &&Arc<Profile>| {
                let unknown = instance == Some(Instance::UNKNOWN) && profile.side.is_some();
                unknown || Some(profile.instance) == instance
            };
            let same = profile.filter(lived);
            let how = same.map_or(Return::Restarted, |profile| Return::Lived(profile.side));
            if matches!(how, Return::Lived(_)) {
                self.note_late_objection(now);
            }
            self.watch.on_returned(id, how, &self.config, now);
            self.assess_soon(now);
            self.bridge_by_hearsay(now, id);
            if self.returned.len() < RETURNED_MAX {
                self.returned.insert(id, now);
            }
        }
        let profile = self
            .roster
            .member(id)
            .expect("member is known: it just joined")
            .profile
            .clone();
        self.event(Event::MemberJoined(profile));
        if !self.admitted || self.withdrawn {
            (self.admitted, self.withdrawn) = (true, false);
            self.signal_membership();
        }
        self.on_view_changed(now, id);
        // What was removed while nobody could hear of it is in no news that go round.
        if self.roster.present() == 2 && self.roster.tombstones().next().is_some() {
            self.compare_with(now, id);
        }
        self.on_member_arrived(now, id);
    }

    fn on_renewed(
        &mut self,
        now: Instant,
        id: NodeId,
        was_suspected: bool,
        restarted: bool,
        retagged: bool,
    ) {
        let member = self.roster.member(id);
        let member = member.expect("member is known: it was renewed");
        let (profile, life) = (member.profile.clone(), member.standing.life);
        self.note_objection(now, id, life);
        if self
            .suspicions
            .get(&id)
            .is_some_and(|suspicion| suspicion.life >= life)
        {
            // The accusation of this life came before the news of it, and stands.
            self.roster.set_suspected(now, id, true);
        } else {
            if self.accuses(id) && !restarted {
                let window = self.config.cut_window;
                self.prober.note_mistake(id, window, now);
            }
            self.end_suspicion(id);
            self.challenge_next(now);
        }
        if restarted {
            self.prober.forget(id);
            self.event(Event::MemberJoined(profile));
        } else if was_suspected {
            self.flaps.add(id, self.config.flap_half_life, now);
            let name = profile.name.clone();
            self.event(Event::MemberRefuted(MemberEvent { name, life }));
        } else if retagged {
            self.event(Event::TagsChanged(profile));
        }
        self.on_view_changed(now, id);
    }

    fn on_gone(&mut self, now: Instant, id: NodeId, was_present: bool, event: Option<Event>) {
        self.end_suspicion(id);
        self.expect_less_of(now, id);
        self.prober.forget(id);
        self.divergence.forget(id);
        event.into_iter().for_each(|event| self.event(event));
        if was_present {
            self.on_view_changed(now, id);
        } else {
            self.changed.insert(id);
            self.update_quorum();
        }
        self.challenge_next(now);
    }

    /// A stale copy says that somebody lives who was forgotten as dead. It may be so: ask.
    fn question_the_forgotten(&mut self, now: Instant, rumor: &Rumor, life: Life) {
        if let Rumor::Alive(profile) | Rumor::Absent { profile, .. } = rumor {
            let contact = Contact {
                name: profile.name.clone(),
                address: profile.address,
            };
            self.tell_failed(now, &contact, life);
        }
    }

    // ---- passing on ----

    /// Queues a rumor, to be flushed after the coalescing delay.
    pub(super) fn spread(
        &mut self,
        now: Instant,
        rumor: Rumor,
        from: Option<NodeId>,
        covered: bool,
    ) {
        let at = self.gossip.flush_at(&rumor, now, &mut self.rng);
        self.timers.set_by(Timer::Flush, at);
        self.stats.rumors_dropped += self
            .gossip
            .push(rumor, from, covered, self.config.rumors_max);
    }

    pub(super) fn on_flush(&mut self, now: Instant) {
        self.timers.stop(Timer::Flush);
        if let Some(until) = self.silent_until().filter(|&until| until > now) {
            return self.listen(now, until);
        }
        let fanout = self.config.fanout + usize::from(self.prober.is_lossy());
        let members = self.roster.len();
        let leisurely = self.gossip.leisure().is_some();
        let companions = leisurely.then(|| self.companions(now)).flatten();
        self.gossip.set_pace(self.newcomer.pace(now));
        let fresh = self
            .gossip
            .flush(&self.config, fanout, members, now, FLUSH_RUMORS_MAX);
        for (place, peer) in self.flush_peers(now, fanout, companions) {
            let news = fresh.iter().filter(|fresh| {
                fresh.from != Some(peer) && fresh.rumor.id() != peer && place < fresh.reach
            });
            let news = news.map(|fresh| Message::Rumor(fresh.rumor.clone()));
            self.send_packed(peer, news.collect());
        }
        if self.gossip.has_fresh() {
            let at = self.gossip.next_flush_at(now, &mut self.rng);
            self.timers.set(Timer::Flush, at);
        }
        if !self.gossip.is_empty() {
            self.timers
                .set_by(Timer::Gossip, now + self.config.gossip_interval);
        }
    }

    /// Until when a newcomer keeps its news to itself: whom it joined tells that it is there.
    fn silent_until(&self) -> Option<Instant> {
        let until = self.newcomer.until();
        until.filter(|_| self.gossip.leisure() == Some(Leisure::Own))
    }

    /// Where a newcomer is told nothing, it was picked by nobody who knows more: it asks.
    fn listen(&mut self, now: Instant, until: Instant) {
        self.companions(now);
        if let Some(asked) = self.newcomer.asks(now) {
            self.compare_with(now, asked);
        }
        let again = self.newcomer.asks_at(now, &mut self.rng);
        self.timers.set(Timer::Flush, again.min(until));
    }

    /// Whom a newcomer passes news on to that are of joins alone, while it is new.
    pub(super) fn companions(&mut self, now: Instant) -> Option<Vec<NodeId>> {
        if !self.newcomer.is_new(now) {
            return None;
        }
        let (me, roster, rng) = (self.me, &self.roster, &mut self.rng);
        let companions = self.newcomer.companions(|fits| {
            let fits = |id, _: &Member| id != me && fits(id);
            roster.random_present(rng, fits)
        });
        Some(companions.to_vec())
    }

    /// Whom news go to: a newcomer's companions; else so many successors, each with its place; and
    /// those who are to hear them all.
    fn flush_peers(
        &mut self,
        now: Instant,
        fanout: usize,
        companions: Option<Vec<NodeId>>,
    ) -> Vec<(usize, NodeId)> {
        let mut peers = self.refreshed_rings().successors().to_vec();
        if self.gossip.is_crowded(now) {
            // Those who are silent are likely to be the next.
            peers.sort_by_key(|&id| !self.is_healthy(id));
        }
        peers.truncate(fanout);
        let mut all = Vec::new();
        if let Some(companions) = companions {
            // A crowd's host is nobody's companion: it hears from those before it on the rings.
            peers.retain(|&id| self.newcomer.is_host(id));
            all = companions;
        }
        let bridged = self.bridges.iter().filter(|(_, until)| **until > now);
        all.extend(bridged.map(|(&id, _)| id));
        all.retain(|id| !peers.contains(id));
        let all = all.into_iter().map(|id| (0, id));
        let all: Vec<_> = all.collect();
        peers.into_iter().enumerate().chain(all).collect()
    }

    /// Sends messages in as few datagrams as they fit into.
    fn send_packed(&mut self, to: NodeId, messages: Vec<Message>) {
        let Some(contact) = self.contact(to) else {
            return;
        };
        let room = self.config.datagram_bytes_max.saturating_sub(HEADER_BYTES);
        let (mut packet, mut bytes) = (Vec::new(), 0);
        for message in messages {
            let size = message_bytes(&message);
            if bytes + size > room && !packet.is_empty() {
                let packed = pack(std::mem::take(&mut packet));
                self.transmit(contact.clone(), Class::Datagram, packed);
                bytes = 0;
            }
            bytes += size;
            packet.push(message);
        }
        if !packet.is_empty() {
            self.transmit(contact, Class::Datagram, pack(packet));
        }
    }

    pub(super) fn on_gossip_tick(&mut self, now: Instant) {
        let companions = self.companions(now);
        let mut neighbours = companions.unwrap_or_else(|| {
            let rings = self.refreshed_rings();
            let known = |id: &&NodeId| !rings.successors().contains(id);
            let others = rings.subjects().iter().filter(known);
            rings.successors().iter().chain(others).copied().collect()
        });
        self.rng.shuffle(&mut neighbours);
        for peer in neighbours.into_iter().take(GOSSIP_PEERS) {
            let agrees = self.divergence.agrees(peer, self.fingerprint());
            let mut room = self.config.datagram_bytes_max.saturating_sub(HEADER_BYTES);
            let fits = |rumor: &Rumor| {
                let size = message_bytes(&Message::Rumor(rumor.clone()));
                room = room.saturating_sub(size);
                room > 0
            };
            let rumors = self.gossip.repeat(agrees, fits);
            if !rumors.is_empty() {
                let packed = pack(rumors.into_iter().map(Message::Rumor).collect());
                self.send(peer, Class::Datagram, packed);
            }
        }
        self.gossip.end_tick();
        if !self.gossip.is_empty() {
            self.timers
                .set(Timer::Gossip, now + self.config.gossip_interval);
        }
    }

    // ---- comparing ----

    /// A present member showed what it holds.
    pub(super) fn on_fingerprint(&mut self, now: Instant, peer: NodeId, theirs: Fingerprint) {
        let ours = self.fingerprint();
        self.gossip.on_fingerprint(peer, theirs, ours);
        let at =
            self.divergence
                .on_fingerprint(peer, theirs, ours, &self.config, now, &mut self.rng);
        self.set_compare(now, at);
        self.on_joined_seen(peer);
    }

    pub(super) fn set_compare(&mut self, now: Instant, at: Option<Instant>) {
        if let Some(at) = at {
            let unrest = self.gossip.unrest(now);
            let unrest = unrest * u32::from(!self.is_torn());
            self.timers.set(Timer::Compare, at + unrest);
        }
    }

    pub(super) fn on_compare_turn(&mut self, now: Instant) {
        if self.gossip.has_fresh() {
            self.timers.set(Timer::Compare, now + FRESH_PATIENCE);
        } else if let Some(peer) = self.divergence.begin(now) {
            self.compare_with(now, peer);
        }
    }

    /// Begins a comparison.
    pub(super) fn compare_with(&mut self, now: Instant, peer: NodeId) {
        self.stats.reconciliations += 1;
        let ranges = reconcile::opening(&self.roster.compared(now));
        let compare = Compare {
            cluster: self.cluster,
            ranges,
        };
        self.send(peer, Class::Reliable, vec![Message::Compare(compare)]);
    }

    pub(super) fn on_compare(&mut self, now: Instant, from: &Contact, compare: &Compare) {
        if compare.cluster != self.cluster {
            self.stats.foreign_packets += 1;
            return;
        }
        self.newcomer.hear(from.id(), now);
        let answer = reconcile::answer_compare(&self.roster.compared(now), compare);
        let mut messages = Vec::new();
        if !answer.compare.is_empty() {
            messages.push(Message::Compare(Compare {
                cluster: self.cluster,
                ranges: answer.compare,
            }));
        }
        if !answer.ranges.is_empty() {
            let summaries = Summaries {
                cluster: self.cluster,
                ranges: answer.ranges,
                items: answer.items,
            };
            messages.push(Message::Summaries(summaries));
        }
        if !messages.is_empty() {
            self.transmit(from.clone(), Class::Reliable, messages);
        }
    }

    pub(super) fn on_summaries(&mut self, now: Instant, from: &Contact, summaries: &Summaries) {
        if summaries.cluster != self.cluster {
            self.stats.foreign_packets += 1;
            return;
        }
        let mut answer = reconcile::answer_summaries(&self.roster.compared(now), summaries);
        let unshown = self.take_unshown(now, &mut answer.want, summaries);
        self.send_packets_of(from, unshown);
        if !answer.want.is_empty() {
            self.transmit(
                from.clone(),
                Class::Reliable,
                vec![Message::Want(answer.want)],
            );
        }
        self.send_records(now, from, &answer.send);
    }

    /// Takes out of what is wanted whom the peer holds alive, or not yet dead, and this node has
    /// forgotten since: the peer slept meanwhile, and nobody else would tell it.
    fn take_unshown(&self, now: Instant, want: &mut Vec<NodeId>, theirs: &Summaries) -> Vec<Rumor> {
        let theirs: BTreeMap<_, _> = theirs.items.iter().copied().collect();
        let mut unshown = Vec::new();
        want.retain(|&id| {
            let held = theirs.get(&id);
            let later = held.and_then(|&standing| self.roster.unshown(id, standing, now));
            let kept = later.is_none();
            unshown.extend(later);
            kept
        });
        unshown
    }

    pub(super) fn on_want(&mut self, now: Instant, from: &Contact, ids: &[NodeId]) {
        self.send_records(now, from, ids);
    }

    fn send_records(&mut self, now: Instant, to: &Contact, ids: &[NodeId]) {
        let records = ids.iter().filter_map(|&id| self.roster.rumor(id, now));
        let records: Vec<_> = records.collect();
        self.send_packets_of(to, records);
    }

    /// Sends records in packets that keep well below the largest.
    fn send_packets_of(&mut self, to: &Contact, records: Vec<Rumor>) {
        let (mut packet, mut bytes) = (Vec::new(), 0);
        for record in records {
            bytes += message_bytes(&Message::Rumor(record.clone()));
            packet.push(record);
            if bytes >= RECORDS_BYTES {
                let full = std::mem::take(&mut packet);
                self.transmit(to.clone(), Class::Reliable, vec![Message::Records(full)]);
                bytes = 0;
            }
        }
        if !packet.is_empty() {
            self.transmit(to.clone(), Class::Reliable, vec![Message::Records(packet)]);
        }
    }

    /// What a comparison brought. That somebody present is held as failed elsewhere is believed
    /// only of those whom this node accuses itself; the others are asked.
    pub(super) fn on_records(&mut self, now: Instant, from: &Contact, records: &[Rumor]) {
        self.newcomer.hear(from.id(), now);
        let forward = !matches!(self.phase, Phase::CatchingUp(_));
        for record in records {
            if record.id() == self.me {
                self.on_rumor_about_me(now, from, record);
            } else {
                self.on_record(now, from, record, forward);
            }
        }
        self.challenge_next(now);
    }

    /// Somebody's whole fact about another member. Where that one is present here and failed there,
    /// it is this node's own verdict, or a question, and travels as such.
    fn on_record(&mut self, now: Instant, from: &Contact, record: &Rumor, forward: bool) {
        let (id, standing) = (record.id(), record.standing());
        let newer = |member: &Member| member.is_present() && standing > member.standing;
        let in_doubt = standing.state == State::Failed && self.roster.member(id).is_some_and(newer);
        if !in_doubt {
            self.accept(now, record, Some(from.id()), forward);
        } else if self.awaits_objection(id, standing.life) {
            self.gossip.on_heard_again(record);
        } else if self.accuses(id) {
            let accusers = self.suspicions[&id].accusers().len();
            let believed = What::Believed {
                by: None,
                via: Some(from.name.clone()),
                accusers: 0,
                refused: says_refused(record),
            };
            self.note(now, id, standing.life, believed);
            let failed = Failed {
                id,
                life: standing.life,
                by: self.me,
                accusers: u8::try_from(accusers).unwrap_or(u8::MAX),
                doubtful: self.is_doubtful(now),
                refused: says_refused(record),
                heard: false,
            };
            self.accept(now, &Rumor::Failed(failed), Some(from.id()), forward);
        } else {
            self.challenge(id, standing.life);
        }
    }

    // ---- removals ----

    fn on_removed(&mut self, now: Instant, from: &Contact, admission: Admission) {
        if admission >= self.profile.life.admission {
            self.on_own_removal(now, from);
        } else if self.may_tell(now, from) {
            // The peer knows of the removal, but not of the admission since.
            let myself = Message::Rumor(Rumor::Alive(self.profile.clone()));
            self.transmit(from.clone(), Class::Reliable, vec![myself]);
        }
    }
}

/// Whether a fact about an absent member says that its host refused.
fn says_refused(record: &Rumor) -> bool {
    matches!(record, Rumor::Absent { refused: true, .. })
}
