//! Turns the engine's changes into views, notices and log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use convoke_core::case::Finding;
use convoke_core::{Engine, Event, Instant, NodeId, NodeName, Stats};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::events::{NOTICES_MAX, Notice, Subscription};
use crate::members::Members;
use crate::view::{Down, MemberView, Partition, View};

/// Time between two publications of counters.
const STATS_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);

/// Where readers look. Written by the driver alone; reading it waits for nobody.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) view: ArcSwap<View>,
    pub(crate) stats: ArcSwap<(Stats, u32)>,
    /// What the engine found about members of late, the oldest first.
    pub(crate) findings: ArcSwap<Vec<Arc<Finding>>>,
    /// Weak: with the driver the subscriptions end.
    notices: broadcast::WeakSender<Arc<Notice>>,
    pub(crate) discovery: AtomicBool,
}

impl Published {
    pub(crate) fn subscribe(&self) -> Subscription {
        let receiver = match self.notices.upgrade() {
            Some(notices) => notices.subscribe(),
            None => broadcast::channel(1).1,
        };
        Subscription::new(receiver)
    }
}

/// The driver's side of it.
#[derive(Debug)]
pub(crate) struct Publisher {
    published: Arc<Published>,
    notices: broadcast::Sender<Arc<Notice>>,
    clock: Clock,
    cluster_name: Arc<str>,
    local: NodeName,
    members: Members,
    /// It may name half of the members: views share it until it changes.
    partition: Option<Arc<Partition>>,
    changed: bool,
    events: Vec<Event>,
    seq: u64,
    stats_at: Instant,
    /// How many findings the engine had made when they were last published.
    found: u64,
}

impl Publisher {
    /// A publisher, and what the engine knows from the start.
    pub(crate) fn new(
        engine: &Engine,
        clock: Clock,
        cluster_name: Arc<str>,
        local: NodeName,
    ) -> (Self, Arc<Published>) {
        let view = View {
            cluster_name: cluster_name.clone(),
            cluster_id: engine.membership().cluster,
            local: local.clone(),
            fingerprint: engine.fingerprint(),
            quorum: engine.has_quorum(),
            partition: None,
            down: None,
            size: engine.size(),
            members: Members::new(),
        };
        let notices = broadcast::channel(NOTICES_MAX).0;
        let published = Arc::new(Published {
            view: ArcSwap::from_pointee(view),
            stats: ArcSwap::from_pointee((engine.stats().clone(), engine.awareness())),
            findings: ArcSwap::default(),
            notices: notices.downgrade(),
            discovery: AtomicBool::new(engine.membership().discovery),
        });
        let mut publisher = Self {
            published: published.clone(),
            notices,
            clock,
            cluster_name,
            local,
            members: Members::new(),
            partition: None,
            changed: true,
            events: Vec::new(),
            seq: 0,
            stats_at: Instant::ORIGIN,
            found: 0,
        };
        let ids: Vec<_> = engine.members().map(|(id, _)| id).collect();
        for id in ids {
            publisher.on_changed(engine, id);
        }
        publisher.publish(engine, clock.now());
        (publisher, published)
    }

    /// What the engine says of this member has changed.
    pub(crate) fn on_changed(&mut self, engine: &Engine, id: NodeId) {
        self.changed = true;
        let member = engine.member(id);
        let view = member.and_then(|member| MemberView::new(member, self.clock.wall(member.since)));
        match view {
            Some(member) => self.members.insert(member),
            None => self.members.remove(id),
        }
        if id == self.local.id() {
            self.partition = self.partition(engine);
        }
    }

    /// The partition that stands. Where it changes, the engine says that this node's own entry did.
    fn partition(&self, engine: &Engine) -> Option<Arc<Partition>> {
        let partition = engine.partition()?;
        Some(Arc::new(Partition {
            kind: partition.kind,
            unreachable: partition.unreachable.clone(),
            share: partition.share,
            since: self.clock.wall(partition.since),
        }))
    }

    /// Something of the whole has changed: the cluster, the quorum, the partition.
    pub(crate) fn on_whole_changed(&mut self) {
        self.changed = true;
    }

    /// An event, to be told once the view shows it.
    pub(crate) fn on_event(&mut self, event: Event) {
        self.changed = true;
        log(&self.local, &event);
        self.events.push(event);
    }

    /// Publishes what has changed since the last time: the view first, so that whoever hears of an
    /// event finds it there.
    pub(crate) fn publish(&mut self, engine: &Engine, now: Instant) {
        if std::mem::take(&mut self.changed) {
            self.published.view.store(Arc::new(self.view(engine)));
            self.published
                .discovery
                .store(engine.membership().discovery, Ordering::Relaxed);
        }
        if engine.findings_made() != self.found {
            self.found = engine.findings_made();
            let findings = engine.findings().cloned().collect();
            self.published.findings.store(Arc::new(findings));
        }
        for event in self.events.drain(..) {
            self.seq += 1;
            let notice = Notice {
                seq: self.seq,
                at: self.clock.wall(now),
                since: since(&event).map(|since| self.clock.wall(since)),
                event,
            };
            // An error means that nobody listens.
            let _ = self.notices.send(Arc::new(notice));
        }
        if now - self.stats_at >= STATS_INTERVAL {
            self.stats_at = now;
            self.published
                .stats
                .store(Arc::new((engine.stats().clone(), engine.awareness())));
        }
    }

    fn down(&self, engine: &Engine) -> Option<Down> {
        let downed = engine.downed()?;
        Some(Down {
            policy: downed.policy,
            present: downed.present,
            all: downed.all,
            since: self.clock.wall(downed.since),
            resumed: downed.resumed,
        })
    }

    fn view(&self, engine: &Engine) -> View {
        View {
            cluster_name: self.cluster_name.clone(),
            cluster_id: engine.membership().cluster,
            local: self.local.clone(),
            fingerprint: engine.fingerprint(),
            quorum: engine.has_quorum(),
            partition: self.partition.clone(),
            down: self.down(engine),
            size: engine.size(),
            members: self.members.clone(),
        }
    }
}

/// Since when what an event tells of stands.
fn since(event: &Event) -> Option<Instant> {
    match event {
        Event::PartitionDetected(partition) => Some(partition.since),
        Event::Downed(downed) => Some(downed.since),
        _ => None,
    }
}

fn log(node: &NodeName, event: &Event) {
    use tracing::{error, info, warn};
    match event {
        Event::MemberJoined(profile) => {
            info!(%node, member = %profile.name, incarnation = profile.life.incarnation.0, address = %profile.address, "member joined");
        }
        Event::MemberSuspected(member) => {
            info!(%node, member = %member.name, incarnation = member.life.incarnation.0, "member suspected");
        }
        Event::MemberRefuted(member) => {
            info!(%node, member = %member.name, incarnation = member.life.incarnation.0, "member refuted a suspicion");
        }
        Event::MemberFailed { member, refused } => {
            let found = if *refused { "refused" } else { "silent" };
            warn!(%node, member = %member.name, incarnation = member.life.incarnation.0, found, "member failed");
        }
        Event::MemberLeft(member) => {
            info!(%node, member = %member.name, incarnation = member.life.incarnation.0, "member left");
        }
        Event::MemberRemoved(member) => {
            warn!(%node, member = %member.name, admission = member.life.admission.0, "member removed by force-leave");
        }
        Event::MemberForgotten(member) => {
            info!(%node, member = %member.name, incarnation = member.life.incarnation.0, "member forgotten");
        }
        Event::TagsChanged(profile) => {
            info!(%node, member = %profile.name, incarnation = profile.life.incarnation.0, "member changed its tags");
        }
        Event::PartitionDetected(partition) => {
            warn!(%node, kind = ?partition.kind, unreachable = partition.unreachable.len(), share = partition.share, quorum = partition.quorum, "partition detected");
        }
        Event::PartitionHealed { lasted, sides } => {
            info!(%node, ?lasted, sides, "partition healed");
        }
        Event::Downed(downed) => {
            error!(%node, policy = ?downed.policy, present = downed.present, all = downed.all, "this node is down: its side of the partition gives up. It should serve nobody; it comes up by itself when the partition is over");
        }
        Event::Restored => info!(%node, "this node is up again: it may serve"),
        Event::QuorumLost => warn!(%node, "quorum lost"),
        Event::QuorumGained => info!(%node, "quorum gained"),
    }
}
