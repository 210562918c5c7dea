//! Where a member of etcd answers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port where none is named: etcd's own for clients.
const PORT: u16 = 2379;
/// How much of what is no address an error shows.
const SHOWN_MAX: usize = 200;

/// The address of a member of etcd: `http://host:port` or `https://host:port`; port 2379 where
/// none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    tls: bool,
    /// Without brackets.
    host: String,
    port: u16,
}

/// The text is not the address of an etcd server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address of etcd: write http://host:port or https://host:port, and nothing behind it"
)]
pub struct ServerError(String);

impl Server {
    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name or an address, of IPv6 without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        parse(text).ok_or_else(|| ServerError(text.chars().take(SHOWN_MAX).collect()))
    }
}

fn parse(text: &str) -> Option<Server> {
    let (tls, rest) = match text.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("http://")?),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    let is_name = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let valid = if rest.starts_with('[') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        is_name(host)
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => Some(PORT).filter(|_| port.is_empty())?,
    };
    valid.then(|| Server {
        tls,
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_perhaps_a_port() {
        for (text, shown) in [
            ("http://10.0.0.1:2379", "http://10.0.0.1:2379"),
            ("https://etcd.example", "https://etcd.example:2379"),
            ("https://etcd.example/", "https://etcd.example:2379"),
            ("http://[::1]:2380", "http://[::1]:2380"),
            ("https://[fd00::1]", "https://[fd00::1]:2379"),
        ] {
            let server: Server = text.parse().expect(text);
            assert_eq!(server.to_string(), shown);
            assert_eq!(shown.parse::<Server>().as_ref(), Ok(&server));
            assert_eq!(server.is_tls(), text.starts_with("https"));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_would_be_right() {
        for text in [
            "",
            "10.0.0.1:2379",
            "http://h:x",
            "http://[::1",
            "http://[::1]x",
            "http://[h]:1",
            "http://::1",
            "etcd.example",
            "ftp://etcd.example",
            "http://",
            "http://:2379",
            "http://h:0",
            "http://h:99999",
            "http://h:",
            "http://user@h:2379",
            "http://h/v3",
            "http://h?x",
            "unix:///x",
        ] {
            let error = text.parse::<Server>().expect_err(text).to_string();
            assert!(error.contains("https://host:port"), "{error}");
        }
    }
}
