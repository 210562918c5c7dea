//! Two engines that compare what they hold, as two nodes do after a partition.

use convoke_core::member::Standing;
use convoke_core::message::{Compare, Message};
use convoke_core::reconcile::opening;
use convoke_core::{Class, Engine, Instant, NodeId, Output};

use crate::crowd::{CLUSTER, contact, drain, engine, packet, renewed, tell};
use crate::{life, profile};

/// All that a cluster of so many members holds, in the order of ids.
pub fn items(members: u32) -> Vec<(NodeId, Standing)> {
    let mut items: Vec<_> = (0..members)
        .map(|n| (profile(n).id(), Standing::alive(life())))
        .collect();
    items.sort_unstable_by_key(|(id, _)| *id);
    items
}

/// Two engines that hold the same, but for so many lives that only the first knows.
pub fn apart(members: u32, differences: u32) -> [Engine; 2] {
    let [mut one, other] = [engine(members), engine(members)];
    for n in 2..2 + differences {
        tell(&mut one, renewed(n, 1));
        drain(&mut one);
    }
    [one, other]
}

/// What the second of them asks first.
pub fn question(members: u32) -> Message {
    Message::Compare(Compare {
        cluster: CLUSTER,
        ranges: opening(items(members).as_slice()),
    })
}

/// The question that the second one asks the first, and all that follows. Both engines are member 0
/// and take each other for member 1.
pub fn compare(engines: &mut [Engine; 2], question: Message) {
    let (mut to, mut asked) = (0, vec![question]);
    let other = contact(1);
    while !asked.is_empty() {
        let said = packet(&engines[to], std::mem::take(&mut asked));
        engines[to].handle_packet(Instant::ORIGIN, &other, Class::Reliable, said);
        asked = answers(&mut engines[to]);
        to = 1 - to;
    }
}

/// What belongs to the comparison. News waits for its timers, which nobody calls.
fn answers(engine: &mut Engine) -> Vec<Message> {
    let mut answers = Vec::new();
    loop {
        match engine.poll_output() {
            Output::Transmit(transmit) => answers.extend(transmit.packet.messages),
            Output::Timeout(_) => return answers,
            _ => {}
        }
    }
}
