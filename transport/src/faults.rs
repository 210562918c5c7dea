//! A network that misbehaves on purpose, for tests and demonstrations.
//!
//! Nodes that share a [`FaultyNetwork`] send over real UDP sockets, but each datagram first asks
//! the current plan whether it gets through. The plan is changed at run time by a [`FaultHandle`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::network::{Network, Udp};

/// A [`Network`] of which the datagrams can be dropped.
#[derive(Clone, Debug)]
pub struct FaultyNetwork {
    handle: FaultHandle,
}

/// Says what a [`FaultyNetwork`] does to datagrams from now on.
#[derive(Clone, Debug)]
pub struct FaultHandle(Arc<Faults>);

#[derive(Debug)]
struct Faults {
    plan: ArcSwap<Plan>,
    draws: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Plan {
    loss: f64,
    sides: HashMap<SocketAddr, usize>,
    silent: HashSet<SocketAddr>,
}

impl FaultyNetwork {
    /// A network without faults so far. `seed` decides which datagrams a loss hits.
    pub fn new(seed: u64) -> (Self, FaultHandle) {
        let faults = Faults {
            plan: ArcSwap::default(),
            draws: AtomicU64::new(seed),
            dropped: AtomicU64::new(0),
        };
        let handle = FaultHandle(Arc::new(faults));
        (
            Self {
                handle: handle.clone(),
            },
            handle,
        )
    }
}

impl FaultHandle {
    /// Drops this share of all datagrams, 0 to 1.
    pub fn set_loss(&self, share: f64) {
        self.change(|plan| plan.loss = share.clamp(0.0, 1.0));
    }

    /// Lets nothing pass between sockets of different groups. Sockets in no group reach everyone.
    /// Takes the place of an earlier cut.
    pub fn cut(&self, groups: &[Vec<SocketAddr>]) {
        let sides = groups.iter().enumerate();
        let sides =
            sides.flat_map(|(side, group)| group.iter().map(move |address| (*address, side)));
        let sides: HashMap<_, _> = sides.collect();
        self.change(|plan| plan.sides = sides.clone());
    }

    /// Lets nothing pass from or to this socket.
    pub fn silence(&self, address: SocketAddr) {
        self.change(|plan| {
            plan.silent.insert(address);
        });
    }

    /// Takes a silence back.
    pub fn unsilence(&self, address: SocketAddr) {
        self.change(|plan| {
            plan.silent.remove(&address);
        });
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.0.plan.store(Arc::default());
    }

    /// How many datagrams were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl Fn(&mut Plan)) {
        self.0.plan.rcu(|plan| {
            let mut plan = Plan::clone(plan);
            change(&mut plan);
            plan
        });
    }
}

impl Faults {
    fn drops(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let plan = self.plan.load();
        let dropped = plan.parts(from, to) || plan.loss > 0.0 && self.draw() < plan.loss;
        self.dropped
            .fetch_add(u64::from(dropped), Ordering::Relaxed);
        dropped
    }

    /// The next of a sequence of numbers in 0..1 that the seed decides (SplitMix64).
    fn draw(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .draws
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Plan {
    fn parts(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let cut =
            matches!((self.sides.get(&from), self.sides.get(&to)), (Some(a), Some(b)) if a != b);
        cut || self.silent.contains(&from) || self.silent.contains(&to)
    }
}

impl Network for FaultyNetwork {
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let inner = Udp.bind(address)?;
        let local = inner.local_addr()?;
        Ok(Arc::new(FaultySocket {
            inner,
            local,
            faults: self.handle.0.clone(),
        }))
    }

    fn carries_knock(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let faults = &self.handle.0;
        !faults.drops(from, to) && !faults.drops(to, from)
    }
}

/// A socket that sends one datagram at a time, so that each one is dropped or not by itself.
struct FaultySocket {
    inner: Arc<dyn AsyncUdpSocket>,
    local: SocketAddr,
    faults: Arc<Faults>,
}

impl AsyncUdpSocket for FaultySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.faults.drops(self.local, transmit.destination) {
            return Ok(());
        }
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl fmt::Debug for FaultySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultySocket({})", self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn network() -> (FaultHandle, impl Fn(u16, u16) -> bool) {
        let (_, handle) = FaultyNetwork::new(7);
        let faults = handle.0.clone();
        (handle, move |from, to| {
            faults.drops(address(from), address(to))
        })
    }

    #[test]
    fn a_loss_hits_its_share_of_datagrams() {
        let (handle, drops) = network();
        assert!((0..1000).all(|_| !drops(1, 2)));
        handle.set_loss(0.1);
        let hit = (0..100_000).filter(|_| drops(1, 2)).count();
        assert!((9_500..10_500).contains(&hit), "{hit}");
        assert_eq!(handle.dropped(), hit as u64);
        handle.set_loss(1.0);
        assert!((0..1000).all(|_| drops(1, 2)));
    }

    #[test]
    fn a_cut_parts_groups_and_nothing_else() {
        let (handle, drops) = network();
        handle.cut(&[vec![address(1), address(2)], vec![address(3)]]);
        assert!(drops(1, 3) && drops(3, 2));
        assert!(!drops(1, 2) && !drops(1, 9) && !drops(9, 3));
        handle.heal();
        assert!(!drops(1, 3));
    }

    #[test]
    fn a_silenced_socket_neither_sends_nor_hears() {
        let (handle, drops) = network();
        handle.silence(address(1));
        assert!(drops(1, 2) && drops(2, 1) && !drops(2, 3));
        handle.unsilence(address(1));
        assert!(!drops(1, 2));
    }
}
