//! Types of values that few keys have.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use convoke::Peer;
use convoke_core::NodeName;
use convoke_core::config::QuorumRule;
use convoke_core::name::GOSSIP_PORT_BASE;
use convoke_discovery::etcd::Server;

use super::value::{Parse, Raw, local_name, parse_duration};

/// A value that can be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switched<T> {
    Off,
    On(T),
}

impl Parse for Switched<SocketAddr> {
    fn expects() -> String {
        format!("{}, or \"off\"", SocketAddr::expects())
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Word(text) if text == "off" => Ok(Self::Off),
            _ => SocketAddr::parse(raw).map(Self::On),
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Off => "\"off\"".into(),
            Self::On(address) => address.print(),
        }
    }
}

/// What the nodes of a cluster call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterName(pub(crate) String);

impl Parse for ClusterName {
    fn expects() -> String {
        "a text without control characters, and without blanks at its ends".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let name = String::parse(raw)?;
        match name.chars().any(char::is_control) || name.trim() != name {
            true => Err(String::new()),
            false => Ok(Self(name)),
        }
    }

    fn print(&self) -> String {
        self.0.print()
    }
}

/// After how long a failed member is forgotten; `None` keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Autoclean(pub(crate) Option<Duration>);

impl Parse for Autoclean {
    fn expects() -> String {
        format!("{}, or \"never\"", Duration::expects())
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Word(text) if text == "never" => Ok(Self(None)),
            _ => Duration::parse(raw).map(|duration| Self(Some(duration))),
        }
    }

    fn print(&self) -> String {
        self.0
            .map_or_else(|| "\"never\"".into(), |duration| duration.print())
    }

    fn measure(&self) -> Option<u64> {
        self.0.as_ref().and_then(Parse::measure)
    }
}

impl Parse for QuorumRule {
    fn expects() -> String {
        "\"majority\", \"static:<n>\" (such as \"static:3\") or \"none\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        match (text.as_str(), text.strip_prefix("static:").map(str::parse)) {
            ("majority", _) => Ok(Self::Majority),
            ("none", _) => Ok(Self::None),
            (_, Some(Ok(0))) => Err("a static quorum is at least 1".into()),
            (_, Some(Ok(members))) => Ok(Self::Static(members)),
            _ => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Majority => "\"majority\"".into(),
            Self::Static(members) => format!("\"static:{members}\""),
            Self::None => "\"none\"".into(),
        }
    }
}

impl Parse for Peer {
    fn expects() -> String {
        "a node such as \"convoke1@10.0.0.1\" or an address such as \"10.0.0.1:4370\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        parse_peer(text).map_err(|_| format!("{text:?} is neither"))
    }

    fn print(&self) -> String {
        self.to_string().print()
    }
}

/// Reads a peer; a bare `name` gets the local host.
///
/// # Errors
/// When it is neither a node name nor an address.
pub(crate) fn parse_peer(text: &str) -> Result<Peer, <Peer as FromStr>::Err> {
    match text.contains(['@', ':']) || text.is_empty() {
        true => text.parse(),
        false => format!("{text}@127.0.0.1").parse(),
    }
}

/// Reads a node that a command is about.
///
/// # Errors
/// When it is neither a node name nor an address; says what would be right.
pub(crate) fn cli_peer(text: &str) -> Result<Peer, String> {
    parse_peer(text).map_err(|_| no_node(text))
}

/// Reads the name of a node that a command is about.
///
/// # Errors
/// When it is no node name; says what would be right.
pub(crate) fn cli_name(text: &str) -> Result<NodeName, String> {
    local_name(text).map_err(|error| match text.contains('@') {
        true => error.to_string(),
        false => "expected a node name such as convoke1@10.0.0.1".into(),
    })
}

fn no_node(text: &str) -> String {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let address = SocketAddr::new(ip, GOSSIP_PORT_BASE);
        return format!("a port or a name is missing: write {address} or name@{ip}");
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && !text.contains('@')
        && !host.is_empty()
        && port.parse::<u16>().is_err()
    {
        return format!("{port:?} is no port: use a number from 1 to 65535");
    }
    match text.parse::<NodeName>() {
        Err(error) if text.contains('@') => error.to_string(),
        _ => "expected a node name such as convoke1@10.0.0.1, or an address such as 10.0.0.1:4370"
            .into(),
    }
}

/// A label of this node, `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').filter(|(key, _)| !key.is_empty()) {
            Some((key, value)) => Ok(Self {
                key: key.into(),
                value: value.into(),
            }),
            None => Err(format!("{text:?} is not of the form key=value")),
        }
    }
}

impl Parse for Tag {
    fn expects() -> String {
        "a tag such as \"zone=eu-1\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        text.parse()
    }

    fn print(&self) -> String {
        format!("{}={}", self.key, self.value).print()
    }
}

/// A text that is never shown.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl Parse for Hidden {
    fn expects() -> String {
        String::expects()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        String::parse(raw).map(Self)
    }

    fn print(&self) -> String {
        "\"(hidden)\"".into()
    }
}

impl Parse for Server {
    fn expects() -> String {
        "a server such as \"http://127.0.0.1:2379\" or \"https://etcd.example:2379\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        text.parse().map_err(|_| format!("{text:?} is none"))
    }

    fn print(&self) -> String {
        self.to_string().print()
    }
}

/// Where an API server answers: a URL with a scheme and a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiServer(pub(crate) String);

impl Parse for ApiServer {
    fn expects() -> String {
        "a URL such as \"https://kubernetes.default.svc:443\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = String::parse(raw)?;
        let url: hyper::Uri = text.parse().map_err(|_| String::new())?;
        let is_web = matches!(url.scheme_str(), Some("https" | "http"));
        match is_web && url.host().is_some_and(|host| !host.is_empty()) {
            true => Ok(Self(text)),
            false => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        self.0.print()
    }
}

/// A text that may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suffix(pub(crate) String);

impl Parse for Suffix {
    fn expects() -> String {
        "a text".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        Ok(Self(text.clone()))
    }

    fn print(&self) -> String {
        self.0.print()
    }
}

/// What is logged: a level, or levels by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) String);

impl Parse for LogLevel {
    fn expects() -> String {
        "\"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or levels by module such as \"info,quinn=debug\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let (Raw::Text(text) | Raw::Word(text)) = raw else {
            return Err(String::new());
        };
        crate::logging::filter(text)
            .map(|_| Self(text.clone()))
            .map_err(|_| String::new())
    }

    fn print(&self) -> String {
        self.0.print()
    }
}

/// Reads a duration of the command line; a bare number counts seconds.
///
/// # Errors
/// When it is neither.
pub(crate) fn cli_duration(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<u32>()
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()));
    seconds
        .or_else(|| parse_duration(text))
        .ok_or_else(|| format!("expected {}", Duration::expects()))
}
