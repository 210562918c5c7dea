//! Why a connection could not be made, in words that tell an operator what to do.
//!
//! TLS says it in numbers, and the two ends see different ones: the side that refuses sees its own
//! error, the other receives an alert. Both log, at most once in a while for one address, so that
//! a stranger can't fill the log.

use std::net::SocketAddr;
use std::time::Duration;

use convoke_core::Instant;
use dashmap::DashMap;
use quinn::{ConnectionError, TransportErrorCode};

/// Time between two log lines about one address.
const INTERVAL: Duration = Duration::from_secs(10);
/// Characters of a peer's reason that are shown.
const REASON_CHARS_MAX: usize = 200;
/// Addresses that are remembered for that; more are not logged within the interval.
const ADDRESSES_MAX: usize = 64;

const TLS_ALERTS: std::ops::Range<u64> = 0x100..0x200;
const BAD_CERTIFICATE: u64 = 42;
const CERTIFICATE_EXPIRED: u64 = 45;
const CERTIFICATE_UNKNOWN: u64 = 46;
const UNKNOWN_CA: u64 = 48;
const DECRYPT_ERROR: u64 = 51;
const CERTIFICATE_REQUIRED: u64 = 116;
const NO_APPLICATION_PROTOCOL: u64 = 120;

/// The end of a connection, as a clause that follows the peer's address.
pub(crate) fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TransportError(ours) => judged_by_us(ours.code, &ours.reason),
        ConnectionError::ConnectionClosed(theirs) => {
            judged_by_peer(theirs.error_code, &printable(&theirs.reason))
        }
        ConnectionError::ApplicationClosed(close) if !close.reason.is_empty() => {
            format!("closed the connection: {}", printable(&close.reason))
        }
        ConnectionError::ApplicationClosed(_) => "closed the connection".to_owned(),
        ConnectionError::VersionMismatch => "speaks another version of QUIC".to_owned(),
        ConnectionError::Reset => "was restarted, or has ended".to_owned(),
        ConnectionError::TimedOut => "does not answer".to_owned(),
        ConnectionError::LocallyClosed => "was closed by this node".to_owned(),
        ConnectionError::CidsExhausted => "has too many connections to this node".to_owned(),
    }
}

/// Why a connection was refused, by either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The certificate is not by this secret.
    Secret,
    /// The certificate is not valid now.
    Clock,
    /// There is no protocol in common.
    Protocol,
    /// The other end has too much to do.
    Busy,
    /// Anything else.
    Otherwise,
}

/// Why a handshake ended.
pub(crate) fn kind(error: &ConnectionError) -> Refused {
    let code = match error {
        ConnectionError::TransportError(ours) => ours.code,
        ConnectionError::ConnectionClosed(theirs) => theirs.error_code,
        _ => return Refused::Otherwise,
    };
    match alert(code) {
        Some(UNKNOWN_CA | DECRYPT_ERROR | BAD_CERTIFICATE | CERTIFICATE_UNKNOWN) => Refused::Secret,
        Some(CERTIFICATE_EXPIRED) => Refused::Clock,
        Some(NO_APPLICATION_PROTOCOL) => Refused::Protocol,
        _ if code == TransportErrorCode::CONNECTION_REFUSED => Refused::Busy,
        _ => Refused::Otherwise,
    }
}

/// What a peer, perhaps a stranger, gave as its reason: without control characters, which would
/// reach the operator's terminal, and not too long.
fn printable(reason: &[u8]) -> String {
    let text = String::from_utf8_lossy(reason);
    text.chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect()
}

/// Whether the end of a connection is a refusal, in either direction.
pub(crate) fn is_refusal(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::TransportError(ours) => alert(ours.code).is_some(),
        ConnectionError::ConnectionClosed(theirs) => alert(theirs.error_code).is_some(),
        ConnectionError::VersionMismatch => true,
        _ => false,
    }
}

fn judged_by_us(code: TransportErrorCode, reason: &str) -> String {
    match alert(code) {
        Some(UNKNOWN_CA | DECRYPT_ERROR | BAD_CERTIFICATE | CERTIFICATE_UNKNOWN) => {
            "was refused: its certificate is not signed by this cluster's secret (another secret?)"
                .to_owned()
        }
        Some(CERTIFICATE_EXPIRED) => {
            "was refused: its certificate is not valid now (compare the clocks of both hosts)"
                .to_owned()
        }
        Some(CERTIFICATE_REQUIRED) => "was refused: it shows no certificate".to_owned(),
        Some(NO_APPLICATION_PROTOCOL) => {
            "was refused: it speaks another protocol version".to_owned()
        }
        _ if code == TransportErrorCode::CONNECTION_REFUSED => {
            "has too much to do to take a connection".to_owned()
        }
        _ => format!("was refused: {code} {reason}"),
    }
}

fn judged_by_peer(code: TransportErrorCode, reason: &str) -> String {
    match alert(code) {
        Some(UNKNOWN_CA | DECRYPT_ERROR | BAD_CERTIFICATE | CERTIFICATE_UNKNOWN) => {
            "refused this node's certificate: it holds another secret".to_owned()
        }
        Some(CERTIFICATE_EXPIRED) => {
            "refused this node's certificate as not valid now: compare the clocks of both hosts"
                .to_owned()
        }
        Some(CERTIFICATE_REQUIRED) => "refused this node: it saw no certificate".to_owned(),
        Some(NO_APPLICATION_PROTOCOL) => {
            "refused this node: it speaks another protocol version".to_owned()
        }
        _ if code == TransportErrorCode::CONNECTION_REFUSED => {
            "has too much to do to take a connection".to_owned()
        }
        _ => format!("refused this node: {code} {reason}"),
    }
}

fn alert(code: TransportErrorCode) -> Option<u64> {
    let code = u64::from(code);
    TLS_ALERTS.contains(&code).then(|| code - TLS_ALERTS.start)
}

/// Which addresses were logged about of late. Touched only when a handshake fails.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(DashMap<SocketAddr, Instant>);

impl LogLimit {
    /// Whether to log about this address now.
    pub(crate) fn allows(&self, now: Instant, address: SocketAddr) -> bool {
        if self
            .0
            .get(&address)
            .is_some_and(|last| now - *last < INTERVAL)
        {
            return false;
        }
        if self.0.len() >= ADDRESSES_MAX {
            self.0.retain(|_, last| now - *last < INTERVAL);
        }
        let room = self.0.len() < ADDRESSES_MAX;
        if room {
            self.0.insert(address, now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_reason_does_not_reach_the_terminal_raw() {
        assert_eq!(printable(b"no\x1b[2J\nway\xff"), "no[2Jway\u{fffd}");
        assert_eq!(printable(&[b'x'; 5000]).len(), REASON_CHARS_MAX);
    }

    #[test]
    fn a_stranger_fills_no_log() {
        let limit = LogLimit::default();
        let at = |secs| Instant::ORIGIN + Duration::from_secs(secs);
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert!(limit.allows(at(0), address(1)));
        assert!(!limit.allows(at(9), address(1)));
        assert!(limit.allows(at(9), address(2)));
        assert!(limit.allows(at(10), address(1)));
        let logged = (100..60_000)
            .filter(|port| limit.allows(at(11), address(*port)))
            .count();
        assert!(logged < ADDRESSES_MAX);
        assert!(limit.allows(at(30), address(9)));
    }
}
