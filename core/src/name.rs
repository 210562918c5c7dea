//! Node names, and the port rule that makes a name an address.
//!
//! A node is `name@host`. The digits that end the name are an offset to three base ports, so that
//! several nodes live on one machine and a peer is named by its name alone.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// UDP port of gossip for offset 0.
pub const GOSSIP_PORT_BASE: u16 = 4370;
/// UDP port of remote calls between nodes for offset 0.
pub const RPC_PORT_BASE: u16 = 5370;
/// TCP port of the HTTP API for offset 0.
pub const HTTP_PORT_BASE: u16 = 18083;
/// The largest offset that the port rule takes. Beyond it a suffix would silently carry a port
/// out of the range that a firewall opens.
pub const PORT_OFFSET_MAX: u16 = 999;
/// The longest node name in bytes: a DNS name's 253, the `@` and 64 before it.
pub const NAME_BYTES_MAX: usize = 318;
const LOCAL_PART_BYTES_MAX: usize = 64;
const HOST_BYTES_MAX: usize = 253;

/// The name of a node, `name@host`, checked and normalised: cheap to clone, ordered as text. It
/// knows its id, which all that is kept about members asks for at every turn.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct NodeName {
    text: Arc<str>,
    id: NodeId,
}

/// A node's name as 64 bits: the hash by which members are indexed, ordered on rings and named
/// on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(#[serde(with = "postcard::fixint::le")] pub u64);

/// The part of a node name after the `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address, IPv4 or IPv6.
    Ip(IpAddr),
    /// A fully qualified domain name, to be resolved by whoever dials it.
    Domain(String),
}

/// Why a text is not a node name. Each message says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// There is no `@`, or nothing before it.
    #[error(
        "node name {0:?} has no name before an '@': write name@host, for example convoke@127.0.0.1"
    )]
    NoLocalPart(String),
    /// A character outside `[A-Za-z0-9_-]` before the `@`, or too many of them.
    #[error("node name {0:?} is not valid before the '@': use 1 to 64 letters, digits, '_' or '-'")]
    LocalPart(String),
    /// The host is neither an address nor a domain name.
    #[error(
        "node name {0:?} has no valid host after the '@': use an IPv4 address, an IPv6 address or a domain name"
    )]
    Host(String),
}

/// The number that ends a name is too large to be a port offset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "node name {name:?} ends in {digits}, beyond the port rule's largest offset, 999: rename the node, or set node.listen, node.rpc_listen and http.listen explicitly"
)]
pub struct OffsetError {
    /// The whole name.
    pub name: String,
    /// The digits that end its local part.
    pub digits: String,
}

impl NodeName {
    /// The whole name, `name@host`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.split().0
    }

    /// The part after the `@`.
    pub fn host(&self) -> Host {
        let host = self.split().1;
        host.parse()
            .map_or_else(|_| Host::Domain(host.to_owned()), Host::Ip)
    }

    /// The id that stands for this name.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The port offset: the number that the local part ends with, 0 where there is none. A dash
    /// before the digits is no sign: `convoke-1` has offset 1.
    ///
    /// # Errors
    /// When the number is larger than [`PORT_OFFSET_MAX`].
    pub fn port_offset(&self) -> Result<u16, OffsetError> {
        let local = self.local_part();
        let digits = &local[local.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
        if digits.is_empty() {
            return Ok(0);
        }
        match digits.parse::<u16>() {
            Ok(offset) if offset <= PORT_OFFSET_MAX => Ok(offset),
            _ => Err(OffsetError {
                name: self.to_string(),
                digits: digits.to_owned(),
            }),
        }
    }

    fn split(&self) -> (&str, &str) {
        self.text
            .split_once('@')
            .expect("a node name has an '@': checked when it was made")
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    /// Reads `name@host`. Hosts are normalised, so that one node has one spelling: domain names in
    /// lower case without a final dot, IPv6 addresses without brackets and in their short form.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((local, host)) = text.split_once('@').filter(|(local, _)| !local.is_empty())
        else {
            return Err(NameError::NoLocalPart(shorten(text)));
        };
        let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if local.len() > LOCAL_PART_BYTES_MAX || !local.bytes().all(letter) {
            return Err(NameError::LocalPart(shorten(text)));
        }
        let spelt = normalise(host).ok_or_else(|| NameError::Host(shorten(text)))?;
        let text: Arc<str> = match spelt {
            Cow::Borrowed(spelt) if spelt.len() == host.len() => text.into(),
            spelt => format!("{local}@{spelt}").into(),
        };
        let id = NodeId(xxh3_64(text.as_bytes()));
        Ok(Self { text, id })
    }
}

/// Error messages quote bad input, but not a megabyte of it.
fn shorten(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX).collect()
}

/// The one spelling of a host: of names that others have spelt already, without a copy.
fn normalise(host: &str) -> Option<Cow<'_, str>> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bare.is_some() || host.contains(':') {
        let v6 = bare.unwrap_or(host).parse::<Ipv6Addr>().ok()?;
        return Some(v6.to_string().into());
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Some(host.into());
    }
    let domain = host.strip_suffix('.').unwrap_or(host);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    // A last label of digits only is a mistyped IPv4 address, never a domain.
    let numeric_end = domain
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|c| c.is_ascii_digit()));
    let valid = domain.len() <= HOST_BYTES_MAX && domain.split('.').all(label) && !numeric_end;
    let has_capitals = domain.bytes().any(|c| c.is_ascii_uppercase());
    valid.then(|| {
        if has_capitals {
            domain.to_ascii_lowercase().into()
        } else {
            domain.into()
        }
    })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for NodeName {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.text == other.text
    }
}

/// As the text, by which maps are asked too.
impl Hash for NodeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl Serialize for NodeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Spelling)
    }
}

/// Reads a name where it lies: a string of its own would be thrown away at once.
struct Spelling;

impl Visitor<'_> for Spelling {
    type Value = NodeName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node name, name@host")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NodeName, E> {
        text.parse().map_err(E::custom)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect(text)
    }

    #[test]
    fn the_offset_is_the_number_that_ends_the_name() {
        let cases = [
            ("convoke", 0),
            ("convoke1", 1),
            ("convoke-1", 1),
            ("n0", 0),
            ("n007", 7),
            ("a1b", 0),
            ("n999", 999),
            ("42", 42),
        ];
        for (local, offset) in cases {
            assert_eq!(
                name(&format!("{local}@127.0.0.1")).port_offset(),
                Ok(offset),
                "{local}"
            );
        }
    }

    #[test]
    fn an_offset_past_999_names_the_settings_that_mend_it() {
        for local in ["n1000", "n65535", "n99999999999999999999"] {
            let error = name(&format!("{local}@127.0.0.1"))
                .port_offset()
                .unwrap_err()
                .to_string();
            for setting in ["node.listen", "node.rpc_listen", "http.listen"] {
                assert!(error.contains(setting), "{error}");
            }
        }
    }

    #[test]
    fn one_node_has_one_spelling() {
        assert_eq!(name("a@[::1]"), name("a@0:0:0:0:0:0:0:1"));
        assert_eq!(name("a@S1.Example.ORG."), name("a@s1.example.org"));
        assert_ne!(name("A@h.example"), name("a@h.example"));
    }

    #[test]
    fn hosts_are_told_apart() {
        assert_eq!(
            name("a@10.0.0.7").host(),
            Host::Ip("10.0.0.7".parse().unwrap())
        );
        assert_eq!(name("a@::1").host(), Host::Ip("::1".parse().unwrap()));
        assert_eq!(
            name("a@s1.example.org").host(),
            Host::Domain("s1.example.org".into())
        );
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@h",
            "a b@h",
            "a@h h",
            "a@@h",
            "ä@h",
            "a@-h",
            "a@h-",
            "a@h..h",
            "a@10.0.0.256",
            "a@10.0.0",
            "a@[::1",
            "a@::zz",
            "a@h/x",
            "a@h:4370",
        ] {
            assert!(text.parse::<NodeName>().is_err(), "{text:?}");
        }
        assert!(format!("{}@h", "a".repeat(65)).parse::<NodeName>().is_err());
        assert!(
            format!("a@{}", "h".repeat(300))
                .parse::<NodeName>()
                .is_err()
        );
    }

    #[test]
    fn the_id_is_a_published_hash_of_the_name() {
        assert_eq!(
            name("convoke@127.0.0.1").id(),
            NodeId(xxh3_64(b"convoke@127.0.0.1"))
        );
    }
}
