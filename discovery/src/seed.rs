//! An address where a member might answer.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use convoke_core::NodeName;
use convoke_core::name::NameError;

/// Where a member might be: a node by name, whose port follows from the name, or a bare address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seed {
    /// A node: its host is resolved and its port found (by the port rule or by epmd) when it is
    /// dialled.
    Name(NodeName),
    /// A gossip address, whoever answers there.
    Address(SocketAddr),
}

/// The text is neither a node name nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no seed: write a node name (convoke2@10.0.0.7) or an address with its port (10.0.0.7:4370, [::1]:4370){reason}"
)]
pub struct SeedError {
    text: String,
    reason: String,
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Self, SeedError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let named = text.parse().map(Self::Name);
        named.map_err(|error: NameError| SeedError {
            text: text
                .chars()
                .take(convoke_core::name::NAME_BYTES_MAX)
                .collect(),
            reason: if text.contains('@') {
                format!(": {error}")
            } else {
                String::new()
            },
        })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_name_or_an_address_and_prints_as_it_is_read() {
        for text in [
            "convoke2@10.0.0.7",
            "a@host.example",
            "10.0.0.7:4999",
            "[::1]:4999",
        ] {
            let seed: Seed = text.parse().expect(text);
            assert_eq!(seed.to_string(), text);
            assert_eq!(matches!(seed, Seed::Name(_)), text.contains('@'), "{text}");
        }
    }

    #[test]
    fn what_is_no_seed_is_refused_with_what_would_be_right() {
        for text in ["", "10.0.0.7", "host:4370", "10.0.0.7:99999", "a@b c", "@h"] {
            let error = text.parse::<Seed>().expect_err(text).to_string();
            assert!(
                error.contains("convoke2@10.0.0.7") && error.contains("10.0.0.7:4370"),
                "{error}"
            );
        }
    }
}
