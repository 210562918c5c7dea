//! Connections that are being made, with the packets that wait for them.
//!
//! The driver owns this; the dials themselves run in tasks of their own and come back as inputs.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use convoke_core::{Class, Config as EngineConfig, Contact, Instant, NodeId, Target};
use quinn::{ClientConfig, Connecting, Connection, ConnectionError, VarInt};
use tokio::time::timeout;

use crate::hail::Unease;
use crate::identity::{self, GOSSIP_ALPN, server_name};
use crate::input::Input;
use crate::knock::Knocker;
use crate::link::{Close, Link};
use crate::rim::Rim;
use crate::{accept, refusal};

/// How long a handshake may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// … where nobody knows who is there: it is the first one with a host that may have hundreds to let in,
/// and one begun anew would stand at the end of the line.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(4);
/// When a handshake repeats its first packet, about.
const REPEATED_AFTER: Duration = Duration::from_millis(300);
/// The part of the datagrams' patience that a handshake gets where nobody answered a hail. On a LAN
/// that is one packet.
const LAST_TRY_DIVISOR: u32 = 3;
/// Handshakes that this node begins at a time. A handshake costs a millisecond of CPU.
const DIALS_MAX: usize = 64;
/// Peers that may wait for their dial. Packets for more are dropped and counted.
const WAITING_MAX: usize = 4096;
/// Packets that wait for one connection. The oldest datagram is dropped for a newer one.
const PACKETS_MAX: usize = 16;
/// Time between two dials beside a connection that has gone stale.
const REDIAL_INTERVAL: Duration = Duration::from_secs(1);

/// The dials of one node.
pub(crate) struct Dials {
    rim: Arc<Rim>,
    named: ClientConfig,
    stranger: ClientConfig,
    open: HashMap<Key, Dial>,
    /// Peers that a stream or a join waits for; they go first.
    urgent: VecDeque<Key>,
    /// Peers that only datagrams wait for.
    ordinary: VecDeque<Key>,
    running: usize,
    /// How long datagrams wait for a dial to begin, and then for its end.
    patience: Duration,
    knocker: Arc<Knocker>,
    unease: Arc<Unease>,
    redialed: HashMap<NodeId, Instant>,
}

/// Whom a dial is for: a node at an address, or whoever is there.
type Key = (Option<NodeId>, SocketAddr);

type Packets = VecDeque<(Class, Vec<u8>)>;

struct Dial {
    target: Target,
    packets: Packets,
    since: Instant,
    waiting: Arc<Waiting>,
    /// Whether its task runs. Until then its key waits in a queue, or in both.
    begun: bool,
}

/// What waits for a dial, as its task sees it.
#[derive(Default)]
struct Waiting(AtomicU8);

impl Waiting {
    const DATAGRAMS: u8 = 0;
    const STREAMS: u8 = 1;
    const NOBODY: u8 = 2;

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
    }

    /// Something waits that is worth the whole time. True where that is new.
    fn for_stream(&self) -> bool {
        self.change(Self::DATAGRAMS, Self::STREAMS)
    }

    /// The datagrams' time is over: true where nothing else waits, and so nobody any more.
    fn gives_up(&self) -> bool {
        self.change(Self::DATAGRAMS, Self::NOBODY)
    }

    fn was_given_up(&self) -> bool {
        self.0.load(Relaxed) == Self::NOBODY
    }
}

impl Dials {
    pub(crate) fn new(rim: Arc<Rim>, knocker: Arc<Knocker>, engine: &EngineConfig) -> Self {
        Self {
            named: rim.identity.client_config(GOSSIP_ALPN),
            stranger: rim.identity.stranger_config(GOSSIP_ALPN),
            rim,
            open: HashMap::new(),
            urgent: VecDeque::new(),
            ordinary: VecDeque::new(),
            running: 0,
            patience: engine.cold_patience().min(DIAL_TIMEOUT),
            knocker,
            unease: Arc::default(),
            redialed: HashMap::new(),
        }
    }

    /// Sends a packet as soon as there is a connection for it.
    pub(crate) fn send(&mut self, target: Target, class: Class, bytes: Vec<u8>) {
        let key = key(&target);
        if !self.open.contains_key(&key) {
            if self.open.len() >= WAITING_MAX {
                self.rim.counters.sends_dropped.add();
                return;
            }
            self.begin(key, target, VecDeque::new(), class);
        }
        let dial = self
            .open
            .get_mut(&key)
            .expect("the dial is open: opened above");
        if class == Class::Reliable && dial.waiting.for_stream() && !dial.begun {
            self.urgent.push_back(key);
        }
        if dial.push(class, bytes) {
            self.rim.counters.sends_dropped.add();
        }
        self.run();
    }

    /// Somebody is silent, as the engine found: what it sends next may be for nobody.
    pub(crate) fn expect_silence(&self, now: Instant) {
        self.unease.note(now);
    }

    fn begin(&mut self, key: Key, target: Target, packets: Packets, class: Class) {
        let dial = Dial {
            target,
            packets,
            since: self.rim.now(),
            waiting: Arc::default(),
            begun: false,
        };
        match class {
            Class::Reliable => {
                dial.waiting.for_stream();
                self.urgent.push_back(key);
            }
            Class::Datagram => self.ordinary.push_back(key),
        }
        self.open.insert(key, dial);
    }

    /// Whether a connection that has gone stale may be doubled by a fresh one now.
    pub(crate) fn may_redial(&mut self, id: NodeId, now: Instant) -> bool {
        if self.redialed.len() >= WAITING_MAX {
            self.redialed
                .retain(|_, last| now - *last < REDIAL_INTERVAL);
        }
        let last = self.redialed.get(&id);
        let may = last.is_none_or(|last| now - *last >= REDIAL_INTERVAL)
            && self.redialed.len() < WAITING_MAX;
        if may {
            self.redialed.insert(id, now);
        }
        may
    }

    /// A dial has ended: what waited for it is sent or dropped. False where it begins again, for
    /// something worth the whole time came when it had been given up.
    pub(crate) fn end(&mut self, target: &Target, result: Result<&Arc<Link>, ()>) -> bool {
        self.running -= 1;
        let dial = self
            .open
            .remove(&key(target))
            .expect("a dial that ends was open");
        let over = match result {
            Ok(link) => {
                for (class, bytes) in dial.packets {
                    link.send(&self.rim, class, bytes);
                }
                true
            }
            Err(()) if dial.waiting.was_given_up() && dial.has_reliable() => {
                let (key, target) = (key(target), dial.target);
                self.begin(key, target, dial.packets, Class::Reliable);
                false
            }
            Err(()) => {
                self.rim.counters.dials_failed.add();
                true
            }
        };
        self.run();
        over
    }

    fn run(&mut self) {
        while self.running < DIALS_MAX {
            let next = self.urgent.pop_front();
            let Some(key) = next.or_else(|| self.ordinary.pop_front()) else {
                return;
            };
            let (now, patience) = (self.rim.now(), self.patience);
            let Some(open) = self.open.get_mut(&key).filter(|open| !open.begun) else {
                continue;
            };
            if open.is_late(patience, now) {
                self.open.remove(&key);
                self.rim.counters.sends_dropped.add();
                continue;
            }
            open.begun = true;
            let attempt = Attempt {
                rim: self.rim.clone(),
                config: match open.target {
                    Target::Node(_) => self.named.clone(),
                    Target::Address(_) => self.stranger.clone(),
                },
                target: open.target.clone(),
                patience,
                waiting: open.waiting.clone(),
                knocker: self.knocker.clone(),
                unease: self.unease.clone(),
            };
            self.running += 1;
            self.rim.counters.dials.add();
            self.rim.tasks.spawn(async move {
                let result = attempt.dial().await;
                let target = attempt.target;
                attempt.rim.hand_in(Input::Dialed { target, result }).await;
            });
        }
    }
}

impl Dial {
    /// Whether nobody waits for its packets any more: where many peers are silent, datagrams for
    /// them must not keep the dials to others waiting.
    fn is_late(&self, patience: Duration, now: Instant) -> bool {
        now - self.since > patience && !self.has_reliable()
    }

    fn has_reliable(&self) -> bool {
        let reliable = |(class, _): &(Class, _)| *class == Class::Reliable;
        self.packets.iter().any(reliable)
    }

    /// Whether a packet was dropped for it.
    fn push(&mut self, class: Class, bytes: Vec<u8>) -> bool {
        let full = self.packets.len() >= PACKETS_MAX;
        if full {
            let datagram = self
                .packets
                .iter()
                .position(|(class, _)| *class == Class::Datagram);
            match (datagram, class) {
                (Some(at), _) => drop(self.packets.remove(at)),
                (None, Class::Reliable) => drop(self.packets.pop_front()),
                (None, Class::Datagram) => return true,
            }
        }
        self.packets.push_back((class, bytes));
        full
    }
}

fn key(target: &Target) -> Key {
    match target {
        Target::Node(contact) => (Some(contact.id()), contact.address),
        Target::Address(address) => (None, *address),
    }
}

/// A dial's task.
struct Attempt {
    rim: Arc<Rim>,
    target: Target,
    config: ClientConfig,
    patience: Duration,
    waiting: Arc<Waiting>,
    knocker: Arc<Knocker>,
    unease: Arc<Unease>,
}

impl Attempt {
    async fn dial(&self) -> Result<Arc<Link>, String> {
        let rim = &self.rim;
        let (_, address) = key(&self.target);
        let answer = if self.is_there().await {
            self.shake_hands(self.connect()?).await
        } else if self.unease.on_silence(rim.now()) {
            let limit = self.patience / LAST_TRY_DIVISOR;
            timeout(limit, self.connect()?).await.ok()
        } else {
            None
        };
        let connection = match answer {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => {
                if refusal::is_refusal(&error) {
                    rim.log_limited(address, || refusal::in_words(&error));
                }
                return Err(format!("{address} {}", refusal::in_words(&error)));
            }
            None => {
                return Err(format!(
                    "{address} does not answer: is the node running, and is its UDP port open?"
                ));
            }
        };
        let contact = examine(rim, &self.target, &connection)?;
        Ok(accept::establish(
            rim,
            connection,
            contact,
            Some(self.target.clone()),
        ))
    }

    /// Whether the target answers a hail. None is sent while everybody answers.
    async fn is_there(&self) -> bool {
        match &self.target {
            Target::Node(contact) if self.unease.is_felt(self.rim.now()) => {
                self.knocker.hail(contact, self.patience).await
                    || (!self.waiting.gives_up() && self.knocker.hail(contact, self.rest()).await)
            }
            _ => true,
        }
    }

    /// What a dial for a stream has beyond the datagrams' time.
    fn rest(&self) -> Duration {
        let whole = match self.target {
            Target::Node(_) => DIAL_TIMEOUT,
            Target::Address(_) => STRANGER_TIMEOUT,
        };
        whole.saturating_sub(self.patience)
    }

    fn connect(&self) -> Result<Connecting, String> {
        let (id, address) = key(&self.target);
        let endpoints = self.rim.endpoints().ok_or("this node has ended")?;
        let server = id.map_or_else(|| "any.convoke.internal".to_owned(), server_name);
        let local = endpoints.gossip.local_addr();
        let to = as_family_of(local.map_err(|error| error.to_string())?, address);
        let connecting = endpoints
            .gossip
            .connect_with(self.config.clone(), to, &server);
        connecting.map_err(|error| format!("{address} can't be dialed: {error}"))
    }

    /// `None`: nobody answered for as long as it was worth.
    async fn shake_hands(
        &self,
        mut connecting: Connecting,
    ) -> Option<Result<Connection, ConnectionError>> {
        let soon = REPEATED_AFTER.min(self.patience);
        if let Ok(answer) = timeout(soon, &mut connecting).await {
            return Some(answer);
        }
        self.unease.note(self.rim.now());
        let mut answer = timeout(self.patience - soon, &mut connecting).await;
        if answer.is_err() && !self.waiting.gives_up() {
            answer = timeout(self.rest(), connecting).await;
        }
        answer.ok()
    }
}

/// Whether the node that answered is the one that was meant.
fn examine(rim: &Rim, target: &Target, connection: &Connection) -> Result<Contact, String> {
    let address = canonical(connection.remote_address());
    let close = |why: Close, reason: &str| {
        connection.close(VarInt::from_u32(why as u32), reason.as_bytes());
    };
    let name = identity::peer_name(connection).map_err(|unnamed| {
        close(Close::Unnamed, &unnamed.to_string());
        rim.log_limited(address, || format!("was refused: {unnamed}"));
        format!("{address} was refused: {unnamed}")
    })?;
    if let Target::Node(meant) = target
        && meant.name != name
    {
        close(
            Close::OtherNode,
            &format!("{} was dialed, and {name} answered", meant.name),
        );
        return Err(format!(
            "{address} is another node ({name}), not {}",
            meant.name
        ));
    }
    if rim.identity.is_own(connection) {
        close(Close::OtherNode, "this is the node itself");
        return Err(format!("{address} is this node itself"));
    }
    Ok(Contact { name, address })
}

/// An address in the family of the socket that sends: an IPv6 socket reaches IPv4 by mapping.
pub(crate) fn as_family_of(socket: SocketAddr, address: SocketAddr) -> SocketAddr {
    match (socket, address.ip()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => {
            SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())
        }
        _ => address,
    }
}

/// The address without that mapping.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_is_given_up_only_while_datagrams_alone_wait_for_it() {
        let (patient, urgent, late) = (Waiting::default(), Waiting::default(), Waiting::default());
        assert!(patient.gives_up() && patient.was_given_up() && !patient.gives_up());
        assert!(
            urgent.for_stream() && !urgent.for_stream(),
            "it is news once"
        );
        assert!(!urgent.gives_up() && !urgent.was_given_up());
        late.gives_up();
        assert!(!late.for_stream() && late.was_given_up(), "it begins again");
    }
}
