//! What is asked, and whom.

use std::fmt;
use std::net::SocketAddr;

use convoke_core::NodeName;
use hickory_resolver::proto::rr::{Name, RecordType};
use thiserror::Error;

/// What [`Dns`](crate::Dns) asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsOptions {
    /// The name whose records are the nodes: `nodes.example.org`. For SRV records it usually has
    /// the form `_service._udp.example.org`. With the system's resolver, a name that does not end
    /// in a dot is looked for in the search domains too.
    pub name: String,
    /// The nodes' own name, for records that have addresses only: those of 10.0.0.7 and `convoke`
    /// give `convoke@10.0.0.7`. SRV records do without.
    pub app: String,
    /// Which records are asked for.
    pub record: DnsRecord,
    /// The server to ask. Default: the servers of the system (`/etc/resolv.conf`, read at every
    /// question), after the system's hosts file.
    pub server: Option<SocketAddr>,
}

/// A type of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsRecord {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts with their port. Their addresses are taken from the same answer where it has them,
    /// else asked for.
    Srv,
}

/// Why options can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DnsOptionsError {
    /// The name is none.
    #[error("{name:?} is no domain name: expected one such as \"nodes.example.org\" ({cause})")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The nodes' own name is none.
    #[error(
        "{0:?} is no name of nodes: expected what stands before the @, letters, digits, - and _"
    )]
    App(String),
}

impl DnsOptions {
    /// Whether they can be asked for.
    ///
    /// # Errors
    /// When the name is no domain name, or the nodes' own name is none.
    pub fn check(&self) -> Result<(), DnsOptionsError> {
        self.domain()?;
        let node = format!("{}@127.0.0.1", self.app).parse::<NodeName>();
        let whole = node.is_ok_and(|node| node.local_part() == self.app);
        match whole {
            true => Ok(()),
            false => Err(DnsOptionsError::App(shortened(&self.app))),
        }
    }

    pub(super) fn domain(&self) -> Result<Name, DnsOptionsError> {
        let wrong = |cause: String| DnsOptionsError::Name {
            name: shortened(&self.name),
            cause,
        };
        if self.name.trim_end_matches('.').is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        // Underscores are no letters of host names, and are in the names of services.
        Name::from_ascii(&self.name).map_err(|cause| wrong(cause.to_string()))
    }
}

impl DnsRecord {
    pub(super) fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Srv => RecordType::SRV,
        }
    }
}

impl fmt::Display for DnsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
        })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, app: &str) -> Result<(), DnsOptionsError> {
        let options = DnsOptions {
            name: name.to_owned(),
            app: app.to_owned(),
            record: DnsRecord::A,
            server: None,
        };
        options.check()
    }

    #[test]
    fn names_of_hosts_and_of_services_are_names() {
        for name in [
            "nodes",
            "nodes.example.org",
            "nodes.example.org.",
            "_gossip._udp.fleet.test",
        ] {
            assert_eq!(checked(name, "convoke"), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_can_be_no_record_s_name_is_refused_in_words() {
        let long = "a".repeat(64);
        for name in ["", ".", "..", "a..b", &long, &"a.".repeat(200)] {
            let error = checked(name, "convoke").unwrap_err();
            assert!(matches!(error, DnsOptionsError::Name { .. }), "{name}");
            assert!(error.to_string().contains("nodes.example.org"), "{error}");
            assert!(error.to_string().len() < 400, "{error}");
        }
        for app in ["", "a@b", "a b", "é"] {
            let error = checked("nodes", app).unwrap_err();
            assert_eq!(error, DnsOptionsError::App(app.to_owned()));
        }
    }
}
