//! Two nodes that compare come to hold the same, at the price of the difference.

use std::collections::{BTreeMap, VecDeque};

use convoke_core::codec::{HEADER_BYTES, RECORDS_MAX, message_bytes};
use convoke_core::member::{Standing, State};
use convoke_core::message::{Compare, Message, Range, RangeHash, Summaries};
use convoke_core::reconcile::{LISTED_MAX, answer_compare, answer_summaries, opening};
use convoke_core::{Admission, ClusterId, Incarnation, Life, NodeId};
use proptest::prelude::*;

const CLUSTER: ClusterId = ClusterId(1);
/// What one fact costs in a `Records`, as most are: the name, address and version of a member.
const RECORD_BYTES: usize = 60;

type Held = BTreeMap<NodeId, Standing>;

fn items(held: &Held) -> Vec<(NodeId, Standing)> {
    held.iter().map(|(&id, &fact)| (id, fact)).collect()
}

fn alive(incarnation: u64) -> Standing {
    let incarnation = Incarnation(incarnation);
    Standing::alive(Life {
        admission: Admission(1),
        incarnation,
    })
}

/// Ids as hashes are: spread over the whole line.
fn spread(n: u64) -> NodeId {
    NodeId((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What one comparison cost.
#[derive(Debug, Default)]
struct Cost {
    /// The longest chain of messages, each an answer to the one before.
    messages_deep: usize,
    bytes: usize,
    records: usize,
}

/// One comparison, begun by the first side, message by message until nobody answers.
fn compare(sides: &mut [Held; 2]) -> Cost {
    let mut cost = Cost::default();
    let question = Compare {
        cluster: CLUSTER,
        ranges: opening(items(&sides[0]).as_slice()),
    };
    let mut on_the_way = VecDeque::from([(1, 1, Message::Compare(question))]);
    while let Some((to, depth, message)) = on_the_way.pop_front() {
        cost.messages_deep = cost.messages_deep.max(depth);
        cost.bytes += HEADER_BYTES + message_bytes(&message);
        let [first, second] = sides;
        let (mine, other) = if to == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let mut reply = |message| on_the_way.push_back((1 - to, depth + 1, message));
        match message {
            Message::Compare(question) => {
                let answer = answer_compare(items(mine).as_slice(), &question);
                if !answer.compare.is_empty() {
                    let ranges = answer.compare;
                    reply(Message::Compare(Compare {
                        cluster: CLUSTER,
                        ranges,
                    }));
                }
                if !answer.ranges.is_empty() {
                    let (ranges, items) = (answer.ranges, answer.items);
                    reply(Message::Summaries(Summaries {
                        cluster: CLUSTER,
                        ranges,
                        items,
                    }));
                }
            }
            Message::Summaries(summaries) => {
                let answer = answer_summaries(items(mine).as_slice(), &summaries);
                // The records themselves: the sender's facts, taken over by the receiver.
                cost.records += answer.send.len();
                answer
                    .send
                    .iter()
                    .for_each(|id| merge(other, *id, mine[id]));
                if !answer.want.is_empty() {
                    reply(Message::Want(answer.want));
                }
            }
            Message::Want(ids) => {
                cost.records += ids.len();
                ids.iter().for_each(|id| merge(other, *id, mine[id]));
            }
            other => panic!("no part of a comparison: {other:?}"),
        }
    }
    cost.bytes += cost.records * RECORD_BYTES;
    cost
}

fn merge(held: &mut Held, id: NodeId, fact: Standing) {
    held.entry(id)
        .and_modify(|old| *old = old.merge(fact))
        .or_insert(fact);
}

fn union(sides: &[Held; 2]) -> Held {
    let mut all = sides[0].clone();
    sides[1]
        .iter()
        .for_each(|(&id, &fact)| merge(&mut all, id, fact));
    all
}

fn differences(sides: &[Held; 2]) -> usize {
    union(sides)
        .keys()
        .filter(|id| sides[0].get(id) != sides[1].get(id))
        .count()
}

/// What a comparison may cost: for each difference the hashes on the way down to it and the list
/// at the end, and a constant.
fn bytes_max(difference: usize, held: usize) -> usize {
    let levels = (held as f64).max(16.0).log(16.0).ceil() as usize;
    let hashes = 16 * 21;
    let list = 2 * LISTED_MAX * 18;
    difference * (levels * hashes + list + RECORD_BYTES) + hashes + 400
}

fn fact() -> impl Strategy<Value = Standing> + Clone {
    let state = prop::sample::select(vec![State::Alive, State::Failed, State::Left]);
    let lives = (1..3u32, 1..4u64, state).prop_map(|(admission, incarnation, state)| {
        let (admission, incarnation) = (Admission(admission), Incarnation(incarnation));
        Standing {
            life: Life {
                admission,
                incarnation,
            },
            state,
        }
    });
    prop_oneof![9 => lives, 1 => (1..3u32).prop_map(|a| Standing::removed(Admission(a)))]
}

fn hashed_id() -> impl Strategy<Value = NodeId> + Clone {
    (0..3000u64).prop_map(spread)
}

/// Ids as hashes are, and ids that somebody chose to lie side by side.
fn any_id() -> impl Strategy<Value = NodeId> + Clone {
    prop_oneof![
        4 => hashed_id(),
        1 => (0..200u64).prop_map(|n| NodeId(0x1234_5678_9abc_d000 + n)),
        1 => (0..4u64).prop_map(|n| NodeId(u64::MAX - n)),
    ]
}

fn held(facts_max: usize) -> impl Strategy<Value = Held> + Clone {
    prop::collection::btree_map(any_id(), fact(), 0..facts_max)
}

fn hashed(facts_max: usize) -> impl Strategy<Value = Held> + Clone {
    prop::collection::btree_map(hashed_id(), fact(), 0..facts_max)
}

/// Two sides that share a part, and differ in the rest.
fn sides(
    shared: impl Strategy<Value = Held>,
    own: impl Strategy<Value = Held> + Clone,
) -> impl Strategy<Value = [Held; 2]> {
    (shared, own.clone(), own).prop_map(|(shared, a, b)| {
        let side = |own: Held| shared.clone().into_iter().chain(own).collect();
        [side(a), side(b)]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn two_sides_end_equal_after_one_comparison(mut sides in prop_oneof![
        sides(held(2000), held(60)),
        (held(800), held(800)).prop_map(|(a, b)| [a, b]),
        (held(3), held(1500)).prop_map(|(a, b)| [a, b]),
    ]) {
        let expected = union(&sides);
        let cost = compare(&mut sides);
        prop_assert_eq!(&sides[0], &expected);
        prop_assert_eq!(&sides[1], &expected);
        prop_assert!(cost.messages_deep <= 16 + 2, "{:?}", cost);
    }

    #[test]
    fn the_bytes_are_proportional_to_the_difference(
 mut sides in sides(hashed(2000), hashed(60)),
 ) {
        let (difference, all) = (differences(&sides), union(&sides).len());
        let cost = compare(&mut sides);
        prop_assert_eq!(cost.records, difference);
        prop_assert!(cost.bytes <= bytes_max(difference, all), "{} {} {:?}", difference, all, cost);
    }

    #[test]
    fn sides_that_hold_the_same_stop_at_once(held in held(2000)) {
        let mut sides = [held.clone(), held];
        let cost = compare(&mut sides);
        prop_assert_eq!((cost.messages_deep, cost.records), (1, 0));
        prop_assert!(cost.bytes < 400, "{:?}", cost);
    }

    #[test]
    fn whatever_a_peer_asks_is_answered_in_order_and_within_limits(
        held in held(500),
        ranges in prop::collection::vec((any::<u64>(), 0..=64u8, 0..40u32, any::<u64>()), 0..60),
        listed in prop::collection::vec((any_id(), fact()), 0..60),
    ) {
        let ranges: Vec<RangeHash> = ranges.into_iter().map(|(id, bits, count, sum)| {
            let prefix = id & !u64::MAX.checked_shr(bits.into()).unwrap_or(0);
            RangeHash { range: Range { prefix, bits }, count, sum }
        }).collect();
        let plain = ranges.iter().map(|hash| hash.range).collect();
        let answer = answer_compare(items(&held).as_slice(), &Compare { cluster: CLUSTER, ranges });
        prop_assert!(answer.items.len() <= held.len());
        prop_assert!(answer.compare.is_sorted_by(|a, b| a.range.prefix < b.range.prefix));
        prop_assert!(answer.items.is_sorted_by(|a, b| a.0 < b.0));
        let summaries = Summaries { cluster: CLUSTER, ranges: plain, items: listed };
        let answer = answer_summaries(items(&held).as_slice(), &summaries);
        prop_assert!(answer.send.iter().all(|id| held.contains_key(id)));
        prop_assert!(answer.send.is_sorted_by(|a, b| a < b));
        prop_assert!(answer.want.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn one_difference_in_ten_thousand_costs_two_kilobytes() {
    let shared: Held = (0..10_000).map(|n| (spread(n), alive(1))).collect();
    let mut sides = [shared.clone(), shared];
    sides[1].insert(spread(5000), alive(2));
    let cost = compare(&mut sides);
    assert_eq!(sides[0], sides[1]);
    assert!(cost.bytes < 2000, "{cost:?}");
}

#[test]
fn a_newcomer_is_sent_everything_without_naming_it() {
    let full: Held = (0..1000).map(|n| (spread(n), alive(1))).collect();
    for newcomer_asks in [true, false] {
        let newcomer = Held::from([(spread(7), alive(1))]);
        let mut sides = [full.clone(), newcomer];
        if newcomer_asks {
            sides.reverse();
        }
        let cost = compare(&mut sides);
        assert_eq!(sides, [full.clone(), full.clone()]);
        let names_and_hashes = cost.bytes - cost.records * RECORD_BYTES;
        assert!(names_and_hashes < 1500, "{cost:?}");
    }
}

#[test]
fn what_does_not_fit_in_one_comparison_is_found_by_the_next_ones() {
    let half = |parity| {
        (0..60_000)
            .filter(move |n| n % 2 == parity)
            .map(|n| (spread(n), alive(1)))
    };
    let mut sides: [Held; 2] = [half(0).collect(), half(1).collect()];
    let mut comparisons = 0;
    while sides[0] != sides[1] {
        let before = differences(&sides);
        let cost = compare(&mut sides);
        comparisons += 1;
        assert!(
            differences(&sides) < before,
            "comparison {comparisons} found nothing: {cost:?}"
        );
    }
    assert!((2..=40).contains(&comparisons), "{comparisons}");
}

#[test]
fn a_single_answer_never_sends_more_than_one_message_holds() {
    let many: Held = (0..20_000).map(|n| (spread(n), alive(1))).collect();
    let everything = Range { prefix: 0, bits: 0 };
    let nothing = Summaries {
        cluster: CLUSTER,
        ranges: vec![everything],
        items: Vec::new(),
    };
    assert_eq!(
        answer_summaries(items(&many).as_slice(), &nothing)
            .send
            .len(),
        RECORDS_MAX
    );
}

#[test]
fn ranges_that_overlap_are_answered_once() {
    let held: Held = (0..100).map(|n| (spread(n), alive(1))).collect();
    let everything = RangeHash {
        range: Range { prefix: 0, bits: 0 },
        count: 99,
        sum: 0,
    };
    let question = Compare {
        cluster: CLUSTER,
        ranges: vec![everything; 50],
    };
    assert_eq!(
        answer_compare(items(&held).as_slice(), &question)
            .compare
            .len(),
        16
    );
}
