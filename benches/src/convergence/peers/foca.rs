//! foca over bare UDP. It is a state machine: the socket, the timers and the identity are ours, as
//! they would be its users'.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use foca::{AccumulatingRuntime, Config, Identity, OwnedNotification, PostcardCodec, Timer};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::super::ground::Ground;
use super::super::subject::Subject;
use super::super::views::{Sight, Watcher};

const PORT: u16 = 7946;
/// Orders that wait for a node: it is given two in its life.
const ORDERS_MAX: usize = 4;

/// foca with `Config::new_lan` of so many nodes.
#[derive(Debug)]
pub(super) struct Foca {
    nodes: NonZeroU32,
}

/// A running node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    identity: Address,
    orders: mpsc::Sender<Order>,
    task: AbortHandle,
}

#[derive(Debug)]
enum Order {
    Join(Address),
    Leave,
}

/// A node as the others know it. Who is found dead comes back with the next life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Address {
    number: u16,
    address: SocketAddr,
    life: u16,
}

impl Identity for Address {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        let life = self.life.wrapping_add(1);
        Some(Self {
            life,
            ..self.clone()
        })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

impl Foca {
    /// For clusters of so many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        let nodes = u32::try_from(nodes).ok().and_then(NonZeroU32::new);
        Self {
            nodes: nodes.expect("arguments bound the nodes"),
        }
    }
}

impl Subject for Foca {
    type Node = Node;

    async fn start(&self, watcher: Watcher) -> Result<Node, String> {
        let number = watcher.observer();
        let identity = Address {
            number: u16::try_from(number).expect("arguments bound the nodes"),
            address: (Ground::address(number), PORT).into(),
            life: 0,
        };
        let socket = UdpSocket::bind(identity.address).await;
        let config = Config::new_lan(self.nodes);
        let (orders, given) = mpsc::channel(ORDERS_MAX);
        let run = Run {
            socket: socket.map_err(|error| error.to_string())?,
            buffer: vec![0; config.max_packet_size.get()],
            engine: foca::Foca::new(identity.clone(), config, rand::make_rng(), PostcardCodec),
            runtime: AccumulatingRuntime::new(),
            timers: BinaryHeap::new(),
            watcher,
        };
        let task = tokio::spawn(run.until_aborted(given)).abort_handle();
        Ok(Node {
            identity,
            orders,
            task,
        })
    }

    async fn join(node: Node, seed: Node) -> Result<(), String> {
        node.order(Order::Join(seed.identity)).await
    }

    async fn leave(node: Node) -> Result<(), String> {
        node.order(Order::Leave).await
    }

    fn abort(node: &Node) {
        node.task.abort();
    }
}

impl Node {
    async fn order(&self, order: Order) -> Result<(), String> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| "the node has ended".to_owned())
    }
}

/// A node, its socket and its timers. There are as many timers as the engine sets: a few for each
/// member.
struct Run {
    socket: UdpSocket,
    buffer: Vec<u8>,
    engine: foca::Foca<Address, PostcardCodec, StdRng, foca::NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Address>,
    timers: BinaryHeap<Reverse<(Instant, Timer<Address>)>>,
    watcher: Watcher,
}

impl Run {
    async fn until_aborted(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let next = self.timers.peek().map(|Reverse((at, _))| *at);
            // What the engine refuses is a peer's fault or too late, and of no further consequence.
            let _ = tokio::select! {
                received = self.socket.recv_from(&mut self.buffer) => match received {
                    Ok((bytes, _)) => self.engine.handle_data(&self.buffer[..bytes], &mut self.runtime),
                    Err(_) => Ok(()),
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.on_timer()
                }
                order = orders.recv() => match order {
                    Some(Order::Join(seed)) => self.engine.announce(seed, &mut self.runtime),
                    Some(Order::Leave) => self.engine.leave_cluster(&mut self.runtime),
                    None => return,
                },
            };
            self.act().await;
        }
    }

    fn on_timer(&mut self) -> Result<(), foca::Error> {
        match self.timers.pop() {
            Some(Reverse((_, timer))) => self.engine.handle_timer(timer, &mut self.runtime),
            None => Ok(()),
        }
    }

    /// Does what the engine wants done.
    async fn act(&mut self) {
        while let Some((to, packet)) = self.runtime.to_send() {
            // What is lost is lost: it is UDP.
            let _ = self.socket.send_to(&packet, to.address).await;
        }
        let now = Instant::now();
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timers.push(Reverse((now + after, timer)));
        }
        while let Some(told) = self.runtime.to_notify() {
            match told {
                OwnedNotification::MemberUp(who) => self.saw(&who, Sight::Up),
                // foca makes no difference between who left and who died.
                OwnedNotification::MemberDown(who) => self.saw(&who, Sight::Failed),
                _ => {}
            }
        }
    }

    fn saw(&self, who: &Address, sight: Sight) {
        self.watcher.saw(usize::from(who.number), sight);
    }
}
