//! The end of a storm: everything is mended, and those who belong together find together.

use std::time::Duration;

use super::super::check::Invariant;
use super::super::ledger::WrongFailure;
use super::super::network::Network;
use super::super::node::SOCKET_PACKETS_MAX;
use super::schedule::new_address;
use super::storm::Storm;
use crate::output::Signal;
use crate::time::Instant;

/// Within this time after the mending of everything, those who belong together are together.
const CONVERGENCE_MAX: Duration = Duration::from_secs(120);
/// For this long they must stay so.
const CALM: Duration = Duration::from_secs(60);
/// A suspicion that was held when everything was mended may come due before its refutation is
/// there: so long after, no more.
const LATE_AFTER: Duration = Duration::from_secs(3);
/// The forgetting of members is news now and then, to those who removed them once.
const REST_MAX: Duration = Duration::from_secs(20);
/// Where those go whose address was taken meanwhile.
const LAST_RESORT: u8 = 255;

impl Storm {
    pub(super) fn mend_everything(&mut self) {
        if self.is_broken() {
            return;
        }
        self.say("all is mended");
        let Network {
            loss,
            host_loss,
            repeated,
            held_up,
            bandwidth,
            host_bandwidth,
            ..
        } = &mut self.world.network;
        (*loss, *repeated, *held_up, *bandwidth) = (0.0, 0.0, 0.0, None);
        host_loss.clear();
        host_bandwidth.clear();
        self.world.network.mend();
        self.world.network.travel(super::super::report::Net::Lan);
        self.world.machine.slow = None;
        self.world.socket_packets_max = SOCKET_PACKETS_MAX;
        for node in 0..self.world.nodes.len() {
            if self.is_up(node) && !self.runs(node) {
                self.world.resume(node);
            }
        }
        for node in self.ran.clone() {
            if !self.is_up(node) {
                self.return_node(node);
            }
        }
    }

    fn return_node(&mut self, node: usize) {
        let address = self.world.nodes[node].address;
        let mut others = self.world.nodes.iter().filter(|other| other.is_up());
        if others.any(|other| other.address == address) {
            self.world.nodes[node].address = new_address(node, LAST_RESORT);
        }
        self.world.start(node);
    }

    pub(super) fn judge(&mut self) {
        let mended = self.world.now;
        while !self.is_broken() && !self.is_together() {
            if self.world.now.since(mended) >= CONVERGENCE_MAX {
                let what = format!("{:?} do not agree", self.inside);
                return self.world.violate(Invariant::TheyFindTogether, what);
            }
            self.pass(Duration::from_millis(10));
        }
        if self.is_broken() {
            return;
        }
        let together = self.world.now;
        self.converged_after = Some(together.since(mended));
        self.say(format!("all are together: {:?}", self.inside));
        self.pass(CALM);
        if !self.is_broken() {
            self.judge_calm(together);
        }
    }

    fn is_together(&self) -> bool {
        let inside: Vec<_> = self.inside.iter().copied().collect();
        self.joining.is_empty() && self.rejoining.is_empty() && self.world.agree(&inside)
    }

    fn judge_calm(&mut self, since: Instant) {
        if !self.is_together() {
            let what = format!("{:?} do not agree any more", self.inside);
            self.world.violate(Invariant::TheyStayTogether, what);
        }
        let is_inside = |failure: &&&WrongFailure| {
            [failure.by, failure.about]
                .iter()
                .all(|node| self.inside.contains(node))
        };
        let late = self.world.wrong_failures(since + LATE_AFTER);
        let late: Vec<_> = late.iter().filter(is_inside).collect();
        if !late.is_empty() {
            let what = format!("late verdicts: {late:?}");
            self.world.violate(Invariant::TheyStayTogether, what);
        }
        let rested = self.world.now;
        while !self.is_at_rest() && self.world.now.since(rested) < REST_MAX {
            self.pass(Duration::from_millis(100));
        }
        for node in self.ran.clone() {
            self.judge_node(node);
        }
    }

    fn is_at_rest(&self) -> bool {
        let mut ran = self.ran.iter();
        ran.all(|&node| self.world.nodes[node].engine().load() == (0, 0))
    }

    pub(super) fn judge_node(&mut self, node: usize) {
        let (rumors, suspicions) = self.world.nodes[node].engine().load();
        if (rumors, suspicions) != (0, 0) {
            let what = format!("n{node} holds {rumors} rumors and {suspicions} suspicions");
            self.world.violate(Invariant::TheyComeToRest, what);
        }
        let size = self.world.nodes[node].engine().size();
        if !self.inside.contains(&node) && size > 1 {
            let what = format!("n{node}, which is out, holds {size} members");
            self.world.violate(Invariant::TheGoneStayAway, what);
        }
        let since = self.joined.get(&node).copied().unwrap_or_default();
        let signals = &self.world.nodes[node].signals;
        let removed = signals
            .iter()
            .find(|(at, signal)| *at >= since && *signal == Signal::Removed);
        if let Some((at, _)) = removed.filter(|_| self.inside.contains(&node)) {
            let what = format!("n{node} was removed by mistake at {at:?}");
            self.world.violate(Invariant::NobodyIsEvicted, what);
        }
    }
}
