//! The twelve nodes and the network between them.

use std::fmt;
use std::time::{Duration, Instant};

use convoke_tests::{Network, Node};

use crate::schedule::{HOSTS, Step};

/// All must be one cluster so long after everything was mended.
const TOGETHER_WITHIN: Duration = Duration::from_secs(60);
/// A suspicion that was raised before ends within its maximum, 12 s.
const AFTERMATH: Duration = Duration::from_secs(13);
/// So long nobody may come or go then.
const QUIET: Duration = Duration::from_secs(10);
/// Memory is flat where a node holds no more than it held, half of that, and this.
const ALLOWANCE: u64 = 4 << 20;
/// How often convergence is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Twelve nodes, and the network between them.
pub(crate) struct Ground {
    // Dropped first: nobody is left to say goodbye to.
    nodes: Vec<Node>,
    network: Network,
    /// Who is dead on purpose.
    dead: Vec<u8>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let network = Network::new(HOSTS);
        let nodes = network.start_cluster();
        let dead = Vec::new();
        Self {
            nodes,
            network,
            dead,
        }
    }

    fn node(&mut self, n: u8) -> &mut Node {
        &mut self.nodes[usize::from(n) - 1]
    }

    /// Does it. What an operator's command says is no matter: a join across a cut fails.
    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Cut(cut) => self.network.cut(cut),
            Step::Mend => self.network.mend(),
            Step::Lose(percent) => self.network.lose(*percent),
            Step::Kill(n) => {
                self.node(*n).kill();
                self.dead.push(*n);
            }
            Step::Start(n) => {
                self.node(*n).restart();
                self.dead.retain(|dead| dead != n);
            }
            Step::Freeze(n) => self.node(*n).freeze(),
            Step::Thaw(n) => self.node(*n).thaw(),
            Step::Leave(n) => drop(self.node(*n).convoke(&["cluster", "leave"])),
            Step::Join(n) => drop(self.join_first(*n)),
        }
    }

    fn join_first(&mut self, n: u8) -> convoke_tests::Run {
        self.node(n)
            .convoke(&["cluster", "join", &Network::name(1)])
    }

    /// Makes everything good again. Returns how long it took until all were one cluster.
    pub(crate) fn mend(&mut self) -> Result<Duration, String> {
        self.network.mend();
        self.network.lose(0);
        for n in std::mem::take(&mut self.dead) {
            self.node(n).restart();
        }
        for node in &self.nodes {
            node.thaw();
        }
        let mended = Instant::now();
        loop {
            match self.together() {
                Ok(()) => return Ok(mended.elapsed()),
                Err(reason) if mended.elapsed() > TOGETHER_WITHIN => {
                    return Err(format!("not together within {TOGETHER_WITHIN:?}: {reason}"));
                }
                Err(_) => std::thread::sleep(GLANCE),
            }
            self.join_the_gone()?;
        }
    }

    /// Those who left are asked back in.
    fn join_the_gone(&mut self) -> Result<(), String> {
        let home = self.nodes[0].status()?.cluster.id;
        for n in 2..=HOSTS {
            if self.node(n).status()?.cluster.id != home {
                self.join_first(n);
            }
        }
        Ok(())
    }

    fn together(&self) -> Result<(), String> {
        let first = self.nodes[0].status()?;
        for node in &self.nodes {
            let seen = node.status()?;
            let alive = seen.members.iter().filter(|member| member.state == "alive");
            let whole = seen.running_nodes.len() == usize::from(HOSTS)
                && alive.count() == usize::from(HOSTS)
                && seen.cluster.partition.is_none()
                && seen.cluster.quorum;
            let same = seen.cluster.id == first.cluster.id
                && seen.cluster.fingerprint == first.cluster.fingerprint;
            if !whole || !same {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    }

    /// Nobody may come or go any more. A suspicion that is refuted is no harm: a machine that does
    /// much else makes a process slow.
    pub(crate) fn watch_quiet(&self) -> Result<(), String> {
        std::thread::sleep(AFTERMATH);
        let last = |node: &Node| node.events().last().map_or(0, |event| event.seq);
        let marks: Vec<u64> = self.nodes.iter().map(last).collect();
        std::thread::sleep(QUIET);
        for (node, mark) in self.nodes.iter().zip(marks) {
            let mut events = node.events_since(mark);
            let harmless = ["member_suspected", "member_refuted"];
            events.retain(|event| !harmless.contains(&event.event.as_str()));
            if !events.is_empty() {
                return Err(format!("{} is not quiet: {events:#?}", node.name));
            }
        }
        let over = Instant::now();
        loop {
            match self.together() {
                Err(_) if over.elapsed() < AFTERMATH => std::thread::sleep(GLANCE),
                found => return found,
            }
        }
    }

    /// Nobody has ended but those who were killed.
    pub(crate) fn check_processes(&mut self) -> Result<(), String> {
        for (n, node) in (1..).zip(&mut self.nodes) {
            if !self.dead.contains(&n) && node.has_ended() {
                return Err(format!(
                    "{} has ended by itself:\n{}",
                    node.name,
                    node.log()
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn check_logs(&self) -> Result<(), String> {
        for node in &self.nodes {
            let log = node.log();
            if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
                return Err(format!("{}: {line}", node.name));
            }
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut resident: Vec<u64> = self.nodes.iter().map(Node::resident).collect();
        resident.sort_unstable();
        Memory {
            median: resident[resident.len() / 2],
            most: *resident.last().expect("twelve nodes"),
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.network.dropped()
    }
}

/// What the nodes hold, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    median: u64,
    most: u64,
}

impl Memory {
    /// Whether it has not grown.
    pub(crate) fn check_flat(&self, before: &Self) -> Result<(), String> {
        let limit = |before: u64| before + before / 2 + ALLOWANCE;
        if self.median > limit(before.median) || self.most > limit(before.most) {
            return Err(format!("memory has grown from {before} to {self}"));
        }
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (median, most) = (mib(self.median), mib(self.most));
        write!(f, "{median:.1} MiB a node (median), {most:.1} MiB (most)")
    }
}
