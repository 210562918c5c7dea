//! Why a question has no answer.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::net::{DnsError as Refused, NetError};
use hickory_resolver::proto::op::ResponseCode;
use thiserror::Error;

use super::options::{DnsOptionsError, DnsRecord};

/// Why the records are not known. That there are none is no error.
#[derive(Clone, Debug, Error)]
pub enum DnsError {
    /// No server answered in time, or none could be reached.
    #[error(
        "no answer from the DNS server {server} for {name} ({record}): check that it runs, and that UDP and TCP reach it"
    )]
    Silent {
        /// Who was asked.
        server: String,
        /// For which name.
        name: String,
        /// For which records.
        record: DnsRecord,
    },
    /// The server said that it can't or won't answer.
    #[error("the DNS server {server} answers {code} for {name} ({record}): {hint}")]
    Refused {
        /// Who was asked.
        server: String,
        /// For which name.
        name: String,
        /// For which records.
        record: DnsRecord,
        /// In the words of the protocol: `SERVFAIL`, `REFUSED`.
        code: String,
        /// Where to look.
        hint: &'static str,
    },
    /// The question or the answer could not be carried, or made no sense.
    #[error("asking the DNS server {server} for {name} ({record}) failed: {cause}")]
    Failed {
        /// Who was asked.
        server: String,
        /// For which name.
        name: String,
        /// For which records.
        record: DnsRecord,
        /// What went wrong.
        cause: String,
    },
    /// The system says of no server that it is to be asked.
    #[error(
        "the system's resolver (/etc/resolv.conf) can't be used ({0}): mend it, or name a server (cluster.dns.server)"
    )]
    System(String),
    /// What is to be asked can't be.
    #[error(transparent)]
    Options(#[from] DnsOptionsError),
    /// An address gives no node name.
    #[error("the address {address} gives no node name: {cause}")]
    Address {
        /// The address of the record.
        address: IpAddr,
        /// What is wrong.
        cause: String,
    },
}

impl DnsError {
    /// What the resolver's error means; `None` where it says that there are no such records.
    pub(super) fn of(
        error: &NetError,
        server: &str,
        name: String,
        record: DnsRecord,
    ) -> Option<Self> {
        let server = server.to_owned();
        Some(match error {
            NetError::Dns(Refused::NoRecordsFound(_)) => return None,
            NetError::Dns(Refused::ResponseCode(code)) => Self::Refused {
                server,
                name,
                record,
                code: words(*code),
                hint: hint(*code),
            },
            // A port that refuses is told of by some systems, and ends as silence on others.
            NetError::Timeout | NetError::NoConnections | NetError::Io(_) => Self::Silent {
                server,
                name,
                record,
            },
            other => Self::Failed {
                server,
                name,
                record,
                cause: other.to_string(),
            },
        })
    }

    /// Whether another name would fare no better.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Silent { .. })
    }
}

fn words(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => other.to_string(),
    }
}

fn hint(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::ServFail => "it, or a server that it asks, has a fault: see its log",
        ResponseCode::Refused => "it does not serve this name, or not to this host",
        _ => "check that this is the server to ask",
    }
}

/// How long one try at one server takes at the most, and how often it is repeated. Two servers are
/// asked at a time; so all of it ends before a pass of discovery does.
pub(super) const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// The first try is not counted.
pub(super) const REPEATS: usize = 1;
