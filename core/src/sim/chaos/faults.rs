//! The steps of a storm: faults of nodes and of the network. Commands are [`super::commands`].

use super::super::network::Network;
use super::schedule::{Clock, Place, Step, may_move, new_address};
use super::storm::Storm;
use crate::message::ClusterId;

/// In what time a link carries all that waits for it, in seconds.
const BACKLOG_SECONDS_MAX: u64 = 2;

impl Storm {
    /// Does a step, where it makes sense.
    pub(super) fn apply(&mut self, step: &Step) -> bool {
        if !self.is_possible(step) {
            return false;
        }
        self.say(step);
        match *step {
            Step::Crash(node) | Step::Kill(node) => {
                self.end(node, matches!(step, Step::Kill(_)));
            }
            Step::Start {
                node,
                place,
                forgets,
                clock,
            } => self.start(node, place, forgets, clock),
            Step::Freeze(node) => self.world.pause(node),
            Step::Block(node) => self.world.block(node),
            Step::Suspend(node) => self.world.suspend(node),
            Step::Resume(node) => self.world.resume(node),
            Step::Jump(node, time) => self.world.set_clock_forward(node, time),
            Step::Drift(node, ppm) => self.world.set_drift(node, ppm),
            Step::Slow(node, factor) => self.world.machine.slow = Some((node, factor)),
            Step::Quicken => self.world.machine.slow = None,
            Step::Shutdown(node) => self.shut_down(node),
            Step::Join { node, by } => self.join(node, by),
            Step::Leave(node) => self.leave(node),
            Step::ForceLeave { node, by } => self.force_leave(node, by),
            _ => self.change_network(step),
        }
        true
    }

    fn is_possible(&self, step: &Step) -> bool {
        match *step {
            Step::Crash(node) | Step::Kill(node) => self.is_up(node),
            Step::Start {
                node,
                place,
                forgets,
                ..
            } => self.may_start(node, place, forgets),
            Step::Freeze(node) | Step::Block(node) | Step::Suspend(node) => self.runs(node),
            Step::Jump(node, _) => self.runs(node),
            Step::Slow(node, _) => self.runs(node) && !self.is_joining(node),
            Step::Resume(node) => self.is_up(node) && !self.runs(node),
            Step::Shutdown(node) => self.may_shut_down(node),
            Step::Join { node, by } => self.may_join(node, by),
            Step::Leave(node) => self.may_leave(node),
            Step::ForceLeave { node, by } => self.may_force_leave(node, by),
            Step::CutPair(a, b) | Step::CutLink(a, b) | Step::CutDatagrams(a, b) => a != b,
            _ => true,
        }
    }

    pub(super) fn is_up(&self, node: usize) -> bool {
        self.world.nodes[node].is_up()
    }

    /// Whether a node may be given a command: one without a CPU to speak of need not carry it out
    /// in any time.
    pub(super) fn obeys(&self, node: usize) -> bool {
        let slow = self.world.machine.slow;
        self.runs(node) && slow.is_none_or(|(slow, _)| slow != node)
    }

    /// Up, and neither frozen nor blocked.
    pub(super) fn runs(&self, node: usize) -> bool {
        let process = self.world.nodes[node].process.as_ref();
        process.is_some_and(|process| process.reads())
    }

    pub(super) fn end(&mut self, node: usize, refuses: bool) {
        if refuses {
            self.world.kill(node);
        } else {
            self.world.crash(node);
        }
        self.note_down(node);
    }

    // ---- starting ----

    fn may_start(&self, node: usize, place: Place, forgets: bool) -> bool {
        let down = !self.is_up(node) && self.ran.contains(&node);
        let loses_a_member = forgets && self.inside.contains(&node);
        down && self.is_free(node, place) && (!loses_a_member || self.may_go(node))
    }

    /// Whether a node may listen there: the addresses of those who never move stay theirs.
    fn is_free(&self, node: usize, place: Place) -> bool {
        let address = match place {
            Place::Same => self.world.nodes[node].address,
            Place::New(_) => return may_move(node),
            Place::Of(other) => {
                let takes = may_move(node) && may_move(other) && other != node;
                if !takes || self.is_up(other) {
                    return false;
                }
                self.world.nodes[other].address
            }
        };
        let mut up = self.world.nodes.iter().filter(|other| other.is_up());
        up.all(|other| other.address != address)
    }

    fn start(&mut self, node: usize, place: Place, forgets: bool, clock: Option<Clock>) {
        match place {
            Place::Same => {}
            Place::New(nth) => self.world.nodes[node].address = new_address(node, nth),
            Place::Of(other) => {
                self.world.nodes[node].address = self.world.nodes[other].address;
            }
        }
        if let Some(Clock { ahead, ppm }) = clock {
            self.world.nodes[node].wall_offset_ms = ahead * 1000;
            self.world.nodes[node].drift_ppm = ppm;
        }
        if forgets {
            let cluster = ClusterId(u128::from(self.world.rng.u64(..)) << 8 | 1);
            self.world.forget(node, cluster);
            self.inside.remove(&node);
        }
        self.world.start(node);
    }

    // ---- the network ----

    fn change_network(&mut self, step: &Step) {
        let network = &mut self.world.network;
        let share = |percent: u8| f64::from(percent) / 100.0;
        match step {
            Step::Cut(groups) => network.cut_into(groups),
            Step::CutOneWay(groups) => network.cut_into_one_way(groups),
            Step::CutPair(a, b) => network.cut_pair(*a, *b),
            Step::CutLink(from, to) => network.cut_one_way(*from, *to),
            Step::CutDatagrams(a, b) => network.cut_datagrams(*a, *b),
            Step::Mend => network.mend(),
            Step::Loss(percent) => network.loss = share(*percent),
            Step::HostLoss {
                node,
                sent,
                received,
            } => {
                network.host_loss.retain(|(host, ..)| host != node);
                let loss = (*node, share(*sent), share(*received));
                network.host_loss.push(loss);
            }
            Step::Repeat(percent) => network.repeated = share(*percent),
            Step::HoldUp(percent) => network.held_up = share(*percent),
            Step::Bandwidth(bandwidth) => {
                network.bandwidth = *bandwidth;
                network.backlog_bytes_max = backlog_max(network);
            }
            Step::HostBandwidth(node, bandwidth) => {
                network.host_bandwidth.retain(|(host, _)| host != node);
                let narrow = bandwidth.map(|rate| (*node, rate));
                network.host_bandwidth.extend(narrow);
                network.backlog_bytes_max = network.backlog_bytes_max.min(backlog_max(network));
            }
            Step::Backlog(bytes) => {
                network.backlog_bytes_max = backlog_max(network).min(*bytes);
            }
            Step::Socket(packets) => self.world.socket_packets_max = *packets,
            Step::Travel(net) => network.travel(*net),
            _ => unreachable!("every other step is about nodes"),
        }
    }
}

/// What may wait for a link: what the narrowest one carries in two seconds. It would wait on when the
/// link is widened, where a real one would be empty at once.
fn backlog_max(network: &Network) -> u64 {
    let own = network.host_bandwidth.iter().map(|&(_, rate)| rate);
    let narrowest = own.chain(network.bandwidth).min();
    narrowest.map_or(u64::MAX, |rate| rate * BACKLOG_SECONDS_MAX)
}
