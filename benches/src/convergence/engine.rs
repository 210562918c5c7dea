//! The engines that can be measured, side by side.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An engine. Convoke is always there; the others are where the feature `peers` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(super) enum Engine {
    /// This one, with its defaults.
    Convoke,
    /// foca over bare UDP, `Config::new_lan`.
    Foca,
    /// chitchat, an exchange a second.
    Chitchat,
    /// memberlist in Rust over QUIC, `Options::lan`.
    MemberlistQuic,
    /// The same over TCP and UDP.
    MemberlistTcp,
    /// HashiCorp's memberlist in a process of its own, `DefaultLANConfig` (Debian's
    /// golang-github-hashicorp-memberlist-dev and golang-go).
    GoMemberlist,
    /// serf, a process for each of at most 20 nodes (Debian's serf).
    Serf,
}

/// More processes of serf would measure the machine.
const SERFS_MAX: usize = 20;

impl Engine {
    /// All, in the order in which they are measured.
    pub(super) const ALL: [Self; 7] = [
        Self::Convoke,
        Self::Foca,
        Self::Chitchat,
        Self::MemberlistQuic,
        Self::MemberlistTcp,
        Self::GoMemberlist,
        Self::Serf,
    ];

    /// Its name, as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Convoke => "convoke",
            Self::Foca => "foca",
            Self::Chitchat => "chitchat",
            Self::MemberlistQuic => "memberlist-quic",
            Self::MemberlistTcp => "memberlist-tcp",
            Self::GoMemberlist => "go-memberlist",
            Self::Serf => "serf",
        }
    }

    /// Whether clusters of this size are measured.
    pub(super) fn takes(self, nodes: usize) -> bool {
        self != Self::Serf || nodes <= SERFS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_one_name_everywhere() {
        for engine in Engine::ALL {
            let written = serde_json::to_value(engine).unwrap();
            let typed = engine.to_possible_value().unwrap();
            assert_eq!(written, engine.name());
            assert_eq!(typed.get_name(), engine.name());
        }
        assert_eq!(Engine::ALL.as_slice(), Engine::value_variants());
    }
}
