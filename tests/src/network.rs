//! A network: hosts on one bridge, which can be told what not to carry.
//!
//! The bridge stands in a namespace of its own, so that nothing of it shows on the machine. What
//! is cut or lost is dropped there, on its way, by nftables in the bridge's forward hook: neither
//! host is told, as it is with a switch that fails. Only IP is dropped: neighbours go on knowing
//! each other's hardware addresses. Else a cut of one direction would soon be one of both, and a
//! return would wait for the next ARP request, a second at times.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cut::Cut;
use crate::fleet::{Fleet, Launch};
use crate::host::Host;
use crate::namespace::Namespace;
use crate::node::Node;

/// Where a process runs many tests, one network at a time: they would take each other's time.
static TURN: Mutex<()> = Mutex::new(());

/// Hosts of their own, numbered from 1, each with one address of each family on one network, and a folder for
/// state, configuration and the secret that all share.
#[derive(Debug)]
pub struct Network {
    fleet: Fleet,
    hosts: Vec<Host>,
    bridge: Namespace,
    _turn: MutexGuard<'static, ()>,
}

impl Network {
    /// A network of so many hosts, 250 at most.
    ///
    /// # Panics
    /// Where it can't be made: for want of root, of `ip` (package iproute2) or of `nft` (nftables).
    pub fn new(hosts: u8) -> Self {
        // A test that failed left no network behind.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let fleet = Fleet::new();
        fleet.make_secret();
        let network = Self {
            fleet,
            hosts: (0..hosts).map(|_| Host::new()).collect(),
            bridge: Namespace::new(),
            _turn: turn,
        };
        network.connect();
        network.bridge.nft(
            "table bridge convoke {
                set cut { type ifname . ifname; }
                counter cut {}
                counter lost {}
                chain loss {}
                chain forward {
                    type filter hook forward priority 0; policy accept;
                    ether type != ip accept
                    iifname . oifname @cut counter name cut drop
                    jump loss
                }
            }\n",
        );
        network
    }

    fn connect(&self) {
        self.bridge
            .ip("link add br0 type bridge\nlink set br0 up\n");
        for (n, _) in self.numbered() {
            self.plug(n);
        }
    }

    fn plug(&self, n: u8) {
        let host = self.host(n).namespace();
        let name = host.name();
        self.bridge.ip(&format!(
            "link add h{n} type veth peer name eth0 netns {name}\nlink set h{n} master br0 up\n"
        ));
        let (four, six) = (Self::address(n), Self::address_v6(n));
        host.ip(&format!(
            "addr add {four}/16 dev eth0\naddr add {six}/64 dev eth0 nodad\nlink set eth0 up\n"
        ));
    }

    /// Takes the interface of host `n` away and gives it another one of the same addresses.
    pub fn replug(&self, n: u8) {
        self.bridge.ip(&format!("link del h{n}\n"));
        self.plug(n);
    }

    fn host(&self, n: u8) -> &Host {
        &self.hosts[usize::from(n) - 1]
    }

    fn numbered(&self) -> impl Iterator<Item = (u8, &Host)> {
        (1..).zip(&self.hosts)
    }

    /// The address of host `n`.
    pub fn address(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, n)
    }

    /// The IPv6 address of host `n`. What is cut and lost is IPv4 alone.
    pub fn address_v6(n: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, n.into())
    }

    /// The name of the node on host `n`.
    pub fn name(n: u8) -> String {
        format!("convoke{n}@{}", Self::address(n))
    }

    /// The node of host `n`, to be started.
    pub fn launch(&self, n: u8) -> Launch {
        self.launch_named(n, &Self::name(n))
    }

    /// A node of this name on host `n`, to be started.
    pub fn launch_named(&self, n: u8, name: &str) -> Launch {
        let launch = self.fleet.launch_named(name);
        let launch = launch.on(self.host(n));
        launch.at_home_with_secret(&format!("host{n}"))
    }

    /// A node on every host, all of them one cluster; started as `change` says.
    pub fn start_cluster_as(&self, change: impl Fn(Launch) -> Launch) -> Vec<Node> {
        let launches = self.numbered().map(|(n, _)| change(self.launch(n)));
        let nodes = Node::start_all(launches);
        for node in &nodes[1..] {
            node.join(&nodes[0].name);
        }
        Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
        nodes
    }

    /// A node on every host, all of them one cluster.
    pub fn start_cluster(&self) -> Vec<Node> {
        self.start_cluster_as(|launch| launch)
    }

    /// Carries nothing of this any more, and all that was cut before.
    pub fn cut(&self, cut: &Cut) {
        let mut lines = String::from("flush set bridge convoke cut\n");
        let pairs: Vec<String> = cut
            .pairs()
            .map(|(from, to)| format!("\"h{from}\" . \"h{to}\""))
            .collect();
        if !pairs.is_empty() {
            let elements = pairs.join(", ");
            let _ = writeln!(lines, "add element bridge convoke cut {{ {elements} }}");
        }
        self.bridge.nft(&lines);
    }

    /// Carries everything again, but for what it loses.
    pub fn mend(&self) {
        self.cut(&Cut::default());
    }

    /// Loses so many of a hundred packets from now on, at random.
    pub fn lose(&self, percent: u8) {
        let mut lines = String::from("flush chain bridge convoke loss\n");
        if percent > 0 {
            let _ = writeln!(
                lines,
                "add rule bridge convoke loss numgen random mod 100 < {percent} counter name lost drop"
            );
        }
        self.bridge.nft(&lines);
    }

    /// How many packets it did not carry so far, cut or lost.
    pub fn dropped(&self) -> u64 {
        let listed = self.bridge.nft("list counters table bridge convoke\n");
        let words: Vec<&str> = listed.split_whitespace().collect();
        let counts = words.windows(2).filter(|pair| pair[0] == "packets");
        counts.filter_map(|pair| pair[1].parse::<u64>().ok()).sum()
    }
}
