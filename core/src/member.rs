//! What can be known about a member, and which of two facts about it wins.
//!
//! Facts are compared, never counted: every node that has heard the same facts, in any order and
//! any number of times, holds the same. [`Standing`]'s order is that rule, in one place. Evidence
//! (who accuses whom) is not a fact; it is kept apart and never merged here.
//!
//! Source: SWIM §4.2 (incarnations and precedence), widened by admissions, so that a removal ends
//! a member's whole stay and not one incarnation of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::name::{NodeId, NodeName};
use crate::time::Instant;

/// The longest text, in bytes, that a profile's tags may take together. Keeps a profile inside
/// one datagram.
pub const TAGS_BYTES_MAX: usize = 512;

/// Which stay of a name in the cluster: the cluster counts a name's joins as a newcomer. Kept
/// over restarts; a removal ends it for good.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Admission(pub u32);

/// A member's own version number within an admission. Only its owner raises it, to refute a
/// suspicion or to announce a change; at start it is at least the milliseconds since 1970, so
/// that a restarted process outranks its former life.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

/// A moment of a member's life in the cluster: admission first, then incarnation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Life {
    /// The stay in the cluster.
    pub admission: Admission,
    /// The version within it.
    pub incarnation: Incarnation,
}

/// Tells two processes of one name apart: the start time in milliseconds since 1970 above 22
/// random bits, so that of two instances the smaller one started earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance(#[serde(with = "postcard::fixint::le")] u64);

/// What the cluster agrees about a member. Suspicion is not among these: it is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Takes part.
    Alive,
    /// Was found dead by the failure detector; revives by a higher incarnation.
    Failed,
    /// Said goodbye; revives by a higher incarnation (a restart).
    Left,
    /// Was removed by an operator: the admission is over.
    Removed,
}

/// A fact about a member: its life and its state. The order of standings is the precedence of
/// facts, and merging two is taking the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The life that the fact speaks of.
    pub life: Life,
    /// What it says.
    pub state: State,
}

/// What a member says of itself. Immutable: a change is a new profile at a higher incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name, from which the id follows.
    pub name: NodeName,
    /// The life at which this was said.
    pub life: Life,
    /// Which process says it.
    pub instance: Instance,
    /// Where its gossip endpoint is reached by others.
    pub address: SocketAddr,
    /// The port of its RPC endpoint on the same host.
    pub rpc_port: u16,
    /// The software version it runs.
    #[serde(deserialize_with = "shared")]
    pub version: Arc<str>,
    /// The side of a partition on which it said this: the least id of those whom it had not lost.
    /// `None` where it knew of no partition.
    pub side: Option<NodeId>,
    /// Free labels, [`TAGS_BYTES_MAX`] bytes at the most in all.
    pub tags: BTreeMap<String, String>,
}

/// A member as this node holds it.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it last said of itself.
    pub profile: Arc<Profile>,
    /// The accepted fact about it.
    pub standing: Standing,
    /// Whether this node holds evidence against it that is neither refuted nor confirmed.
    pub suspected: bool,
    /// When the state as an operator sees it (alive, suspect, failed, left) last changed, or another
    /// process took the name.
    pub since: Instant,
    /// Of one that failed: whether its host said that nothing listens at its port.
    pub refused: bool,
    /// Of one that failed: whether somebody on this side hears it all the same.
    pub heard: bool,
    /// Of one that failed: whether a partition took it that stands, so that it is not forgotten.
    pub held: bool,
}

/// An order-independent sum over members: equal on two nodes exactly when they hold the same
/// members at the same lives (a collision has a chance of 2⁻⁶⁴).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "postcard::fixint::le")] pub u64);

impl Life {
    /// The life before every other.
    pub const ZERO: Self = Self {
        admission: Admission(0),
        incarnation: Incarnation(0),
    };

    /// The same stay, `incarnation` raised just above `other` and itself.
    #[must_use]
    pub fn above(self, other: Incarnation) -> Self {
        let incarnation = Incarnation(self.incarnation.max(other).0.saturating_add(1));
        Self {
            incarnation,
            ..self
        }
    }
}

impl Instance {
    const RANDOM_BITS: u32 = 22;
    /// Of a member that is only remembered: which process it was is not known. Any other one says
    /// the later word.
    pub(crate) const UNKNOWN: Self = Self(u64::MAX);

    /// The instance that started `started_ms` milliseconds after 1970, with `random` to tell
    /// apart those that started in one millisecond.
    pub fn new(started_ms: u64, random: u64) -> Self {
        Self(started_ms << Self::RANDOM_BITS | random & ((1 << Self::RANDOM_BITS) - 1))
    }

    /// When the process started, in milliseconds since 1970 by its own clock.
    pub fn started_ms(self) -> u64 {
        self.0 >> Self::RANDOM_BITS
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Standing {
    /// The member is alive at this life.
    pub const fn alive(life: Life) -> Self {
        Self {
            life,
            state: State::Alive,
        }
    }

    /// The member failed at this life.
    pub const fn failed(life: Life) -> Self {
        Self {
            life,
            state: State::Failed,
        }
    }

    /// The member left at this life.
    pub const fn left(life: Life) -> Self {
        Self {
            life,
            state: State::Left,
        }
    }

    /// The member's stay has ended. Says nothing of an incarnation, so that all removals of one
    /// admission are the same fact.
    pub const fn removed(admission: Admission) -> Self {
        let life = Life {
            admission,
            incarnation: Incarnation(u64::MAX),
        };
        Self {
            life,
            state: State::Removed,
        }
    }

    /// The fact that holds after both were heard: the greater one.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether a member of this standing takes part.
    pub const fn is_present(self) -> bool {
        matches!(self.state, State::Alive)
    }

    /// The share of this fact in a sum over members.
    pub(crate) fn digest(self, id: NodeId) -> u64 {
        let mut bytes = [0; 21];
        bytes[..8].copy_from_slice(&id.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.life.admission.0.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.life.incarnation.0.to_le_bytes());
        bytes[20] = self.state as u8;
        xxh3_64_with_seed(&bytes, 0x636f_6e76_6f6b_6531)
    }
}

/// The precedence of facts: the later admission; within it a removal over everything; then the
/// later incarnation; then left over failed over alive.
impl Ord for Standing {
    fn cmp(&self, other: &Self) -> Ordering {
        let removed = |s: &Self| s.state == State::Removed;
        let key = |s: &Self| (s.life.admission, removed(s), s.life.incarnation, s.state);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Standing {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads a text into its place: as it is, serde would make two copies first.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = Arc<str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<Arc<str>, E> {
            Ok(text.into())
        }
    }

    deserializer.deserialize_str(Text)
}

impl Profile {
    /// The id of the name.
    pub fn id(&self) -> NodeId {
        self.name.id()
    }

    /// That of a member of which only this is remembered.
    pub(crate) fn remembered(name: NodeName, address: SocketAddr, life: Life) -> Self {
        Self {
            name,
            life,
            instance: Instance::UNKNOWN,
            address,
            rpc_port: 0,
            version: "".into(),
            side: None,
            tags: BTreeMap::new(),
        }
    }

    /// Whether this profile says the later word than `other`: the later life, and at one life
    /// that of the instance that started first. A total order, so profiles merge as facts do.
    pub fn supersedes(&self, other: &Self) -> bool {
        (self.life, other.instance) > (other.life, self.instance)
    }

    /// Whether the sizes are within their bounds. Bytes from a peer that are not, are refused.
    pub fn is_within_bounds(&self) -> bool {
        tags_fit(&self.tags) && self.version.len() <= 64
    }
}

/// Whether tags keep within [`TAGS_BYTES_MAX`].
pub fn tags_fit(tags: &BTreeMap<String, String>) -> bool {
    tags.iter()
        .map(|(key, value)| key.len() + value.len() + 2)
        .sum::<usize>()
        <= TAGS_BYTES_MAX
}

impl Member {
    /// Alive or suspect: takes part in rings, fingerprint and dissemination.
    pub fn is_present(&self) -> bool {
        self.standing.is_present()
    }

    /// Found dead.
    pub fn is_failed(&self) -> bool {
        self.standing.state == State::Failed
    }

    /// Alive and not suspect.
    pub fn is_healthy(&self) -> bool {
        self.is_present() && !self.suspected
    }
}

impl Fingerprint {
    /// Adds or takes away (the operation is its own pair under wrapping arithmetic) one member.
    #[must_use]
    pub(crate) fn with(self, digest: u64) -> Self {
        Self(self.0.wrapping_add(digest))
    }

    /// Takes one member away.
    #[must_use]
    pub(crate) fn without(self, digest: u64) -> Self {
        Self(self.0.wrapping_sub(digest))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 4] = [State::Alive, State::Failed, State::Left, State::Removed];

    fn life(admission: u32, incarnation: u64) -> Life {
        Life {
            admission: Admission(admission),
            incarnation: Incarnation(incarnation),
        }
    }

    /// Every fact over three admissions and three incarnations.
    fn facts() -> Vec<Standing> {
        let mut all = Vec::new();
        for admission in 1..=3 {
            for incarnation in 1..=3 {
                for state in STATES {
                    all.push(match state {
                        State::Removed => Standing::removed(Admission(admission)),
                        state => Standing {
                            life: life(admission, incarnation),
                            state,
                        },
                    });
                }
            }
        }
        all
    }

    #[test]
    fn merging_facts_is_idempotent_commutative_and_associative() {
        let facts = facts();
        for &a in &facts {
            assert_eq!(a.merge(a), a);
            for &b in &facts {
                assert_eq!(a.merge(b), b.merge(a));
                for &c in &facts {
                    assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
                }
            }
        }
    }

    #[test]
    fn facts_that_compare_equal_are_the_same_fact() {
        let facts = facts();
        for a in &facts {
            for b in &facts {
                assert_eq!(a.cmp(b) == Ordering::Equal, a == b, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_precedence_is_that_of_the_protocol() {
        let ascending = [
            Standing::alive(life(1, 1)),
            Standing::failed(life(1, 1)),
            Standing::left(life(1, 1)),
            Standing::alive(life(1, 2)),
            Standing::failed(life(1, 2)),
            Standing::left(life(1, 2)),
            Standing::removed(Admission(1)),
            Standing::alive(life(2, 1)),
            Standing::removed(Admission(2)),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn no_fact_of_an_ended_admission_undoes_its_removal() {
        for fact in facts() {
            let after = Standing::removed(Admission(2)).merge(fact);
            assert_eq!(
                after.is_present(),
                fact.is_present() && fact.life.admission > Admission(2)
            );
        }
    }

    #[test]
    fn of_two_processes_at_one_life_the_earlier_started_speaks() {
        let profile = |started, incarnation| Profile {
            name: "a@127.0.0.1".parse().unwrap(),
            life: life(1, incarnation),
            instance: Instance::new(started, 7),
            address: "127.0.0.1:4370".parse().unwrap(),
            rpc_port: 5370,
            version: "0".into(),
            side: None,
            tags: BTreeMap::new(),
        };
        assert!(profile(10, 1).supersedes(&profile(20, 1)));
        assert!(!profile(20, 1).supersedes(&profile(10, 1)));
        assert!(profile(20, 2).supersedes(&profile(10, 1)));
        assert!(!profile(10, 1).supersedes(&profile(10, 1)));
    }

    #[test]
    fn instances_order_by_start() {
        assert!(Instance::new(1_782_120_000_000, u64::MAX) < Instance::new(1_782_120_000_001, 0));
        assert_eq!(
            Instance::new(1_782_120_000_000, u64::MAX).started_ms(),
            1_782_120_000_000
        );
    }
}
