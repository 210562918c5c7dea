//! The messages, and what proves them.
//!
//! ```text
//! "CVB" | version | postcard of {kind, nonce, name, address} | HMAC-SHA-256 of all before it
//! ```
//!
//! The proof is examined first: nothing that a stranger wrote is parsed. The key of the proof
//! depends on the cluster's name, so that a message of another cluster is a stranger's, even where
//! both share a secret.

use std::fmt;
use std::net::SocketAddr;

use convoke_core::NodeName;
use convoke_core::name::NAME_BYTES_MAX;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 3] = b"CVB";
/// A change of the format is another version; nodes of both may share a group.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = MAGIC.len() + 1;
const PROOF_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 16;
/// Head and proof; kind and share, nonce, the name with its length, a family with an IPv6 address
/// and a port of three bytes.
pub(super) const BEACON_BYTES_MAX: usize =
    HEAD_BYTES + 2 + NONCE_BYTES + 2 + NAME_BYTES_MAX + 1 + 16 + 3 + PROOF_BYTES;

/// What the nodes of a cluster prove their beacons with. Never shown by `Debug`.
#[derive(Clone)]
pub struct BeaconKey(hmac::Key);

impl BeaconKey {
    /// The key of these bytes, which only the nodes of the cluster may know: 256 random bits, or
    /// derived from such for this purpose alone.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for BeaconKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeaconKey(..)")
    }
}

/// A number that is used once.
pub(super) type Nonce = [u8; NONCE_BYTES];

/// A nonce that nobody guesses.
pub(super) fn nonce() -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new()
        .fill(&mut nonce)
        .expect("the system has random numbers");
    nonce
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Who is there? One in 4^`share` of those who hear it are to answer.
    Ask { share: u8 },
    /// I am, to the question of the same nonce.
    Tell,
}

/// A message of a node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beacon {
    pub(super) kind: Kind,
    pub(super) nonce: Nonce,
    /// Who speaks.
    pub(super) name: NodeName,
    /// Where it gossips.
    pub(super) address: SocketAddr,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    kind: Kind,
    nonce: Nonce,
    #[serde(borrow)]
    name: &'a str,
    address: SocketAddr,
}

/// Why a datagram is no message to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It is something else altogether, or damaged.
    Noise,
    /// It is a message in a format of another version.
    Version(u8),
    /// It is a message, but not of this cluster: another secret, or another name.
    Unproven,
}

/// Seals and opens the messages of one cluster.
#[derive(Debug)]
pub(super) struct Sealer(hmac::Key);

impl Sealer {
    /// For the cluster of this key and this name.
    pub(super) fn new(key: &BeaconKey, cluster: &str) -> Self {
        let bound = hmac::sign(&key.0, &[b"cluster ", cluster.as_bytes()].concat());
        Self(hmac::Key::new(hmac::HMAC_SHA256, bound.as_ref()))
    }

    pub(super) fn seal(&self, beacon: &Beacon) -> Vec<u8> {
        let body = Body {
            kind: beacon.kind,
            nonce: beacon.nonce,
            name: beacon.name.as_str(),
            address: beacon.address,
        };
        let head = [&MAGIC[..], &[VERSION]].concat();
        let mut packet =
            postcard::to_extend(&body, head).expect("numbers and a text can be written");
        let proof = hmac::sign(&self.0, &packet);
        packet.extend_from_slice(proof.as_ref());
        debug_assert!(packet.len() <= BEACON_BYTES_MAX);
        packet
    }

    pub(super) fn open(&self, packet: &[u8]) -> Result<Beacon, Stranger> {
        let rest = packet.strip_prefix(MAGIC).ok_or(Stranger::Noise)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(Stranger::Version(version)),
            None => return Err(Stranger::Noise),
        }
        let fits = (HEAD_BYTES + PROOF_BYTES..=BEACON_BYTES_MAX).contains(&packet.len());
        if !fits {
            return Err(Stranger::Noise);
        }
        let (said, proof) = packet.split_at(packet.len() - PROOF_BYTES);
        hmac::verify(&self.0, said, proof).map_err(|_| Stranger::Unproven)?;
        parse(&said[HEAD_BYTES..]).ok_or(Stranger::Noise)
    }
}

/// The message in what a holder of the key wrote.
fn parse(said: &[u8]) -> Option<Beacon> {
    let (body, rest) = postcard::take_from_bytes::<Body<'_>>(said).ok()?;
    let address = body.address;
    let dialable =
        !address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0;
    let name = body.name.parse().ok()?;
    (rest.is_empty() && dialable).then_some(Beacon {
        kind: body.kind,
        nonce: body.nonce,
        name,
        address,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn sealer(secret: u8, cluster: &str) -> Sealer {
        Sealer::new(&BeaconKey::new(&[secret; 32]), cluster)
    }

    fn beacon(kind: Kind, name: &str, address: &str) -> Beacon {
        Beacon {
            kind,
            nonce: nonce(),
            name: name.parse().unwrap(),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn a_message_survives_its_packet_and_fits_its_bound() {
        let label = "a".repeat(63);
        let host = [&label[..], &label, &label, &label[..61]].join(".");
        let local = "n".repeat(NAME_BYTES_MAX - 1 - host.len());
        let long = format!("{local}@{host}");
        let sealer = sealer(1, "convoke");
        for name in ["a@10.0.0.7", "a@::1", &long] {
            for address in ["10.0.0.7:4370", "[fdff:ffff::ffff:ffff]:65535"] {
                for kind in [Kind::Tell, Kind::Ask { share: 255 }] {
                    let said = beacon(kind, name, address);
                    let packet = sealer.seal(&said);
                    assert!(packet.len() <= BEACON_BYTES_MAX, "{}", packet.len());
                    assert_eq!(sealer.open(&packet), Ok(said));
                }
            }
        }
    }

    #[test]
    fn another_secret_and_another_cluster_are_strangers() {
        let said = beacon(Kind::Tell, "a@10.0.0.7", "10.0.0.7:4370");
        let packet = sealer(1, "convoke").seal(&said);
        for other in [sealer(2, "convoke"), sealer(1, "convok"), sealer(1, "")] {
            assert_eq!(other.open(&packet), Err(Stranger::Unproven));
        }
        let mut newer = packet;
        newer[3] = 2;
        assert_eq!(sealer(1, "convoke").open(&newer), Err(Stranger::Version(2)));
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_no_message() {
        let sealer = sealer(1, "convoke");
        for address in ["0.0.0.0:4370", "239.1.1.1:4370", "10.0.0.7:0", "[::]:1"] {
            let packet = sealer.seal(&beacon(Kind::Tell, "a@10.0.0.7", address));
            assert_eq!(sealer.open(&packet), Err(Stranger::Noise), "{address}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_refused_and_nothing_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..2 * BEACON_BYTES_MAX),
            headed in any::<bool>(),
        ) {
            let head = [&MAGIC[..], &[VERSION]].concat();
            let packet = if headed { [head, bytes].concat() } else { bytes };
            prop_assert!(sealer(1, "convoke").open(&packet).is_err());
        }

        #[test]
        fn a_message_with_any_bit_changed_or_any_end_cut_is_refused(
            bit in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let sealer = sealer(1, "convoke");
            let said = beacon(Kind::Ask { share: 3 }, "a@n1.example.org", "10.0.0.7:4370");
            let packet = sealer.seal(&said);
            let mut changed = packet.clone();
            let bit = bit.index(8 * packet.len());
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(sealer.open(&changed).is_err());
            prop_assert!(sealer.open(&packet[..cut.index(packet.len())]).is_err());
            prop_assert!(sealer.open(&[&packet[..], &[0]].concat()).is_err());
        }

        #[test]
        fn what_a_holder_of_the_key_writes_is_a_message_or_refused(
            said in prop::collection::vec(any::<u8>(), 0..BEACON_BYTES_MAX),
        ) {
            if let Some(parsed) = parse(&said) {
                let sealer = sealer(1, "convoke");
                prop_assert_eq!(sealer.open(&sealer.seal(&parsed)), Ok(parsed));
            }
        }
    }
}
