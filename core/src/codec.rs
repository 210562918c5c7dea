//! Packets to bytes and back: the one place that knows the wire format.
//!
//! Intuition: a packet is a short header and a row of envelopes. An envelope says its kind and its
//! length before its content, so that a reader may step over what it does not know: a node of the
//! next version can say new things in a packet that this one still understands the rest of.
//!
//! ```text
//!   packet   version u8 │ cluster tag u32 LE │ fingerprint u64 LE │ message …
//!   message  kind u8 │ length varint u32 │ body
//! ```
//!
//! Rules: bodies are [postcard](https://postcard.jamesmunns.com/wire-format) of the payload's
//! struct. Unknown kinds are skipped. Bytes after a known body's last field are ignored: later
//! versions may append fields. Whatever decodes keeps every limit named here, and nothing is
//! allocated on the word of a length field: lists grow as their elements arrive. A packet that
//! breaks a rule is refused whole. There is no count of messages in the header: what ends between
//! two messages is a shorter packet (datagrams and streams do not end early by themselves).

use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::member::{Fingerprint, Profile, Standing, State};
use crate::message::{
    ClusterTag, Compare, Failed, JoinGranted, JoinRequest, Message, Messages, Packet, Range,
    RangeHash, Refusal, Rumor, Summaries,
};
use crate::name::NodeId;
use crate::verdicts::{Batch, Short};

/// The version of the wire format that this build speaks.
pub const WIRE_VERSION: u8 = 1;
/// The bytes of a packet without messages.
pub const HEADER_BYTES: usize = 1 + 4 + 8;
/// The largest packet, in bytes: the bound of what a stream may bring.
pub const PACKET_BYTES_MAX: usize = 1 << 20;
/// The most messages in a packet, unknown ones included.
pub const MESSAGES_MAX: usize = 1024;
/// The most ranges in a [`Compare`] or a [`Summaries`].
pub const RANGES_MAX: usize = 4096;
/// The most facts in a [`Summaries`].
pub const ITEMS_MAX: usize = 8192;
/// The most ids in a [`Message::Want`].
pub const WANT_MAX: usize = 8192;
/// The most verdicts in a [`Message::Verdicts`].
pub const VERDICTS_MAX: usize = 1024;
/// The most facts in a [`Message::Records`].
pub const RECORDS_MAX: usize = 8192;
/// The most members that a [`JoinGranted`] names.
pub const GRANTED_MEMBERS_MAX: usize = 1024;
/// The longest name of a cluster in bytes.
pub const CLUSTER_NAME_BYTES_MAX: usize = 255;

/// Why bytes are not a packet. The sender is at fault; nothing of the packet was taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// There are too many bytes.
    #[error("the packet has {bytes} bytes, more than {PACKET_BYTES_MAX}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// The bytes end inside the header.
    #[error("the packet ends inside its header")]
    Header,
    /// The sender speaks another version of the format.
    #[error("the sender speaks wire version {theirs}, this node {WIRE_VERSION}")]
    Version {
        /// Which one.
        theirs: u8,
    },
    /// There are more than [`MESSAGES_MAX`] messages.
    #[error("the packet has more than {MESSAGES_MAX} messages")]
    TooManyMessages,
    /// The bytes end inside a message.
    #[error("the packet ends inside a message of kind {kind}")]
    Truncated {
        /// The message's kind.
        kind: u8,
    },
    /// A body is not what its kind says.
    #[error("a message of kind {kind} is malformed")]
    Malformed {
        /// The message's kind.
        kind: u8,
    },
    /// A body is well formed, but breaks a limit or a rule that holds for its values.
    #[error("a message of kind {kind} breaks a rule: {rule}")]
    Rule {
        /// The message's kind.
        kind: u8,
        /// The rule.
        rule: &'static str,
    },
}

/// The bytes of a packet.
pub fn encode(packet: &Packet) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    encode_into(packet, &mut out);
    out
}

/// Appends the bytes of a packet to `out`.
pub fn encode_into(packet: &Packet, out: &mut Vec<u8>) {
    out.push(WIRE_VERSION);
    out.extend_from_slice(&packet.cluster.0.to_le_bytes());
    out.extend_from_slice(&packet.fingerprint.0.to_le_bytes());
    for message in &packet.messages {
        encode_message(message, out);
    }
}

/// The packet of some bytes.
///
/// # Errors
/// When the bytes break the format or a limit: see [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Packet, DecodeError> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes: bytes.len() });
    }
    let (&version, rest) = bytes.split_first().ok_or(DecodeError::Header)?;
    if version != WIRE_VERSION {
        return Err(DecodeError::Version { theirs: version });
    }
    let (&tag, rest) = rest.split_first_chunk().ok_or(DecodeError::Header)?;
    let (&fingerprint, rest) = rest.split_first_chunk().ok_or(DecodeError::Header)?;
    Ok(Packet {
        cluster: ClusterTag(u32::from_le_bytes(tag)),
        fingerprint: Fingerprint(u64::from_le_bytes(fingerprint)),
        messages: decode_messages(rest)?,
    })
}

/// How many bytes a message adds to a packet, its kind and length included.
pub fn message_bytes(message: &Message) -> usize {
    let body = match message {
        Message::Ping(ping) => size(ping),
        Message::Ack(ack) => size(ack),
        Message::PingRequest(request) => size(request),
        Message::Nack(nack) => size(nack),
        Message::Suspect(suspect) => size(suspect),
        Message::Rumor(rumor) => size(rumor),
        Message::JoinRequest(request) => size(request),
        Message::JoinGranted(granted) => size(granted),
        Message::JoinRefused(refused) => size(refused),
        Message::Compare(compare) => size(compare),
        Message::Summaries(summaries) => size(summaries),
        Message::Records(rumors) => size(rumors),
        Message::Want(ids) => size(ids),
        Message::WrongCluster => 0,
        Message::Verdicts(verdicts) => size(&Batch::of(verdicts)),
    };
    1 + varint(body).1 + body
}

/// The numbers of the kinds. Never reused: a number that is given up stays unknown.
mod kind {
    pub(super) const PING: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const PING_REQUEST: u8 = 3;
    pub(super) const NACK: u8 = 4;
    pub(super) const SUSPECT: u8 = 5;
    pub(super) const RUMOR: u8 = 6;
    pub(super) const JOIN_REQUEST: u8 = 7;
    pub(super) const JOIN_GRANTED: u8 = 8;
    pub(super) const JOIN_REFUSED: u8 = 9;
    pub(super) const COMPARE: u8 = 10;
    pub(super) const SUMMARIES: u8 = 11;
    pub(super) const RECORDS: u8 = 12;
    pub(super) const WANT: u8 = 13;
    pub(super) const WRONG_CLUSTER: u8 = 14;
    pub(super) const VERDICTS: u8 = 15;
}

fn encode_message(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Ping(ping) => put(kind::PING, ping, out),
        Message::Ack(ack) => put(kind::ACK, ack, out),
        Message::PingRequest(request) => put(kind::PING_REQUEST, request, out),
        Message::Nack(nack) => put(kind::NACK, nack, out),
        Message::Suspect(suspect) => put(kind::SUSPECT, suspect, out),
        Message::Rumor(rumor) => put(kind::RUMOR, rumor, out),
        Message::JoinRequest(request) => put(kind::JOIN_REQUEST, request, out),
        Message::JoinGranted(granted) => put(kind::JOIN_GRANTED, granted, out),
        Message::JoinRefused(refused) => put(kind::JOIN_REFUSED, refused, out),
        Message::Compare(compare) => put(kind::COMPARE, compare, out),
        Message::Summaries(summaries) => put(kind::SUMMARIES, summaries, out),
        Message::Records(rumors) => put(kind::RECORDS, rumors, out),
        Message::Want(ids) => put(kind::WANT, ids, out),
        Message::Verdicts(verdicts) => put(kind::VERDICTS, &Batch::of(verdicts), out),
        Message::WrongCluster => out.extend_from_slice(&[kind::WRONG_CLUSTER, 0]),
    }
}

/// Appends a message. The length is put in front once the body is there. Nearly always it has one
/// digit, for which there is room; moving a longer body costs less than measuring all of them first.
fn put(kind: u8, body: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind, 0]);
    let start = out.len();
    postcard::serialize_with_flavor(body, Tail(out)).expect("a Vec takes every byte");
    let (length, digits) = varint(out.len() - start);
    out[start - 1] = length[0];
    if digits > 1 {
        out.splice(start..start, length[1..digits].iter().copied());
    }
}

/// The end of a buffer, where bodies go.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn size(body: &impl Serialize) -> usize {
    postcard::experimental::serialized_size(body).expect("counting bytes does not fail")
}

/// A length as a varint: the digits, and how many of them count.
fn varint(length: usize) -> ([u8; 5], usize) {
    let length = u32::try_from(length).expect("a message is shorter than 4 GiB");
    let mut digits = [0; 5];
    let used = postcard::to_slice(&length, &mut digits)
        .expect("a u32 takes 5 bytes")
        .len();
    (digits, used)
}

fn decode_messages(mut rest: &[u8]) -> Result<Messages, DecodeError> {
    let mut messages = Messages::new();
    let mut count = 0;
    while let Some((&kind, after)) = rest.split_first() {
        count += 1;
        if count > MESSAGES_MAX {
            return Err(DecodeError::TooManyMessages);
        }
        let truncated = DecodeError::Truncated { kind };
        let (length, after) = match postcard::take_from_bytes::<u32>(after) {
            Ok((length, after)) => (length as usize, after),
            Err(postcard::Error::DeserializeUnexpectedEnd) => return Err(truncated),
            Err(_) => return Err(DecodeError::Malformed { kind }),
        };
        let (body, after) = after.split_at_checked(length).ok_or(truncated)?;
        rest = after;
        messages.extend(decode_body(kind, &mut Reader { rest: body }).map_err(|f| f.of(kind))?);
    }
    Ok(messages)
}

/// The message of a body; `None` for a kind that this version does not know.
fn decode_body(kind: u8, body: &mut Reader<'_>) -> Result<Option<Message>, Fault> {
    Ok(Some(match kind {
        kind::PING => Message::Ping(body.take()?),
        kind::ACK => Message::Ack(body.take()?),
        kind::PING_REQUEST => Message::PingRequest(body.take()?),
        kind::NACK => Message::Nack(body.take()?),
        kind::SUSPECT => Message::Suspect(body.take()?),
        kind::RUMOR => Message::Rumor(body.rumor()?),
        kind::JOIN_REQUEST => Message::JoinRequest(Box::new(body.join_request()?)),
        kind::JOIN_GRANTED => Message::JoinGranted(Box::new(body.join_granted()?)),
        kind::JOIN_REFUSED => {
            let refused: crate::message::JoinRefused = body.take()?;
            check_refusal(&refused.refusal)?;
            Message::JoinRefused(refused)
        }
        kind::COMPARE => Message::Compare(body.compare()?),
        kind::SUMMARIES => Message::Summaries(body.summaries()?),
        kind::RECORDS => Message::Records(body.list(RECORDS_MAX, Reader::rumor)?),
        kind::WANT => Message::Want(body.list(WANT_MAX, Reader::take)?),
        kind::WRONG_CLUSTER => Message::WrongCluster,
        kind::VERDICTS => Message::Verdicts(body.verdicts()?),
        _ => return Ok(None),
    }))
}

/// What is wrong with a body.
enum Fault {
    Malformed,
    Rule(&'static str),
}

impl Fault {
    fn of(self, kind: u8) -> DecodeError {
        match self {
            Self::Malformed => DecodeError::Malformed { kind },
            Self::Rule(rule) => DecodeError::Rule { kind, rule },
        }
    }
}

fn rule(holds: bool, rule: &'static str) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::Rule(rule))
    }
}

/// Takes values off the front of a body, in the order in which their struct has them. Structs
/// without lists decode by their derived implementation; lists, and what holds lists, here.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Fault> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|_| Fault::Malformed)?;
        self.rest = rest;
        Ok(value)
    }

    /// A list as postcard has it: a count, then the elements by `element`.
    fn list<T>(
        &mut self,
        count_max: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let count: u64 = self.take()?;
        rule(count <= count_max as u64, "a list has too many elements")?;
        // Collecting results allocates as elements come, not by the count that was claimed.
        (0..count).map(|_| element(self)).collect()
    }

    fn profile(&mut self) -> Result<Arc<Profile>, Fault> {
        let profile: Profile = self.take()?;
        rule(
            profile.is_within_bounds(),
            "a profile's tags or version are too long",
        )?;
        Ok(Arc::new(profile))
    }

    fn rumor(&mut self) -> Result<Rumor, Fault> {
        let rumor: Rumor = self.take()?;
        if let Rumor::Alive(profile) | Rumor::Absent { profile, .. } = &rumor {
            rule(
                profile.is_within_bounds(),
                "a profile's tags or version are too long",
            )?;
        }
        if let Rumor::Absent { standing, .. } = &rumor {
            let absent = matches!(standing.state, State::Failed | State::Left);
            rule(absent, "an absent member has failed or left")?;
        }
        Ok(rumor)
    }

    fn join_request(&mut self) -> Result<JoinRequest, Fault> {
        let request: JoinRequest = self.take()?;
        rule(
            request.profile.is_within_bounds(),
            "a profile's tags or version are too long",
        )?;
        check_cluster_name(&request.cluster_name)?;
        Ok(request)
    }

    fn join_granted(&mut self) -> Result<JoinGranted, Fault> {
        Ok(JoinGranted {
            seq: self.take()?,
            cluster: self.take()?,
            admission: self.take()?,
            floor: self.take()?,
            size: self.take()?,
            quorum: self.take()?,
            members: self.list(GRANTED_MEMBERS_MAX, Self::profile)?,
        })
    }

    fn compare(&mut self) -> Result<Compare, Fault> {
        Ok(Compare {
            cluster: self.take()?,
            ranges: self.list(RANGES_MAX, Self::range_hash)?,
        })
    }

    fn summaries(&mut self) -> Result<Summaries, Fault> {
        Ok(Summaries {
            cluster: self.take()?,
            ranges: self.list(RANGES_MAX, Self::range)?,
            items: self.list(ITEMS_MAX, Self::item)?,
        })
    }

    fn verdicts(&mut self) -> Result<Vec<Failed>, Fault> {
        let earliest = self.take()?;
        let judges = self.list(VERDICTS_MAX, Self::take)?;
        self.list(VERDICTS_MAX, |body| {
            let verdict: Short = body.take()?;
            let expanded = verdict.expand(earliest, &judges);
            expanded.ok_or(Fault::Rule(
                "a verdict names a listed judge, at most 255 accusers and a life",
            ))
        })
    }

    fn range_hash(&mut self) -> Result<RangeHash, Fault> {
        let hash: RangeHash = self.take()?;
        check_range(hash.range)?;
        Ok(hash)
    }

    fn range(&mut self) -> Result<Range, Fault> {
        let range = self.take()?;
        check_range(range)?;
        Ok(range)
    }

    fn item(&mut self) -> Result<(NodeId, Standing), Fault> {
        let (id, standing): (NodeId, Standing) = self.take()?;
        let removal = Standing::removed(standing.life.admission);
        let one_fact = standing.state != State::Removed || standing == removal;
        rule(one_fact, "a removal names no incarnation")?;
        Ok((id, standing))
    }
}

fn check_range(range: Range) -> Result<(), Fault> {
    let beyond = u64::MAX.checked_shr(range.bits.into()).unwrap_or(0);
    let whole = range.bits <= 64 && range.prefix & beyond == 0;
    rule(
        whole,
        "a range fixes 64 bits at the most, and the others are zero",
    )
}

fn check_refusal(refusal: &Refusal) -> Result<(), Fault> {
    match refusal {
        Refusal::ClusterName { theirs, ours } => {
            check_cluster_name(theirs)?;
            check_cluster_name(ours)
        }
        _ => Ok(()),
    }
}

fn check_cluster_name(name: &str) -> Result<(), Fault> {
    rule(
        name.len() <= CLUSTER_NAME_BYTES_MAX,
        "a cluster's name is too long",
    )
}
