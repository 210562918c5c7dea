//! The wire format: what goes in comes out, and nothing that a peer sends does harm.

mod messages;

use convoke_core::codec::{
    DecodeError, HEADER_BYTES, MESSAGES_MAX, PACKET_BYTES_MAX, decode, encode, encode_into,
    message_bytes,
};
use convoke_core::member::Standing;
use convoke_core::message::{
    Ack, ClusterTag, Compare, Intent, JoinRequest, Message, Packet, Ping, Range, RangeHash, Rumor,
    SeqNo, Summaries,
};
use convoke_core::{Admission, ClusterId, Fingerprint, Incarnation, Life, NodeId};
use proptest::prelude::*;

use messages::{any_message, profile};

fn packet(messages: Vec<Message>) -> Packet {
    Packet {
        cluster: ClusterTag(7),
        fingerprint: Fingerprint(9),
        messages: messages.into(),
    }
}

/// A packet of one message of this kind with this body.
fn raw(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = encode(&packet(Vec::new()));
    bytes.push(kind);
    bytes.extend(postcard::to_allocvec(&body.len()).expect("a length is always encoded"));
    bytes.extend_from_slice(body);
    bytes
}

/// Where each message of a packet begins, and where the last one ends.
fn boundaries(packet: &Packet) -> Vec<usize> {
    let mut at = HEADER_BYTES;
    let mut all = vec![at];
    for message in &packet.messages {
        at += message_bytes(message);
        all.push(at);
    }
    all
}

/// Packets of up to six messages.
fn any_packet() -> impl Strategy<Value = Packet> {
    let messages = prop::collection::vec(any_message(), 0..6);
    (any::<u32>(), any::<u64>(), messages).prop_map(|(tag, fingerprint, messages)| Packet {
        cluster: ClusterTag(tag),
        fingerprint: Fingerprint(fingerprint),
        messages: messages.into(),
    })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(packet in any_packet()) {
        let bytes = encode(&packet);
        prop_assert_eq!(decode(&bytes), Ok(packet));
    }

    #[test]
    fn a_message_takes_the_bytes_that_it_says(message in any_message()) {
        let bytes = encode(&packet(vec![message.clone()]));
        prop_assert_eq!(bytes.len(), HEADER_BYTES + message_bytes(&message));
    }

    #[test]
    fn appending_leaves_what_was_there(packet in any_packet(), before in any::<[u8; 3]>()) {
        let mut out = before.to_vec();
        encode_into(&packet, &mut out);
        prop_assert_eq!(&out[..3], &before);
        prop_assert_eq!(&out[3..], encode(&packet));
    }

    #[test]
    fn a_packet_cut_short_is_refused_unless_cut_between_messages(packet in any_packet()) {
        let bytes = encode(&packet);
        let boundaries = boundaries(&packet);
        for end in 0..bytes.len() {
            let decoded = decode(&bytes[..end]);
            match boundaries.iter().position(|&at| at == end) {
                Some(messages) => {
                    prop_assert_eq!(&decoded.unwrap().messages[..], &packet.messages[..messages]);
                }
                None => prop_assert!(decoded.is_err(), "cut at {}", end),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(kind in 0..20u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&raw(kind, &body));
    }

    #[test]
    fn spoilt_packets_never_panic_and_decode_within_bounds(
        packet in any_packet(),
        spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&packet);
        for (at, byte) in spoil {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(packet) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&packet)), Ok(packet));
        }
    }

    #[test]
    fn unknown_kinds_are_skipped(packet in any_packet(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = encode(&packet);
        bytes.extend_from_slice(&raw(99, &body)[HEADER_BYTES..]);
        bytes.extend_from_slice(&raw(14, &[])[HEADER_BYTES..]);
        let mut expected = packet;
        expected.messages.push(Message::WrongCluster);
        prop_assert_eq!(decode(&bytes), Ok(expected));
    }

    #[test]
    fn fields_that_a_later_version_appends_are_ignored(message in any_message(), more in any::<[u8; 5]>()) {
        let known = encode(&packet(vec![message.clone()]));
        let kind = known[HEADER_BYTES];
        let body_bytes = postcard::take_from_bytes::<usize>(&known[HEADER_BYTES + 1..]).unwrap().0;
        let mut body = known[known.len() - body_bytes..].to_vec();
        body.extend_from_slice(&more);
        prop_assert_eq!(decode(&raw(kind, &body)), Ok(packet(vec![message])));
    }
}

/// Not a limit, but a scale: every member sends and gets about one of each a second, and a byte
/// more is a byte more for every member.
#[test]
fn a_probe_and_its_answer_have_these_sizes() {
    let ping = Message::Ping(Ping {
        seq: SeqNo(100_000),
        suspect: None,
    });
    let ack = Message::Ack(Ack {
        seq: SeqNo(100_000),
        absent: u32::MAX,
        turn: 20,
    });
    assert_eq!(HEADER_BYTES, 13);
    assert_eq!(encode(&packet(vec![ping])).len(), 19);
    assert_eq!(encode(&packet(vec![ack])).len(), 24);
}

#[test]
fn news_of_a_member_have_these_sizes() {
    let profile = profile("convoke1@10.0.0.1", 1_782_120_000_000);
    let (id, life) = (profile.id(), profile.life);
    let alive = Message::Rumor(Rumor::Alive(profile));
    let left = Message::Rumor(Rumor::Left { id, life });
    assert_eq!(message_bytes(&alive), 53);
    assert_eq!(message_bytes(&left), 18);
}

#[test]
fn another_version_is_named_in_the_error() {
    let mut bytes = encode(&packet(Vec::new()));
    bytes[0] = 2;
    assert_eq!(decode(&bytes), Err(DecodeError::Version { theirs: 2 }));
    assert_eq!(decode(&[2]), Err(DecodeError::Version { theirs: 2 }));
}

#[test]
fn no_bytes_and_half_a_header_are_refused() {
    assert_eq!(decode(&[]), Err(DecodeError::Header));
    assert_eq!(
        decode(&encode(&packet(Vec::new()))[..12]),
        Err(DecodeError::Header)
    );
}

#[test]
fn a_packet_over_the_limit_is_refused_unread() {
    let mut bytes = raw(99, &vec![0; PACKET_BYTES_MAX - HEADER_BYTES - 4]);
    assert_eq!(bytes.len(), PACKET_BYTES_MAX);
    assert_eq!(decode(&bytes), Ok(packet(Vec::new())));
    bytes.push(0);
    assert_eq!(
        decode(&bytes),
        Err(DecodeError::TooLarge {
            bytes: PACKET_BYTES_MAX + 1
        })
    );
}

#[test]
fn messages_are_counted_the_unknown_ones_too() {
    let mut bytes = encode(&packet(vec![Message::WrongCluster; MESSAGES_MAX]));
    assert_eq!(decode(&bytes).unwrap().messages.len(), MESSAGES_MAX);
    bytes.extend_from_slice(&[99, 0]);
    assert_eq!(decode(&bytes), Err(DecodeError::TooManyMessages));
}

#[test]
fn a_claimed_length_without_content_is_refused() {
    // Records and Want are bare lists: a count of 4,294,967,295, and of 8,000, with nothing behind.
    for kind in [12, 13] {
        let huge = decode(&raw(kind, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
        assert!(matches!(huge, Err(DecodeError::Rule { .. })), "{huge:?}");
        let plausible = decode(&raw(kind, &[0xc0, 0x3e]));
        assert_eq!(plausible, Err(DecodeError::Malformed { kind }));
    }
    // A message that claims to be longer than the packet.
    let mut bytes = encode(&packet(Vec::new()));
    bytes.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    assert_eq!(decode(&bytes), Err(DecodeError::Truncated { kind: 1 }));
    // A length that is no length.
    let mut bytes = encode(&packet(Vec::new()));
    bytes.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(decode(&bytes), Err(DecodeError::Malformed { kind: 1 }));
}

#[test]
fn ranges_that_are_none_are_refused() {
    let refused = |range: Range| {
        let hash = RangeHash {
            range,
            count: 0,
            sum: 0,
        };
        let cluster = ClusterId(1);
        let compare = Message::Compare(Compare {
            cluster,
            ranges: vec![hash],
        });
        let summaries = Message::Summaries(Summaries {
            cluster,
            ranges: vec![range],
            items: Vec::new(),
        });
        [compare, summaries].map(|message| decode(&encode(&packet(vec![message]))).is_err())
    };
    assert_eq!(
        refused(Range {
            prefix: u64::MAX,
            bits: 64
        }),
        [false; 2]
    );
    assert_eq!(refused(Range { prefix: 0, bits: 0 }), [false; 2]);
    assert_eq!(refused(Range { prefix: 1, bits: 0 }), [true; 2]);
    assert_eq!(
        refused(Range {
            prefix: 1,
            bits: 63
        }),
        [true; 2]
    );
    assert_eq!(
        refused(Range {
            prefix: 0,
            bits: 65
        }),
        [true; 2]
    );
    assert_eq!(
        refused(Range {
            prefix: 0,
            bits: 255
        }),
        [true; 2]
    );
}

#[test]
fn profiles_over_their_bounds_are_refused_wherever_they_are() {
    let mut large = (*profile("a@10.0.0.1", 1)).clone();
    large.tags.insert("k".into(), "v".repeat(2000));
    let large = std::sync::Arc::new(large);
    let failed = Standing::failed(large.life);
    let joining = JoinRequest {
        seq: SeqNo(1),
        intent: Intent::Explicit,
        cluster_name: "convoke".into(),
        cluster: ClusterId(1),
        size: 1,
        admitted: false,
        profile: large.clone(),
    };
    let absent = Rumor::Absent {
        profile: large.clone(),
        standing: failed,
        age: 7,
        refused: false,
        heard: false,
    };
    for message in [
        Message::Rumor(Rumor::Alive(large.clone())),
        Message::Rumor(absent.clone()),
        Message::Records(vec![Rumor::Alive(large), absent]),
        Message::JoinRequest(Box::new(joining)),
    ] {
        let decoded = decode(&encode(&packet(vec![message])));
        assert!(
            matches!(decoded, Err(DecodeError::Rule { .. })),
            "{decoded:?}"
        );
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    let bytes = encode(&packet(vec![Message::Rumor(Rumor::Alive(profile(
        "node@10.0.0.1",
        1,
    )))]));
    let at = bytes.windows(5).position(|w| w == b"node@").unwrap();
    let mut spoilt = bytes.clone();
    spoilt[at + 4] = b'.';
    assert!(decode(&bytes).is_ok());
    assert_eq!(decode(&spoilt), Err(DecodeError::Malformed { kind: 6 }));
}

#[test]
fn facts_that_no_node_states_are_refused() {
    let life = Life {
        admission: Admission(1),
        incarnation: Incarnation(5),
    };
    let mut removed = Standing::removed(Admission(1));
    removed.life = life;
    let summaries = |item| {
        let cluster = ClusterId(1);
        Message::Summaries(Summaries {
            cluster,
            ranges: Vec::new(),
            items: vec![(NodeId(1), item)],
        })
    };
    let absent = |standing| {
        Message::Rumor(Rumor::Absent {
            profile: profile("a@h", 5),
            standing,
            age: 0,
            refused: false,
            heard: false,
        })
    };
    let decoded = |message| decode(&encode(&packet(vec![message])));
    assert!(decoded(summaries(Standing::removed(Admission(1)))).is_ok());
    assert!(decoded(summaries(removed)).is_err());
    assert!(decoded(absent(Standing::left(life))).is_ok());
    assert!(decoded(absent(Standing::alive(life))).is_err());
}

#[test]
fn errors_say_what_is_wrong_in_words() {
    assert_eq!(
        DecodeError::Version { theirs: 9 }.to_string(),
        "the sender speaks wire version 9, this node 1"
    );
    assert_eq!(
        decode(&[1; 14]).unwrap_err().to_string(),
        "the packet ends inside a message of kind 1"
    );
}
