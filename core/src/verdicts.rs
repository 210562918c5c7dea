//! Verdicts in company: what many members' deaths take on the wire.
//!
//! When a rack dies, nearly all that is sent is who is dead. Those verdicts name the same few judges,
//! and lives that began at about the same time: a packet names each judge once, and how much later
//! than the earliest each life is. That halves it, to some 16 bytes a verdict.

use serde::{Deserialize, Serialize};

use crate::member::{Admission, Incarnation, Life};
use crate::message::{Failed, Message, Rumor};
use crate::name::NodeId;

/// Verdicts as they are sent.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    /// The earliest of the incarnations.
    earliest: Incarnation,
    judges: Vec<NodeId>,
    verdicts: Vec<Short>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Short {
    id: NodeId,
    /// The number of its judge in the list.
    judge: u16,
    admission: Admission,
    /// How much later than the earliest.
    later: u64,
    /// Whether it is doubtful, whether the port refused, whether the member is heard all the same,
    /// and above these bits the accusers.
    flags: u16,
}

const DOUBTFUL: u16 = 1;
const REFUSED: u16 = 2;
const HEARD: u16 = 4;
const FLAGS: u32 = 3;

impl Batch {
    /// Fewer verdicts than there are numbers for judges: no packet holds more.
    pub(crate) fn of(verdicts: &[Failed]) -> Self {
        let incarnations = verdicts.iter().map(|failed| failed.life.incarnation);
        let earliest = incarnations.min().unwrap_or_default();
        let mut judges = Vec::new();
        let verdicts = verdicts
            .iter()
            .map(|failed| Short::of(failed, earliest, &mut judges))
            .collect();
        Self {
            earliest,
            judges,
            verdicts,
        }
    }
}

impl Short {
    fn of(failed: &Failed, earliest: Incarnation, judges: &mut Vec<NodeId>) -> Self {
        let known = judges.iter().position(|judge| *judge == failed.by);
        let judge = known.unwrap_or_else(|| {
            judges.push(failed.by);
            judges.len() - 1
        });
        let flag = |holds: bool, flag: u16| if holds { flag } else { 0 };
        Self {
            id: failed.id,
            judge: u16::try_from(judge).expect("a packet holds fewer verdicts"),
            admission: failed.life.admission,
            later: failed.life.incarnation.0 - earliest.0,
            flags: u16::from(failed.accusers) << FLAGS
                | flag(failed.doubtful, DOUBTFUL)
                | flag(failed.refused, REFUSED)
                | flag(failed.heard, HEARD),
        }
    }

    /// The verdict. `None`: it is not what [`Batch::of`] makes.
    pub(crate) fn expand(&self, earliest: Incarnation, judges: &[NodeId]) -> Option<Failed> {
        Some(Failed {
            id: self.id,
            life: Life {
                admission: self.admission,
                incarnation: Incarnation(earliest.0.checked_add(self.later)?),
            },
            by: *judges.get(usize::from(self.judge))?,
            accusers: u8::try_from(self.flags >> FLAGS).ok()?,
            doubtful: self.flags & DOUBTFUL != 0,
            refused: self.flags & REFUSED != 0,
            heard: self.flags & HEARD != 0,
        })
    }
}

/// Puts the verdicts of a packet together, where the first one is.
pub(crate) fn pack(messages: Vec<Message>) -> Vec<Message> {
    let mut verdicts = Vec::new();
    let mut packed = Vec::with_capacity(messages.len());
    let mut first = 0;
    for message in messages {
        match message {
            Message::Rumor(Rumor::Failed(failed)) => {
                if verdicts.is_empty() {
                    first = packed.len();
                }
                verdicts.push(failed);
            }
            other => packed.push(other),
        }
    }
    match verdicts.len() {
        0 => {}
        1 => packed.extend(verdicts.pop().map(|one| Message::Rumor(Rumor::Failed(one)))),
        _ => packed.insert(first, Message::Verdicts(verdicts)),
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::message_bytes;

    fn verdict(n: u64) -> Failed {
        Failed {
            id: NodeId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            life: Life {
                admission: Admission(1),
                incarnation: Incarnation(1_782_120_000_000 + n * 100),
            },
            by: NodeId(n % 5),
            accusers: 3,
            doubtful: false,
            refused: n.is_multiple_of(2),
            heard: n.is_multiple_of(3),
        }
    }

    #[test]
    fn in_company_a_verdict_takes_half() {
        let many: Vec<_> = (0..40).map(verdict).collect();
        let alone = |failed: &Failed| message_bytes(&Message::Rumor(Rumor::Failed(failed.clone())));
        let apart: usize = many.iter().map(alone).sum();
        let together = message_bytes(&Message::Verdicts(many));
        assert!(together * 2 <= apart + 60, "{together} of {apart}");
    }

    #[test]
    fn a_packet_keeps_its_order_and_a_lone_verdict_its_form() {
        let alone = vec![
            Message::WrongCluster,
            Message::Rumor(Rumor::Failed(verdict(1))),
        ];
        assert_eq!(pack(alone.clone()), alone);
        let rumor = |n| Message::Rumor(Rumor::Failed(verdict(n)));
        let mixed = vec![
            Message::Nack(crate::message::Nack {
                seq: Default::default(),
            }),
            rumor(1),
            Message::WrongCluster,
            rumor(2),
        ];
        let packed = pack(mixed);
        assert!(matches!(packed[0], Message::Nack(_)));
        assert_eq!(packed[1], Message::Verdicts(vec![verdict(1), verdict(2)]));
        assert_eq!(packed[2], Message::WrongCluster);
    }
}
