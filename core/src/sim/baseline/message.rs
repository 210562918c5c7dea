//! What the baselines say, and how many bytes it takes.
//!
//! Nothing is encoded: packets travel as values, and [`Packet::bytes`] is the length that
//! memberlist's encoding of them has. There a message is one byte for its type and a msgpack map,
//! in which the names of the fields are spelled out and members are named by their names. Several
//! messages in one datagram are framed by a type, a count and two bytes of length each. A checksum
//! of five bytes precedes a datagram.
//!
//! Compression (LZW) is estimated: lines were fitted to what it does to such packets and lists. It
//! is used where it gains something, which a datagram with three or more broadcasts and every list
//! of members does: a list shrinks to about a fifth.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::member::Profile;
use crate::message::Contact;
use crate::name::{NodeId, NodeName};
use crate::output::Class;

use super::members::State;

/// What precedes several messages in one datagram: a type and their count.
pub(super) const COMPOUND_BYTES: usize = 2;
/// What precedes each of them: its length.
pub(super) const COMPOUND_PART_BYTES: usize = 2;
/// A type and a CRC-32 before a datagram.
const CHECKSUM_BYTES: usize = 5;
/// The type of a message, and its map's header.
const HEAD_BYTES: usize = 2;
/// Six protocol versions, as bytes, with their length.
const VERSIONS_BYTES: usize = 7;

/// What crosses the network at once.
#[derive(Clone, Debug)]
pub struct Packet {
    pub(super) messages: Vec<Message>,
    bytes: usize,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// Are you there? Only the node of that name answers.
    Ping {
        /// The number that the answer repeats.
        seq: u32,
        /// Who is asked.
        node: NodeName,
        /// Who asks.
        source: Box<Contact>,
    },
    /// Ask that node for me.
    IndirectPing {
        /// The number that the answer repeats.
        seq: u32,
        /// Who is to be asked.
        target: Box<Contact>,
        /// Whether to say so if it does not answer.
        nack: bool,
        /// Who wants to know.
        source: Box<Contact>,
    },
    /// I am here, or who you asked about is.
    Ack(u32),
    /// Who you asked about did not answer me in time.
    Nack(u32),
    /// A member is suspected.
    Suspect(Claim),
    /// A member is dead. Said by itself: it left.
    Dead(Claim),
    /// A member lives.
    Alive {
        /// What it says of itself.
        profile: Arc<Profile>,
        /// At which incarnation.
        incarnation: u32,
    },
    /// Everything that the sender knows of members.
    PushPull {
        /// All of it.
        list: Arc<List>,
        /// Whether this answers the receiver's own list. If not, it is to be answered.
        answer: bool,
    },
}

/// A bad word about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The member.
    pub(super) node: NodeName,
    /// The incarnation that is meant.
    pub(super) incarnation: u32,
    /// Who says so.
    pub(super) by: NodeName,
}

/// A list of members as one node holds them.
#[derive(Debug, PartialEq)]
pub(super) struct List {
    pub(super) records: Vec<Record>,
    bytes: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) id: NodeId,
    pub(super) profile: Arc<Profile>,
    pub(super) incarnation: u32,
    pub(super) state: State,
}

impl Packet {
    /// Messages to be carried so, compressed if that is configured and worth it.
    pub(super) fn new(messages: Vec<Message>, class: Class, compression: bool) -> Self {
        let plain = match &messages[..] {
            [message] => message.bytes(),
            many => {
                let part = |m: &Message| COMPOUND_PART_BYTES + m.bytes();
                COMPOUND_BYTES + many.iter().map(part).sum::<usize>()
            }
        };
        let sent = if compression {
            plain.min(compressed(plain, class))
        } else {
            plain
        };
        let bytes = match class {
            Class::Datagram => CHECKSUM_BYTES + sent,
            Class::Reliable => sent,
        };
        Self { messages, bytes }
    }

    /// The length of its encoding.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// About what LZW and its envelope come to.
fn compressed(bytes: usize, class: Class) -> usize {
    match class {
        Class::Datagram => 74 + bytes * 38 / 100,
        Class::Reliable => 314 + bytes * 18 / 100,
    }
}

impl List {
    pub(super) fn new(records: Vec<Record>) -> Self {
        let bytes = records.iter().map(Record::bytes).sum();
        Self { records, bytes }
    }
}

impl Record {
    fn bytes(&self) -> usize {
        let profile = &self.profile;
        1 + field("Name", text(profile.name.as_str()))
            + address_fields("Addr", "Port", profile.address)
            + field("Meta", raw(meta_bytes(profile)))
            + field("Incarnation", number(self.incarnation))
            + field("State", 1)
            + field("Vsn", VERSIONS_BYTES)
    }
}

impl Message {
    /// The length of its encoding, its type included.
    pub(super) fn bytes(&self) -> usize {
        HEAD_BYTES
            + match self {
                Self::Ping { seq, node, source } => {
                    field("SeqNo", number(*seq))
                        + field("Node", text(node.as_str()))
                        + source_fields(source)
                }
                Self::IndirectPing {
                    seq,
                    target,
                    nack: _,
                    source,
                } => {
                    field("SeqNo", number(*seq))
                        + address_fields("Target", "Port", target.address)
                        + field("Node", text(target.name.as_str()))
                        + field("Nack", 1)
                        + source_fields(source)
                }
                Self::Ack(seq) => field("SeqNo", number(*seq)) + field("Payload", 1),
                Self::Nack(seq) => field("SeqNo", number(*seq)),
                Self::Suspect(claim) | Self::Dead(claim) => {
                    field("Incarnation", number(claim.incarnation))
                        + field("Node", text(claim.node.as_str()))
                        + field("From", text(claim.by.as_str()))
                }
                Self::Alive {
                    profile,
                    incarnation,
                } => {
                    field("Incarnation", number(*incarnation))
                        + field("Node", text(profile.name.as_str()))
                        + address_fields("Addr", "Port", profile.address)
                        + field("Meta", raw(meta_bytes(profile)))
                        + field("Vsn", VERSIONS_BYTES)
                }
                Self::PushPull { list, answer: _ } => {
                    let count = u32::try_from(list.records.len()).unwrap_or(u32::MAX);
                    field("Nodes", number(count))
                        + field("UserStateLen", 1)
                        + field("Join", 1)
                        + list.bytes
                }
            }
    }
}

fn field(name: &str, value: usize) -> usize {
    text(name) + value
}

fn source_fields(source: &Contact) -> usize {
    address_fields("SourceAddr", "SourcePort", source.address)
        + field("SourceNode", text(source.name.as_str()))
}

fn address_fields(ip: &str, port: &str, address: SocketAddr) -> usize {
    let ip_bytes = if address.is_ipv4() { 4 } else { 16 };
    field(ip, raw(ip_bytes)) + field(port, number(address.port().into()))
}

/// Tags as Serf keeps them: a byte that marks them and a map. None take no bytes.
fn meta_bytes(profile: &Profile) -> usize {
    if profile.tags.is_empty() {
        return 0;
    }
    let pair = |(key, value): (&String, &String)| text(key) + text(value);
    2 + profile.tags.iter().map(pair).sum::<usize>()
}

fn text(text: &str) -> usize {
    raw(text.len())
}

/// Bytes or text in msgpack, with their length before them.
fn raw(bytes: usize) -> usize {
    bytes + if bytes < 32 { 1 } else { 3 }
}

/// An unsigned number in msgpack.
fn number(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(number: u8) -> Contact {
        Contact {
            name: format!("n{number}@10.0.0.{number}").parse().unwrap(),
            address: ([10, 0, 0, number], 4370).into(),
        }
    }

    fn suspect(number: u8) -> Message {
        Message::Suspect(Claim {
            node: contact(number).name,
            incarnation: 1,
            by: contact(9).name,
        })
    }

    #[test]
    fn field_names_and_member_names_are_spelled_out() {
        // The lengths of such messages in msgpack, byte by byte.
        assert_eq!(suspect(5).bytes(), 49);
        let ping = Message::Ping {
            seq: 300,
            node: contact(5).name,
            source: contact(9).into(),
        };
        assert_eq!(ping.bytes(), 81);
        assert_eq!(Message::Ack(300).bytes(), 20);
        assert_eq!(Message::Nack(5).bytes(), 9);
    }

    #[test]
    fn a_datagram_of_one_message_is_not_framed_and_one_of_many_is() {
        let packet = |messages| Packet::new(messages, Class::Datagram, false).bytes();
        let one = suspect(5).bytes();
        assert_eq!(packet(vec![suspect(5)]), 5 + one);
        assert_eq!(packet(vec![suspect(5), suspect(6)]), 5 + 2 + 2 * (2 + one));
    }

    #[test]
    fn compression_is_used_where_it_gains_something() {
        let packet =
            |n, compression| Packet::new(vec![suspect(5); n], Class::Datagram, compression).bytes();
        assert_eq!(packet(1, true), packet(1, false));
        assert!(packet(20, true) < packet(20, false) * 6 / 10);
    }
}
