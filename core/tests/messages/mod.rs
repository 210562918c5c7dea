//! Every message that can be said, for property tests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use convoke_core::member::Standing;
use convoke_core::message::{
    Ack, Compare, Failed, Intent, JoinGranted, JoinRefused, JoinRequest, Message, Nack, Ping,
    PingRequest, Range, RangeHash, Refusal, Rumor, SeqNo, Summaries, Suspect,
};
use convoke_core::{Admission, ClusterId, Incarnation, Instance, Life, NodeId, NodeName, Profile};
use proptest::prelude::*;

/// A plain profile.
pub(crate) fn profile(name: &str, incarnation: u64) -> Arc<Profile> {
    Arc::new(Profile {
        name: name.parse().expect("a valid name"),
        life: Life {
            admission: Admission(1),
            incarnation: Incarnation(incarnation),
        },
        instance: Instance::new(incarnation, 1),
        address: "10.0.0.1:4371".parse().expect("a valid address"),
        rpc_port: 5371,
        version: "0.1.0".into(),
        side: None,
        tags: [].into(),
    })
}

/// Messages of every kind.
pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        probing(),
        rumor().prop_map(Message::Rumor),
        joining(),
        reconciling(),
        Just(Message::WrongCluster),
    ]
}

fn probing() -> impl Strategy<Value = Message> {
    let suspect = || prop::option::of(life());
    prop_oneof![
        (seq(), suspect()).prop_map(|(seq, suspect)| Message::Ping(Ping { seq, suspect })),
        (seq(), any::<u32>(), any::<u8>()).prop_map(|(seq, absent, turn)| Message::Ack(Ack {
            seq,
            absent,
            turn
        })),
        (seq(), id(), suspect(), any::<u16>()).prop_map(|(seq, target, suspect, nack_after_ms)| {
            Message::PingRequest(PingRequest {
                seq,
                target,
                suspect,
                nack_after_ms,
            })
        }),
        seq().prop_map(|seq| Message::Nack(Nack { seq })),
        (id(), life(), any::<bool>())
            .prop_map(|(id, life, refused)| { Message::Suspect(Suspect { id, life, refused }) }),
    ]
}

fn joining() -> impl Strategy<Value = Message> {
    let intent = prop_oneof![
        Just(Intent::Explicit),
        Just(Intent::Discovered),
        Just(Intent::Return)
    ];
    let request = (
        seq(),
        intent,
        ".{0,20}",
        cluster(),
        any::<u32>(),
        any::<bool>(),
        any_profile(),
    )
        .prop_map(
            |(seq, intent, cluster_name, cluster, size, admitted, profile)| {
                let cluster_name = cluster_name.into();
                JoinRequest {
                    seq,
                    intent,
                    cluster_name,
                    cluster,
                    size,
                    admitted,
                    profile,
                }
            },
        );
    let members = prop::collection::vec(any_profile(), 0..5);
    let granted = (
        seq(),
        cluster(),
        any::<u32>(),
        any::<u64>(),
        any::<u32>(),
        any::<bool>(),
        members,
    )
        .prop_map(
            |(seq, cluster, admission, floor, size, quorum, members)| JoinGranted {
                seq,
                cluster,
                admission: Admission(admission),
                floor: Incarnation(floor),
                size,
                quorum,
                members,
            },
        );
    let refused = (seq(), refusal()).prop_map(|(seq, refusal)| JoinRefused { seq, refusal });
    prop_oneof![
        request.prop_map(|request| Message::JoinRequest(Box::new(request))),
        granted.prop_map(|granted| Message::JoinGranted(Box::new(granted))),
        refused.prop_map(Message::JoinRefused),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        address().prop_map(|address| Refusal::NameInUse { address }),
        (".{0,20}", ".{0,20}").prop_map(|(theirs, ours)| Refusal::ClusterName {
            theirs: theirs.into(),
            ours: ours.into()
        }),
        any::<u32>().prop_map(|a| Refusal::Removed {
            admission: Admission(a)
        }),
        Just(Refusal::SmallerCluster),
        Just(Refusal::Busy),
        any::<u32>().prop_map(|members_max| Refusal::Full { members_max }),
    ]
}

fn reconciling() -> impl Strategy<Value = Message> {
    let hash = (range(), any::<u32>(), any::<u64>()).prop_map(|(range, count, sum)| RangeHash {
        range,
        count,
        sum,
    });
    let compare = (cluster(), prop::collection::vec(hash, 0..20))
        .prop_map(|(cluster, ranges)| Compare { cluster, ranges });
    let ranges = prop::collection::vec(range(), 0..8);
    let items = prop::collection::vec((id(), standing()), 0..20);
    let summaries = (cluster(), ranges, items).prop_map(|(cluster, ranges, items)| Summaries {
        cluster,
        ranges,
        items,
    });
    prop_oneof![
        compare.prop_map(Message::Compare),
        summaries.prop_map(Message::Summaries),
        prop::collection::vec(rumor(), 0..8).prop_map(Message::Records),
        prop::collection::vec(id(), 0..20).prop_map(Message::Want),
        prop::collection::vec(failed(), 0..9).prop_map(Message::Verdicts),
    ]
}

fn failed() -> impl Strategy<Value = Failed> {
    let failed = (id(), life(), id(), any::<u8>(), any::<[bool; 3]>());
    failed.prop_map(
        |(id, life, by, accusers, [doubtful, refused, heard])| Failed {
            id,
            life,
            by,
            accusers,
            doubtful,
            refused,
            heard,
        },
    )
}

fn rumor() -> impl Strategy<Value = Rumor> {
    let gone = |life| prop_oneof![Just(Standing::failed(life)), Just(Standing::left(life))];
    prop_oneof![
        any_profile().prop_map(Rumor::Alive),
        failed().prop_map(Rumor::Failed),
        (id(), life()).prop_map(|(id, life)| Rumor::Left { id, life }),
        (id(), any::<u32>()).prop_map(|(id, a)| Rumor::Removed {
            id,
            admission: Admission(a)
        }),
        (
            any_profile(),
            life().prop_flat_map(gone),
            any::<u32>(),
            any::<[bool; 2]>()
        )
            .prop_map(|(profile, standing, age, [refused, heard])| Rumor::Absent {
                profile,
                standing,
                age,
                refused,
                heard,
            }),
    ]
}

fn any_profile() -> impl Strategy<Value = Arc<Profile>> {
    let name = "[a-zA-Z0-9_-]{1,12}@(10\\.[0-9]\\.0\\.[1-9]|[a-z]{1,9}\\.example|fd00::[1-9a-f])";
    let tags = prop::collection::btree_map(".{1,5}", ".{0,9}", 0..4);
    let instance = (0..1u64 << 42, any::<u64>()).prop_map(|(ms, random)| Instance::new(ms, random));
    (
        name,
        life(),
        instance,
        address(),
        any::<u16>(),
        ("[0-9.]{0,9}", prop::option::of(id())),
        tags,
    )
        .prop_map(|(name, life, instance, address, rpc_port, said, tags)| {
            let (version, side) = said;
            let name: NodeName = name.parse().expect("the pattern is that of names");
            let version = version.into();
            Arc::new(Profile {
                name,
                life,
                instance,
                address,
                rpc_port,
                version,
                side,
                tags,
            })
        })
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        life().prop_map(Standing::alive),
        life().prop_map(Standing::failed),
        life().prop_map(Standing::left),
        any::<u32>().prop_map(|a| Standing::removed(Admission(a))),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    (any::<u64>(), 0..=64u8).prop_map(|(id, bits)| {
        let beyond = u64::MAX.checked_shr(bits.into()).unwrap_or(0);
        Range {
            prefix: id & !beyond,
            bits,
        }
    })
}

fn life() -> impl Strategy<Value = Life> {
    (any::<u32>(), any::<u64>()).prop_map(|(admission, incarnation)| Life {
        admission: Admission(admission),
        incarnation: Incarnation(incarnation),
    })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn seq() -> impl Strategy<Value = SeqNo> {
    any::<u32>().prop_map(SeqNo)
}

fn id() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(NodeId)
}

fn cluster() -> impl Strategy<Value = ClusterId> {
    any::<u128>().prop_map(ClusterId)
}
