//! Values that are one of a few words.

use std::fmt;

use convoke_core::Config as EngineConfig;
use convoke_core::config::{ProbeTargets, QuorumTie};

use super::value::{Parse, Raw};

/// A value that is one of a few words.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// The words, and what they stand for.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Choice> Parse for T {
    fn expects() -> String {
        let words: Vec<_> = T::WORDS
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        match words.as_slice() {
            [one] => one.clone(),
            [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
            [] => String::new(),
        }
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        let found = T::WORDS.iter().find(|(word, _)| word == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| nearest_word::<T>(text))
    }

    fn print(&self) -> String {
        format!("{:?}", word(*self))
    }
}

/// The word that stands for a choice.
pub(crate) fn word<T: Choice>(value: T) -> &'static str {
    let found = T::WORDS.iter().find(|(_, candidate)| *candidate == value);
    found
        .expect("every variant has its word: the tables are enumerated in a test")
        .0
}

fn nearest_word<T: Choice>(text: &str) -> String {
    let words = T::WORDS.iter().map(|(word, _)| *word);
    super::error::nearest(text, words)
        .map(|word| format!("did you mean {word:?}?"))
        .unwrap_or_default()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortMapping {
    Conventional,
    Epmd,
}

impl Choice for PortMapping {
    const WORDS: &'static [(&'static str, Self)] =
        &[("conventional", Self::Conventional), ("epmd", Self::Epmd)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    Manual,
    Static,
    Mcast,
    Dns,
    Etcd,
    K8s,
}

impl Choice for Discovery {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("manual", Self::Manual),
        ("static", Self::Static),
        ("mcast", Self::Mcast),
        ("dns", Self::Dns),
        ("etcd", Self::Etcd),
        ("k8s", Self::K8s),
    ];
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(*self))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitBrain {
    Off,
    KeepMajority,
    StaticQuorum,
    KeepOldest,
    DownAll,
}

impl Choice for SplitBrain {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("keep-majority", Self::KeepMajority),
        ("static-quorum", Self::StaticQuorum),
        ("keep-oldest", Self::KeepOldest),
        ("down-all", Self::DownAll),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDown {
    Stay,
    Exit,
}

impl Choice for OnDown {
    const WORDS: &'static [(&'static str, Self)] = &[("stay", Self::Stay), ("exit", Self::Exit)];
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RecordType {
    #[default]
    A,
    Aaaa,
    Srv,
}

impl Choice for RecordType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("a", Self::A), ("aaaa", Self::Aaaa), ("srv", Self::Srv)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressType {
    Ip,
    Dns,
    Hostname,
}

impl Choice for AddressType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ip", Self::Ip),
        ("dns", Self::Dns),
        ("hostname", Self::Hostname),
    ];
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SecurityMode {
    #[default]
    Secret,
    Pki,
}

impl Choice for SecurityMode {
    const WORDS: &'static [(&'static str, Self)] = &[("secret", Self::Secret), ("pki", Self::Pki)];
}

/// Which preset of [`EngineConfig`] the single values change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Local,
    Lan,
    Wan,
}

impl Choice for Profile {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("local", Self::Local),
        ("lan", Self::Lan),
        ("wan", Self::Wan),
    ];
}

impl Profile {
    /// The preset.
    pub(crate) fn engine(self) -> EngineConfig {
        match self {
            Self::Local => EngineConfig::local(),
            Self::Lan => EngineConfig::lan(),
            Self::Wan => EngineConfig::wan(),
        }
    }
}

impl Choice for ProbeTargets {
    const WORDS: &'static [(&'static str, Self)] =
        &[("observed", Self::Observed), ("all", Self::All)];
}

impl Choice for QuorumTie {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("oldest", Self::Oldest)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}
