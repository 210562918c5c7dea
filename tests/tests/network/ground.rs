//! What all scenarios share: twelve nodes, and how long things last.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use convoke_tests::{Event, Hosts, Launch, Network, Node, eventually};
pub(crate) use convoke_tests::{lasting, long};

/// So many hosts there are.
pub(crate) const HOSTS: u8 = 12;
/// The end of patience, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// After the network's return all are one cluster within this time, as a rule.
pub(crate) const HEALED: Duration = Duration::from_secs(2);

/// How often a scenario is played.
pub(crate) fn rounds() -> usize {
    convoke_tests::rounds(1, 5)
}

/// The names of the nodes on these hosts, sorted.
pub(crate) fn names(hosts: impl IntoIterator<Item = u8>) -> Vec<String> {
    let mut names: Vec<String> = hosts.into_iter().map(Network::name).collect();
    names.sort_unstable();
    names
}

/// Twelve nodes, one cluster, and the network between them.
pub(crate) struct Ground {
    // Dropped first: nobody is left to say goodbye to.
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self::start_as(|launch| launch)
    }

    /// With every node started as `change` says.
    pub(crate) fn start_as(change: impl Fn(Launch) -> Launch) -> Self {
        let network = Network::new(HOSTS);
        let nodes = network.start_cluster_as(change);
        Self { nodes, network }
    }

    pub(crate) fn on(&self, hosts: &Hosts) -> impl Iterator<Item = &Node> {
        hosts.clone().map(|n| &self.nodes[usize::from(n) - 1])
    }

    /// Waits until all are one cluster again, and says how long after `since` that was.
    #[track_caller]
    pub(crate) fn wait_until_one(&self, since: Instant) -> Duration {
        Node::wait_until_one_within(&self.nodes.iter().collect::<Vec<_>>(), PATIENCE);
        let took = since.elapsed();
        for node in &self.nodes {
            eventually("no partition stands any more", PATIENCE, || {
                let seen = node.status()?;
                let over = seen.cluster.partition.is_none() && seen.cluster.quorum;
                over.then_some(()).ok_or_else(|| format!("{seen:#?}"))
            });
        }
        took
    }

    /// What has happened so far, on every node.
    pub(crate) fn mark(&self) -> Marks {
        let last = |node: &Node| node.events().last().map_or(0, |event| event.seq);
        Marks(self.nodes.iter().map(last).collect())
    }

    /// What happened on node `n` since.
    pub(crate) fn since(&self, marks: &Marks, n: u8) -> Vec<Event> {
        let place = usize::from(n) - 1;
        self.nodes[place].events_since(marks.0[place])
    }

    /// Asserts that each of these nodes saw a partition since, last of this kind, which had begun
    /// before, and once that it was healed: that the network had fallen into so many sides.
    #[track_caller]
    pub(crate) fn expect_healed(&self, hosts: &Hosts, marks: &Marks, kind: &str, sides: usize) {
        for n in hosts.clone() {
            let events = self.since(marks, n);
            let of = |event: &str| {
                let event = event.to_owned();
                events.iter().filter(move |found| found.event == event)
            };
            let detected = of("partition_detected").next_back();
            let named = detected.is_some_and(|found| {
                let began = found.since.as_ref().is_some_and(|since| *since < found.at);
                began && found.kind.as_deref() == Some(kind)
            });
            let healed: Vec<_> = of("partition_healed").map(|found| found.sides).collect();
            let right = named && healed == [Some(sides)];
            assert!(right, "{} saw {events:#?}", Network::name(n));
        }
    }

    /// Asserts that none of these nodes saw a partition since.
    #[track_caller]
    pub(crate) fn expect_no_partition(&self, hosts: &Hosts, marks: &Marks) {
        for n in hosts.clone() {
            let mut events = self.since(marks, n);
            events.retain(|event| event.event.starts_with("partition_"));
            assert!(events.is_empty(), "{} saw {events:#?}", Network::name(n));
        }
    }

    /// Waits until each of these nodes has told, once, that a partition was healed, and of none that
    /// came: that a single one was cut off shows when it is back.
    #[track_caller]
    pub(crate) fn expect_castaway(&self, hosts: &Hosts, marks: &Marks) {
        for n in hosts.clone() {
            let what = format!("{} tells that one was cut off", Network::name(n));
            eventually(&what, PATIENCE, || {
                let mut events = self.since(marks, n);
                events.retain(|event| event.event.starts_with("partition_"));
                let seen: Vec<_> = events.iter().map(|e| (e.event.as_str(), e.sides)).collect();
                let right = seen == [("partition_healed", Some(2))];
                right.then_some(()).ok_or_else(|| format!("{events:#?}"))
            });
        }
    }

    /// Asserts that none of these nodes has found one of them failed.
    #[track_caller]
    pub(crate) fn expect_none_failed_among(&self, hosts: &Hosts, marks: &Marks) {
        let own: BTreeSet<String> = hosts.clone().map(Network::name).collect();
        for n in hosts.clone() {
            let mut failed = self.since(marks, n);
            failed.retain(|event| event.event == "member_failed");
            failed.retain(|event| event.node.as_ref().is_some_and(|name| own.contains(name)));
            assert!(failed.is_empty(), "{} saw {failed:?}", Network::name(n));
        }
    }
}

/// A moment in the events of every node.
pub(crate) struct Marks(Vec<u64>);
